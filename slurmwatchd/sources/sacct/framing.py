"""Cut sacct's output into rows by counting delimiters, never by looking for line ends.

Sacct escapes nothing, in any release: names, comments and command lines hold newlines, pipes, control
characters and broken UTF-8, and arrive as they are. With `-p` every field, the last one too, is followed
by the delimiter, and each row by one newline; with a delimiter nobody could know beforehand (a random one
for each call) the count alone says where a field ends, and a user cannot forge, split or drop a row.
"""

from collections.abc import Sequence
from typing import TypeVar

from slurmwatchd.errors import SacctOutputError

RawRow = Sequence[bytes]
"""One value a field, in the order of the fields."""

RawColumns = list[list[bytes]]
"""One list a field, all of the same length."""

T = TypeVar("T")

_CUT_BYTES = 16384


class RowReader:
    """Take output in pieces of any size, give back what is whole.

    A row is given back when its last delimiter is in; that its newline follows is checked when the next
    piece, or the end, arrives.
    """

    def __init__(self, delimiter: bytes, fields: Sequence[str], *, abbreviated: bool = False) -> None:
        """Expect `fields` as the header, and rows of as many values.

        Args:
            delimiter: What sacct was given as `--delimiter`.
            fields: The names asked for, in order.
            abbreviated: Whether a name may be the beginning of the one printed, in upper or lower case, as sacct
                takes names from a person.
        """
        self._delimiter = delimiter
        self._header = [name.encode() for name in fields]
        self._abbreviated = abbreviated
        self._width = len(fields)
        self.header: tuple[str, ...] = tuple(fields)
        """The names as sacct prints them, once it has."""
        self._values: list[bytes] = []
        """Of the row that is not whole yet, those that are."""
        self._begun: list[bytes] = [b""]
        """The pieces of the value after them: put together once, when its delimiter is in."""
        self._seen_header = False
        self.rows = 0

    def feed(self, chunk: bytes) -> RawColumns:
        """Add a piece of output.

        Returns:
            The rows that are complete now, turned on their side: for each field the list of its values. Reading
            a column at a time costs a third of reading a row at a time.

        Raises:
            SacctOutputError: The header is not the one asked for, or a row does not end where it must.
        """
        if not self._ends_within(chunk):
            self._begun.append(chunk)
            return [[] for _ in range(self._width)]
        pieces = self._values + self._cut(b"".join((*self._begun, chunk)))
        width = self._width
        end = (len(pieces) - 1) // width * width
        begin = 0
        if not self._seen_header and end:
            self._check_header(pieces[:width])
            begin = width
        self._values, self._begun = pieces[end:-1], pieces[-1:]
        first = pieces[begin:end:width]
        if [value[:1] for value in first].count(b"\n") != len(first):
            wrong, value = next((n, value) for n, value in enumerate(first) if value[:1] != b"\n")
            raise SacctOutputError(
                f"row {self.rows + wrong} of sacct's answer is followed by {value[:40]!r} instead of a line end"
            )
        self.rows += len(first)
        return [[value[1:] for value in first], *(pieces[begin + n : end : width] for n in range(1, width))]

    def _ends_within(self, chunk: bytes) -> bool:
        """Return whether a delimiter ends in a piece; what came before is searched only where one may begin."""
        longest = len(self._delimiter) - 1
        before = b""
        for piece in reversed(self._begun):
            if len(before) >= longest:
                break
            before = piece[-longest:] + before
        return self._delimiter in before + chunk

    @property
    def _rest(self) -> bytes:
        """What has been printed after the last whole row."""
        return self._delimiter.join((*self._values, b"".join(self._begun)))

    def _cut(self, text: bytes) -> list[bytes]:
        """Cut at delimiters, a little at a time.

        In longer text Python looks for them by an algorithm that prepares itself anew for each one found.
        """
        pieces: list[bytes] = []
        begin = 0
        while (end := text.find(self._delimiter, begin + _CUT_BYTES)) >= 0:
            pieces += text[begin:end].split(self._delimiter)
            begin = end + len(self._delimiter)
        pieces += text[begin:].split(self._delimiter)
        return pieces

    def close(self) -> None:
        """Say that the output has ended.

        Raises:
            SacctOutputError: It ended before the header, inside a row, or without the last line end.
        """
        if not self._seen_header:
            raise SacctOutputError(f"sacct printed no header but {self._rest[:80]!r}")
        if self._rest != b"\n":
            raise SacctOutputError(f"sacct's answer is truncated after {self.rows} rows, at {self._rest[-80:]!r}")

    def _check_header(self, row: RawRow) -> None:
        if self._abbreviated:
            wanted = zip(row, self._header, strict=True)
            if all(printed.lower().startswith(name.lower()) for printed, name in wanted):
                self.header = tuple(name.decode(errors="backslashreplace") for name in row)
                self._header = list(row)
        if list(row) != self._header:
            wrong = next((pair for pair in zip(row, self._header, strict=True) if pair[0] != pair[1]), None)
            raise SacctOutputError(f"sacct's header is not the one requested: {wrong!r}")
        self._seen_header = True


def without(places: Sequence[int], column: list[T]) -> list[T]:
    """Return a column without what stands at some places, in order: they are few."""
    others = column.copy()
    for place in reversed(places):
        del others[place]
    return others
