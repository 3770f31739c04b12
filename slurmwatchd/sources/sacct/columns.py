"""Many rows at once, a column at a time: the same readings as `Layout.read` makes, at a fraction of the cost.

Most values of a column are the same few (users, partitions, states, TRES lists), so each column remembers what it
has read, and what that is on the wire, and the loops over it run in C. Values go from sacct's text to the wire in
one step: whole records are made only for who asks for them. Anything out of the ordinary in a batch, one value
that cannot be parsed or is no UTF-8, and the batch is read row by row instead: `Layout.read` alone decides what a
row means, and a test holds this module against it.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson

from slurmwatchd.model import formats
from slurmwatchd.model.attempts import COLUMNS, NOTHING, Reading, Readings
from slurmwatchd.model.clock import EARLIEST
from slurmwatchd.model.formats import Piece
from slurmwatchd.model.records import JobRecord, Rejected
from slurmwatchd.sources import crosschecks
from slurmwatchd.sources.sacct import grammar
from slurmwatchd.sources.sacct.fields import DIGEST_BETWEEN, EMPTY, SLOT, TEXT, Layout, Reader, digests_of
from slurmwatchd.sources.sacct.framing import Columns

_FIELDS = JobRecord._fields
_CLUSTER, _JOB_ID_RAW, _SUBMIT, _JOB_ID = range(4)
_FROM_JOB_ID = _FIELDS[SLOT["array_job_id"] : SLOT["array_job_id"] + grammar.JOB_ID_WIDTH]
_NO_NODES = grammar.NO_NODES.encode()
_LATEST = 10**grammar.NATURAL_DIGITS - 1
_BETWEEN_TEXTS = b"\x7f"
"""Stands as it is in JSON, and hardly ever in what people write."""
_WRITE_RAW = formats.member("raw")

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

    @property
    def is_various(self) -> bool:
        """Whether remembering costs more than reading: names and command lines."""
        return self._missed * 2 > self._asked > _TRIED_VALUES

    def column(self, values: Sequence[bytes]) -> list[Any]:
        """Read a column."""
        if self.is_various:
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
        self.index = index
        self.field = field
        self._is_kept = field in COLUMNS
        self._head = formats.head(field)
        write, absent = formats.member(field), EMPTY[SLOT[field]]
        self._values = Memo(read, absent)
        self._members = Memo(lambda value: write(read(value)), write(absent))

    def read(self, texts: Piece, count: int, values: Values) -> Sequence[Piece]:
        """Read a column into `values`, where it is kept, and return what it is in the bodies.

        Args:
            texts: As sacct printed them, or what it printed in every row.
            count: How many rows there are.
            values: Is added to.

        Raises:
            ValueError: A value is not as it should be.
        """
        if isinstance(texts, bytes):
            if self._is_kept:
                values[self.field] = [self._values[texts]] * count
            return [self._members[texts]]
        return self._read_each(texts, values)

    def _read_each(self, texts: Sequence[bytes], values: Values) -> Sequence[Piece]:
        if self._is_kept:
            values[self.field] = self._values.column(texts)
        return [self._members.column(texts)]


class _Digits(_Source):
    """Text that is most often a number, and no two rows have the same."""

    def _read_each(self, texts: Sequence[bytes], values: Values) -> Sequence[Piece]:
        if not all(map(bytes.isdigit, texts)):
            return super()._read_each(texts, values)
        if self._is_kept:
            values[self.field] = list(map(bytes.decode, texts))
        return [self._head + b'"', texts, b'"']


class _Text(_Source):
    """Text that people write, or that no two rows have the same of."""

    def _read_each(self, texts: Sequence[bytes], values: Values) -> Sequence[Piece]:
        if not self._is_kept and self._members.is_various and all(texts) and not self._has_none(texts):
            written = orjson.dumps(_BETWEEN_TEXTS.join(texts).decode())[1:-1].split(_BETWEEN_TEXTS)
            if len(written) == len(texts):
                return [self._head + b'"', written, b'"']
        return super()._read_each(texts, values)

    @staticmethod
    def _has_none(texts: Sequence[bytes]) -> bool:
        """Tell whether one of these, not empty, says that there is none."""
        del texts
        return False


class _Sluids(_Text):
    """Names that Slurm makes, one of which is none."""

    @staticmethod
    def _has_none(texts: Sequence[bytes]) -> bool:
        return grammar.ZERO_SLUID in texts


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

    def _read_each(self, texts: Sequence[bytes], values: Values) -> Sequence[Piece]:
        return [] if all(map(bytes.isdigit, texts)) else super()._read_each(texts, values)


class _Lists(_Source):
    """Lists of amounts: one that cannot be read costs itself, and its row is read like any other.

    From the first such list on each is remembered with what of it cannot be read; before, that costs nothing.
    """

    def __init__(self, index: int, field: str, read: Reader) -> None:
        super().__init__(index, field, read)
        self._read, self._write = read, formats.member(field)
        self._both: Memo | None = None
        self.unread: Sequence[str | None] = ()
        """Of the rows read last, where there is any."""

    def read(self, texts: Piece, count: int, values: Values) -> Sequence[Piece]:
        self.unread = ()
        if self._both is None:
            try:
                return super().read(texts, count, values)
            except grammar.PartlyReadError:
                self._both = Memo(self._read_both, (self._write(EMPTY[SLOT[self.field]]), None))
        pairs = [self._both[texts]] * count if isinstance(texts, bytes) else self._both.column(texts)
        unread = [text for _, text in pairs]
        if any(unread):
            self.unread = unread
        return [[member for member, _ in pairs]]

    def _read_both(self, value: bytes) -> tuple[bytes, str | None]:
        try:
            return self._write(self._read(value)), None
        except grammar.PartlyReadError as error:
            return self._write(error.read or None), error.unread


class _Numbers(_Source):
    """Numbers that differ from row to row, and mean just what they look like."""

    def __init__(self, index: int, field: str, read: Reader, most_digits: int) -> None:
        """Take what has up to so many digits for a number."""
        super().__init__(index, field, read)
        self._most_digits = most_digits

    def _read_each(self, texts: Sequence[bytes], values: Values) -> Sequence[Piece]:
        if not all(map(bytes.isdigit, texts)) or max(map(len, texts)) > self._most_digits:
            return super()._read_each(texts, values)
        numbers = _whole(texts)
        if self._is_kept:
            values[self.field] = numbers
        return [self._head, texts]


class _Times(_Source):
    """Times; words for there being none stand among them."""

    def __init__(self, index: int, field: str, read: Reader) -> None:
        super().__init__(index, field, read)
        self._earliest = EARLIEST if read is grammar.moment else 0

    def _read_each(self, texts: Sequence[bytes], values: Values) -> Sequence[Piece]:
        present = list(filter(bytes.isdigit, texts))
        known = _whole(present)
        if known and not self._earliest <= min(known) <= max(known) <= _LATEST:
            return super()._read_each(texts, values)
        times: Sequence[int | None] = known
        head, moments = self._head, formats.moments(known)
        pieces: Sequence[Piece] = [head, moments]
        if len(present) < len(texts):
            numbers, written = iter(known), iter(moments)
            times = [next(numbers) if text.isdigit() else self._values[text] for text in texts]
            pieces = [[head + next(written) if text.isdigit() else self._members[text] for text in texts]]
        if self._is_kept:
            values[self.field] = times
        return pieces


class ColumnReader:
    """Reads batches of rows by a layout."""

    def __init__(self, layout: Layout) -> None:
        """Prepare; what is remembered lives as long as this reader."""
        self._layout = layout

        def source(index: int, field: str, read: Reader) -> _Source:
            if field in formats.TIME_FIELDS:
                return _Times(index, field, read)
            if field == "elapsed_seconds":
                return _Numbers(index, field, read, grammar.SECONDS_DIGITS)
            if read is TEXT:
                return _Text(index, field, read)
            if read is grammar.sluid:
                return _Sluids(index, field, read)
            if read in {grammar.tres, grammar.licenses}:
                return _Lists(index, field, read)
            return (_Digits if read is grammar.digits else _Source)(index, field, read)

        sources = [
            _Source(_CLUSTER, "cluster", TEXT),
            _Digits(_JOB_ID, "job_id", TEXT),
            _Numbers(_JOB_ID_RAW, "job_id_raw", grammar.natural, grammar.NATURAL_DIGITS),
            _JobIds(),
            _Times(_SUBMIT, "submit", grammar.natural),
            *(source(index, _FIELDS[slot], read) for index, slot, read in layout.plan),
            *(_Wide(index, _FIELDS[slots], read) for index, slots, read in layout.wide),
        ]
        self._sources = sorted(sources, key=lambda source: SLOT[source.field])
        self._lists = [source for source in self._sources if isinstance(source, _Lists)]
        places = {_FIELDS[slot]: index for index, slot, _ in layout.plan}
        self._start, self._node_list = places.get("start"), places.get("node_list")
        self._alloc_tres = places.get("alloc_tres")
        self._name, self._partition = places.get("name"), places.get("partition")

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
        if not all(all(columns[index]) for index in (_CLUSTER, _JOB_ID_RAW, _SUBMIT, _JOB_ID)):
            raise ValueError("a row without a key")
        if self._name is not None and self._partition is not None:
            crosschecks.check_started(columns[self._name], columns[self._partition])
        count = len(columns[0])
        texts = list(map(_folded, columns))
        digested = formats.merged((texts[index] for index in self._layout.digested), count, between=DIGEST_BETWEEN)
        digests = digests_of(zip(*digested, strict=True))
        for index, amended in self._amended(columns):
            texts[index] = _folded(amended)
        values: Values = {field: [EMPTY[SLOT[field]]] * count for field in COLUMNS}
        readings = Readings(values, digests, formats.joined(self._pieces(texts, count, values), count))
        if self._alloc_tres is not None:
            crosschecks.check_energy(columns[self._alloc_tres], values)
        return readings

    def _pieces(self, texts: Sequence[Piece], count: int, values: Values) -> Iterator[Piece]:
        """Read each column into `values`, and give what it is in the bodies; last what cannot be read of lists."""
        for source in self._sources:
            yield from source.read(texts[source.index], count, values)
        lists = [(self._layout.fields[source.index], source.unread) for source in self._lists if source.unread]
        if lists:
            names = [name for name, _ in lists]
            raw = [
                {name: text for name, text in zip(names, row, strict=True) if text is not None} or None
                for row in zip(*(unread for _, unread in lists), strict=True)
            ]
            values["raw"] = raw
            yield list(map(_WRITE_RAW, raw))

    def _amended(self, columns: Columns) -> Iterator[tuple[int, list[bytes]]]:
        """Give the columns of which something is not so, as `Layout.read` does: what got no node never started."""
        start, node_list = self._start, self._node_list
        if node_list is None or _NO_NODES not in columns[node_list]:
            return
        nodes = columns[node_list]
        yield node_list, [b"" if text == _NO_NODES else text for text in nodes]
        if start is not None:
            starts = list(zip(columns[start], nodes, strict=True))
            for begun in {begun for begun, text in starts if begun and text == _NO_NODES}:
                grammar.moment(begun)
            yield start, [b"" if text == _NO_NODES else begun for begun, text in starts]


def _folded(texts: list[bytes]) -> Piece:
    """Return what stands in every row, where that is the same."""
    first = texts[0]
    return first if first == texts[-1] and texts.count(first) == len(texts) else texts


def _whole(texts: Sequence[bytes]) -> list[int]:
    """Read digits as numbers, all of them at once.

    Raises:
        ValueError: One begins with a zero, as no number that Slurm writes.
    """
    numbers: list[int] = orjson.loads(b"[%b]" % b",".join(texts))
    return numbers
