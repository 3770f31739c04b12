"""Events going out: read in order after a sink's cursor; the cursor moves with what the sink remembers."""

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any

import aiosqlite
import anyio.to_thread

from slurmwatchd.model.event_columns import IN_MEMORY, Events, Fields
from slurmwatchd.model.records import Event, EventKind, FoundBy
from slurmwatchd.model.tuples import maker
from slurmwatchd.store import bodies
from slurmwatchd.store.bulk_insert import BulkRows
from slurmwatchd.store.database import Database
from slurmwatchd.store.json_array import json_array
from slurmwatchd.store.repair import already_delivered
from slurmwatchd.store.unpacking import (
    PackedBodies,
    UnknownDictionaryError,
    Unpacker,
    UnusualBodyError,
    unpacked_bytes,
)

_KINDS = {str(kind): kind for kind in EventKind}
_FOUND_BY = {str(found_by): found_by for found_by in FoundBy}

_EVENT = maker(Event)

_EVENTS = (
    "SELECT events.seq, {id}, events.kind, events.revision, events.time, events.observed, "  # noqa: S608 - constants
    "events.found_by, {body}, nodelists.nodes, events.changed, "
    f"jobs.cluster, jobs.job_id_raw, jobs.submit, events.base, record.body FROM {bodies.TABLES} "
    "LEFT JOIN nodelists ON nodelists.id = events.nodelist WHERE events.seq > ? ORDER BY events.seq LIMIT ?"
)
_PACKED = _EVENTS.format(id="events.id", body="events.body")
_WHOLE = _EVENTS.format(id=bodies.KEPT_ID, body=bodies.BODY)
"""The same, where SQL unpacks the bodies one by one."""

_NODES = (
    "SELECT nodelists.id, nodes FROM json_each(?) AS wanted CROSS JOIN nodelists ON nodelists.id = wanted.value"
)

_EVENT_BYTES = 500
"""What an event weighs besides its texts."""

MAX_BYTES = 4 << 20
"""How much of the outbox is read at a time: a list of ten thousand nodes weighs a tenth of a megabyte."""


@dataclass(frozen=True, slots=True)
class SinkCursor:
    """How far a sink has got.

    Attributes:
        seq: The newest event it has; 0 for none.
        state: What it asked to have kept with that.
    """

    seq: int
    state: Mapping[str, bytes] = field(default_factory=dict)


async def enter(database: Database, sinks: Collection[str], *, now: int) -> None:
    """Make positions for sinks never seen before, for all of them or for none.

    A new sink begins with what comes after it: it does not get the whole past of an old store. In a store where
    some have a position, one that has none is new; where none has, the past of all was lost.
    """

    async def work(connection: aiosqlite.Connection) -> None:
        await connection.executemany(
            "INSERT OR IGNORE INTO cursors (sink, seq, began, moved) SELECT ?1, last, last, ?2 FROM "
            "(SELECT coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'last seq'), 0) AS last)",
            [(sink, now) for sink in sinks],
        )

    await database.write(work)


async def position(database: Database, sink: str, *, now: int) -> SinkCursor:
    """Return a sink's position, making one for a sink never seen before."""
    await enter(database, [sink], now=now)
    rows = await database.read("SELECT seq FROM cursors WHERE sink = ?", (sink,))
    state = await database.read("SELECT key, value FROM sink_state WHERE sink = ?", (sink,))
    return SinkCursor(rows[0]["seq"], {row["key"]: row["value"] for row in state})


async def after(database: Database, seq: int, limit: int) -> list[Event]:
    """Return events behind a position, in order: at most `limit`, and no more than a few megabytes of them."""
    recent = await _recent(database, seq, limit)
    if recent is not None:
        return recent
    rows = await database.read_until(_PACKED, (seq, limit), weigh=_packed_weight, max_bytes=MAX_BYTES)
    if not rows:
        return []
    try:
        await database.unpacker.learn(database)
        while True:
            try:
                # Some milliseconds for a batch: the event loop does not wait for that.
                return await anyio.to_thread.run_sync(_unpacked_events, database.unpacker, rows)
            except UnknownDictionaryError as unknown:
                await database.unpacker.learn(database, unknown.number)
    except UnusualBodyError:
        rows = await database.read_until(_WHOLE, (seq, limit), weigh=_weight, max_bytes=MAX_BYTES)
        return _events(list(zip(*rows, strict=True)))


def _unpacked_events(unpacker: Unpacker, rows: Sequence[sqlite3.Row]) -> list[Event]:
    """Make events of rows with packed bodies.

    Raises:
        UnknownDictionaryError: One of the dictionaries was not read yet.
        UnusualBodyError: A row has to be read by itself.
    """
    columns = list(zip(*rows, strict=True))
    if None in columns[10]:
        # No attempt to make the id of: SQL says of which event.
        raise UnusualBodyError
    columns[7] = tuple(unpacker.whole(PackedBodies(columns[0], columns[7], columns[13], columns[14])))
    return _events(columns)


