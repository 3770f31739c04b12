"""Where the store ends and the archive goes on, by what the store itself says: nothing of the archive is read."""

from collections.abc import Collection

from slurmwatchd.store.archive.layout import DAY_SECONDS, day_of
from slurmwatchd.store.json_array import IN_ARRAY, json_array
from slurmwatchd.store.read.reader import StoreReader
from slurmwatchd.store.read.report import Wish, first_horizon

Day = tuple[str, int]
"""A cluster, and days since 1970-01-01."""

_FOREVER = 1 << 62

_SINCE = (
    'SELECT cluster, horizon, (SELECT min("end") FROM jobs WHERE jobs.cluster = horizons.cluster) AS oldest '
    "FROM horizons"
)
_SUMMED = (
    "SELECT cluster, hour / 86400, sum(attempts) FROM hourly_sums JOIN sum_groups ON sum_groups.id = grp "  # noqa: S608
    f"WHERE hour >= ? AND hour < ? AND cluster {IN_ARRAY} GROUP BY 1, 2"
)
_FILES = "SELECT cluster, day, attempts FROM archive_days WHERE attempts > 0 AND day >= ?"
# A day waits from its first event that is not in the archive on; those at the end were not looked at yet.
_CHANGING = (
    "SELECT cluster, day FROM archive_days WHERE first_seq IS NOT NULL UNION "
    "SELECT jobs.cluster, coalesce(events.time, jobs.submit) / 86400 FROM events "
    "CROSS JOIN jobs ON jobs.id = events.job WHERE events.seq > "
    "coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'archive seq'), 0)"
)


def bounds(store: StoreReader) -> dict[str, int]:
    """Return each cluster's day up to which the store may lack attempts.

    What ended after the horizon was never pruned; but sacct may have lost it before a new store read it.
    """
    rows = store.rows(_SINCE)
    return {row["cluster"]: day_of(max(row["horizon"], row["oldest"] or 0)) for row in rows}


def oldest_end(store: StoreReader, cluster: str) -> int:
    """Return the first end that the store has of a cluster; 0 where it has none."""
    return int(store.rows('SELECT coalesce(min("end"), 0) FROM jobs WHERE cluster = ?', (cluster,))[0][0])


def stretches(store: StoreReader, cluster: str, days: Collection[int]) -> list[tuple[int, int]]:
    """Return the stretches of ends that an archive has of a cluster, epoch seconds, ascending, by its files' days.

    It is without a gap from where this store began to read. Of before that, where a store was lost, it may end
    days earlier.
    """
    if not days:
        return []
    begin, first = min(days) * DAY_SECONDS, first_horizon(store, cluster)
    if first is None or first <= begin:
        return [(begin, _FOREVER)]
    lost = (max(day for day in days if day * DAY_SECONDS < first) + 1) * DAY_SECONDS
    return [(begin, min(lost, first)), (first, _FOREVER)]


def noted_stretches(store: StoreReader, cluster: str) -> list[tuple[int, int]]:
    """Return the same by what the daemon has noted of the files."""
    rows = store.rows(f"{_FILES} AND cluster = ?", (0, cluster))
    return stretches(store, cluster, [row["day"] for row in rows])


def summed_by_day(store: StoreReader, days: Collection[Day]) -> dict[Day, int]:
    """Return how many attempts that ended on some days are in the store's sums."""
    first, last = min(day for _, day in days), max(day for _, day in days)
    clusters = json_array({cluster for cluster, _ in days})
    rows = store.rows(_SUMMED, (first * DAY_SECONDS, (last + 1) * DAY_SECONDS, clusters))
    return {(row[0], row[1]): int(row[2]) for row in rows}


def lacks(store: StoreReader, wish: Wish) -> bool:
    """Return whether the archive may have attempts of a report that are in none of the store's sums.

    It has not if it has as many attempts of each day as the sums: a file has all that the store has, and had, of a
    day that waits for nothing.
    """
    before = bounds(store)
    files = {
        (row["cluster"], row["day"]): row["attempts"]
        for row in store.rows(_FILES, (day_of(wish.span[0]),))
        if (not wish.clusters or row["cluster"] in wish.clusters)
        and row["day"] <= before.get(row["cluster"], row["day"])
    }
    if not files:
        return False
    summed = summed_by_day(store, files)
    unlike = any(attempts != summed.get(day, 0) for day, attempts in files.items())
    return unlike or not files.keys().isdisjoint((row[0], row[1]) for row in store.rows(_CHANGING))
