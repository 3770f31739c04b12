"""A stand-in for sacct: its options, its errors, its table and its parsable output."""

from __future__ import annotations

from . import tres
from .columns import columns
from .getopt import Grammar, UsageError
from .query import attach_steps, fetch_jobs
from .sacct_options import Options, read_options
from .session import QUERY_TOO_WIDE, RESULT_TOO_LARGE, Session, Stop, run
from .times import TimePrinter
from .versions import DATE, STR, Field, fields_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import NoReturn

    from .query import Row
    from .selection import Selection

    Column = Callable[[Row, Row | None], bytes]

_GRAMMAR = Grammar(
    "aA:bB:cC:DeE:f:F:g:hi:I:j:k:K:lLM:nN:o:pPq:r:s:S:Ttu:UvVW:x:X",
    {
        "allusers": "a", "accounts=": "A", "allocations": "X", "brief": "b", "completion": "c",
        "constraints=": "C", "delimiter=": "delimiter", "duplicates": "D", "federation": "federation",
        "helpformat": "e", "help-fields": "e", "endtime=": "E", "file=": "f", "flags=": "F", "gid=": "g",
        "group=": "g", "help": "h", "local": "local", "name=": "name", "nnodes=": "i", "ncpus=": "I",
        "jobs=": "j", "timelimit-min=": "k", "timelimit-max=": "K", "long": "l", "allclusters": "L",
        "cluster=": "M", "clusters=": "M", "nodelist=": "N", "noconvert": "noconvert", "units=": "units",
        "noheader": "n", "fields=": "o", "format=": "o", "parsable": "p", "parsable2": "P", "qos=": "q",
        "partition=": "r", "state=": "s", "starttime=": "S", "truncate": "T", "uid=": "u", "usage": "U",
        "user=": "u", "verbose": "v", "version": "V", "wckeys=": "W", "whole-hetjob?": "whole-hetjob",
        "associations=": "x",
    },
)  # fmt: skip


def main(database: str, version: str | None) -> NoReturn:
    """Run as sacct."""
    run("sacct", database, version, sacct)


def sacct(session: Session, arguments: list[str]) -> int:
    """Answer one call."""
    try:
        given, others = _GRAMMAR.parse(arguments)
    except UsageError as error:
        session.complain(f"{session.program}: {error}")
        return 1
    options = read_options(session, given)
    if options.version:
        session.write(session.version_line())
        return 0
    if options.help_fields and session.release >= (25, 5):
        _print_help_fields(session)
        return 0
    session.need_slurmdbd()
    if options.help_fields:
        _print_help_fields(session)
        return 0
    fields = _chosen_fields(session, options)
    if others:
        session.error("Unknown arguments:")
        for argument in others:
            session.error(f" {argument}")
        return 1
    _print_table(session, options, fields)
    return 0


def _print_help_fields(session: Session) -> None:
    names = [field.name for field in fields_of(session.release)]
    lines = [" ".join(f"{name:<19}" for name in names[first : first + 4]) for first in range(0, len(names), 4)]
    session.write(("\n".join(lines) + "\n").encode())


def _chosen_fields(session: Session, options: Options) -> list[Field]:
    """Match -o: the first name in the table that begins so, whatever the case."""
    known = fields_of(session.release)
    chosen: list[Field] = []
    for entry in options.format.split(","):
        name, percent, width = entry.lstrip().partition("%")
        if not name:
            continue
        wanted = name.lower()
        if "all".startswith(wanted):
            matches = known
        else:
            matches = [field for field in known if field.name.lower().startswith(wanted)][:1]
        if not matches:
            session.error(f'Invalid field requested: "{name}"')
            raise Stop(1)
        for field in matches:
            # A width sticks to the field, also where it is named twice, as in Slurm.
            if percent:
                field.width = _leading_number(width)
            chosen.append(field)
    return chosen


def _leading_number(text: str) -> int:
    """Read a number the way atoi does: 0 where there is none."""
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    digits = digits[: len(digits) - len(digits.lstrip("0123456789"))]
    return sign * int(digits or 0)


def _print_table(session: Session, options: Options, fields: list[Field]) -> None:
    layout = _Layout(session, options, fields)
    if options.header:
        session.write(layout.header())
        # Real sacct prints the header before it asks slurmdbd.
        session.flush()
    if session.rows_suppressed or not _may_ask(session, options):
        return
    selection = options.selection
    jobs = fetch_jobs(session, selection)
    if _is_cut(session, selection, len(jobs)):
        jobs = []
    most = session.config.get("max_result_rows", "")
    if most and len(jobs) > int(most):
        session.fail_with_errno(RESULT_TOO_LARGE)
    if not selection.steps:
        for job in jobs:
            session.write_record(layout.line(job, None))
        return
    for job, steps in _uncut(session, attach_steps(session, selection, jobs)):
        if job["shown"]:
            session.write_record(layout.line(job, None))
        for step in steps:
            session.write_record(layout.line(job, step))


