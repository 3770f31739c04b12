"""Many rows at once, a column at a time: the same records as `Layout.read` makes, at a third of the cost.

Most values of a column are the same few (users, partitions, states, TRES lists) or come in runs (times), so each
column remembers what it has read, and the loops over it run in C. Anything out of the ordinary in a batch, one
value that cannot be parsed or is no UTF-8, and the batch is read row by row instead: `Layout.read` alone decides
what a row means, and a test holds this module against it.
"""

from collections.abc import Callable, Sequence
from typing import Any

from slurmwatchd.records import JobRecord, Rejected
from slurmwatchd.sources import grammar
from slurmwatchd.sources.fields import EMPTY, SLOT, TEXT, Layout, Reader, Reading, digest_of
from slurmwatchd.sources.framing import Columns

_VARIOUS = {
    **dict.fromkeys(("start", "eligible", "end"), grammar.NATURAL_DIGITS),
    "elapsed_seconds": 9,
}
"""Numbers that differ from row to row, so that reading them anew costs less than looking them up; with up to how
many digits they are just what they look like (`NO_VAL` has ten)."""

MEMO_VALUES = 20_000
"""How many values a column remembers before it begins anew: bounds memory, not correctness."""


class Memo(dict[bytes, Any]):
    """Values of one column that were read before; absent is None."""

    def __init__(self, read: Callable[[bytes], Any], absent: Any = None) -> None:  # noqa: ANN401 - any value
        """Remember what `read` returns; an empty value is `absent`."""
        super().__init__({b"": absent})
        self._read = read
        self._absent = absent

    def __missing__(self, value: bytes) -> Any:  # noqa: ANN401 - any value
        """Read a value for the first time; ValueError goes up to the caller of the whole column."""
        result = self._read(value)
        if len(self) >= MEMO_VALUES:
            self.clear()
            self[b""] = self._absent
        self[value] = result
        return result

    def column(self, values: list[bytes]) -> list[Any]:
        """Read a column."""
        return list(map(self.__getitem__, values))


class ColumnReader:
    """Reads batches of rows by a layout."""

    def __init__(self, layout: Layout) -> None:
        """Prepare; what is remembered lives as long as this reader."""
        self._layout = layout
        self._plain = tuple((index, slot, _reader(slot, read)) for index, slot, read in layout.plan)
        self._wide = tuple((index, place, Memo(read, tuple(EMPTY[place]))) for index, place, read in layout.wide)

    def read(self, columns: Columns) -> tuple[list[Reading], list[Rejected]]:
        """Read rows, in order; see `Layout.read` for what becomes of each.

        Args:
            columns: One list a field of the layout, all of one length, as `RowReader.feed` gives them.

        Returns:
            The rows that can be keyed, and the others.
        """
        if not columns[0]:
            return [], []
        try:
            return self._read_alike(columns), []
        except ValueError:
            # A value that is out of the ordinary: rare, and its neighbours in the batch are few.
            read = [self._layout.read(row) for row in zip(*columns, strict=True)]
        return (
            [reading for reading in read if isinstance(reading, Reading)],
            [row for row in read if isinstance(row, Rejected)],
        )

    def _read_alike(self, columns: Columns) -> list[Reading]:
        """Read rows of which every value is as it should be.

        Raises:
            ValueError: One is not.
        """
        count = len(columns[0])
        slots: list[Sequence[Any]] = [(value,) * count for value in EMPTY]
        cluster, job_id_raw, submit, job_id = columns[:4]
        if b"" in cluster:
            raise ValueError("a row without a cluster")
        slots[SLOT["cluster"]] = _texts(cluster)
        slots[SLOT["job_id_raw"]] = _naturals(job_id_raw)
        slots[SLOT["submit"]] = _naturals(submit)
        for index, slot, read in self._plain:
            if any(columns[index]):
                slots[slot] = read(columns[index])
        for index, place, wide in self._wide:
            if any(columns[index]):
                slots[place] = zip(*wide.column(columns[index]), strict=True)
        self._amend(slots, [value.decode() for value in job_id])
        records = map(JobRecord._make, zip(*slots, strict=True))
        digests = map(digest_of, zip(*(columns[index] for index in self._layout.digested), strict=True))
        return list(map(Reading, records, digests))

    @staticmethod
    def _amend(slots: list[Sequence[Any]], job_ids: list[str]) -> None:
        """Read what several fields say together, as `Layout.read` does."""
        slots[SLOT["job_id"]] = job_ids
        if not all(map(str.isdigit, job_ids)):
            first = SLOT["array_job_id"]
            slots[first : first + grammar.JOB_ID_WIDTH] = zip(*map(grammar.job_id, job_ids), strict=True)
        nodes, start = SLOT["node_list"], SLOT["start"]
        never = [text is grammar.NO_NODES for text in slots[nodes]]
        if any(never):
            for slot in (start, nodes):
                slots[slot] = [None if no else value for value, no in zip(slots[slot], never, strict=True)]


def _reader(slot: int, read: Reader) -> Callable[[list[bytes]], list[Any]]:
    """Return what reads a whole column as `read` does a value."""
    if read is TEXT:
        return _texts
    if read is grammar.digits:
        return _digits
    memo, most_digits = Memo(read), _VARIOUS.get(JobRecord._fields[slot])
    if most_digits is None:
        return memo.column
    return lambda values: list(map(int, values)) if _are_naturals(values, most_digits) else memo.column(values)


def _texts(values: list[bytes]) -> list[str | None]:
    """Decode a column; raises UnicodeDecodeError where one is no UTF-8."""
    return [text or None for text in map(bytes.decode, values)]


def _digits(values: list[bytes]) -> list[str | None]:
    """Read a column of numbers of any size as text; raises ValueError where one is none."""
    if not all(map(bytes.isdigit, filter(None, values))):
        raise ValueError("not a column of numbers")
    return _texts(values)


def _are_naturals(values: list[bytes], most_digits: int) -> bool:
    """Tell whether a column holds nothing but natural numbers of so many digits."""
    return all(map(bytes.isdigit, values)) and max(map(len, values)) <= most_digits


def _naturals(values: list[bytes]) -> list[int]:
    """Read a column of ids or times that must all be there."""
    if not _are_naturals(values, grammar.NATURAL_DIGITS):
        raise ValueError("not a column of natural numbers")
    return list(map(int, values))
