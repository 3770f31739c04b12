"""What the sinks received from an earlier store, which was damaged or lost: they do not receive it again.

The ids stand in the store and not in memory: there may be a hundred million. A row goes when its event is met
again, since from then on the store itself knows the attempt; what is never met goes with retention.
"""

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import aiosqlite

from slurmwatchd.model.records import Event, EventKind, FoundBy
from slurmwatchd.store.database import Database

DeliveredAttempt = tuple[str, int, int]
"""Cluster, job_id_raw, submit."""


@dataclass(frozen=True, slots=True)
class Readback:
    """What the files of one sink hold, in short.

    Attributes:
        oldest: When their first event was observed, epoch seconds; 0 where no file is gone that had earlier ones.
        newest: When their last one was.
        events: How many they hold.
    """

    oldest: int
    newest: int
    events: int


async def is_known(database: Database, sink: str) -> bool:
    """Return whether this store has seen a sink before; else another store may have delivered to it."""
    return bool(await database.read("SELECT 1 FROM cursors WHERE sink = ?", (sink,)))


async def remember(
    database: Database,
    sinks: Sequence[str],
    ids: Collection[bytes],
    revisions: Iterable[tuple[DeliveredAttempt, int]],
) -> None:
    """Write down that some sinks have some events.

    Args:
        database: The store.
        sinks: Their names.
        ids: Sixteen bytes each.
        revisions: The revision that some attempts have reached.
    """

    async def work(connection: aiosqlite.Connection) -> None:
        for sink in sinks:
            await connection.executemany("INSERT OR IGNORE INTO told VALUES (?, ?)", [(sink, id_) for id_ in ids])
        await connection.executemany(
            "INSERT INTO told_revisions VALUES (?, ?, ?, ?) ON CONFLICT (cluster, job_id_raw, submit) "
            "DO UPDATE SET revision = max(revision, excluded.revision)",
            [(*attempt, revision) for attempt, revision in revisions],
        )

    await database.write(work)


async def settle(
    database: Database, sinks: Sequence[str], found: Readback, *, last_seq: int, horizons: dict[str, int], now: int
) -> None:
    """End the reading back of a sink's files: positions go on behind theirs, reading begins where it must.

    Args:
        database: The store.
        sinks: Whom it is true of.
        found: What the files hold.
        last_seq: The highest position in them.
        horizons: Cluster to where reading begins, for those of which the store knows nothing.
        now: Epoch seconds.
    """

    async def work(connection: aiosqlite.Connection) -> None:
        await connection.executemany(
            "INSERT OR REPLACE INTO readbacks VALUES (?, ?, ?, ?, ?)",
            [(sink, found.oldest, found.newest, found.events, now) for sink in sinks],
        )
        await raise_last_seq(connection, last_seq)
        await connection.executemany("INSERT OR IGNORE INTO horizons VALUES (?1, ?2, ?2)", list(horizons.items()))

    await database.write(work)


async def raise_last_seq(connection: aiosqlite.Connection, seq: int) -> None:
    """Have positions go on above one, inside a transaction; never below where they are."""
    await connection.execute(
        "INSERT INTO meta VALUES ('last seq', ?1) ON CONFLICT (key) DO UPDATE "
        "SET value = max(CAST(value AS INTEGER), CAST(?1 AS INTEGER))",
        (str(seq),),
    )


class AlreadyDelivered:
    """What one sink has from an earlier store."""

    def __init__(self, database: Database, sink: str, oldest: int) -> None:
        """See `load`."""
        self._database = database
        self._sink = sink
        self._oldest = oldest

    @classmethod
    async def load(cls, database: Database, sink: str) -> "AlreadyDelivered | None":
        """Return what there is; None for a sink without another past."""
        rows = await database.read("SELECT oldest FROM readbacks WHERE sink = ?", (sink,))
        return cls(database, sink, rows[0][0]) if rows else None

    async def among(self, events: Sequence[Event]) -> set[str]:
        """Return the ids of the events that the sink has.

        What ended before its files begin, and is found as reading begins again, was delivered to a file that is
        gone. What a re-read or a backfill finds, or what has changed since, was not.
        """
        by_id = {_bytes(event.id): event.id for event in events}
        places = ",".join("?" * len(by_id))
        rows = await self._database.read(
            f"SELECT id FROM told WHERE sink = ? AND id IN ({places})",  # noqa: S608 - question marks
            (self._sink, *by_id),
        )
        return {by_id[row[0]] for row in rows} | {event.id for event in events if self._is_before(event)}

    def _is_before(self, event: Event) -> bool:
        return (
            event.found_by is FoundBy.POLL
            and event.kind is not EventKind.JOB_REVISED
            and event.time is not None
            and event.time < self._oldest
        )


def forget(connection: sqlite3.Connection, sink: str, ids: Collection[str]) -> None:
    """Drop what was met, inside the transaction that moves the cursor past it."""
    connection.executemany(
        "DELETE FROM told WHERE sink = ? AND id = ?",
        [(sink, _bytes(id_)) for id_ in ids],
    )


async def are_revised(database: Database) -> bool:
    """Return whether any attempt's revisions go on from elsewhere."""
    return bool(await database.read("SELECT 1 FROM told_revisions LIMIT 1"))


async def resume_revisions(connection: aiosqlite.Connection, first_job: int) -> None:
    """Have the attempts just written, from a row id on, go on from the revision they had reached.

    Else their next change would bear an id that the files have already.
    """
    matched = (
        "SELECT told_revisions.revision FROM told_revisions WHERE told_revisions.cluster = jobs.cluster "
        "AND told_revisions.job_id_raw = jobs.job_id_raw AND told_revisions.submit = jobs.submit"
    )
    await connection.execute(
        f"UPDATE jobs SET revision = ({matched}) WHERE id >= ? AND EXISTS ({matched})",  # noqa: S608 - constants
        (first_job,),
    )


def _bytes(identity: str) -> bytes:
    return bytes.fromhex(identity.replace("-", ""))
