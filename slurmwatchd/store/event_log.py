"""The events as they stand in the store, for who reads them beside the daemon: from a moment or a position on."""

from collections.abc import AsyncIterator
from sqlite3 import Row

from slurmwatchd.model.records import Event, EventKind, FoundBy
from slurmwatchd.store import bodies
from slurmwatchd.store.read.second_process import ComparisonReader

PAGE_EVENTS = 500

_COLUMNS = (
    f"SELECT events.seq, {bodies.ID}, events.kind, events.revision, events.time, events.observed, "  # noqa: S608 - constants
    f"events.found_by, {bodies.BODY}, nodelists.nodes, events.changed FROM {bodies.TABLES} "
    "LEFT JOIN nodelists ON nodelists.id = events.nodelist"
)
_AFTER = (
    f"{_COLUMNS} WHERE events.seq > ? AND events.observed >= ? AND events.observed < ? ORDER BY events.seq LIMIT ?"
)
_BEFORE = f"{_COLUMNS} WHERE events.seq < ? ORDER BY events.seq DESC LIMIT ?"
_ENDS = "SELECT coalesce(min(seq), 0), coalesce(max(seq), 0) FROM events"
_MAX_INTEGER = (1 << 63) - 1


async def ends(reader: ComparisonReader) -> tuple[int, int]:
    """Return the oldest and the newest position; 0 where there is no event."""
    row = (await reader.read(_ENDS))[0]
    return int(row[0]), int(row[1])


async def first_since(reader: ComparisonReader, since: int) -> int:
    """Return a position before which all events were seen earlier: found by halving, not by reading them all.

    `observed` grows with the position, unless the clock went back: then events of the hours it went back over may
    be passed over.
    """
    low, newest = await ends(reader)
    high = newest + 1
    while low < high:
        middle = (low + high) // 2
        rows = await reader.read("SELECT seq, observed FROM events WHERE seq >= ? LIMIT 1", (middle,))
        if rows and rows[0]["observed"] < since:
            low = rows[0]["seq"] + 1
        else:
            high = middle
    return low


async def after(
    reader: ComparisonReader, seq: int, *, since: int = 0, until: int = _MAX_INTEGER
) -> AsyncIterator[list[Event]]:
    """Give the events behind a position, in order, some at a time.

    Args:
        reader: The store.
        seq: The position.
        since: Only those first seen from this moment on, epoch seconds.
        until: Only those first seen before it.

    Raises:
        StoreBusyError: The store cannot be read now.
    """
    while rows := await reader.read(_AFTER, (seq, since, until, PAGE_EVENTS)):
        yield [_event(row) for row in rows]
        seq = rows[-1]["seq"]


async def before(reader: ComparisonReader, seq: int) -> AsyncIterator[list[Event]]:
    """Give the events before a position, the newest first, some at a time."""
    while rows := await reader.read(_BEFORE, (seq, PAGE_EVENTS)):
        yield [_event(row) for row in rows]
        seq = rows[-1]["seq"]


def _event(row: Row) -> Event:
    event = Event(*row)
    return event._replace(kind=EventKind(event.kind), found_by=FoundBy(event.found_by))
