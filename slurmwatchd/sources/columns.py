"""Many rows at once, a column at a time: the same readings as `Layout.read` makes, at a fraction of the cost.

Most values of a column are the same few (users, partitions, states, TRES lists), so each column remembers what it
has read, and what that is on the wire, and the loops over it run in C. Values go from sacct's text to the wire in
one step: whole records are made only for who asks for them. Anything out of the ordinary in a batch, one value
that cannot be parsed or is no UTF-8, and the batch is read row by row instead: `Layout.read` alone decides what a
row means, and a test holds this module against it.
"""

from collections.abc import Callable, Sequence
from typing import Any

from slurmwatchd import formats
from slurmwatchd.readings import COLUMNS, NOTHING, Reading, Readings
from slurmwatchd.records import JobRecord, Rejected
from slurmwatchd.sources import grammar
from slurmwatchd.sources.fields import EMPTY, SLOT, TEXT, Layout, Reader, digests_of
from slurmwatchd.sources.framing import Columns

_FIELDS = JobRecord._fields
_CLUSTER, _JOB_ID_RAW, _SUBMIT, _JOB_ID = range(4)
_FROM_JOB_ID = _FIELDS[SLOT["array_job_id"] : SLOT["array_job_id"] + grammar.JOB_ID_WIDTH]
_NO_NODES = grammar.NO_NODES.encode()
_VARIOUS = {**dict.fromkeys(("start", "eligible", "end"), grammar.NATURAL_DIGITS), "elapsed_seconds": 9}

MEMO_VALUES = 20_000
"""How many values a column remembers before it begins anew: bounds memory, not correctness."""

_TRIED_VALUES = 1000
"""Before so many it is not known whether a column's values come again."""


class Memo(dict[bytes, Any]):
    """What the values of one column mean."""

    def __init__(self, read: Callable[[bytes], Any], absent: Any = None) -> None:  # noqa: ANN401 - any value
        """Remember what `read` returns; an empty value is `absent`."""
        super().__init__()
        self._read = read
        self._absent = absent
        self._asked = self._missed = 0

    def __missing__(self, value: bytes) -> Any:  # noqa: ANN401 - any value
        """Read a value for the first time; ValueError goes up to the caller of the whole column."""
        result = self._read(value) if value else self._absent
        self._missed += 1
        if len(self) >= MEMO_VALUES:
            self.clear()
        self[value] = result
        return result

    def column(self, values: list[bytes]) -> list[Any]:
        """Read a column."""
        if self._missed * 2 > self._asked > _TRIED_VALUES:
            # Names and command lines: remembering them costs more than reading them.
            self.clear()
            read, absent = self._read, self._absent
            return [read(value) if value else absent for value in values]
        self._asked += len(values)
        return list(map(self.__getitem__, values))


Values = dict[str, Sequence[Any]]
"""Field of the record to the values of each row, for those in `COLUMNS`."""


class _Source:
    """One of sacct's fields that fills one of the record."""

    def __init__(self, index: int, field: str, read: Reader) -> None:
        """Read the column at `index` with `read`, see `grammar`."""
        self._index = index
        self._is_kept = field in COLUMNS
        self.field = field
        write, absent = formats.member(field), EMPTY[SLOT[field]]
        self._values = Memo(read, absent)
        self._members = Memo(lambda value: write(read(value)), write(absent))

    def read(self, columns: Columns, values: Values) -> Sequence[bytes]:
        """Read a column into `values`, where it is kept, and return what it is in the body of each row.

        Raises:
            ValueError: A value is not as it should be.
        """
        texts = columns[self._index]
        if self._is_kept:
            values[self.field] = self._values.column(texts)
        return self._members.column(texts)


class _Digits(_Source):
    """Text that is most often a number, and no two rows have the same."""

    def __init__(self, index: int, field: str, read: Reader) -> None:
        super().__init__(index, field, read)
        self._head = formats.head(field)

    def read(self, columns: Columns, values: Values) -> Sequence[bytes]:
        texts = columns[self._index]
        if not all(map(bytes.isdigit, texts)):
            return super().read(columns, values)
        if self._is_kept:
            values[self.field] = list(map(bytes.decode, texts))
        head = self._head
        return [b'%b"%b"' % (head, text) for text in texts]


class _Wide(_Source):
    """One of sacct's fields that fills several of the record, which stand beside one another there."""

    def __init__(self, index: int, fields: Sequence[str], read: Reader) -> None:
        super().__init__(index, fields[0], read)
        writers, absent = tuple(map(formats.member, fields)), tuple(EMPTY[SLOT[field]] for field in fields)

        def written(parts: Sequence[Any]) -> bytes:
            return b"".join([write(part) for write, part in zip(writers, parts, strict=True)])

        # Of these the state alone is kept, and it comes first.
        self._values = Memo(lambda value: read(value)[0], absent[0])
        self._members = Memo(lambda value: written(read(value)), written(absent))


