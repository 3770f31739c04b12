"""The newest events in memory, as they were just committed: a sink that keeps up need not read them back.

Only what keeps up is served from here; whoever is behind reads the store, which has all of it.
"""

from collections import deque
from typing import TYPE_CHECKING

import anyio

from slurmwatchd.store.bulk_insert import BulkRows

if TYPE_CHECKING:
    from slurmwatchd.model.event_columns import Events

MAX_EVENTS = 5000
MAX_BYTES = 8 << 20
"""Of bodies; a record's texts may be long."""


class RecentEvents:
    """Events in the order of their positions, without gaps."""

    def __init__(self) -> None:
        """Begin with nothing known."""
        self._packs: deque[BulkRows] = deque()
        self._bytes: deque[int] = deque()
        self._next = 0
        self.lock = anyio.Lock()
        """Held while events are made of rows: all sinks ask for the same, and all but one find them made."""
        self.made: tuple[tuple[int, int], Events] | None = None
        """The position and the limit that events were last made for, and the events."""

    def put(self, rows: BulkRows) -> None:
        """Take rows of `events` that were just committed, in order, none left out since the last time."""
        if not rows:
            return
        self.made = None
        if rows.columns["seq"][0] != self._next:
            self.clear()
        self._packs.append(rows)
        self._bytes.append(sum(map(len, rows.columns["body"])))
        self._next = rows.columns["seq"][-1] + 1
        while self._packs and (sum(map(len, self._packs)) > MAX_EVENTS or sum(self._bytes) > MAX_BYTES):
            self._packs.popleft()
            self._bytes.popleft()

    def clear(self) -> None:
        """Forget all: events were committed that did not come by here."""
        self._packs.clear()
        self._bytes.clear()
        self._next = 0
        self.made = None

    def after(self, seq: int, limit: int) -> list[BulkRows] | None:
        """Return the events behind a position, at most so many; None where that has to be read from the store."""
        if seq + 1 == self._next:
            return []
        if not self._packs or not self._packs[0].columns["seq"][0] <= seq + 1 < self._next:
            return None
        found: list[BulkRows] = []
        for pack in self._packs:
            passed = max(0, seq + 1 - pack.columns["seq"][0])
            if passed < len(pack) and limit > 0:
                found.append(pack.part(passed, passed + limit))
                limit -= len(found[-1])
        return found
