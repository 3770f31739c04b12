"""What else the store can answer: the history of an attempt, who shared its nodes, how far everyone has got."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from slurmwatchd.model.clock import rfc3339
from slurmwatchd.model.ledger import Ledger, Stretch
from slurmwatchd.store import bodies
from slurmwatchd.store.read.reader import StoreReader
from slurmwatchd.store.schema import COVERAGE

KEY_NAME = "cursor key"
"""Under which name the store has its own secret."""

HELD_SECONDS = 86_400
"""So much longer than asked for a cluster keeps its attempts without being named: it is catching up."""

LET_GO = "if the cluster is gone for good, remove it from slurm.clusters"

_HISTORY = (
    f"SELECT events.seq, {bodies.ID} AS id, events.kind, events.revision, events.observed, events.found_by, "  # noqa: S608
    f"events.changed FROM {bodies.TABLES} WHERE {{its}} ORDER BY events.seq LIMIT 1000"
)
_ITS = (
    "events.seq IN (SELECT seq FROM jobs WHERE id = ?1 UNION ALL SELECT usage_seq FROM jobs WHERE id = ?1 "
    "UNION ALL SELECT seq FROM earlier_events WHERE job = ?1)"
)
_ITS_BY_INDEX = "events.job = ?1"
"""The same in a store that an older daemon made."""
# From the list's own names, since the index of nodes is by node; the pluses leave SQLite no other way to go.
_SHARED = (
    "SELECT id FROM jobs WHERE nodelist IN ("
    "SELECT theirs.nodelist FROM nodelists AS mine, json_each(CAST(mine.nodes AS TEXT)) AS listed "
    "CROSS JOIN nodes ON nodes.name = listed.value CROSS JOIN nodelist_nodes AS theirs ON theirs.node = nodes.id "
    'WHERE mine.id = ?) AND "end" > ? AND start < ? AND +cluster = ? AND +id <> ? '
    "AND (?7 IS NULL OR +account = ?7) ORDER BY start, id LIMIT ?6"
)
# Among the attempts of one user, by a walk over them: how long it takes shows nothing of others.
_SHARED_OWN = (
    "SELECT id FROM jobs INDEXED BY jobs_by_user WHERE EXISTS ("
    "SELECT 1 FROM nodelists AS mine, json_each(CAST(mine.nodes AS TEXT)) AS listed "
    "CROSS JOIN nodes ON nodes.name = listed.value CROSS JOIN nodelist_nodes AS theirs "
    "ON theirs.node = nodes.id AND theirs.nodelist = jobs.nodelist WHERE mine.id = ?) "
    'AND "end" > ? AND start < ? AND cluster = ? AND id <> ? AND "user" = ?7 ORDER BY start, id LIMIT ?6'
)
_ROW = 'SELECT id, cluster, start, "end", nodelist, revision, seq FROM jobs WHERE id = ?'


class SinkProgress(NamedTuple):
    """How far a sink has got.

    Attributes:
        seq: The newest event it has.
        behind: How many events it has not.
        oldest_waiting: When the oldest of these was first seen, epoch seconds; None where it has all.
        moved: When its position last moved, epoch seconds.
    """

    sink: str
    seq: int
    behind: int
    oldest_waiting: int | None
    moved: int


class ClusterProgress(NamedTuple):
    """How far a cluster is read.

    Attributes:
        ledger: What was read.
        last: The newest complete reading: `read_at`, `rows`, `new`, `found_by`, `seconds`; None before the first.
    """

    cluster: str
    ledger: Ledger
    last: Mapping[str, Any] | None


def knows_node(store: StoreReader, node: str) -> bool:
    """Return whether any attempt here ran on a node of this name."""
    return bool(store.rows("SELECT 1 FROM nodes WHERE name = ?", (node,)))


def history(store: StoreReader, job: int) -> list[dict[str, Any]]:
    """Return what was delivered of an attempt, oldest first: each event's head, and what it changed."""
    its = _ITS if store.has_column("earlier_events", "seq") else _ITS_BY_INDEX
    return [
        {
            "seq": row["seq"],
            "id": row["id"],
            "event": row["kind"],
            "revision": row["revision"],
            "observed": rfc3339(row["observed"]),
            "found_by": row["found_by"],
            **({} if row["changed"] is None else {"changed": orjson.loads(row["changed"])}),
        }
        for row in store.rows(_HISTORY.format(its=its), (job,))
    ]


