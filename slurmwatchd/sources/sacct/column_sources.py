"""One column of sacct's rows, from its text to what stands in the records, at once.

Most values of a column are the same few (users, partitions, states, TRES lists), so each column remembers what it
has read, and what that is on the wire, and the loops over it run in C. Values go from sacct's text to the wire in
one step: whole records are made only for who asks for them. A value that cannot be read costs itself alone: it is
absent, or what can be read of it, and its text is handed back.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import compress
from operator import itemgetter
from typing import Any

import orjson

from slurmwatchd.model import formats
from slurmwatchd.model.attempts import COLUMNS
from slurmwatchd.model.clock import EARLIEST
from slurmwatchd.model.formats import Piece
from slurmwatchd.model.records import JobRecord
from slurmwatchd.sources.sacct import grammar
from slurmwatchd.sources.sacct.fields import EMPTY, SLOT, ValueReader

_FROM_JOB_ID = JobRecord._fields[SLOT["array_job_id"] : SLOT["array_job_id"] + grammar.JOB_ID_WIDTH]
_PLAIN = (None,) * grammar.JOB_ID_WIDTH
_LATEST = 10**grammar.NATURAL_DIGITS - 1
_TIME_DIGITS = 10
_ID_WIDTH = 18
"""`grammar.job_id` reads numbers of as many digits."""

_WIDTH = len(b"HH:MM:SS")
_SECONDS = {b":%02d" % second: second for second in range(60)}
_BETWEEN_TEXTS = b"\x7f"
"""Stands as it is in JSON, and hardly ever in what people write."""

MEMO_VALUES = 20_000
"""How many values a column remembers before it begins anew: bounds memory, not correctness."""

MEMO_BYTES = 1024
"""Longer values are not remembered: command lines of 60 KB, each its own, came to 2.6 GB."""

_TRIED_VALUES = 1000
"""Before so many it is not known whether a column's values come again."""

Values = dict[str, Sequence[Any]]
"""Field of the record to the values of each row, for those in `COLUMNS`."""


def understood(read: ValueReader, value: bytes) -> tuple[Any, str | None]:
    """Read a value that is not empty.

    Returns:
        What can be read of it, None where that is nothing; and the text of what cannot, if anything.
    """
    try:
        return read(value), None
    except grammar.PartlyReadError as error:
        return error.read or None, error.unread
    except ValueError:
        return None, grammar.text(value)


_NOWHERE: Mapping[int, str] = {}


class Memo(dict[bytes, Any]):
    """What the values of one column mean."""

    def __init__(self, read: ValueReader, absent: Any = None, write: Callable[[Any], Any] | None = None) -> None:  # noqa: ANN401 - any value
        """Remember what `read` returns, or what `write` makes of that; an empty value is `absent` to it."""
        super().__init__()
        self._read = read
        self._write = write
        # Plain decoding costs half; text that is no UTF-8 is read again.
        quick: ValueReader = bytes.decode if read is grammar.text else read
        self._made = quick if write is None else lambda value: write(quick(value))
        self._nothing = absent
        self._absent = absent if write is None else write(absent)
        self._asked = self._missed = 0
        self._is_odd = False
        self.unread: dict[bytes, str] = {}
        """The values that cannot be read, in whole or in part, to what of them cannot."""

    def __missing__(self, value: bytes) -> Any:  # noqa: ANN401 - any value
        """Read a value for the first time."""
        self._missed += 1
        if len(self) >= MEMO_VALUES:
            self.clear()
        try:
            result = self._made(value) if value else self._absent
        except ValueError:
            result = self._salvaged(value)
        if len(value) <= MEMO_BYTES:
            self[value] = result
        return result

    @property
    def is_various(self) -> bool:
        """Whether remembering costs more than reading: names and command lines."""
        return self._missed * 2 > self._asked > _TRIED_VALUES

    def column(self, values: Sequence[bytes]) -> list[Any]:
        """Read a column."""
        if not self.is_various:
            self._asked += len(values)
            return list(map(self.__getitem__, values))
        self._forget()
        made, absent = self._made, self._absent
        if not self._is_odd:
            try:
                return [made(value) if value else absent for value in values]
            except ValueError:
                # There will be more of them.
                self._is_odd = True
        return [self._salvaged(value) if value else absent for value in values]

    def unread_in(self, values: Piece, count: int) -> Mapping[int, str]:
        """Return what cannot be read in a column that has just been read, by the row's place."""
        unread = self.unread
        if not unread:
            return _NOWHERE
        if isinstance(values, bytes):
            found = dict.fromkeys(range(count), unread[values]) if values in unread else _NOWHERE
        elif unread.keys().isdisjoint(values):
            found = _NOWHERE
        else:
            found = {place: unread[value] for place, value in enumerate(values) if value in unread}
        if len(unread) >= MEMO_VALUES:
            self._forget()
        return found

    def _forget(self) -> None:
        self.clear()
        self.unread.clear()

    def _salvaged(self, value: bytes) -> Any:  # noqa: ANN401 - any value
        try:
            return self._made(value)
        except ValueError:
            read, unread = understood(self._read, value)
        if unread is not None:
            self.unread[value] = unread
        if read is None:
            read = self._nothing
        return read if self._write is None else self._write(read)


