"""How the archive stands, by what the store has noted of it: for the metrics and for `slurmwatchd status`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from slurmwatchd.store.archive.layout import DAY_SECONDS
from slurmwatchd.store.read.reader import StoreReader

SQL = (
    "SELECT total(attempts > 0), total(attempts), total(bytes), "
    "total(first_seq IS NOT NULL AND (day + 1) * ?1 <= ?2), "
    "min(max(since, (day + 1) * ?1 + ?3)) FILTER (WHERE first_seq IS NOT NULL AND (day + 1) * ?1 <= ?2), "
    "max(day) FILTER (WHERE attempts > 0) FROM archive_days"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """What there is, and what is still to come.

    Attributes:
        files: How many there are.
        waiting: How many finished days are not in the archive in full.
        waiting_since: When the first of those could have been written, epoch seconds; None where none waits.
        newest: The newest day that has a file; days since 1970-01-01.
    """

    files: int
    attempts: int
    bytes: int
    waiting: int
    waiting_since: int | None
    newest: int | None


def parameters(*, now: int, finished_after: int) -> tuple[int, int, int]:
    """Return what stands for the question marks of `SQL`, for days that are finished so long after their end."""
    return DAY_SECONDS, now - finished_after, finished_after


def stock_of(row: Sequence[Any]) -> Stock:
    """Read the one row of `SQL`."""
    return Stock(
        files=int(row[0]), attempts=int(row[1]), bytes=int(row[2]), waiting=int(row[3]), waiting_since=row[4],
        newest=row[5],
    )  # fmt: skip


def stock_in(store: StoreReader, *, now: int, finished_after: int) -> Stock | None:
    """Return how the archive of a store stands; None where the store is of an older version."""
    if not store.has_column("archive_days", "first_seq"):
        return None
    return stock_of(store.rows(SQL, parameters(now=now, finished_after=finished_after))[0])