def shared_with(
    store: StoreReader, job: int, *, limit: int, account: str | None = None, user: str | None = None
) -> Sequence[int]:
    """Return the row ids of the attempts that were on a node of this one while it ran.

    An attempt that never started shared nothing, and one without an end is not in the store to be found.

    Args:
        store: The store.
        job: The attempt's row id.
        limit: At most so many, those that started first.
        account: Only attempts of this account.
        user: Only attempts of this user, found without a look at others.
    """
    row = store.rows(_ROW, (job,))[0]
    if row["start"] is None or row["end"] is None or row["nodelist"] is None:
        return []
    parameters = (row["nodelist"], row["start"], row["end"], row["cluster"], job, limit)
    if user is None:
        found = store.rows(_SHARED, (*parameters, account))
    else:
        found = store.rows(_SHARED_OWN, (*parameters, user))
    return [other["id"] for other in found]


def readings(store: StoreReader) -> list[ClusterProgress]:
    """Return how far each cluster is read."""
    return list(store.kept("readings", lambda: _readings(store)))


def _readings(store: StoreReader) -> list[ClusterProgress]:
    result = []
    for row in store.rows("SELECT cluster, horizon FROM horizons ORDER BY cluster"):
        stretches = store.rows(COVERAGE, (row["cluster"],))
        last = store.rows(
            'SELECT read_at, "rows", new, found_by, seconds FROM ledger WHERE cluster = ? '
            "ORDER BY read_at DESC, id DESC LIMIT 1",
            (row["cluster"],),
        )
        ledger = Ledger(row["horizon"], tuple(Stretch(*stretch) for stretch in stretches))
        result.append(ClusterProgress(row["cluster"], ledger, dict(last[0]) if last else None))
    return result


def held(store: StoreReader, clusters: Sequence[str], conf: str, *, retain: int, now: int) -> Mapping[str, int]:
    """Return the watched clusters whose attempts stay although they have had their time: newer ones are not read.

    Args:
        store: The store.
        clusters: The watched ones by the configuration; empty: the local one.
        conf: The SLURM_CONF of the local one, by the configuration.
        retain: How long attempts are kept, in seconds.
        now: Epoch seconds.

    Returns:
        Cluster to how many seconds longer; at least `HELD_SECONDS`.
    """
    rows = store.rows("SELECT value FROM meta WHERE key = ?", (f"local cluster: {conf}",))
    watched = clusters or [row["value"] for row in rows]
    result = {}
    for reading in readings(store):
        if reading.cluster in watched:
            # What ended before the horizon is never read, and nobody waits for it.
            oldest = store.rows(
                'SELECT min("end") AS oldest FROM jobs WHERE cluster = ? AND "end" >= ?',
                (reading.cluster, reading.ledger.horizon),
            )[0]["oldest"]
            over = 0 if oldest is None else now - retain - oldest
            if over >= HELD_SECONDS:
                result[reading.cluster] = over
    return result


def positions(store: StoreReader) -> list[SinkProgress]:
    """Return how far each sink has got."""
    result = []
    for row in store.rows("SELECT sink, seq, moved FROM cursors ORDER BY sink"):
        # Positions are handed out without gaps, so the difference to the newest is the number of events.
        waiting = store.rows("SELECT seq, observed FROM events WHERE seq > ? ORDER BY seq LIMIT 1", (row["seq"],))
        behind = newest(store) - waiting[0]["seq"] + 1 if waiting else 0
        oldest = waiting[0]["observed"] if waiting else None
        result.append(SinkProgress(row["sink"], row["seq"], behind, oldest, row["moved"]))
    return result


def newest(store: StoreReader) -> int:
    """Return the position of the newest event; 0 before the first."""
    rows = store.rows("SELECT CAST(value AS INTEGER) AS seq FROM meta WHERE key = 'last seq'")
    return int(rows[0]["seq"]) if rows else 0


def secret(store: StoreReader) -> bytes | None:
    """Return the store's own secret; None where no daemon with a web server ever had it."""
    rows = store.rows("SELECT value FROM meta WHERE key = ?", (KEY_NAME,))
    return bytes.fromhex(rows[0]["value"]) if rows else None


def quarantine(store: StoreReader) -> tuple[int, int | None]:
    """Return how many rows are in quarantine, and when the newest came, epoch seconds."""
    row = store.rows("SELECT count(*) AS count, max(observed) AS newest FROM quarantine")[0]
    return row["count"], row["newest"]


def attempts(store: StoreReader) -> int:
    """Return how many attempts are stored."""
    return int(store.rows("SELECT count(*) AS count FROM jobs")[0]["count"])


def backfills(store: StoreReader) -> list[dict[str, Any]]:
    """Return the backfills that are not done, where this store knows any: cluster, start, end, reached."""
    if not store.has_column("backfills", "reached"):
        return []
    rows = store.rows(
        'SELECT id, cluster, start, "end", reached, "rows", new FROM backfills WHERE reached > start ORDER BY id'
    )
    return [dict(row) for row in rows]


def schema(store: StoreReader) -> int:
    """Return the number of the newest migration in the file."""
    return int(store.rows("SELECT user_version AS number FROM pragma_user_version")[0]["number"])
