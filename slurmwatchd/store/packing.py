"""Packing what stands in the store as it was written, a few rows at a time, while everything else goes on.

That is all of a store of an older version, and the first events of a new one, from before there was a dictionary.
Each step is one transaction, which also notes how far it got, so it may be cut off anywhere: a row is packed or it
is not, and reads back as the same bytes either way. SQLite uses what that frees for new rows; the file does not
shrink.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import aiosqlite
import anyio.to_thread

from slurmwatchd.model.event_ids import event_id
from slurmwatchd.model.records import EventKind
from slurmwatchd.store import bodies, dictionaries
from slurmwatchd.store.database import Database
from slurmwatchd.store.dictionaries import MOST_SAMPLES, DictionaryKind, Packer

STEP_ROWS = 500

_STEP_EVENTS = 10_000
"""Most are packed already, and only walked over."""

RENEWAL_EVENTS = 50_000
"""After so many events it is tried whether another dictionary would do better: 0.1 s."""

_REACHED = "packed seq"
_USAGE = EventKind.JOB_USAGE.value
_SCAN_EVENTS = 50_000
"""Where so many events hold too few of a kind to train on, those few are packed with what there is."""

_PLAIN = "substr(events.body, 1, 2) IN (X'7B22', X'2C22')"
# The newest record before a usage event is the one that it repeats.
_NEXT = (
    f"SELECT events.seq, events.id, events.kind, events.revision, events.body, events.base, "  # noqa: S608 - constants
    f"iif(told.seq IS NULL, NULL, {bodies.RECORD}) AS whole, told.seq AS told, "
    "body(told.seq, told.body, NULL, NULL) AS told_body, jobs.cluster, jobs.job_id_raw, jobs.submit "
    f"FROM events LEFT JOIN jobs ON jobs.id = events.job LEFT JOIN events AS told ON events.kind = '{_USAGE}' "
    f"AND events.base IS NULL AND {_PLAIN} AND told.seq = iif(jobs.seq < events.seq, jobs.seq, "
    "(SELECT max(one.seq) FROM earlier_events AS one WHERE one.job = events.job AND one.seq < events.seq)) "
    f"WHERE events.seq > ? AND events.seq <= ? AND {_PLAIN} {{kind}} ORDER BY events.seq LIMIT ?"
)
_NEXT_ANY = _NEXT.format(kind="")
_NEXT_OF = {
    DictionaryKind.RECORD: _NEXT.format(kind=f"AND events.kind <> '{_USAGE}'"),
    DictionaryKind.USAGE: _NEXT.format(kind=f"AND events.kind = '{_USAGE}'"),
}
_NEWEST = {
    DictionaryKind.RECORD: f"SELECT {bodies.RECORD} FROM events WHERE kind <> '{_USAGE}'",  # noqa: S608 - constants
    DictionaryKind.USAGE: f"SELECT {bodies.added('events')} FROM events WHERE kind = '{_USAGE}' AND base NOTNULL",  # noqa: S608
}
_UPDATE = "UPDATE events SET id = ?, body = ?, base = ? WHERE seq = ?"
_REACH = "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"


class _Part(NamedTuple):
    """What is to be kept of one event."""

    seq: int
    identity: str
    kind: DictionaryKind
    body: bytes
    base: int | None


async def pack(database: Database) -> int:
    """Pack some of the oldest events that are not packed yet; only for the one task that also prunes.

    Returns:
        How many events were passed; 0 where none is left, or too few to train a dictionary on.

    Raises:
        StoreBusyError: Nothing was written.
    """
    reached, newest = await _meta(database, _REACHED), await _meta(database, "last seq")
    if reached >= newest:
        return 0
    until = min(newest, reached + _STEP_EVENTS)
    rows = await database.read(_NEXT_ANY, (reached, until, STEP_ROWS))
    parts = await anyio.to_thread.run_sync(_parts, rows)
    for kind in {part.kind for part in parts} - database.packer.newest.keys():
        samples = await database.read(_NEXT_OF[kind], (reached, reached + _SCAN_EVENTS, MOST_SAMPLES))
        bodies_of_kind = [part.body for part in _parts(samples) if part.kind is kind]
        if not await _train(database, kind, bodies_of_kind) and newest < reached + _SCAN_EVENTS:
            return 0
    if len(rows) == STEP_ROWS:
        until = rows[-1]["seq"]

    async def work(connection: aiosqlite.Connection) -> None:
        packed = await anyio.to_thread.run_sync(_packed, database.packer, parts)
        if packed:
            await connection.executemany(_UPDATE, packed)
        await connection.execute(_REACH, (_REACHED, str(until)))

    await database.write(work)
    return until - reached


async def renew(database: Database) -> int:
    """Train new dictionaries on the newest events, now and then, and take those that do better.

    Returns:
        How many were taken.

    Raises:
        StoreBusyError: Nothing was written.
    """
    taken = 0
    newest = await _meta(database, "last seq")
    for kind, old in list(database.packer.newest.items()):
        if newest - max(old.since, database.packer.tried.get(kind, 0)) < RENEWAL_EVENTS:
            continue
        database.packer.tried[kind] = newest
        sql = f"{_NEWEST[kind]} AND seq > ? ORDER BY seq DESC LIMIT ?"
        found = [row[0] for row in await database.read(sql, (newest - RENEWAL_EVENTS, 2 * MOST_SAMPLES))]
        if kind is DictionaryKind.USAGE:
            found = [b"," + text[1:-1] for text in found]
        taken += await _train(database, kind, found, only_better=True)
    return taken


async def _train(
    database: Database, kind: DictionaryKind, samples: list[bytes], *, only_better: bool = False
) -> bool:
    """Make a dictionary; return whether there is a new one."""
    packer = database.packer
    make = packer.renewed if only_better else packer.trained
    made = await anyio.to_thread.run_sync(make, kind, samples)
    if made is None:
        return False

    async def work(connection: aiosqlite.Connection) -> None:
        # Other events may have come meanwhile, and were packed with what there was.
        rows = await connection.execute_fetchall("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'last seq'")
        await dictionaries.keep(connection, packer, made, since=next(iter(rows))[0] + 1)

    await database.write(work)
    return True


def _parts(rows: Iterable[sqlite3.Row]) -> list[_Part]:
    """Return what is to be kept of the events that are not packed."""
    parts = []
    for row in rows:
        identity = row["id"]
        if identity and row["cluster"] is not None:
            key = (row["cluster"], row["job_id_raw"], row["submit"])
            identity = "" if identity == event_id(*key, row["kind"], row["revision"]) else identity
        kind, body, base = DictionaryKind.RECORD, row["body"], row["base"]
        if base is not None:
            kind = DictionaryKind.USAGE
        elif row["told"] is not None and row["whole"].startswith(row["told_body"][:-1] + b","):
            # Only what reads back as the very same bytes is kept by what it adds.
            kind, body, base = DictionaryKind.USAGE, row["whole"][len(row["told_body"]) - 1 : -1], row["told"]
        parts.append(_Part(row["seq"], identity, kind, body, base))
    return parts


def _packed(packer: Packer, parts: Sequence[_Part]) -> list[tuple[str, bytes, int | None, int]]:
    """Return the columns that change; runs in a worker thread."""
    found: list[tuple[str, bytes, int | None, int]] = []
    for kind in DictionaryKind:
        some = [part for part in parts if part.kind is kind]
        frames = packer.packed(kind, [part.body for part in some])
        found += [(part.identity, frame, part.base, part.seq) for part, frame in zip(some, frames, strict=True)]
    return found


async def _meta(database: Database, key: str) -> int:
    rows = await database.read("SELECT CAST(value AS INTEGER) FROM meta WHERE key = ?", (key,))
    return int(rows[0][0]) if rows else 0