def _events(columns: Sequence[Sequence[Any]]) -> list[Event]:
    """Make events of columns in the order of the fields, and what their ids follow from."""
    if not columns:
        return []
    *columns, clusters, numbers, submits, _, _ = columns
    columns[1] = bodies.whole_ids(columns[1], columns[2], columns[3], clusters, zip(numbers, submits, strict=True))
    columns[2] = list(map(_KINDS.__getitem__, columns[2]))
    columns[6] = list(map(_FOUND_BY.__getitem__, columns[6]))
    return list(map(_EVENT, zip(*columns, strict=True)))


async def _recent(database: Database, seq: int, limit: int) -> list[Event] | None:
    """Return the same from memory; None where they are not there, or are too many bytes at once."""
    recent = database.recent
    async with recent.lock:
        packs = recent.after(seq, limit)
        if not packs:
            return None if packs is None else []
        if recent.made is not None and recent.made[0] == (seq, limit):
            return recent.made[1]
        events = await _made(database, packs)
        if events is not None:
            # More may have come meanwhile: those are behind these.
            recent.made = (seq, limit), events
        return events


async def _made(database: Database, packs: Sequence[BulkRows]) -> Events | None:
    """Make events of rows that were just written; None where they are too many bytes at once."""
    nodes: dict[int | None, bytes | None] = {None: None}
    wanted = set(chain.from_iterable(pack.columns["nodelist"] for pack in packs)) - {None}
    nodes.update(database.recent_nodelists.among(wanted).items())
    if missing := wanted - nodes.keys():
        found = await database.read_until(
            _NODES, (json_array(missing),), weigh=lambda rows: _bytes_in(rows, 1), max_bytes=MAX_BYTES
        )
        if len(found) < len(missing):
            return None
        nodes |= {row[0]: row[1] for row in found}
        # One without nodes may be given them later.
        database.recent_nodelists.learn((row[0], row[1]) for row in found if row[1] is not None)
    weights = {number: len(names or b"") for number, names in nodes.items()}
    weight = 0
    for pack in packs:
        weight += sum(map(len, pack.columns["body"])) + sum(map(weights.__getitem__, pack.columns["nodelist"]))
    if weight > MAX_BYTES:
        return None
    fields: Fields | None = None
    if all(pack.beside for pack in packs):
        fields = {name: list(chain.from_iterable(pack.beside[name] for pack in packs)) for name in IN_MEMORY}
    return Events(chain.from_iterable(_told(pack, nodes) for pack in packs), fields)


def _told(pack: BulkRows, nodes: Mapping[int | None, bytes | None]) -> Iterator[Event]:
    """Make events of rows as they were written."""
    columns, common = pack.columns, pack.common
    values = zip(
        columns["seq"],
        columns["id"],
        repeat(_KINDS[common["kind"]]),
        columns["revision"],
        columns["time"],
        repeat(common["observed"]),
        repeat(_FOUND_BY[common["found_by"]]),
        columns["body"],
        [nodes[number] for number in columns["nodelist"]],
        columns["changed"],
        strict=False,
    )
    # They stand in the order of the fields.
    return map(_EVENT, values)


async def advance(
    database: Database,
    sink: str,
    seq: int,
    state: Mapping[str, bytes],
    *,
    now: int,
    met: Collection[str] = (),
) -> None:
    """Move a sink's cursor and write what changed of its state, in one transaction.

    Args:
        database: The store.
        sink: Its name.
        seq: The newest event it has now.
        state: What it asked to have kept; an empty value removes a key.
        now: Epoch seconds.
        met: Ids that it had from an earlier store, see `already_delivered`.
    """

    def work(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE cursors SET seq = ?, moved = ? WHERE sink = ?", (seq, now, sink))
        kept = [(sink, key, value) for key, value in state.items() if value]
        if kept:
            connection.executemany(
                "INSERT INTO sink_state VALUES (?, ?, ?) "
                "ON CONFLICT (sink, key) DO UPDATE SET value = excluded.value",
                kept,
            )
        if len(kept) < len(state):
            connection.executemany(
                "DELETE FROM sink_state WHERE sink = ? AND key = ?",
                [(sink, key) for key, value in state.items() if not value],
            )
        if met:
            already_delivered.forget(connection, sink, met)

    await database.write_at_once(work)


def _weight(rows: Sequence[sqlite3.Row]) -> int:
    return _EVENT_BYTES * len(rows) + sum(_bytes_in(rows, place) for place in (7, 8, 9))


def _packed_weight(rows: Sequence[sqlite3.Row]) -> int:
    beside = _EVENT_BYTES * len(rows) + _bytes_in(rows, 8) + _bytes_in(rows, 9)
    records = [row[14] for row in rows]
    return beside + unpacked_bytes([row[7] for row in rows]) + unpacked_bytes(list(filter(None, records)))


def _bytes_in(rows: Sequence[sqlite3.Row], place: int) -> int:
    return sum([len(row[place] or b"") for row in rows])
