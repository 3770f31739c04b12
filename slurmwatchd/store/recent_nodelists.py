"""The nodes of the node lists met last, in memory: events made from memory need not read them from the store.

Whoever gives a row of `nodelists` its nodes puts them here, and its id is never another list's (see
`retention.prune_nodelists`). So what is kept here stays true.
"""

from collections.abc import Iterable

MAX_BYTES = 2 << 20
_ENTRY_BYTES = 100
"""What a list weighs besides its text: most name one node."""


class RecentNodelists:
    """Ids of rows of `nodelists` to the names of their nodes, as they stand there; the oldest go first."""

    def __init__(self) -> None:
        """Begin with none."""
        self._nodes: dict[int, bytes] = {}
        self._bytes = 0

    def put(self, lists: Iterable[tuple[int, bytes]]) -> None:
        """Take what was just committed."""
        for identity, names in lists:
            if identity in self._nodes:
                self._bytes -= _weight(self._nodes.pop(identity))
            self._nodes[identity] = names
            self._bytes += _weight(names)
            while self._bytes > MAX_BYTES:
                self._bytes -= _weight(self._nodes.pop(next(iter(self._nodes))))

    def learn(self, lists: Iterable[tuple[int, bytes]]) -> None:
        """Take what was read: what was committed since then is newer."""
        self.put((identity, names) for identity, names in lists if identity not in self._nodes)

    def among(self, identities: Iterable[int]) -> dict[int, bytes]:
        """Return those of some that are here."""
        known = self._nodes
        return {identity: known[identity] for identity in identities if identity in known}


def _weight(names: bytes) -> int:
    return len(names) + _ENTRY_BYTES
