"""What has had its time, removed in steps so small that no one waits for them; each is one transaction.

Events go from the oldest on, and never one that a configured sink still lacks. An attempt goes with its newest
event, a node list once neither an attempt nor an event has it. So an attempt is kept for as long as was asked
after it ended, and one that a backfill found, for as long after it was found.

What is gone from here would be new if it were read again: the watcher reads nothing that old (`Ledger.since`), and
what it may still read stays (`read_from`).
"""

from collections.abc import Collection
from dataclasses import dataclass, field

import aiosqlite

from slurmwatchd.store import bodies, placements, sums
from slurmwatchd.store.database import Database
from slurmwatchd.store.dictionaries import DictionaryKind, Packer
from slurmwatchd.store.json_array import IN_ARRAY, json_array

STEP_ROWS = 500

MARGIN_SECONDS = 3600
"""How much older than what is still read something must be to go: a window may be asked for and stored later."""


@dataclass(slots=True)
class PrunedRows:
    """How many rows went, by table; empty where there was nothing to do."""

    rows: dict[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Return whether any went."""
        return bool(self.rows)

    def add(self, table: str, count: int) -> None:
        """Count rows of a table."""
        if count:
            self.rows[table] = self.rows.get(table, 0) + count


async def undelivered_from(database: Database, sinks: Collection[str]) -> int:
    """Return the position up to which every one of some sinks has all events."""
    rows = await database.read(
        f"SELECT coalesce(min(seq), 0) FROM cursors WHERE sink {IN_ARRAY}",  # noqa: S608 - a constant
        (json_array(sinks),),
    )
    return int(rows[0][0])


async def read_from(database: Database, clusters: Collection[str]) -> int | None:
    """Return the end of the oldest attempts that may still be read of some clusters; None where none ever was."""
    rows = await database.read(
        f"SELECT min(horizon) FROM horizons WHERE cluster {IN_ARRAY}",  # noqa: S608 - a constant
        (json_array(clusters),),
    )
    return None if rows[0][0] is None else int(rows[0][0])


async def prune_events(database: Database, *, before: int, up_to: int) -> PrunedRows:
    """Remove some of the oldest events, and the attempts whose last ones they were.

    Args:
        database: The store.
        before: Epoch seconds; what was observed then or later stays.
        up_to: The last position that may go.
    """
    pruned = PrunedRows()

    async def work(connection: aiosqlite.Connection) -> None:
        oldest = await _all(
            connection,
            "SELECT seq, job, observed FROM events WHERE seq <= ? ORDER BY seq LIMIT ?",
            up_to,
            STEP_ROWS,
        )
        # From the oldest on, up to the first that stays: a clock that was set back leaves no gaps.
        going = next((n for n, row in enumerate(oldest) if row[2] >= before), len(oldest))
        if not going:
            return
        last = oldest[going - 1][0]
        jobs = json_array({row[1] for row in oldest[:going]})
        # The newest attempt stays whatever its age: row ids go on above it, and none is used twice.
        gone = f"id {IN_ARRAY} AND seq <= ? AND id < (SELECT max(id) FROM jobs)"  # noqa: S608 - a constant
        expiring = await _all(connection, f'SELECT id, cluster, "end" FROM jobs WHERE {gone}', jobs, last)  # noqa: S608 - constants
        await sums.expire(connection, json_array([row[0] for row in expiring]))
        for cluster in {row[1] for row in expiring}:
            await placements.forget(connection, cluster, [row[2] for row in expiring if row[1] == cluster])
        lists = await _all(
            connection,
            f"SELECT DISTINCT nodelist FROM jobs WHERE {gone} AND nodelist NOT NULL",  # noqa: S608 - constants
            jobs,
            last,
        )
        await _make_whole(connection, database.packer, jobs, last)
        pruned.add("jobs", await _delete(connection, f"DELETE FROM jobs WHERE {gone}", jobs, last))  # noqa: S608
        pruned.add("events", await _delete(connection, "DELETE FROM events WHERE seq <= ?", last))
        await connection.execute(
            f"DELETE FROM gone WHERE job {IN_ARRAY} AND NOT EXISTS "  # noqa: S608 - a constant
            "(SELECT 1 FROM jobs WHERE jobs.id = gone.job)",
            (jobs,),
        )
        # Whose usage never came is not waited for any longer than the attempt is kept.
        await connection.execute(
            f"DELETE FROM usage_queue WHERE job {IN_ARRAY} AND NOT EXISTS "  # noqa: S608 - a constant
            "(SELECT 1 FROM jobs WHERE jobs.id = usage_queue.job)",
            (jobs,),
        )
        await connection.execute(
            "INSERT OR IGNORE INTO idle_nodelists "
            "SELECT value, coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'last seq'), 0) "
            "FROM json_each(?) AS listed "
            "WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.nodelist = listed.value)",
            (json_array([row[0] for row in lists]),),
        )

    await database.write(work)
    return pruned


async def _make_whole(connection: aiosqlite.Connection, packer: Packer, jobs: str, last: int) -> None:
    """Write out the usage events that stay although the record that they extend goes."""
    kept = await _all(
        connection,
        f"SELECT events.seq, {bodies.ID}, {bodies.BODY} FROM {bodies.TABLES} "  # noqa: S608 - constants
        f"WHERE events.seq IN (SELECT usage_seq FROM jobs WHERE id {IN_ARRAY}) "
        "AND events.seq > ? AND events.base <= ?",
        jobs,
        last,
        last,
    )
    packed = packer.packed(DictionaryKind.RECORD, [row[2] for row in kept])
    await connection.executemany(
        "UPDATE events SET id = ?, body = ?, base = NULL WHERE seq = ?",
        [(row[1], body, row[0]) for row, body in zip(kept, packed, strict=True)],
    )


async def prune_dictionaries(database: Database) -> PrunedRows:
    """Remove the dictionaries that no event was packed with: a newer one is older than the oldest event."""
    pruned = PrunedRows()
    old = (
        "FROM dictionaries WHERE EXISTS (SELECT 1 FROM dictionaries AS newer WHERE newer.kind = dictionaries.kind "
        "AND newer.id > dictionaries.id AND newer.since <= coalesce((SELECT min(seq) FROM events), 0))"
    )

    async def work(connection: aiosqlite.Connection) -> None:
        pruned.add("dictionaries", await _delete(connection, f"DELETE {old}"))

    if await database.read(f"SELECT 1 {old} LIMIT 1"):
        await database.write(work)
    return pruned


async def prune_nodelists(database: Database) -> PrunedRows:
    """Remove some node lists that no one has any more, with their places in the index of nodes.

    A list that no attempt has is idle; an event may still have it. Once all events are gone that there were when
    it became idle, the list goes, unless it was met again (`nodelists.keep` then takes it off).
    The newest one stays: a reader remembers nodes by the row id, which must not become another list's.
    """
    pruned = PrunedRows()

    async def work(connection: aiosqlite.Connection) -> None:
        idle = await _all(
            connection,
            "SELECT nodelists.id, nodelists.nodes FROM idle_nodelists "
            "JOIN nodelists ON nodelists.id = idle_nodelists.nodelist "
            "WHERE idle_nodelists.seq < coalesce((SELECT min(seq) FROM events), 1 << 62) "
            "AND nodelists.id < (SELECT max(id) FROM nodelists) LIMIT ?",
            STEP_ROWS // 10,
        )
        ids = json_array([row[0] for row in idle])
        for identity, nodes in idle:
            await connection.execute(
                "DELETE FROM nodelist_nodes WHERE nodelist = ?1 AND node IN "
                "(SELECT nodes.id FROM json_each(?2) AS listed JOIN nodes ON nodes.name = listed.value)",
                (identity, (nodes or b"[]").decode()),
            )
        pruned.add("nodelists", await _delete(connection, f"DELETE FROM nodelists WHERE id {IN_ARRAY}", ids))  # noqa: S608
        await connection.execute(f"DELETE FROM idle_nodelists WHERE nodelist {IN_ARRAY}", (ids,))  # noqa: S608

    async with database.using_lists.exclusive():
        await database.write(work)
    return pruned


async def prune_records(database: Database, *, before: int) -> PrunedRows:
    """Remove some of the oldest rows of ledger and quarantine.

    Args:
        database: The store.
        before: Epoch seconds; what is of then or later stays.
    """
    pruned = PrunedRows()

    async def work(connection: aiosqlite.Connection) -> None:
        for table, moment in (("ledger", "read_at"), ("quarantine", "observed")):
            # From the oldest on: a condition on the time alone would read all that stays, each time.
            sql = (
                f"DELETE FROM {table} WHERE id IN (SELECT id FROM "  # noqa: S608 - constants
                f"(SELECT id, {moment} AS moment FROM {table} ORDER BY id LIMIT ?) WHERE moment < ?)"
            )
            pruned.add(table, await _delete(connection, sql, STEP_ROWS, before))

    await database.write(work)
    return pruned


async def prune_told(database: Database, *, before: int) -> PrunedRows:
    """Remove some of what sinks received from an earlier store, once it was read back long enough ago."""
    pruned = PrunedRows()

    async def work(connection: aiosqlite.Connection) -> None:
        sinks = "SELECT sink FROM readbacks WHERE read_at < ?"
        sql = f"DELETE FROM told WHERE (sink, id) IN (SELECT sink, id FROM told WHERE sink IN ({sinks}) LIMIT ?)"  # noqa: S608
        gone = await _delete(connection, sql, before, STEP_ROWS)
        pruned.add("told", gone)
        if not gone:
            await connection.execute("DELETE FROM readbacks WHERE read_at < ?", (before,))
            await connection.execute("DELETE FROM told_revisions WHERE NOT EXISTS (SELECT 1 FROM readbacks)")

    await database.write(work)
    return pruned


async def prune_sinks(database: Database, sinks: Collection[str], *, before: int) -> PrunedRows:
    """Forget sinks that are no longer configured and whose cursors have not moved for long."""
    pruned = PrunedRows()

    async def work(connection: aiosqlite.Connection) -> None:
        old = f"SELECT sink FROM cursors WHERE moved < ? AND sink NOT {IN_ARRAY}"  # noqa: S608 - a constant
        names = json_array([row[0] for row in await _all(connection, old, before, json_array(sinks))])
        await connection.execute(f"DELETE FROM sink_state WHERE sink {IN_ARRAY}", (names,))  # noqa: S608
        pruned.add("cursors", await _delete(connection, f"DELETE FROM cursors WHERE sink {IN_ARRAY}", names))  # noqa: S608

    await database.write(work)
    return pruned


async def sizes(database: Database) -> tuple[int, int]:
    """Return how many bytes the store has, and how many of them are free to be used again."""
    numbers = [
        int((await database.read(f"PRAGMA {name}"))[0][0])
        for name in ("page_size", "page_count", "freelist_count")
    ]
    return numbers[0] * numbers[1], numbers[0] * numbers[2]


async def _all(connection: aiosqlite.Connection, sql: str, *parameters: object) -> list[aiosqlite.Row]:
    return list(await connection.execute_fetchall(sql, parameters))


async def _delete(connection: aiosqlite.Connection, sql: str, *parameters: object) -> int:
    async with connection.execute(sql, parameters) as cursor:
        return cursor.rowcount
