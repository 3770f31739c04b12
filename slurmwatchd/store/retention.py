"""What has had its time, removed in steps so small that no one waits for them; each is one transaction.

Events go from the oldest on, and never one that a configured sink still lacks. An attempt goes with its newest
event, a node list once neither an attempt nor an event has it. So an attempt is kept for as long as was asked
after it ended, and one that a backfill found, for as long after it was found.

What is gone from here would be new if it were read again: the watcher reads nothing that old (`Ledger.since`), and
what it may still read stays (`Limits`). A cluster that does not answer keeps its own attempts so, and no others.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import aiosqlite

from slurmwatchd.store import bodies, ledger, placements, sums
from slurmwatchd.store.database import Database
from slurmwatchd.store.dictionaries import DictionaryKind, Packer
from slurmwatchd.store.json_array import IN_ARRAY, json_array

STEP_ROWS = 500

MARGIN_SECONDS = 3600
"""How much older than what is still read something must be to go: a window may be asked for and stored later."""

_NOTE_PRUNED = (
    "INSERT INTO meta VALUES ('pruned seq', ?) ON CONFLICT (key) DO UPDATE "
    "SET value = max(CAST(value AS INTEGER), CAST(excluded.value AS INTEGER))"
)
"""Up to there an event may be gone, though older ones are there."""

_FORGET_EARLIER = f"DELETE FROM earlier_events WHERE job {IN_ARRAY} AND seq {IN_ARRAY}"  # noqa: S608 - a constant


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

    def add_all(self, other: "PrunedRows") -> None:
        """Count the rows of another step."""
        for table, count in other.rows.items():
            self.add(table, count)


async def undelivered_from(database: Database, sinks: Collection[str]) -> int:
    """Return the position up to which every one of some sinks has all events."""
    rows = await database.read(
        f"SELECT coalesce(min(seq), 0) FROM cursors WHERE sink {IN_ARRAY}",  # noqa: S608 - a constant
        (json_array(sinks),),
    )
    return int(rows[0][0])


@dataclass(frozen=True, slots=True)
class Limits:
    """What may go, by when it was observed: epoch seconds; what is of then or later stays.

    Attributes:
        before: The latest of all.
        of_cluster: Of each cluster that was ever read.
        others: Of attempts whose cluster has another name in the ledger: the local one before scontrol has
            answered, or one that the configuration spells otherwise than slurmdbd. None: as `before`.
        watched: The watched ones; None where no one knows whose the attempts are.
    """

    before: int
    of_cluster: Mapping[str, int] = field(default_factory=dict)
    others: int | None = None
    watched: frozenset[str] | None = None

    @property
    def first(self) -> int:
        """The earliest of all."""
        return min([self.before, self._others, *self.of_cluster.values()])

    def of(self, cluster: str | None) -> int:
        """Return the limit of a cluster; None: of what no attempt is left."""
        return self.before if cluster is None else self.of_cluster.get(cluster, self._others)

    @property
    def _others(self) -> int:
        return self.before if self.others is None else self.others


@dataclass(frozen=True, slots=True)
class ExpiredEvents:
    """Some events that have had their time.

    Attributes:
        seqs: Their positions, ascending.
        jobs: The row ids of their attempts.
        reached: The position up to which all were looked at.
        held: Cluster to when the first event was observed that stays because of its cluster's limit.
    """

    seqs: list[int]
    jobs: set[int]
    reached: int
    held: dict[str, int]


async def limits(database: Database, clusters: Collection[str], *, before: int, named: bool = True) -> Limits:
    """Return what may go: of each watched cluster only what is older than all that may still be read of it.

    Args:
        database: The store.
        clusters: The watched ones.
        before: What would go of a cluster that is read up to now.
        named: Whether attempts have the names that `clusters` has. If not, whose they are no one knows yet: none
            goes that may still be read of any.
    """
    rows = await database.read("SELECT cluster, horizon FROM horizons")
    watched = {row[0]: min(before, row[1] - MARGIN_SECONDS) for row in rows if row[0] in clusters}
    first = min([before, *watched.values()])
    if not named:
        return Limits(before, others=first)
    read = {row[0]: watched.get(row[0], before) for row in rows}
    return Limits(before, read, others=first, watched=frozenset(clusters))


async def expired(database: Database, limits: Limits, *, after: int, up_to: int) -> ExpiredEvents | None:
    """Look at the next oldest events; None where none is left that may go.

    Args:
        database: The store.
        limits: What may go.
        after: Behind this position: those before it stay.
        up_to: The last position that may go.
    """
    rows = await database.read(
        "SELECT events.seq, events.job, events.observed, jobs.cluster FROM events "
        "LEFT JOIN jobs ON jobs.id = events.job WHERE events.seq > ? AND events.seq <= ? "
        "ORDER BY events.seq LIMIT ?",
        (after, up_to, STEP_ROWS),
    )
    found = ExpiredEvents([], set(), 0, {})
    reached = after
    for seq, job, observed, cluster in rows:
        # Up to the first that is too young for any: a clock that was set back leaves no gaps.
        if observed >= limits.before:
            break
        if observed < limits.of(cluster):
            found.seqs.append(seq)
            found.jobs.add(job)
        else:
            found.held.setdefault(cluster, observed)
        reached = seq
    return None if reached == after else replace(found, reached=reached)


async def prune_events(database: Database, limits: Limits, going: ExpiredEvents) -> PrunedRows:
    """Remove events that have had their time, and the attempts whose last ones they were.

    Args:
        database: The store.
        limits: By which they have.
        going: Which.
    """
    pruned = PrunedRows()

    async def work(connection: aiosqlite.Connection) -> None:
        jobs, seqs = json_array(going.jobs), json_array(going.seqs)
        # The newest attempt stays whatever its age: row ids go on above it, and none is used twice.
        gone = f"id {IN_ARRAY} AND seq {IN_ARRAY} AND id < (SELECT max(id) FROM jobs)"  # noqa: S608 - constants
        expiring = await _all(connection, f'SELECT id, cluster, "end" FROM jobs WHERE {gone}', jobs, seqs)  # noqa: S608 - constants
        await sums.expire(connection, json_array([row[0] for row in expiring]))
        for cluster in {row[1] for row in expiring}:
            ends = [row[2] for row in expiring if row[1] == cluster and row[2] is not None]
            await placements.forget(connection, cluster, ends)
            if limits.watched is not None and cluster not in limits.watched and ends:
                # No watcher says what is not read again. One that watches it some day must not take it for new.
                await ledger.begin_later(connection, cluster, max(ends) + 1)
        lists = await _all(
            connection,
            f"SELECT DISTINCT nodelist FROM jobs WHERE {gone} AND nodelist NOT NULL",  # noqa: S608 - constants
            jobs,
            seqs,
        )
        await _make_whole(connection, database.packer, jobs, seqs)
        pruned.add("jobs", await _delete(connection, f"DELETE FROM jobs WHERE {gone}", jobs, seqs))  # noqa: S608
        pruned.add("events", await _delete(connection, f"DELETE FROM events WHERE seq {IN_ARRAY}", seqs))  # noqa: S608
        await connection.execute(_FORGET_EARLIER, (jobs, seqs))
        await connection.execute(_NOTE_PRUNED, (str(going.seqs[-1]),))
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


async def _make_whole(connection: aiosqlite.Connection, packer: Packer, jobs: str, seqs: str) -> None:
    """Write out the usage events that stay although the record that they extend goes."""
    kept = await _all(
        connection,
        f"SELECT events.seq, {bodies.ID}, {bodies.BODY} FROM {bodies.TABLES} "  # noqa: S608 - constants
        f"WHERE events.seq IN (SELECT usage_seq FROM jobs WHERE id {IN_ARRAY}) "
        f"AND events.seq NOT {IN_ARRAY} AND events.base {IN_ARRAY}",
        jobs,
        seqs,
        seqs,
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
