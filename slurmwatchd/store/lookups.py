"""What the store knows of attempts that sacct shows, or should show."""

from dataclasses import dataclass

from slurmwatchd.readings import Readings
from slurmwatchd.store.arrays import IN_ARRAY, json_array
from slurmwatchd.store.database import Database

WITNESS_ROWS = 1000
"""Among so many of the newest ends witnesses are looked for."""


@dataclass(frozen=True, slots=True)
class Known:
    """One attempt of the store, as far as asking for it goes."""

    job_id_raw: int
    submit: int
    job_id: str


async def differing(database: Database, cluster: str, readings: Readings) -> Readings:
    """Return the attempts that are not in the store, or stand there with another digest."""
    numbers = json_array(set(readings.columns["job_id_raw"]))
    rows = await database.read(
        "SELECT job_id_raw, submit, digest FROM jobs "  # noqa: S608 - a constant
        f"WHERE cluster = ? AND job_id_raw {IN_ARRAY}",
        (cluster, numbers),
    )
    stored = {(row[0], row[1]): row[2] for row in rows}
    known = zip(map(stored.get, readings.keys), readings.digests, strict=True)
    return readings.take([place for place, (then, now) in enumerate(known) if then != now])


async def ended_count(database: Database, cluster: str, start: int, end: int) -> int:
    """Return how many attempts the store has that ended in `[start, end)`."""
    rows = await database.read(
        'SELECT count(*) FROM jobs WHERE cluster = ? AND "end" >= ? AND "end" < ?', (cluster, start, end)
    )
    return int(rows[0][0])


async def witnesses(database: Database, cluster: str, *, submitted_since: int, limit: int) -> list[Known]:
    """Return attempts that sacct showed once and should still show: the newest of as many users.

    Args:
        database: The store.
        cluster: Whose.
        submitted_since: slurmdbd may have purged what was submitted earlier; epoch seconds.
        limit: At most so many.
    """
    rows = await database.read(
        'SELECT job_id_raw, submit, job_id, max("end") FROM '
        '(SELECT * FROM jobs WHERE cluster = ? AND "end" IS NOT NULL ORDER BY "end" DESC LIMIT ?) '
        'WHERE submit >= ? GROUP BY "user" ORDER BY max("end") DESC LIMIT ?',
        (cluster, WITNESS_ROWS, submitted_since, limit),
    )
    return [Known(row[0], row[1], row[2]) for row in rows]
