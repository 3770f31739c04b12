"""Which attempts wait for their usage: in from the transaction that stores them, out by the one that stores it."""

from collections.abc import Iterable
from dataclasses import dataclass

import aiosqlite

from slurmwatchd.model.records import FoundBy
from slurmwatchd.store import bodies
from slurmwatchd.store.database import Database
from slurmwatchd.store.json_array import IN_ARRAY, json_array

NOW, PAST = 0, 1
"""How urgent: what ends now before what a backfill finds."""

_PLACES = (-(1 << 23), -(1 << 31), -(1 << 47), -(1 << 63))
"""The lowest numbers that SQLite keeps in 3, 4, 6 and 8 bytes."""

_MANY_WAITING = 1_000_000
"""Usage has its position so many events later, at most; one later only takes more bytes."""

_WAITING = (
    f"SELECT queue.job, queue.asked, queue.urgency, jobs.submit, jobs.seq, {bodies.RECORD} "  # noqa: S608 - a constant
    "FROM usage_queue AS queue "
    "JOIN jobs ON jobs.id = queue.job JOIN events ON events.seq = jobs.seq "
    "WHERE queue.cluster = ? AND queue.urgency = ? AND queue.due <= ? ORDER BY queue.due LIMIT ?"
)

_NEWEST = (
    f"SELECT jobs.id, jobs.submit, jobs.seq, {bodies.RECORD} FROM jobs JOIN events ON events.seq = jobs.seq "  # noqa: S608
    'WHERE jobs.cluster = ? AND jobs."end" IS NOT NULL AND jobs.start IS NOT NULL '
    f"AND NOT jobs.id {IN_ARRAY} AND NOT EXISTS (SELECT 1 FROM gone WHERE gone.job = jobs.id) "
    'ORDER BY jobs."end" DESC LIMIT 1'
)


@dataclass(frozen=True, slots=True)
class WaitingAttempt:
    """An attempt that waits.

    Attributes:
        job: Its row id.
        asked: How many answers were not complete.
        urgency: `NOW` or `PAST`.
        submit: Epoch seconds.
        seq: The event that has its record; another one now means that it was revised meanwhile.
        body: The record.
    """

    job: int
    asked: int
    urgency: int
    submit: int
    seq: int
    body: bytes


def place(next_seq: int, *, wanted: bool) -> dict[str, int]:
    """Return what new attempts have in place of the position of their usage, as a column of `jobs`.

    It is the position of no event, and takes as many bytes as that will. A row that grows when its usage comes
    pushes others off its page, which stays half empty.

    Args:
        next_seq: The position of the next event.
        wanted: Whether the attempts will wait for their usage; else the column stays NULL.
    """
    return {"usage_seq": next(least for least in _PLACES if next_seq < -least - _MANY_WAITING)} if wanted else {}


async def enqueue(
    connection: aiosqlite.Connection, jobs: Iterable[int], cluster: str, found_by: FoundBy, now: int
) -> None:
    """Have new attempts wait for their usage; inside the transaction that stores them."""
    urgency = PAST if found_by is FoundBy.BACKFILL else NOW
    await connection.execute(
        "INSERT INTO usage_queue SELECT value, ?, ?, ?, 0, ? FROM json_each(?)",
        (cluster, urgency, now, found_by.value, json_array(jobs)),
    )


async def due(database: Database, cluster: str, *, now: int, limit: int) -> list[WaitingAttempt]:
    """Return attempts of a cluster whose steps are to be asked for now, the most urgent first."""
    found: list[WaitingAttempt] = []
    for urgency in (NOW, PAST):
        if len(found) < limit:
            rows = await database.read(_WAITING, (cluster, urgency, now, limit - len(found)))
            found += [WaitingAttempt(*row) for row in rows]
    return found


async def newest_ended(database: Database, cluster: str, *, without: Iterable[int]) -> WaitingAttempt | None:
    """Return the attempt that ended last and ran, other than some, as if it waited; None where there is none."""
    rows = await database.read(_NEWEST, (cluster, json_array(without)))
    for row in rows:
        return WaitingAttempt(row[0], 0, NOW, row[1], row[2], row[3])
    return None


async def count(database: Database, cluster: str) -> int:
    """Return how many attempts of a cluster wait, also those that are not due yet."""
    return int((await database.read("SELECT count(*) FROM usage_queue WHERE cluster = ?", (cluster,)))[0][0])


async def forget(database: Database) -> None:
    """Have no one wait any more: usage is not wanted."""

    async def work(connection: aiosqlite.Connection) -> None:
        await connection.execute("DELETE FROM usage_queue")

    # Nothing is written where there is nothing to forget: a daemon must start on a full disk, too.
    if await database.read("SELECT 1 FROM usage_queue LIMIT 1"):
        await database.write(work)
