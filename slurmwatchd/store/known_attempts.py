"""What the store knows of attempts that sacct shows, or should show.

Those that slurmdbd no longer has (`gone`) are not counted: no answer can show them.
"""

import sqlite3
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Protocol

import aiosqlite

from slurmwatchd.model.attempts import AttemptBatch, AttemptKey
from slurmwatchd.store.database import Database
from slurmwatchd.store.json_array import IN_ARRAY, json_array

_SHOWABLE = "submit >= ? AND NOT EXISTS (SELECT 1 FROM gone WHERE gone.job = jobs.id)"

_BEFORE = (
    f'SELECT min("end") FROM (SELECT "end" FROM jobs WHERE cluster = ? AND "end" < ? AND {_SHOWABLE} '  # noqa: S608
    'ORDER BY "end" DESC LIMIT ?)'
)
_BEHIND = (
    f'SELECT max("end") FROM (SELECT "end" FROM jobs WHERE cluster = ? AND "end" >= ? AND {_SHOWABLE} '  # noqa: S608
    'ORDER BY "end" LIMIT ?)'
)
_NEWEST = (
    f'SELECT job_id_raw, submit, job_id, "end", id FROM jobs WHERE cluster = ? AND "end" < ? AND {_SHOWABLE} '  # noqa: S608
    'AND start IS NOT NULL ORDER BY "end" DESC LIMIT 1'
)
_WITHIN = (
    'SELECT job_id_raw, submit, job_id, "end", id FROM jobs WHERE cluster = ? AND "end" >= ? AND "end" < ? '  # noqa: S608
    f"AND {_SHOWABLE}"
)

_SHOWN = (
    f"SELECT job_id_raw, submit FROM jobs WHERE cluster = ? AND job_id_raw {IN_ARRAY} "  # noqa: S608 - constants
    f'AND "end" >= ? AND "end" < ? AND {_SHOWABLE}'
)


class Readable(Protocol):
    """A store that can be read: one's own, or that of another."""

    async def read(self, sql: str, parameters: tuple[object, ...] = ()) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        ...


class Writable(Protocol):
    """A store that can be written: one's own, or that of another."""

    async def write(self, work: Callable[[aiosqlite.Connection], Awaitable[None]]) -> None:
        """Run `work` in one transaction."""
        ...


@dataclass(frozen=True, slots=True)
class KnownAttempt:
    """One attempt of the store, as far as asking for it goes.

    Attributes:
        end: Epoch seconds; None where it has none, or it is not asked for.
        job: Its row id; 0 where it is not asked for.
    """

    job_id_raw: int
    submit: int
    job_id: str
    end: int | None = None
    job: int = 0

    @property
    def key(self) -> AttemptKey:
        """The attempt's key within its cluster."""
        return self.job_id_raw, self.submit


async def differing(database: Database, cluster: str, readings: AttemptBatch) -> tuple[AttemptBatch, int]:
    """Return the attempts that are not as the store has them, and how many are."""
    numbers = json_array(set(readings.columns["job_id_raw"]))
    rows = await database.read(
        "SELECT job_id_raw, submit, digest FROM jobs "  # noqa: S608 - a constant
        f"WHERE cluster = ? AND job_id_raw {IN_ARRAY}",
        (cluster, numbers),
    )
    stored = {(row[0], row[1]): row[2] for row in rows}
    keys = readings.keys
    known = list(zip(map(stored.get, keys), readings.digests, strict=True))
    unchanged = {key for key, (then, now) in zip(keys, known, strict=True) if then == now}
    return readings.take([place for place, (then, now) in enumerate(known) if then != now]), len(unchanged)


async def stored_keys(database: Readable, cluster: str, keys: Collection[AttemptKey]) -> set[AttemptKey]:
    """Return those of some attempts that the store has."""
    rows = await database.read(
        f"SELECT job_id_raw, submit FROM jobs WHERE cluster = ? AND job_id_raw {IN_ARRAY}",  # noqa: S608 - a constant
        (cluster, json_array({job_id_raw for job_id_raw, _ in keys})),
    )
    return {(row[0], row[1]) for row in rows}.intersection(keys)


async def ended_count(database: Readable, cluster: str, start: int, end: int, *, submitted_since: int = 0) -> int:
    """Return how many attempts that slurmdbd should show ended in `[start, end)`."""
    rows = await database.read(
        f'SELECT count(*) FROM jobs WHERE cluster = ? AND "end" >= ? AND "end" < ? AND {_SHOWABLE}',  # noqa: S608
        (cluster, start, end, submitted_since),
    )
    return int(rows[0][0])


async def shown_count(
    database: Readable, cluster: str, keys: Collection[AttemptKey], start: int, end: int, *, submitted_since: int
) -> int:
    """Return how many of some attempts `ended_count` counts."""
    rows = await database.read(
        _SHOWN, (cluster, json_array({key[0] for key in keys}), start, end, submitted_since)
    )
    return len({(row[0], row[1]) for row in rows}.intersection(keys))


async def ended_within(
    database: Readable, cluster: str, start: int, end: int, *, submitted_since: int
) -> list[KnownAttempt]:
    """Return the attempts that `ended_count` counts."""
    rows = await database.read(_WITHIN, (cluster, start, end, submitted_since))
    return [KnownAttempt(*row) for row in rows]


async def note_gone(database: Writable, jobs: Iterable[int], *, now: int) -> None:
    """Note that slurmdbd no longer has some attempts, by their row ids."""

    async def work(connection: aiosqlite.Connection) -> None:
        await connection.executemany("INSERT OR IGNORE INTO gone VALUES (?, ?)", [(job, now) for job in jobs])

    await database.write(work)


async def end_before(
    database: Readable, cluster: str, moment: int, *, submitted_since: int, more: int = 0
) -> int | None:
    """Return the end of the newest attempt that ended before a moment; of one up to `more` places older."""
    rows = await database.read(_BEFORE, (cluster, moment, submitted_since, more + 1))
    return None if rows[0][0] is None else int(rows[0][0])


async def end_behind(
    database: Readable, cluster: str, moment: int, *, submitted_since: int, more: int = 0
) -> int | None:
    """Return the end of the oldest attempt that ended at a moment or later; of one up to `more` places newer."""
    rows = await database.read(_BEHIND, (cluster, moment, submitted_since, more + 1))
    return None if rows[0][0] is None else int(rows[0][0])


async def newest_started(
    database: Readable, cluster: str, before: int, *, submitted_since: int
) -> KnownAttempt | None:
    """Return the attempt that ended last before a moment, of those that ran."""
    rows = await database.read(_NEWEST, (cluster, before, submitted_since))
    return KnownAttempt(*rows[0]) if rows else None