class Source:
    """One of sacct's fields that fills one of the record."""

    def __init__(self, index: int, field: str, reader: ValueReader, absent: Any = None) -> None:  # noqa: ANN401 - any value
        """Read the column at `index` with `reader`, see `grammar`; where it is empty, the field is `absent`."""
        self.index = index
        self.field = field
        self.fields: Sequence[str] = (field,)
        self.reader = reader
        self._is_kept = field in COLUMNS
        self._head = formats.head(field)
        self._values = Memo(reader, absent)
        self._remember_by(Memo(reader, absent, formats.member(field)))

    def _remember_by(self, members: Memo) -> None:
        self._members = members
        self.unread: Mapping[bytes, str] = members.unread
        """The values of this column met so far that cannot be read, in whole or in part."""

    def read(self, texts: Piece, count: int, values: Values) -> Sequence[Piece]:
        """Read a column into `values`, where it is kept, and return what it is in the bodies.

        Args:
            texts: As sacct printed them, or what it printed in every row.
            count: How many rows there are.
            values: Is added to.
        """
        if isinstance(texts, bytes):
            if self._is_kept:
                values[self.field] = [self._values[texts]] * count
            return [self._members[texts]]
        return self._read_each(texts, values)

    def unread_in(self, texts: Piece, count: int) -> Mapping[int, str]:
        """Return what cannot be read in a column that has just been read, by the row's place."""
        return self._members.unread_in(texts, count)

    def _read_each(self, texts: Sequence[bytes], values: Values) -> Sequence[Piece]:
        return self._read_others(texts, values)

    def _read_others(self, texts: Sequence[bytes], values: Values) -> Sequence[Piece]:
        """Read values of any kind, by what is remembered of them."""
        if self._is_kept:
            values[self.field] = self._values.column(texts)
        return [self._members.column(texts)]


class Digits(Source):
    """Text that is most often a number, and no two rows have the same."""

    def _read_each(self, texts: Sequence[bytes], values: Values) -> Sequence[Piece]:
        if not all(map(bytes.isdigit, texts)):
            return super()._read_each(texts, values)
        if self._is_kept:
            values[self.field] = list(map(bytes.decode, texts))
        return [self._head + b'"', texts, b'"']


class Text(Source):
    """Text that people write, or that no two rows have the same of."""

    def _read_each(self, texts: Sequence[bytes], values: Values) -> Sequence[Piece]:
        if not self._is_kept and self._members.is_various and all(texts) and not self._has_none(texts):
            written = orjson.dumps(grammar.text(_BETWEEN_TEXTS.join(texts)))[1:-1].split(_BETWEEN_TEXTS)
            if len(written) == len(texts):
                return [self._head + b'"', written, b'"']
        return super()._read_each(texts, values)

    @staticmethod
    def _has_none(texts: Sequence[bytes]) -> bool:
        """Tell whether one of these, not empty, says that there is none."""
        del texts
        return False


class Sluids(Text):
    """Names that Slurm makes, one of which is none."""

    @staticmethod
    def _has_none(texts: Sequence[bytes]) -> bool:
        return grammar.ZERO_SLUID in texts


class Wide(Source):
    """One of sacct's fields that fills several of the record, which stand beside one another there."""

    def __init__(self, index: int, fields: Sequence[str], reader: ValueReader) -> None:
        """Read the column at `index` with `reader`, which returns as many values as there are fields."""
        super().__init__(index, fields[0], reader)
        self.fields = fields
        writers, absent = tuple(map(formats.member, fields)), tuple(EMPTY[SLOT[field]] for field in fields)

        def written(parts: Sequence[Any]) -> bytes:
            return b"".join([write(part) for write, part in zip(writers, parts, strict=True)])

        # Of these the state alone is kept, and it comes first.
        self._values = Memo(reader, absent, itemgetter(0))
        self._remember_by(Memo(reader, absent, written))


