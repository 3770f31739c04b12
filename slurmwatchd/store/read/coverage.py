"""What was read of each hour of end times: the ledger's stretches, and the readings behind them, by the hour."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from slurmwatchd.model.ledger import Ledger
from slurmwatchd.model.records import FoundBy
from slurmwatchd.model.sums import HOUR
from slurmwatchd.store.read.reader import StoreReader
from slurmwatchd.store.read.status import ClusterProgress

# A reading of ends is made after them, so the index of moments bounds the walk. Open jobs have no ends.
_READINGS = (
    f'SELECT start / {HOUR}, ("end" - 1) / {HOUR}, (start + "end") / 2 / {HOUR}, count(*), '  # noqa: S608 - constants
    f"total(CASE WHEN found_by = '{FoundBy.REREAD}' THEN new END) FROM ledger "
    f"WHERE cluster = ? AND read_at >= ? AND \"end\" > ? AND start < ? AND found_by != '{FoundBy.OPEN_SET}' "
    "GROUP BY 1, 2, 3"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HourRead:
    """An hour of end times, as far as it is over and not before the horizon.

    Attributes:
        hour: Its beginning, epoch seconds.
        seconds: How much of it is to be read.
        read_seconds: How much of that was read.
        read_at: The oldest of the last readings of its parts, epoch seconds; None where nothing was read.
        readings: How many complete answers of sacct were about it, as far as the store still has them.
        found_late: How many attempts only a re-read found; they count in the hour in the re-read's middle.
    """

    hour: int
    seconds: int
    read_seconds: int
    read_at: int | None
    readings: int
    found_late: int


def hours(store: StoreReader, reading: ClusterProgress, since: int, until: int, *, now: int) -> list[HourRead]:
    """Return each hour of a cluster, the oldest first.

    Args:
        store: The store.
        reading: How far the cluster is read.
        since: From the hour of this moment on, epoch seconds; hours that end before the horizon are left out.
        until: Up to the hour that has this moment's last second, and to `now`.
        now: Epoch seconds.

    Raises:
        StoreBusyError: The file cannot be read now.
    """
    ledger = reading.ledger
    first = max(since, min([ledger.horizon, *(stretch.start for stretch in ledger.stretches[:1])]))
    first -= first % HOUR
    last = min(until, now)
    readings: dict[int, int] = defaultdict(int)
    late: dict[int, float] = defaultdict(float)
    for begin, end, middle, count, new in store.rows(_READINGS, (reading.cluster, first, first, last)):
        for hour in range(max(begin, first // HOUR), min(end, last // HOUR) + 1):
            readings[hour] += count
        late[middle] += new
    return [
        HourRead(
            hour=begin,
            seconds=end - start,
            read_seconds=seconds,
            read_at=read_at,
            readings=readings[begin // HOUR],
            found_late=int(late[begin // HOUR]),
        )
        for begin, start, end, seconds, read_at in _stretches(ledger, first, last)
        if end > start
    ]


def _stretches(ledger: Ledger, first: int, last: int) -> Iterator[tuple[int, int, int, int, int | None]]:
    """Give each hour: its beginning, what of it counts, how much was read, and the oldest of the readings."""
    stretches = iter(ledger.stretches)
    stretch = next(stretches, None)
    for begin in range(first, last, HOUR):
        end = min(begin + HOUR, last)
        seconds, read_at = 0, None
        while stretch is not None and stretch.start < begin + HOUR:
            common = min(stretch.end, end) - max(stretch.start, begin)
            if common > 0:
                seconds += common
                read_at = stretch.read_at if read_at is None else min(read_at, stretch.read_at)
            if stretch.end > begin + HOUR:
                break
            stretch = next(stretches, None)
        # Before the horizon only what a backfill has read is to be read at all.
        start = begin if begin >= ledger.horizon else max(begin, min(ledger.horizon, end - seconds))
        yield begin, start, end, seconds, read_at