class _JobIds(_Wide):
    """What job ids say of arrays and heterogeneous jobs; of plain jobs they say nothing."""

    def __init__(self) -> None:
        super().__init__(_JOB_ID, _FROM_JOB_ID, lambda value: grammar.job_id(value.decode()))

    def read(self, columns: Columns, values: Values) -> Sequence[bytes]:
        ids = columns[_JOB_ID]
        return [b""] * len(ids) if all(map(bytes.isdigit, ids)) else super().read(columns, values)


class _Numbers(_Source):
    """Numbers that differ from row to row, so that reading them anew costs less than looking them up."""

    def __init__(self, index: int, field: str, read: Reader, most_digits: int) -> None:
        """Take what has up to so many digits for just what it looks like (`NO_VAL` has ten)."""
        super().__init__(index, field, read)
        self._most_digits = most_digits
        self._head = formats.head(field)
        self._write = formats.member(field) if field in formats.TIME_FIELDS else None

    def read(self, columns: Columns, values: Values) -> Sequence[bytes]:
        texts = columns[self._index]
        if not all(map(bytes.isdigit, filter(None, texts))) or max(map(len, texts)) > self._most_digits:
            numbers = self._values.column(texts)
        else:
            numbers = list(map(int, texts)) if all(texts) else [int(text) if text else None for text in texts]
        if self._is_kept:
            values[self.field] = numbers
        if self._write is not None:
            return list(map(self._write, numbers))
        head = self._head
        return [b"" if number is None else b"%b%d" % (head, number) for number in numbers]


class _KeyNumbers(_Numbers):
    """Ids or times that must all be there."""

    def __init__(self, index: int, field: str) -> None:
        super().__init__(index, field, grammar.natural, grammar.NATURAL_DIGITS)

    def read(self, columns: Columns, values: Values) -> Sequence[bytes]:
        if not all(columns[self._index]):
            raise ValueError(f"a row without {self.field}")
        return super().read(columns, values)


class ColumnReader:
    """Reads batches of rows by a layout."""

    def __init__(self, layout: Layout) -> None:
        """Prepare; what is remembered lives as long as this reader."""
        self._layout = layout
        sources = [
            _Source(_CLUSTER, "cluster", TEXT),
            _Digits(_JOB_ID, "job_id", TEXT),
            _KeyNumbers(_JOB_ID_RAW, "job_id_raw"),
            _JobIds(),
            _KeyNumbers(_SUBMIT, "submit"),
            *(_source(index, _FIELDS[slot], read) for index, slot, read in layout.plan),
            *(_Wide(index, _FIELDS[slots], read) for index, slots, read in layout.wide),
        ]
        self._sources = sorted(sources, key=lambda source: SLOT[source.field])
        places = {_FIELDS[slot]: index for index, slot, _ in layout.plan}
        self._start, self._node_list = places.get("start"), places.get("node_list")

    def read(self, columns: Columns) -> tuple[Readings, list[Rejected]]:
        """Read rows, in order; see `Layout.read` for what becomes of each.

        Args:
            columns: One list a field of the layout, all of one length, as `RowReader.feed` gives them.

        Returns:
            The rows that can be keyed, and the others.
        """
        if not columns[0]:
            return NOTHING, []
        try:
            return self._read_alike(columns), []
        except ValueError:
            # A value that is out of the ordinary: rare, and its neighbours in the batch are few.
            read = [self._layout.read(row) for row in zip(*columns, strict=True)]
        return (
            Readings.of(reading for reading in read if isinstance(reading, Reading)),
            [row for row in read if isinstance(row, Rejected)],
        )

    def _read_alike(self, columns: Columns) -> Readings:
        """Read rows of which every value is as it should be; writing them looks at all of them.

        Raises:
            ValueError: One is not.
        """
        if not all(columns[_CLUSTER]) or not all(columns[_JOB_ID]):
            raise ValueError("a row without a cluster or a job id")
        digests = digests_of(zip(*(columns[index] for index in self._layout.digested), strict=True))
        columns = self._amended(columns)
        values: Values = {field: [EMPTY[SLOT[field]]] * len(digests) for field in COLUMNS}
        members = [source.read(columns, values) for source in self._sources]
        return Readings(values, digests, formats.joined(members))

    def _amended(self, columns: Columns) -> Columns:
        """Take out what is not so, as `Layout.read` does: what never got a node never started."""
        start, node_list = self._start, self._node_list
        if node_list is None or _NO_NODES not in columns[node_list]:
            return columns
        nodes, columns = columns[node_list], columns.copy()
        columns[node_list] = [b"" if text == _NO_NODES else text for text in nodes]
        if start is not None:
            starts = list(zip(columns[start], nodes, strict=True))
            for begun in {begun for begun, text in starts if begun and text == _NO_NODES}:
                grammar.epoch(begun)
            columns[start] = [b"" if text == _NO_NODES else begun for begun, text in starts]
        return columns


def _source(index: int, field: str, read: Reader) -> _Source:
    if field in _VARIOUS:
        return _Numbers(index, field, read, _VARIOUS[field])
    return _Digits(index, field, read) if read is grammar.digits else _Source(index, field, read)
