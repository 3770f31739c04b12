"""Which days the archive is to get: kept in the store, in step with its events.

Events are looked at in their order, and each makes the day of its attempt's end wait. A day is written once it is
finished and nothing more comes for a while, or for too long. What waits is not pruned.
"""

import os
from collections.abc import Collection, Iterable
from pathlib import Path

import aiosqlite
import orjson

from slurmwatchd.model.clock import epoch
from slurmwatchd.store import meta
from slurmwatchd.store.archive.layout import DAY_SECONDS, DayFile, day_of
from slurmwatchd.store.archive.stock import SQL, Stock, parameters, stock_of
from slurmwatchd.store.archive.writer import Written
from slurmwatchd.store.database import Database

QUIET_SECONDS = 600
"""A finished day is written once nothing of it has changed for so long."""

PATIENCE_SECONDS = 86_400
"""Or once something of it has waited for so long."""

_STEP_EVENTS = 20_000
_CURSOR = "archive seq"
_PATH = "archive path"

_DAYS = (
    "SELECT jobs.cluster AS cluster, coalesce(events.time, jobs.submit) AS moment, "
    "min(events.seq) AS first, min(events.observed) AS since, max(events.observed) AS changed "
    "FROM events JOIN jobs ON jobs.id = events.job WHERE events.seq > ? AND events.seq <= ? "
    "GROUP BY 1, coalesce(events.time, jobs.submit) / 86400"
)
_REVISED = (
    "SELECT events.seq, events.job, events.observed, events.time, events.changed, jobs.cluster, jobs.submit "
    "FROM events JOIN jobs ON jobs.id = events.job "
    "WHERE events.seq > ? AND events.seq <= ? AND events.changed IS NOT NULL"
)
_WAIT = (
    "INSERT INTO archive_days (cluster, day, first_seq, since, changed) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (cluster, day) DO UPDATE SET "
    "since = CASE WHEN first_seq IS NULL THEN excluded.since ELSE since END, "
    "first_seq = min(coalesce(first_seq, excluded.first_seq), excluded.first_seq), "
    "changed = max(changed, excluded.changed)"
)
_DUE = (
    "SELECT cluster, day, number FROM archive_days WHERE first_seq IS NOT NULL AND (day + 1) * ?1 <= ?2 "
    "AND (changed <= ?3 OR max(since, (day + 1) * ?1 + ?6) <= ?4) AND NOT EXISTS (SELECT 1 FROM backfills "
    "WHERE backfills.cluster = archive_days.cluster AND backfills.reached > backfills.start "
    "AND backfills.start < (day + 1) * ?1 AND backfills.reached > day * ?1 AND archive_days.since > ?4) "
    "ORDER BY EXISTS (SELECT 1 FROM archive_moves WHERE archive_moves.cluster = archive_days.cluster "
    "AND archive_moves.day = archive_days.day) DESC, day, cluster LIMIT ?5"
)
_STOCK = (
    "INSERT INTO archive_days (cluster, day, since, changed, number, attempts, bytes) "
    "VALUES (?1, ?2, 0, 0, ?3, ?4, ?5) ON CONFLICT (cluster, day) DO UPDATE SET "
    "number = max(number, ?3), attempts = ?4, bytes = ?5"
)


async def adopt(database: Database, dataset: Path, files: Collection[DayFile]) -> None:
    """Begin with an archive as it is on the disk.

    Days that the store believes written and that have no file wait again; so do all where the archive is another
    than before, as far as the store still has their attempts.

    Raises:
        StoreBusyError: Nothing was written.
    """
    path = os.path.abspath(dataset)  # noqa: PTH100, ASYNC240 - of text alone
    is_another = await meta.get(database, _PATH) != path
    there = {(file.cluster, file.day) for file in files}
    rows = await database.read("SELECT cluster, day FROM archive_days WHERE attempts > 0")
    lost = [(row["cluster"], row["day"]) for row in rows if (row["cluster"], row["day"]) not in there]
    if not is_another and not lost:
        return

    async def work(connection: aiosqlite.Connection) -> None:
        if is_another:
            await connection.execute("DELETE FROM archive_days")
            await connection.execute("DELETE FROM archive_moves")
            await _put(connection, _CURSOR, "0")
            await _put(connection, _PATH, path)
        else:
            await connection.executemany(
                "UPDATE archive_days SET first_seq = coalesce(first_seq, 0), attempts = 0, bytes = 0 "
                "WHERE cluster = ? AND day = ?",
                lost,
            )

    await database.write(work)


async def note(database: Database) -> int:
    """Have the days wait of all events that were not looked at yet; return the position of the last.

    Raises:
        StoreBusyError: The rest is looked at next time.
    """
    cursor = int(await meta.get(database, _CURSOR) or 0)
    newest = int((await database.read("SELECT coalesce(max(seq), 0) FROM events"))[0][0])
    while cursor < newest:
        end = min(newest, cursor + _STEP_EVENTS)
        rows = await database.read(_DAYS, (cursor, end))
        waiting = [
            (row["cluster"], day_of(row["moment"]), row["first"], row["since"], row["changed"]) for row in rows
        ]
        moves = []
        for row in await database.read(_REVISED, (cursor, end)):
            change = orjson.loads(row["changed"]).get("end")
            if change is None:
                continue
            before = epoch(change[0]) if change[0] else None
            old = day_of(row["submit"] if before is None else before)
            if old != day_of(row["submit"] if row["time"] is None else row["time"]):
                waiting.append((row["cluster"], old, row["seq"], row["observed"], row["observed"]))
                moves.append((row["job"], row["cluster"], old))
        await database.write(lambda connection: _noted(connection, waiting, moves, end))  # noqa: B023 - awaited here
        cursor = end
    return cursor


