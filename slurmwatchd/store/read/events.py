"""Events for who reads them beside the daemon, by their positions; perhaps of one user or account only."""

from collections.abc import Sequence

from slurmwatchd.model.records import Event, EventKind, FoundBy
from slurmwatchd.store import bodies
from slurmwatchd.store.json_array import json_array
from slurmwatchd.store.read.reader import StoreReader

_NEAR = 1000
"""Of so few positions all are looked at; else the attempts of the user: the time shows nothing of others."""

_ALL = "SELECT seq FROM events WHERE seq > ? ORDER BY seq LIMIT ?"
_OF_ACCOUNT = (
    "SELECT events.seq FROM events CROSS JOIN jobs ON jobs.id = events.job "
    "WHERE events.seq > ? AND events.seq <= ? AND jobs.account = ? ORDER BY events.seq LIMIT ?"
)
_OF_USER_NEAR = (
    "SELECT events.seq FROM events CROSS JOIN jobs ON jobs.id = events.job "
    'WHERE events.seq > ? AND events.seq <= ? AND jobs."user" = ? ORDER BY events.seq LIMIT ?'
)
_OF_USER = (
    'WITH his AS (SELECT id, seq, usage_seq FROM jobs INDEXED BY jobs_by_user WHERE "user" = ?3) '
    "SELECT seq FROM (SELECT seq FROM his UNION ALL SELECT usage_seq FROM his UNION ALL "
    "SELECT earlier_events.seq FROM his CROSS JOIN earlier_events ON earlier_events.job = his.id) "
    "WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?4"
)
_EVENTS = (
    f"SELECT events.seq, {bodies.ID}, events.kind, events.revision, events.time, events.observed, "  # noqa: S608 - constants
    f"events.found_by, {bodies.BODY}, nodelists.nodes, events.changed FROM json_each(?) AS wanted "
    f"JOIN events ON events.seq = wanted.value {bodies.BESIDE} "
    "LEFT JOIN nodelists ON nodelists.id = events.nodelist ORDER BY wanted.key"
)
_NEWEST = "SELECT coalesce(max(seq), 0) FROM events"


def newest(store: StoreReader) -> int:
    """Return the newest position; 0 where there is no event."""
    return int(store.rows(_NEWEST)[0][0])


def positions(
    store: StoreReader, after: int, limit: int, *, account: str | None = None, user: str | None = None
) -> tuple[list[int], int]:
    """Return the next events' positions, and the one up to which all were looked at.

    Args:
        store: The store.
        after: Behind which position.
        limit: At most so many.
        account: Only of attempts of this account.
        user: Only of attempts of this user.
    """
    until = newest(store)
    if user is not None:
        sql = _OF_USER_NEAR if until - after <= _NEAR else _OF_USER
        rows = store.rows(sql, (after, until, user, limit))
    elif account is not None:
        rows = store.rows(_OF_ACCOUNT, (after, until, account, limit))
    else:
        rows = store.rows(_ALL, (after, limit))
    found = [row[0] for row in rows]
    return found, found[-1] if len(found) == limit else max(until, after, *found)


def events(store: StoreReader, positions: Sequence[int]) -> list[Event]:
    """Return the events at some positions; what was pruned meanwhile is left out."""
    found = (Event(*row) for row in store.rows(_EVENTS, (json_array(positions),)))
    return [event._replace(kind=EventKind(event.kind), found_by=FoundBy(event.found_by)) for event in found]
