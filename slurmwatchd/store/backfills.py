"""Backfills in the store: stretches of end times that someone asked to have read, and how far each is.

A request is written by the command, and worked off by whoever holds the store: the daemon, or the command itself.
It goes from its end back to its beginning, so that each answer can be held to show an attempt that is known
already. `reached` moves in the transaction of the rows it covers (`ledger.save`), so a backfill goes on where it
stopped, whatever dies in between.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import aiosqlite

from slurmwatchd.store.json_array import IN_ARRAY, json_array
from slurmwatchd.store.read.second_process import AnyStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """One request; times in epoch seconds.

    Attributes:
        reached: Everything from it on is read and stored.
        rows: How many rows sacct printed for it so far.
        new: How many of those were not in the store.
    """

    id: int
    cluster: str
    start: int
    end: int
    reached: int
    rows: int
    new: int


UNFINISHED = (
    'SELECT id, cluster, start, "end", reached, "rows", new FROM backfills '
    "WHERE cluster = ? AND reached > start ORDER BY id"
)


async def unfinished(database: AnyStore, cluster: str) -> list[Backfill]:
    """Return the requests of a cluster that have something left, the oldest first."""
    return [Backfill(**dict(row)) for row in await database.read(UNFINISHED, (cluster,))]


async def some(database: AnyStore, ids: Sequence[int]) -> list[Backfill]:
    """Return requests by their ids, finished ones too."""
    rows = await database.read(
        'SELECT id, cluster, start, "end", reached, "rows", new FROM backfills '  # noqa: S608 - a constant
        f"WHERE id {IN_ARRAY}",
        (json_array(ids),),
    )
    return [Backfill(**dict(row)) for row in rows]


async def ask(
    database: AnyStore, cluster: str, stretches: Iterable[tuple[int, int]], *, now: int
) -> list[Backfill]:
    """Write requests for what of some stretches is not asked for already, in one transaction.

    Returns:
        The unfinished requests of the cluster that touch the stretches: those written now and earlier ones.
    """
    wanted = list(stretches)

    async def work(connection: aiosqlite.Connection) -> list[Backfill]:
        found = await connection.execute_fetchall(UNFINISHED, (cluster,))
        asked = [(row["start"], row["reached"]) for row in found]
        await connection.executemany(
            'INSERT INTO backfills (cluster, start, "end", reached, asked, moved) VALUES (?1, ?2, ?3, ?3, ?4, ?4)',
            [(cluster, start, end, now) for start, end in _without(wanted, asked)],
        )
        rows = await connection.execute_fetchall(UNFINISHED, (cluster,))
        requests = [Backfill(**dict(row)) for row in rows]
        return [
            request
            for request in requests
            if any(request.start < end and start < request.reached for start, end in wanted)
        ]

    return await database.write(work)


async def cancel(database: AnyStore, cluster: str) -> int:
    """Forget what is left of a cluster's requests; what was read stays. Returns how many there were."""

    async def work(connection: aiosqlite.Connection) -> int:
        done = await connection.execute(
            "UPDATE backfills SET start = reached WHERE cluster = ? AND reached > start", (cluster,)
        )
        return done.rowcount

    return await database.write(work)


def _without(stretches: Iterable[tuple[int, int]], taken: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return what of some stretches is in none of others."""
    left = list(stretches)
    for start, end in taken:
        left = [
            piece
            for begin, stop in left
            for piece in ((begin, min(stop, start)), (max(begin, end), stop))
            if piece[0] < piece[1]
        ]
    return left
