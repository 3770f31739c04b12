"""The newest events in memory, as they were just committed: a sink that keeps up need not read them back.

Only what keeps up is served from here; whoever is behind reads the store, which has all of it.
"""

from collections import deque
from collections.abc import Sequence
from itertools import chain, islice
from operator import itemgetter
from typing import Any

MAX_EVENTS = 5000
MAX_BYTES = 8 << 20
"""Of bodies; a record's texts may be long."""

EventRow = tuple[Any, ...]
"""The columns of `EVENT_COLUMNS`: position first, body last."""

_body = itemgetter(-1)


class Recent:
    """Events in the order of their positions, without gaps."""

    def __init__(self) -> None:
        """Begin with nothing known."""
        self._packs: deque[Sequence[EventRow]] = deque()
        self._bytes: deque[int] = deque()
        self._next = 0

    def put(self, rows: Sequence[EventRow]) -> None:
        """Take what one transaction has committed, in order, none left out since the last time."""
        if not rows:
            return
        if rows[0][0] != self._next:
            self.clear()
        self._packs.append(rows)
        self._bytes.append(sum(map(len, map(_body, rows))))
        self._next = rows[-1][0] + 1
        while self._packs and (sum(map(len, self._packs)) > MAX_EVENTS or sum(self._bytes) > MAX_BYTES):
            self._packs.popleft()
            self._bytes.popleft()

    def clear(self) -> None:
        """Forget all: events were committed that did not come by here."""
        self._packs.clear()
        self._bytes.clear()
        self._next = 0

    def after(self, seq: int, limit: int) -> list[EventRow] | None:
        """Return the events behind a position, at most so many; None where that has to be read from the store."""
        if seq + 1 == self._next:
            return []
        if not self._packs or not self._packs[0][0][0] <= seq + 1 < self._next:
            return None
        passed = seq + 1 - self._packs[0][0][0]
        return list(islice(chain.from_iterable(self._packs), passed, passed + limit))