class JobIds(Wide):
    """What job ids say of arrays and heterogeneous jobs; of plain jobs they say nothing."""

    def __init__(self, index: int) -> None:
        """Read the column at `index`."""
        super().__init__(index, _FROM_JOB_ID, _job_id)
        self._array_head, self._task_head = map(formats.head, _FROM_JOB_ID[:2])

    def _read_each(self, texts: Sequence[bytes], values: Values) -> Sequence[Piece]:
        del values
        return [] if all(map(bytes.isdigit, texts)) else [list(map(self._member, texts))]

    def _member(self, text: bytes) -> bytes:
        # No two rows have the same, so it pays to write what most of them are without reading it.
        if text.isdigit():
            return b""
        array, mark, task = text.partition(b"_")
        are_short = array.isdigit() and task.isdigit() and len(text) <= _ID_WIDTH
        if mark and are_short and array >= b"1" and (task >= b"1" or task == b"0"):
            return b"%b%b%b%b" % (self._array_head, array, self._task_head, task)
        written: bytes = self._members[text]
        return written


class Naturals(Source):
    """Numbers that differ from row to row, and are known to mean just what they look like."""

    def _read_each(self, texts: Sequence[bytes], values: Values) -> Sequence[Piece]:
        numbers = _whole(texts)
        if numbers is None:
            return self._read_others(texts, values)
        if self._is_kept:
            values[self.field] = numbers
        return [self._head, texts]


class Numbers(Naturals):
    """Numbers that mean what they look like, if they are short: NO_VAL is not, nor what is too long for a run."""

    def _read_each(self, texts: Sequence[bytes], values: Values) -> Sequence[Piece]:
        most = grammar.SECONDS_DIGITS
        if all(map(bytes.isdigit, texts)) and max(map(len, texts)) <= most:
            return super()._read_each(texts, values)
        head, members = self._head, self._members
        if self._is_kept:
            values[self.field] = self._values.column(texts)
        return [
            [
                head + text if text >= b"1" and text.isdigit() and len(text) <= most else members[text]
                for text in texts
            ]
        ]


class Durations(Source):
    """Durations, of which most are below a day: `HH:MM:SS`."""

    def __init__(self, index: int, field: str, reader: ValueReader) -> None:
        """Read the column at `index` with `reader`."""
        super().__init__(index, field, reader)
        self._minutes = Memo(lambda text: reader(text + b":00"))

    def _read_each(self, texts: Sequence[bytes], values: Values) -> Sequence[Piece]:
        minutes, known, members, head = self._minutes, self._values, self._members, self._head
        try:
            numbers = [
                minutes[text[:5]] + _SECONDS[text[5:]] if len(text) == _WIDTH else known[text] for text in texts
            ]
        except (KeyError, TypeError):
            # One of that width is no duration.
            return self._read_others(texts, values)
        if self._is_kept:
            values[self.field] = numbers
        rows = zip(texts, numbers, strict=True)
        return [[b"%b%d" % (head, number) if len(text) == _WIDTH else members[text] for text, number in rows]]


class Times(Source):
    """Times; words for there being none stand among them, and numbers that are no times."""

    def __init__(self, index: int, field: str, reader: ValueReader) -> None:
        """Read the column at `index` with `reader`."""
        super().__init__(index, field, reader)
        self._earliest = EARLIEST if reader is grammar.moment else 0

    def _read_each(self, texts: Sequence[bytes], values: Values) -> Sequence[Piece]:
        if all(map(bytes.isdigit, texts)):
            known = _whole(texts)
            if known is not None and self._earliest <= min(known) <= max(known) <= _LATEST:
                if self._is_kept:
                    values[self.field] = known
                return [self._head, formats.moments(known)]
        # Numbers of ten digits are times of 2001 and later.
        are_plain = [text.isdigit() and len(text) == _TIME_DIGITS and text > b"1" for text in texts]
        known = _whole(list(compress(texts, are_plain))) or []
        head, numbers, written = self._head, iter(known), iter(formats.moments(known))
        rows = list(zip(texts, are_plain, strict=True))
        if self._is_kept:
            values[self.field] = [next(numbers) if plain else self._values[text] for text, plain in rows]
        return [[head + next(written) if plain else self._members[text] for text, plain in rows]]


def _job_id(value: bytes) -> tuple[Any, ...]:
    words = grammar.text(value)
    return _PLAIN if words.isdigit() else grammar.job_id(words)


def _whole(texts: Sequence[bytes]) -> list[int] | None:
    """Read digits as numbers, all of them at once; None where one begins with a zero, as no number of Slurm's."""
    try:
        numbers: list[int] = orjson.loads(b"[%b]" % b",".join(texts))
    except orjson.JSONDecodeError:
        return None
    return numbers
