"""Cut sacct's output into rows by counting delimiters, never by looking for line ends.

Sacct escapes nothing, in any release: names, comments and command lines hold newlines, pipes, control
characters and broken UTF-8, and arrive as they are. With `-p` every field, the last one too, is followed
by the delimiter, and each row by one newline; with a delimiter nobody could know beforehand (a random one
for each call) the count alone says where a field ends, and a user cannot forge, split or drop a row.
"""

from collections.abc import Sequence

from slurmwatchd.errors import SacctOutputError

Row = list[bytes]


class RowReader:
    """Take output in pieces of any size, give back whole rows.

    A row is given back when its last delimiter is in; that its newline follows is checked when the next
    piece, or the end, arrives.
    """

    def __init__(self, delimiter: bytes, fields: Sequence[str]) -> None:
        """Expect `fields` as the header, and rows of as many values.

        Args:
            delimiter: What sacct was given as `--delimiter`.
            fields: The names asked for, in order.
        """
        self._delimiter = delimiter
        self._header = [name.encode() for name in fields]
        self._width = len(fields)
        self._rest = b""
        self._seen_header = False
        self.rows = 0

    def feed(self, chunk: bytes) -> list[Row]:
        """Add a piece of output.

        Returns:
            The rows that are complete now, in order, each of `len(fields)` values.

        Raises:
            SacctOutputError: The header is not the one asked for, or a row does not end where it must.
        """
        pieces = (self._rest + chunk).split(self._delimiter)
        width = self._width
        whole = (len(pieces) - 1) // width
        rows = []
        for index in range(whole):
            row = pieces[index * width : (index + 1) * width]
            if self._seen_header:
                if row[0][:1] != b"\n":
                    raise SacctOutputError(
                        f"row {self.rows} of sacct's answer is followed by {row[0][:40]!r} instead of a line end"
                    )
                row[0] = row[0][1:]
                rows.append(row)
                self.rows += 1
            else:
                self._check_header(row)
        self._rest = self._delimiter.join(pieces[whole * width :])
        return rows

    def close(self) -> None:
        """Say that the output has ended.

        Raises:
            SacctOutputError: It ended before the header, inside a row, or without the last line end.
        """
        if not self._seen_header:
            raise SacctOutputError(f"sacct printed no header but {self._rest[:80]!r}")
        if self._rest != b"\n":
            raise SacctOutputError(f"sacct's answer is cut off after {self.rows} rows, at {self._rest[-80:]!r}")

    def _check_header(self, row: Row) -> None:
        if row != self._header:
            wrong = next((pair for pair in zip(row, self._header, strict=True) if pair[0] != pair[1]), None)
            raise SacctOutputError(f"sacct's header is not what was asked for: {wrong!r}")
        self._seen_header = True