async def _noted(
    connection: aiosqlite.Connection,
    waiting: list[tuple[str, int, int, int, int]],
    moves: list[tuple[int, str, int]],
    end: int,
) -> None:
    await connection.executemany(_WAIT, waiting)
    # Only a day that has a file can still have the attempt.
    await connection.executemany(
        "INSERT OR IGNORE INTO archive_moves SELECT ?1, ?2, ?3 WHERE EXISTS "
        "(SELECT 1 FROM archive_days WHERE cluster = ?2 AND day = ?3 AND attempts > 0)",
        moves,
    )
    await _put(connection, _CURSOR, str(end))


async def due(database: Database, *, now: int, finished_after: int, limit: int) -> list[tuple[str, int, int]]:
    """Return days to write now: cluster, day, the number its file has; first those that others wait for.

    Args:
        database: The store.
        now: Epoch seconds.
        finished_after: A day is finished so many seconds after its end.
        limit: At most so many.
    """
    rows = await database.read(
        _DUE,
        (
            DAY_SECONDS,
            now - finished_after,
            now - QUIET_SECONDS,
            now - PATIENCE_SECONDS,
            limit,
            finished_after,
        ),
    )
    return [(row["cluster"], row["day"], row["number"]) for row in rows]


async def done(database: Database, written: Written) -> None:
    """Note that a day is in its place, with all that was noted before it was begun.

    Where attempts that belong into it were found in the files of other days, those are written again first.

    Raises:
        StoreBusyError: It is written again.
    """

    async def work(connection: aiosqlite.Connection) -> None:
        key = (written.cluster, written.day)
        await connection.execute(
            "INSERT INTO archive_days (cluster, day, since, changed, number, attempts, bytes) "
            "VALUES (?1, ?2, 0, 0, ?3, ?4, ?5) ON CONFLICT (cluster, day) DO UPDATE SET "
            "number = ?3, attempts = ?4, bytes = ?5, first_seq = CASE WHEN ?6 THEN first_seq END",
            (*key, written.number, written.attempts, written.bytes, written.withheld),
        )
        await connection.execute("DELETE FROM archive_moves WHERE cluster = ? AND day = ?", key)
        await _note_moved(connection, written)

    await database.write(work)


async def _note_moved(connection: aiosqlite.Connection, written: Written) -> None:
    """Have both days wait of each attempt that was found in another day's file."""
    cluster = written.cluster
    for job, day in written.moved:
        await connection.execute("INSERT OR IGNORE INTO archive_moves VALUES (?, ?, ?)", (job, cluster, day))
        for waiting in (day, written.day):
            await connection.execute(
                "INSERT INTO archive_days (cluster, day, first_seq, since, changed) "
                "SELECT ?1, ?2, seq, 0, 0 FROM jobs WHERE id = ?3 ON CONFLICT (cluster, day) DO UPDATE SET "
                "first_seq = min(coalesce(first_seq, excluded.first_seq), excluded.first_seq)",
                (cluster, waiting, job),
            )


async def rewritten(database: Database, written: Written) -> None:
    """Note that a day was written again although nothing of it waited; what waits now still waits.

    Raises:
        StoreBusyError: Nothing was noted.
    """

    async def work(connection: aiosqlite.Connection) -> None:
        file = (written.cluster, written.day, written.number, written.attempts, written.bytes)
        await connection.execute(_STOCK, file)
        await _note_moved(connection, written)

    await database.write(work)


async def take_stock(database: Database, files: Iterable[tuple[str, int, int, int, int]]) -> None:
    """Note the files that there are: cluster, day, number, attempts, bytes. What waits still waits.

    Raises:
        StoreBusyError: Nothing was noted.
    """
    rows = list(files)

    async def work(connection: aiosqlite.Connection) -> None:
        await connection.executemany(_STOCK, rows)

    await database.write(work)


async def taken_up_to(database: Database) -> int:
    """Return the position up to which the archive has all events."""
    rows = await database.read("SELECT min(first_seq) - 1 FROM archive_days WHERE first_seq IS NOT NULL")
    cursor = int(await meta.get(database, _CURSOR) or 0)
    return cursor if rows[0][0] is None else min(cursor, int(rows[0][0]))


async def stock(database: Database, *, now: int, finished_after: int) -> Stock:
    """Return how the archive stands."""
    return stock_of((await database.read(SQL, parameters(now=now, finished_after=finished_after)))[0])


async def _put(connection: aiosqlite.Connection, key: str, value: str) -> None:
    await connection.execute(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value)
    )
