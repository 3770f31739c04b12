r"""Sacct's own text: read without being misled, written so that it reads back.

Sacct escapes nothing. `sacct -P` puts a delimiter between values and a line end behind a row, so a delimiter or
a newline in a job's name looks like the end of something; `sacct -p` puts the delimiter behind every value too,
and then their number alone says where a row ends. A table that needs it is written in that form, with a
delimiter that none of its values holds.

A text whose first line is no header is refused: its first job would be taken for one. So is what sacct prints for
people, which cuts values short, and what it said on stderr in between.

A text that someone else wrote with `|` proves nothing by itself: a name such as `a|X\n8|b` can forge a row in
it that looks just like a real one. What can be known is reported: a row that does not fit the header is put
together again where only one way fits, and is an error otherwise. `Slurm(jobid)` asks sacct with a random
delimiter and is exact.
"""

import re
import warnings
from collections.abc import Iterable, Sequence

from slurmwatchd.connector.broken_lines import BrokenLines, is_task
from slurmwatchd.connector.tasks import ID_COLUMNS, TaskRow, arranged, id_column
from slurmwatchd.errors import SacctOutputError
from slurmwatchd.sources.sacct.framing import RowReader

_DELIMITER = re.compile("[^|\x1f\n]+(\x1f(?:[0-9]+\x1f)?|[|])")
_OTHER_DELIMITER = re.compile(r"[^\W\d]\w*(\W+)[^\W\d]")
_BLANK_LINES = re.compile(r"(?:[^\S\n]*\n)+")
_FOR_PEOPLE = re.compile(r"[- ]*-{2}[- ]*")
_COMPLAINT = re.compile(r"^(?:sacct|slurm\w*): (?:error|fatal):", re.MULTILINE)


def parse_sacct(sacct_str: str) -> dict[str, TaskRow]:
    """Turn the output of `sacct -p` or `sacct -P` into a dictionary of texts.

    Args:
        sacct_str: What sacct printed, its header included.

    Returns:
        Task id (`jobid`, `jobid.step`, `jobid.batch`) to field, in lower case, to text. The task id is the first
        column, or `JobIDRaw` or `JobID` where the first is neither. Of a job that was requeued the newest attempt;
        a warning says that there are others. `Slurm(from_string=...)` keeps them.

    Raises:
        SacctOutputError: There is no header, it has no task id, or a row does not fit it.
    """
    names, rows = read_rows(sacct_str)
    current, earlier = arranged(names, rows)
    for jobid in earlier:
        warnings.warn(f"job {jobid} has earlier attempts, which are left out", stacklevel=2)
    return current


def read_rows(text: str) -> tuple[list[str], list[TaskRow]]:
    """Return the column names in lower case, and the rows, of a text in either of sacct's forms.

    Raises:
        SacctOutputError: There is no header, it has no task id, or a row does not fit it.
    """
    text = text.removeprefix("\ufeff")
    if blank := _BLANK_LINES.match(text):
        text = text[blank.end() :]
    head, _, body = text.partition("\n")
    if head.endswith("\r"):
        return read_rows(text.replace("\r\n", "\n"))
    if not head:
        return [], []
    delimiter, is_ours = _delimiter(head)
    printed = head.split(delimiter)
    closed = printed[-1] == "" and len(printed) > 1
    names = printed[:-1] if closed else printed
    keys = [name.lower() for name in names]
    _check_header(head, keys, delimiter, body)
    rows = _counted(text, names, delimiter) if closed else None
    if rows is None:
        if found := _COMPLAINT.search(body):
            line = body.count("\n", 0, found.start()) + 2
            complaint = body[found.start() :].partition("\n")[0]
            raise SacctOutputError(
                f"line {line} of sacct's text is an error message, not a row: {complaint[:80]!r}"
            )
        rows = BrokenLines(keys, delimiter, closed=closed, head=head, repair=is_ours).read(body)
    # Of two outputs in one file the second header is no job.
    rows = [row for row in rows if row != names]
    place = keys.index(id_column(keys))
    for row in rows:
        if not is_task(row[place]):
            raise SacctOutputError(
                f"{names[place]} of a row of sacct's text is not a task id: {row[place][:80]!r}"
            )
    return keys, [dict(zip(keys, row, strict=True)) for row in rows]


def _delimiter(head: str) -> tuple[str, bool]:
    """Return what stands between the names of a header, and whether it is one of those sacct and we choose.

    Another (`--delimiter=,`) may stand in values that no user wrote, so that nothing is put together there.
    """
    if found := _DELIMITER.match(head):
        return found[1], True
    found = _OTHER_DELIMITER.match(head)
    return (found[1], False) if found else ("|", True)


def _check_header(head: str, keys: Sequence[str], delimiter: str, body: str) -> None:
    """Refuse a first line that names no columns.

    Raises:
        SacctOutputError: It does not.
    """
    reason = ""
    if _COMPLAINT.match(head):
        reason = "sacct complained"
    elif not delimiter.strip(" ") or _FOR_PEOPLE.fullmatch(body.partition("\n")[0]):
        reason = "this is its table for people, which cuts values short: use sacct -p or -P"
    elif any(not key or key[0].isdigit() for key in keys):
        reason = "the names of the columns are missing: leave out sacct's -n"
    elif not set(ID_COLUMNS) & set(keys):
        reason = "it names neither JobID nor JobIDRaw: ask for one of them, and leave out sacct's -n"
    if reason:
        raise SacctOutputError(f"line 1 of sacct's text is not a header: {head[:80]!r}: {reason}")


def write_rows(keys: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table as sacct does: `-P` with `|` where that reads back, else `-p` with another delimiter."""
    table = [list(keys), *rows]
    if not any(_splits(value) for row in table for value in row):
        return "\n".join("|".join(row) for row in table)
    delimiter = next(
        candidate for candidate in _delimiters() if all(_fits(value, candidate) for row in table for value in row)
    )
    return "".join(f"{''.join(value + delimiter for value in row)}\n" for row in table)


def _splits(value: str) -> bool:
    return "|" in value or "\n" in value or "\r" in value


def _delimiters() -> Iterable[str]:
    yield "|"
    yield "\x1f"
    number = 0
    while True:
        yield f"\x1f{number}\x1f"
        number += 1


def _fits(value: str, delimiter: str) -> bool:
    """Return whether the delimiter behind a value is found there, and not earlier."""
    return (value + delimiter).find(delimiter) == len(value)


def _counted(text: str, names: Sequence[str], delimiter: str) -> list[list[str]] | None:
    """Read rows by counting delimiters; None where the count does not come out even."""
    reader = RowReader(delimiter.encode(), names)
    encoded = text if text.endswith("\n") else text + "\n"
    try:
        columns = reader.feed(encoded.encode(errors="surrogatepass"))
        reader.close()
    except SacctOutputError:
        return None
    return [[value.decode(errors="surrogatepass") for value in row] for row in zip(*columns, strict=True)]
