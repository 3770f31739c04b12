"""Attempts of a day that other days' files still have: their end moved, and the store does not know from where.

A store notes such a move when it sees the revision. One that was rebuilt after a loss has not seen it: it knows
the new end only, and the old one stands in the archive.
"""

from types import ModuleType

from slurmwatchd.store.archive import arrow
from slurmwatchd.store.archive.layout import DAY_SECONDS, DayFile, day_of
from slurmwatchd.store.read.reader import StoreReader

_OF_DAY = (
    'SELECT id, job_id_raw, submit FROM jobs WHERE cluster = ?1 AND "end" >= ?2 AND "end" < ?3 UNION ALL '
    'SELECT id, job_id_raw, submit FROM jobs WHERE cluster = ?1 AND "end" IS NULL AND submit >= ?2 AND submit < ?3'
)


def moved_from(
    pa: ModuleType, pq: ModuleType, store: StoreReader, cluster: str, day: int, files: list[DayFile]
) -> dict[int, int]:
    """Return the row ids of the store's attempts of a day that another day's file has, and which day that is.

    Only attempts that the day's own file lacks are looked for, and no file of before their submission is read.

    Args:
        pa: The module pyarrow.
        pq: The module pyarrow.parquet.
        store: Open for reading.
        cluster: Whose.
        day: Days since 1970-01-01.
        files: Those of the archive.

    Raises:
        StoreBusyError: The store cannot be read now.
        OSError: A file cannot be read; one that is damaged is passed over.
    """
    start = day * DAY_SECONDS
    wanted = {
        (row["job_id_raw"], row["submit"]): row["id"]
        for row in store.rows(_OF_DAY, (cluster, start, start + DAY_SECONDS))
    }
    own = [file for file in files if file.cluster == cluster and file.day == day]
    for file in own:
        for key in _among(pa, pq, file, wanted):
            del wanted[key]
    found: dict[int, int] = {}
    for file in files:
        oldest = min((submit for _, submit in wanted), default=None)
        if oldest is not None and file.cluster == cluster and file.day != day and file.day >= day_of(oldest):
            for key in _among(pa, pq, file, wanted):
                found[wanted.pop(key)] = file.day
    return found


def _among(pa: ModuleType, pq: ModuleType, file: DayFile, keys: dict[arrow.Key, int]) -> list[arrow.Key]:
    """Return which of some keys a file has."""
    if not keys:
        return []
    try:
        table = pq.read_table(file.path, columns=list(arrow.KEY), partitioning=None, use_threads=False)
    except (FileNotFoundError, pa.ArrowInvalid):
        # One that is damaged is found when its own day is written, and by `verify --archive`.
        return []
    hits = table.filter(pa.compute.is_in(arrow.packed(pa, table), value_set=arrow.packed_keys(pa, keys)))
    return list(zip(hits["job_id_raw"].to_pylist(), arrow.epochs(pa, hits["submit"]), strict=True))
