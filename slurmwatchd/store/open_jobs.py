"""The jobs last seen open, and which of them are missing.

A listing is gathered in a temporary table first, so that only what differs from the last one is written.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import aiosqlite

from slurmwatchd.store.database import Database
from slurmwatchd.store.known_attempts import KnownAttempt

FORGET_SECONDS = 8 * 86400
"""How long a job that slurmdbd neither lists nor says to have ended is looked for."""

_TOLD = 1 << 62
"""In place of the last query for a job that was delivered and is still listed: no other follows."""

_ROLL = (
    "CREATE TEMP TABLE IF NOT EXISTS roll (cluster TEXT, job_id_raw INTEGER, submit INTEGER, job_id TEXT, "
    "open INTEGER, PRIMARY KEY (cluster, job_id_raw, submit)) WITHOUT ROWID"
)
_LISTED = (
    "SELECT 1 FROM temp.roll WHERE roll.cluster = open_jobs.cluster AND roll.job_id_raw = open_jobs.job_id_raw "
    "AND roll.submit = open_jobs.submit"
)
_ENDED = (
    "SELECT 1 FROM jobs WHERE jobs.cluster = open_jobs.cluster AND jobs.job_id_raw = open_jobs.job_id_raw "
    "AND jobs.submit = open_jobs.submit"
)


@dataclass(frozen=True, slots=True)
class ListedJob:
    """One row of a listing.

    Attributes:
        open: False for one whose state says that it has ended, and whose end slurmdbd does not know.
    """

    job_id_raw: int
    submit: int
    job_id: str
    open: bool


@dataclass(frozen=True, slots=True)
class OpenJobsState:
    """How things stand: jobs open, jobs missing, and when the first of these is to be asked for (None: never)."""

    open: int = 0
    missing: int = 0
    ask_at: int | None = None


async def gather(database: Database, cluster: str, listed: Iterable[ListedJob], *, first: bool) -> None:
    """Add rows to the listing of a cluster that is under way; `first` begins a new one."""

    async def work(connection: aiosqlite.Connection) -> None:
        if first:
            await connection.execute(_ROLL)
            await connection.execute("DELETE FROM temp.roll WHERE cluster = ?", (cluster,))
        await connection.executemany(
            "INSERT OR REPLACE INTO temp.roll VALUES (?, ?, ?, ?, ?)",
            [(cluster, row.job_id_raw, row.submit, row.job_id, int(row.open)) for row in listed],
        )

    await database.write(work)


async def conclude(database: Database, cluster: str, now: int) -> None:
    """Take the listing that was gathered for what is open now; what is not in it is missing from now on.

    One that has ended at a time no one knows is listed for as long as slurmdbd has it. It is remembered for as
    long, since what the store has of it goes with `[store] retain`, and it would be delivered once more.
    """

    async def work(connection: aiosqlite.Connection) -> None:
        # Dated while the clock was ahead, they would be waited for until it is that late again.
        await connection.execute(
            "UPDATE open_jobs SET absent = min(absent, ?1), asked = iif(asked = ?2, asked, min(asked, ?1)) "
            "WHERE cluster = ?3 AND (absent > ?1 OR (asked > ?1 AND asked != ?2))",
            (now, _TOLD, cluster),
        )
        await connection.execute(
            "UPDATE open_jobs SET job_id = roll.job_id, absent = 0, asked = 0 FROM temp.roll "
            "WHERE open_jobs.cluster = ? AND roll.cluster = open_jobs.cluster "
            "AND open_jobs.job_id_raw = roll.job_id_raw AND open_jobs.submit = roll.submit AND roll.open "
            "AND (open_jobs.absent != 0 OR open_jobs.job_id != roll.job_id)",
            (cluster,),
        )
        await connection.execute(
            "UPDATE open_jobs SET absent = ?, asked = 0 "  # noqa: S608 - a constant
            f"WHERE cluster = ? AND absent = 0 AND NOT EXISTS ({_LISTED} AND roll.open)",
            (now, cluster),
        )
        await connection.execute(
            f"DELETE FROM open_jobs WHERE cluster = ? AND asked = ? AND NOT EXISTS ({_LISTED})",  # noqa: S608
            (cluster, _TOLD),
        )
        await _strike_off(connection, cluster, now)
        await connection.execute(
            "INSERT OR IGNORE INTO open_jobs "
            "SELECT roll.cluster, roll.job_id_raw, roll.submit, roll.job_id, iif(open, 0, ?), "
            "iif(jobs.id IS NULL, 0, ?) FROM temp.roll LEFT JOIN jobs ON jobs.cluster = roll.cluster "
            "AND jobs.job_id_raw = roll.job_id_raw AND jobs.submit = roll.submit "
            "WHERE roll.cluster = ? AND (jobs.id IS NULL OR NOT open)",
            (now, _TOLD, cluster),
        )
        await connection.execute("DELETE FROM temp.roll WHERE cluster = ?", (cluster,))

    await database.write(work)


async def mark_asked(database: Database, cluster: str, keys: Sequence[tuple[int, int]], now: int) -> None:
    """Note that these were asked for; those that turned out to have ended are struck off."""

    async def work(connection: aiosqlite.Connection) -> None:
        await connection.executemany(
            "UPDATE open_jobs SET asked = ? WHERE cluster = ? AND job_id_raw = ? AND submit = ? AND absent != 0",
            [(now, cluster, *key) for key in keys],
        )
        await _strike_off(connection, cluster, now)

    await database.write(work)


async def missing(
    database: Database, cluster: str, now: int, *, grace: int, again: int, limit: int
) -> list[KnownAttempt]:
    """Return jobs to ask for now, those never asked for first.

    Args:
        database: The store.
        cluster: Whose.
        now: Epoch seconds.
        grace: How long a poll has to find the end of one that just vanished, seconds.
        again: After this one is asked for again, seconds.
        limit: At most so many.
    """
    rows = await database.read(
        "SELECT job_id_raw, submit, job_id FROM open_jobs WHERE cluster = ? AND absent != 0 AND asked != ? "  # noqa: S608 - a constant
        f"AND CASE asked WHEN 0 THEN absent + ? ELSE asked + ? END <= ? AND NOT EXISTS ({_ENDED}) "
        "ORDER BY asked, submit LIMIT ?",
        (cluster, _TOLD, grace, again, now, limit),
    )
    return [KnownAttempt(*row) for row in rows]


async def stand(database: Database, cluster: str, *, grace: int, again: int) -> OpenJobsState:
    """Return how things stand; see `missing` for the durations."""
    rows = await database.read(
        "SELECT count(*), count(*) FILTER (WHERE absent != 0), "
        "min(CASE asked WHEN 0 THEN absent + ? ELSE asked + ? END) FILTER (WHERE absent != 0) "
        "FROM open_jobs WHERE cluster = ? AND asked != ?",
        (grace, again, cluster, _TOLD),
    )
    total, absent, ask_at = rows[0]
    return OpenJobsState(total - absent, absent, ask_at)


async def _strike_off(connection: aiosqlite.Connection, cluster: str, now: int) -> None:
    """Forget the missing whose end is in the store by now, and those that were missing for very long."""
    await connection.execute(
        "DELETE FROM open_jobs WHERE cluster = ? AND absent != 0 AND asked != ? "  # noqa: S608 - a constant
        f"AND (absent < ? OR EXISTS ({_ENDED}))",
        (cluster, _TOLD, now - FORGET_SECONDS),
    )