def _uncut(session: Session, answered: Iterable[tuple[Row, list[Row]]]) -> Iterable[tuple[Row, list[Row]]]:
    """Empty an answer of which one job has too many steps: each job's are a statement of their own (measured)."""
    most = session.config.get("cut_steps_over", "")
    if not most:
        return answered
    whole = list(answered)
    return [] if any(len(steps) > int(most) for _, steps in whole) else whole


def _is_cut(session: Session, selection: Selection, rows: int) -> bool:
    """Return whether MariaDB ends the statement: slurmdbd then sends an empty list and no error.

    A list of jobs is found by its index and answered in full where a window is not (measured on 22.05.8, 24.11.5
    and 26.05.5 with max_statement_time).
    """
    config = session.config
    if selection.jobs:
        most, size = config.get("cut_lists_over", ""), len(selection.jobs)
    elif selection.states:
        most, size = config.get("cut_windows_over", ""), rows
        between = config.get("cut_ended_between", "")
        if between:
            first, _, last = between.partition("-")
            if int(last) < (selection.start or 0) or int(first) > (selection.end or 0):
                return False
    else:
        most, size = config.get("cut_open_over", ""), rows
    return bool(most) and size > int(most)


def _may_ask(session: Session, options: Options) -> bool:
    """Apply slurmdbd's rules for ordinary users: MaxQueryTimeRange and PrivateData."""
    selection = options.selection
    if _is_operator(session):
        return True
    widest = session.config.get("max_query_time_range", "")
    width = (selection.end or 0) - (selection.start or 0)
    if widest and width > int(widest) and not selection.jobs:
        session.fail_with_errno(QUERY_TOO_WIDE)
    if "jobs" in session.config.get("private_data", "").split(","):
        # Their own jobs are all they see, and nothing says so.
        if selection.users is not None and session.caller_uid not in selection.users:
            return False
        selection.users = [session.caller_uid]
    return True


def _is_operator(session: Session) -> bool:
    if session.caller_uid == 0:
        return True
    row = session.db.execute("SELECT admin_level FROM users WHERE uid = ?", (session.caller_uid,)).fetchone()
    return row is not None and row[0] in {b"Operator", b"Administrator"}


class _Layout:
    """How lines look: with -p, with -P, or as a table."""

    def __init__(self, session: Session, options: Options, fields: list[Field]) -> None:
        self._fields = fields
        self._delimiter = options.delimiter
        self._ends = options.parsable == "p"
        self._table = not options.parsable
        times = TimePrinter(session.now, session.environ)
        if times.complaint:
            session.error(times.complaint)
        # Until 22.05 a date is cut at the width of its column, also with -p and -P.
        cut_dates = session.release < (23, 2) or self._table
        printer = tres.TresPrinter(_tres_names(session), options.conversion)
        known = columns(session, printer, options.conversion) | _dates(times)
        self._columns: list[Column] = [
            _cut(known[field.name], abs(field.width)) if cut_dates and field.kind == DATE else known[field.name]
            for field in fields
        ]

    def header(self) -> bytes:
        """Print the names, and in a table the dashes below them."""
        names = [field.name.encode() for field in self._fields]
        if not self._table:
            return self._joined(names)
        cells = (_cell(name[: abs(field.width)], field) for name, field in zip(names, self._fields, strict=True))
        dashes = b"".join(b"-" * abs(field.width) + b" " for field in self._fields)
        return b"".join(cells) + b"\n" + dashes + b"\n"

    def line(self, job: Row, step: Row | None) -> bytes:
        """Print a job, or one of its steps."""
        values = [column(job, step) for column in self._columns]
        if not self._table:
            return self._joined(values)
        return b"".join(map(_cell, values, self._fields)) + b"\n"

    def _joined(self, values: list[bytes]) -> bytes:
        line = self._delimiter.join(values)
        return line + self._delimiter + b"\n" if self._ends else line + b"\n"


def _tres_names(session: Session) -> dict[int, tuple[str, str]] | None:
    if session.lists_unavailable or session.config.get("tres_gone"):
        return None
    rows = session.db.execute("SELECT id, type, name FROM tres")
    return {tres_id: (kind.decode(), name.decode()) for tres_id, kind, name in rows}


def _dates(times: TimePrinter) -> dict[str, Column]:
    return {
        # A step has no submission of its own: Slurm prints its start.
        "Submit": lambda job, step: times(step["start"] if step else job["time_submit"]),
        "Eligible": lambda job, step: times(step["start"] if step else job["time_eligible"]),
        "Start": lambda job, step: times((step or job)["start"]),
        "End": lambda job, step: times((step or job)["end"]),
    }


def _cut(column: Column, width: int) -> Column:
    return lambda job, step: column(job, step)[:width]


def _cell(value: bytes, field: Field) -> bytes:
    """Print one value in a column of the table; text that is too long ends in `+`."""
    width = abs(field.width)
    if field.kind == STR and len(value) > width:
        value = value[: max(width - 1, 0)] + b"+" if width else b""
    return (value.rjust(width) if field.width >= 0 else value.ljust(width)) + b" "
