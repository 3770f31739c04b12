"""Where attempts ran, packed by stretches of their ends: a copy of what `jobs` says, for a search over a day.

The daemon packs a stretch some minutes after its attempts are there, some thousands at a time. What changes one of
them later (a late record, a revision, retention) removes the copy in the same transaction. So a copy that is there
is exact, and what has none is read from `jobs`: also all of a store that an older version left.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import aiosqlite
import anyio.to_thread

from slurmwatchd.model.outcomes import FAILURES, Outcome
from slurmwatchd.model.placements import QUICK, SLOW, WELL, Placements
from slurmwatchd.model.sums import HOUR
from slurmwatchd.model.suspects import QUICK_SECONDS
from slurmwatchd.store.database import Database

LEAST_ATTEMPTS = 8192
"""Fewer are read from `jobs` in some hundredths of a second; a stretch that is packed has up to twice as many."""

SETTLED_SECONDS = 900
"""What ended so long before the watermark is packed: nearly all late records have come by then."""

_NODE_FAILURE = Outcome.NODE_FAILURE.value
_FAILED = ", ".join(f"'{outcome}'" for outcome in sorted({*FAILURES} - {_NODE_FAILURE}))
_LOST = WELL + 1
_LEVEL = 3

_BETWEEN = 'cluster = ? AND "end" >= ? AND "end" < ?'
_GAPS = (
    "SELECT stop, next FROM (SELECT stop, lead(start) OVER (ORDER BY start) AS next FROM placements "
    "WHERE cluster = ?) WHERE next > stop ORDER BY stop DESC"
)
_NTH_NEWEST = f'SELECT "end" FROM jobs WHERE {_BETWEEN} ORDER BY "end" DESC LIMIT 1 OFFSET ?'  # noqa: S608 - constants
# Stretches do not overlap, so the first that may reach into [min, max] is the last that begins up to min.
_TOUCHED = (
    "SELECT id, start, stop FROM placements WHERE cluster = ?1 AND start >= "
    "coalesce((SELECT max(start) FROM placements WHERE cluster = ?1 AND start <= ?2), ?2) "
    "AND start <= ?3 AND stop > ?2"
)


class _Stretch(NamedTuple):
    """Ends from `start` on and before `stop`, epoch seconds."""

    start: int
    stop: int


def rows_between(outcome: str) -> str:
    """Return the SQL for the attempts of a cluster that ended in a stretch, as `of_rows` takes them.

    Args:
        outcome: SQL for why an attempt of `jobs` ended.
    """
    return (
        f"SELECT CASE WHEN {outcome} IS NULL THEN NULL "  # noqa: S608 - our own words
        f"WHEN {outcome} = '{_NODE_FAILURE}' THEN {_LOST} WHEN {outcome} NOT IN ({_FAILED}) "
        f'THEN {WELL} WHEN "end" - start < {QUICK_SECONDS} THEN {QUICK} ELSE {SLOW} END AS result, '
        "coalesce(\"partition\", ''), coalesce(\"user\", ''), substr(job_id, 1, instr(job_id, '_') - 1), "
        "coalesce(nodelist, 0), id "
        f"FROM jobs WHERE {_BETWEEN} AND (result = {_LOST} OR start NOT NULL AND nodelist NOT NULL)"
    )


_ROWS = rows_between("outcome")


def of_rows(rows: Iterable[tuple[Any, ...]]) -> Iterator[Placements]:
    """Put attempts into columns, some thousands at a time."""
    rest = iter(rows)
    while some := list(islice(rest, 2 * LEAST_ATTEMPTS)):
        yield _in_columns(some)


def _in_columns(rows: Collection[tuple[Any, ...]]) -> Placements:
    lost = [row[-1] for row in rows if row[0] == _LOST]
    return Placements.of((row[:-1] for row in rows if row[0] != _LOST), lost)


def unpacked(packed: bytes) -> Placements | None:
    """Return what a row holds; None where it is damaged."""
    import zstandard  # noqa: PLC0415 - a store of few jobs has none

    try:
        return Placements.from_bytes(zstandard.decompress(packed))
    except (zstandard.ZstdError, ValueError, MemoryError):
        return None


async def forget(connection: aiosqlite.Connection, cluster: str, ends: Iterable[int | None]) -> None:
    """Remove the copies that have attempts of these ends; inside the transaction that changes the attempts."""
    changed = sorted({end for end in ends if end is not None})
    if not changed:
        return
    touched = await connection.execute_fetchall(_TOUCHED, (cluster, changed[0], changed[-1]))
    ids = [(row[0],) for row in touched if bisect_left(changed, row[1]) < bisect_left(changed, row[2])]
    if ids:
        await connection.executemany("DELETE FROM placements WHERE id = ?", ids)


async def pack(database: Database) -> int:
    """Pack the newest stretch that is not packed and has enough attempts.

    Returns:
        How many attempts it has; 0 where there is none.

    Raises:
        StoreBusyError: Nothing was written.
    """

    async def work(connection: aiosqlite.Connection) -> int:
        if list(await connection.execute_fetchall("SELECT 1 FROM unsummed")):
            # Why they ended is not written in all rows yet.
            return 0
        clusters = await connection.execute_fetchall("SELECT cluster, watermark FROM horizons")
        for cluster, watermark in clusters:
            stretch = await _due(connection, cluster, watermark - SETTLED_SECONDS)
            if stretch is not None:
                rows = [tuple(row) for row in await connection.execute_fetchall(_ROWS, (cluster, *stretch))]
                if any(row[0] is None for row in rows):
                    # It is not written why one of them ended: it is read from `jobs`, where that is found out.
                    continue
                packed = await anyio.to_thread.run_sync(_packed, rows)
                await connection.execute(
                    "INSERT INTO placements (cluster, start, stop, packed) VALUES (?, ?, ?, ?)",
                    (cluster, *stretch, packed),
                )
                return len(rows)
        return 0

    return await database.write(work)


def _packed(rows: Collection[tuple[Any, ...]]) -> bytes:
    """Pack all attempts of a stretch; runs in a worker thread."""
    import zstandard  # noqa: PLC0415 - as above

    placements = _in_columns(rows)
    return zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(placements.to_bytes())


async def _due(connection: aiosqlite.Connection, cluster: str, until: int) -> _Stretch | None:
    """Return the newest stretch that is to be packed."""
    bounds = await _one(connection, "SELECT min(start), max(stop) FROM placements WHERE cluster = ?", cluster)
    first, last = bounds or (None, None)
    gaps: list[tuple[int | None, int]] = [(last, until)]
    if first is not None:
        gaps += [tuple(row) for row in await connection.execute_fetchall(_GAPS, (cluster,))]
        gaps.append((None, first))
    for start, stop in gaps:
        stretch = await _stretch(connection, cluster, start, stop)
        if stretch is not None:
            return stretch
    return None


async def _stretch(
    connection: aiosqlite.Connection, cluster: str, start: int | None, stop: int
) -> _Stretch | None:
    """Return the newest part of a gap that is worth packing."""
    oldest = await _one(
        connection, 'SELECT min("end") FROM jobs WHERE cluster = ? AND "end" >= ?', cluster, start or 0
    )
    if oldest is None or oldest[0] is None:
        return None
    start = oldest[0] if start is None else start
    # What is left of an hour of which attempts have expired expires next.
    expired = await _one(
        connection, "SELECT max(hour) FROM summed_hours WHERE cluster = ? AND hour < ?", cluster, stop
    )
    if expired is not None and expired[0] is not None:
        start = max(start, expired[0] + HOUR)
    enough = await _one(connection, _NTH_NEWEST, cluster, start, stop, LEAST_ATTEMPTS - 1)
    if enough is None:
        return None
    twice = await _one(connection, _NTH_NEWEST, cluster, start, stop, 2 * LEAST_ATTEMPTS - 1)
    return _Stretch(start if twice is None else enough[0], stop)


async def _one(connection: aiosqlite.Connection, sql: str, *parameters: object) -> tuple[Any, ...] | None:
    rows = list(await connection.execute_fetchall(sql, parameters))
    return tuple(rows[0]) if rows else None
