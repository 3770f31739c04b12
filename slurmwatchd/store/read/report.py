"""Reports from the hourly sums of a store: what they cost depends on the hours asked for, not on the attempts.

Attempts that are in an archive and were never in these sums, because the store was lost or is younger, are added.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, NamedTuple

from slurmwatchd.errors import StoreError
from slurmwatchd.model.reports import Rates, ReportLine, Tally, lines
from slurmwatchd.model.sums import AMOUNTS, HOUR, OF_TIME, OF_WHOLE
from slurmwatchd.store.json_array import IN_ARRAY, json_array
from slurmwatchd.store.read.argument_types import check_outcomes
from slurmwatchd.store.read.reader import StoreReader

GROUPS = ("account", "user", "partition", "qos", "outcome", "cluster")
"""What a report can group by, besides the time."""

TIMES = {"hour": "%Y-%m-%dT%H", "day": "%Y-%m-%d", "month": "%Y-%m"}
"""How hours, days and months are written; an hour that comes twice has its distance from UTC besides."""

CHOICES = (*GROUPS, *TIMES)

NONE = "(none)"
"""Whose attempts have none of what is grouped by."""

FILTERS = {
    "clusters": "cluster", "accounts": "account", "users": "user", "partitions": "partition", "qos": "qos",
    "outcomes": "outcome",
}  # fmt: skip
"""What a wish can be limited to, and the column of that."""

_AMOUNTS = {"hourly_sums": AMOUNTS, "hourly_time": OF_TIME, "hourly_used": OF_WHOLE}
"""The tables that have amounts, and which: all that an hour had stands in them together."""


class _Source(NamedTuple):
    """A table, and the sums that are wanted of it."""

    table: str
    sums: str


_WAITS = _Source("hourly_waits CROSS JOIN json_each(hourly_waits.buckets) AS counted", "sum(counted.value)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be reported.

    Attributes:
        by: One of `CHOICES`.
        since: Epoch seconds; from the beginning of this hour on.
        until: Epoch seconds; up to the end of the hour that has this moment's last second.
        top: At most so many keys, the ones with the most CPU hours; the rest is one line.
        zone: Where days and months begin; a zone that is not whole hours from UTC is rounded to them.
        clusters: Only these; empty: all. The same holds for the others.
    """

    by: str
    since: int
    until: int
    top: int | None = None
    zone: tzinfo | None = UTC
    clusters: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    qos: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()

    @property
    def span(self) -> tuple[int, int]:
        """The hours: from the first one's beginning to the last one's end, epoch seconds."""
        return self.since - self.since % HOUR, -(-self.until // HOUR) * HOUR

    def key_of_hour(self) -> Mapping[int, str] | None:
        """Return what each hour of the span is in the report, ascending; None where it does not go by the time."""
        if self.by not in TIMES:
            return None
        keys = _Keys(self)
        return {hour: keys[hour] for hour in range(*self.span, HOUR)}


def report(store: StoreReader, wish: Wish, rates: Rates) -> list[ReportLine]:
    """Return the lines of a report, the one of all together last.

    Raises:
        ValueError: There is no such grouping or outcome.
        StoreError: An older daemon's store, which has no sums.
        StoreBusyError: The store cannot be read now.
    """
    if wish.by not in CHOICES:
        raise ValueError(f"cannot report by {wish.by!r}: only by {', '.join(CHOICES)}")
    check_outcomes(wish.outcomes)
    if not store.has_column("summed_hours", "first_end"):
        raise StoreError(f"{store.path}: has no sums yet: start this version's daemon on it once")
    with store.unsummed(wish) as others:
        tallies = _summed(store, wish)
        for key, tally in others:
            tallies.setdefault(key or NONE, Tally()).merge(tally)
    if wish.by in TIMES:
        ordered = dict(sorted(tallies.items(), key=lambda pair: _place(pair[0])))
    else:
        ordered = dict(sorted(tallies.items(), key=lambda pair: (-pair[1].amounts["cpu_seconds"], pair[0])))
    return lines(ordered, rates, top=wish.top)


def _summed(store: StoreReader, wish: Wish) -> dict[str, Tally]:
    """Return what the sums of the store have."""
    tallies: dict[str, Tally] = {}
    key_of = _Keys(wish)
    # An older daemon's store has the first table alone.
    summed = [
        _Source(table, ", ".join(f"sum({name})" if name in names else "0" for name in AMOUNTS))
        for table, names in _AMOUNTS.items()
        if store.has_column(table, "hour")
    ]
    for key, outcome, *amounts in _rows(store, wish, "outcome", *summed):
        tallies.setdefault(key_of[key], Tally()).add(outcome, amounts)
    for key, name, seconds in _rows(store, wish, "name", _Source("hourly_tres", "sum(seconds)")):
        tallies.setdefault(key_of[key], Tally()).add_tres(name, seconds)
    for key, bucket, count in _rows(store, wish, "counted.key", _WAITS):
        tallies.setdefault(key_of[key], Tally()).add_waits(int(bucket), count)
    return tallies


def behind(store: StoreReader) -> int:
    """Return how many attempts of before are in no sum yet; the daemon adds them within minutes of its start."""
    rows = store.rows(
        "SELECT (SELECT count(*) FROM jobs WHERE id > unsummed.summed AND id <= unsummed.last) FROM unsummed"
    )
    return int(rows[0][0]) if rows else 0


def first_horizon(store: StoreReader, cluster: str) -> int | None:
    """Return the end from which on this store has read a cluster, epoch seconds; None where it has read none.

    Attempts expire, and the horizon moves on; the sums of them stay.
    """
    if not store.has_column("first_horizons", "horizon"):
        return None
    rows = store.rows("SELECT horizon FROM first_horizons WHERE cluster = ?", (cluster,))
    return int(rows[0][0]) if rows else None


def reached(
    store: StoreReader, cluster: str, archived: Callable[[str], Sequence[tuple[int, int]]]
) -> list[tuple[int, int]]:
    """Return the stretches of ends that a report has of a cluster: what the sums have, and what the archive."""
    found = list(archived(cluster))
    if (first := first_horizon(store, cluster)) is not None:
        found = [(begin, min(end, first)) for begin, end in found if begin < first]
        found.append((first, 1 << 62))
    return found


def _place(key: str) -> tuple[str, float]:
    """Return what puts hours, days and months in order; of an hour that came twice the first is farther east."""
    hour = len("YYYY-MM-DDTHH")
    offset = datetime.fromisoformat(key).utcoffset() if len(key) > hour else None
    return key[:hour], 0.0 if offset is None else -offset.total_seconds()


class _Keys(dict[int | str, str]):
    """What the first column of a row is in the report: hours become days or months."""

    def __init__(self, wish: Wish) -> None:
        super().__init__()
        self._form = TIMES.get(wish.by)
        self._is_by_hour = wish.by == "hour"
        self._zone = wish.zone

    def __missing__(self, key: int | str) -> str:
        if self._form is None:
            text = str(key) or NONE
        else:
            text = self._written(int(key))
            if self._is_by_hour and text in {self._written(int(key) - HOUR), self._written(int(key) + HOUR)}:
                # Clocks were put back: this hour came twice.
                zoned = datetime.fromtimestamp(int(key), UTC).astimezone(self._zone)
                text += zoned.isoformat()[len("YYYY-MM-DDTHH:MM:SS") :]
        self[key] = text
        return text

    def _written(self, hour: int) -> str:
        return datetime.fromtimestamp(hour, self._zone).strftime(self._form or "")


def _rows(store: StoreReader, wish: Wish, second: str, *sources: _Source) -> Iterator[tuple[Any, ...]]:
    """Give rows of what is grouped by, a second key, and sums; of all tables as they are at one moment."""
    key = "hour" if wish.by in TIMES else f'sum_groups."{wish.by}"'
    start, end = wish.span
    clauses: list[str] = ["hour >= ?", "hour < ?"]
    parameters: list[object] = [start, end]
    for name, column in FILTERS.items():
        if wanted := getattr(wish, name):
            clauses.append(f'sum_groups."{column}" {IN_ARRAY}')
            parameters.append(json_array(wanted))
    parts = [
        f"SELECT {key}, {second}, {sums} FROM {table} JOIN sum_groups ON sum_groups.id = grp "  # noqa: S608 - our own words
        f"WHERE {' AND '.join(clauses)} GROUP BY 1, 2"
        for table, sums in sources
    ]
    sql = " UNION ALL ".join(parts)
    yield from map(tuple, store.rows(sql, parameters * len(parts)))
