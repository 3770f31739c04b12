"""Keys of the store's attempts in a long answer: what expires before it is read is in the archive by then.

An answer has row ids, and whose row one was cannot be asked once it is gone.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence

from slurmwatchd.store.archive.arrow import Key
from slurmwatchd.store.archive.horizon import Day
from slurmwatchd.store.json_array import IN_ARRAY, json_array
from slurmwatchd.store.read.reader import StoreReader

_STEP = 10_000

# An attempt without an end is in the file of the day of its submission.
_KEYS = (
    'SELECT id, job_id_raw, submit, coalesce("end", submit) / 86400, cluster FROM jobs '  # noqa: S608 - a constant
    f"WHERE id {IN_ARRAY} ORDER BY id"
)


class KeptKeys:
    """Key and day of some attempts, 40 bytes each."""

    def __init__(self, store: StoreReader, ids: Iterable[int]) -> None:
        """Read them from the store; ids of the archive's rows are passed over.

        Raises:
            StoreBusyError: The store cannot be read now.
            StoreError: It cannot be read at all.
        """
        self._rows, self._jobs, self._submits, self._days = (array("q") for _ in range(4))
        self._clusters: list[str] = []
        names: dict[str, str] = {}
        wanted = array("q", sorted(job for job in ids if job >= 0))
        for begin in range(0, len(wanted), _STEP):
            found = list(store.each(_KEYS, (json_array(wanted[begin : begin + _STEP]),)))
            if not found:
                continue
            *numbers, clusters = zip(*found, strict=True)
            for column, values in zip((self._rows, self._jobs, self._submits, self._days), numbers, strict=True):
                column.extend(values)
            # One text for all rows of a cluster.
            self._clusters += [names.setdefault(name, name) for name in clusters]

    def by_day(self, ids: Sequence[int]) -> dict[Day, dict[Key, int]]:
        """Return the keys of some row ids, and which one each has, by the day whose file has them."""
        found: dict[Day, dict[Key, int]] = {}
        for job in ids:
            place = bisect_left(self._rows, job)
            if place < len(self._rows) and self._rows[place] == job:
                day = self._clusters[place], self._days[place]
                found.setdefault(day, {})[self._jobs[place], self._submits[place]] = job
        return found
