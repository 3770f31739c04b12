r"""Sacct's text read line by line, for texts whose rows cannot be found by counting.

A row is one line, except where a user's text holds a line end or the delimiter. Then a line has too few values,
too many, or does not begin with a task id, and is put together with its neighbours: in a field of free text
only, and only where one way fits.
"""

import re
from collections.abc import Sequence

from slurmwatchd.connector.tasks import ID_COLUMNS
from slurmwatchd.errors import SacctOutputError

FREE_TEXT = frozenset({
    "jobname", "comment", "admincomment", "systemcomment", "submitline", "workdir", "constraints", "wckey",
    "extra", "stdin", "stdout", "stderr", "container", "reservation",
})  # fmt: skip
"""The fields in which users write what they like."""

_TASK = re.compile(r"\d+(?:_\d+|_\[[^]|]*\]?|\+\d+)?(?:\.[^|]*)?")


def is_task(text: str) -> bool:
    """Return whether a text is the id of a job or of one of its steps."""
    return _TASK.fullmatch(text) is not None


class BrokenLines:
    """Reads the rows of one text."""

    def __init__(
        self, keys: Sequence[str], delimiter: str, *, closed: bool, head: str, repair: bool = True
    ) -> None:
        """Expect rows of these columns.

        Args:
            keys: Their names, in lower case.
            delimiter: What stands between values.
            closed: Whether it stands behind the last one too.
            head: The header as it stands in the text; met again, it is that of another output behind the first.
            repair: Whether rows that do not fit are put together; else each line must fit.
        """
        self._keys = keys
        self._delimiter = delimiter
        self._closed = closed
        self._head = head
        self._repair = repair
        self._numbered = keys[0] in ID_COLUMNS
        self._rows: list[list[str]] = []

    def read(self, body: str) -> list[list[str]]:
        """Return the rows.

        Args:
            body: The text behind the header.

        Raises:
            SacctOutputError: A row does not fit the header.
        """
        pending, begun = "", 0
        for number, line in enumerate(body.removesuffix("\n").split("\n"), start=2):
            if not pending and line == self._head:
                continue
            if pending:
                if not self._repair or self._stands_alone(line):
                    break
                pending += f"\n{line}"
            elif self._rows and self._continues(line):
                self._append(line)
                continue
            elif line:
                pending, begun = line, number
            if pending and self._is_whole(pending):
                self._rows.append(self._row(pending, begun))
                pending = ""
        if pending:
            raise self._misfit(pending, begun)
        return self._rows

    def _values(self, text: str) -> list[str]:
        return (text.removesuffix(self._delimiter) if self._closed else text).split(self._delimiter)

    def _is_whole(self, text: str) -> bool:
        if self._closed and not text.endswith(self._delimiter):
            return False
        return len(self._values(text)) >= len(self._keys)

    def _begins(self, line: str) -> bool:
        """Return whether a line can be the beginning of a row."""
        return not self._numbered or _TASK.fullmatch(line.partition(self._delimiter)[0]) is not None

    def _stands_alone(self, line: str) -> bool:
        return self._numbered and self._begins(line) and self._is_whole(line)

    def _continues(self, line: str) -> bool:
        """Return whether a line must belong to the last value of the row before it."""
        return (
            bool(line)
            and self._repair
            and not self._closed
            and self._keys[-1] in FREE_TEXT
            and not self._begins(line)
        )

    def _append(self, line: str) -> None:
        self._rows[-1][-1] += f"\n{line}"

    def _row(self, text: str, line: int) -> list[str]:
        """Return the values; what is too much for the header belongs to the one column of free text."""
        values = self._values(text)
        surplus = len(values) - len(self._keys)
        if surplus:
            free = [place for place, key in enumerate(self._keys) if key in FREE_TEXT]
            if len(free) != 1 or not self._repair:
                raise self._misfit(text, line)
            end = free[0] + surplus + 1
            values[free[0] : end] = [self._delimiter.join(values[free[0] : end])]
        broken = any("\n" in value and key not in FREE_TEXT for key, value in zip(self._keys, values, strict=True))
        if broken or not self._begins(values[0]):
            raise self._misfit(text, line)
        return values

    def _misfit(self, text: str, line: int) -> SacctOutputError:
        have, want = len(self._values(text)), len(self._keys)
        return SacctOutputError(f"line {line} of sacct's text has {have} values for {want} columns: {text[:80]!r}")
