"""What sacct's options mean, in the order Slurm looks at them, and what it says where they are wrong."""

from __future__ import annotations

import os

from . import tres
from .jobids import JobIdError, parse_selected
from .sacct_filters import FILTERS
from .selection import Selection
from .times import TimeError, TimePrinter, parse_time
from .versions import BRIEF_FIELDS, DEFAULT_FIELDS, LONG_FIELDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .session import Session

_UNIT_LETTERS = "KMGTP"


class Options:
    """One sacct command line, read.

    Attributes:
        selection: Which rows.
        format: -o, still text.
        parsable: "p", "P" or "" for the table.
        delimiter: --delimiter.
        header: False with -n.
        conversion: --noconvert and --units.
        help_fields: -e.
        version: -V.
        all_users: -a.
        clusters: -M, or None for the local one.
        every_cluster: -L or -M all.
    """

    def __init__(self) -> None:
        """Begin with sacct's defaults."""
        self.selection = Selection()
        self.format = ""
        self.parsable = ""
        self.delimiter = b"|"
        self.header = True
        self.conversion = tres.Conversion()
        self.help_fields = False
        self.version = False
        self.all_users = False
        self.clusters: list[str] | None = None
        self.every_cluster = False


def read_options(session: Session, given: list[tuple[str, str]]) -> Options:
    """Read the options in order; the first that is wrong ends the command."""
    options = Options()
    brief = long = False
    for target, value in given:
        if target == "V":
            options.version = True
            return options
        if target == "b":
            brief = True
        elif target == "l":
            long = True
        elif target in _PLAIN:
            _PLAIN[target](options)
        elif target in _VALUED:
            _VALUED[target](session, options, value)
        elif target == "u" and value == "-1":
            _set_all_users(options)
        elif target in FILTERS:
            FILTERS[target](session, options.selection, value)
            options.all_users = options.all_users and target != "u"
    options.format += f"{BRIEF_FIELDS}," if brief else ""
    options.format += f"{LONG_FIELDS}," if long else ""
    options.format = options.format or session.environ.get("SACCT_FORMAT") or DEFAULT_FIELDS
    _complete(session, options)
    return options


def _complete(session: Session, options: Options) -> None:
    """Fill in what was not said: the window and whose jobs."""
    selection = options.selection
    selection.complete(session.now, session.release)
    start, end = selection.start or 0, selection.end or 0
    if start > end:
        times = TimePrinter(session.now, session.environ)
        first, last = times(start).decode(), times(end).decode()
        session.error(f"Start time ({first}) requested is after end time ({last}).")
        session.exit_with_errno(1)
    if not options.every_cluster:
        selection.clusters = options.clusters or [session.config["cluster"]]
    everybody = options.all_users or selection.jobs or selection.nodes is not None or not session.caller_uid
    if selection.users is None and not everybody:
        selection.users = [session.caller_uid]


def _set_all_users(options: Options) -> None:
    options.all_users = True
    options.selection.users = None


def _set_parsable(kind: str) -> Callable[[Options], None]:
    def apply(options: Options) -> None:
        options.parsable = kind

    return apply


def _set_no_steps(options: Options) -> None:
    options.selection.steps = False


def _set_duplicates(options: Options) -> None:
    options.selection.duplicates = True


def _set_truncate(options: Options) -> None:
    options.selection.truncate = True


def _set_no_header(options: Options) -> None:
    options.header = False


def _set_noconvert(options: Options) -> None:
    options.conversion.convert = False


def _set_help_fields(options: Options) -> None:
    options.help_fields = True


def _set_all_clusters(options: Options) -> None:
    options.every_cluster = True


def _set_local(options: Options) -> None:
    options.every_cluster = False


_PLAIN: dict[str, Callable[[Options], None]] = {
    "a": _set_all_users,
    "D": _set_duplicates,
    "e": _set_help_fields,
    "L": _set_all_clusters,
    "local": _set_local,
    "n": _set_no_header,
    "noconvert": _set_noconvert,
    "p": _set_parsable("p"),
    "P": _set_parsable("P"),
    "t": _set_no_steps,
    "T": _set_truncate,
    "X": _set_no_steps,
}


def _time(session: Session, text: str) -> int:
    try:
        return parse_time(text, session.now)
    except TimeError as error:
        session.complain(f"Invalid time specification (pos={error.position}): {text}")
        session.exit_with_errno(1)


def _start(session: Session, options: Options, value: str) -> None:
    options.selection.start = _time(session, value)


def _end(session: Session, options: Options, value: str) -> None:
    options.selection.end = _time(session, value)


def _jobs(session: Session, options: Options, value: str) -> None:
    try:
        options.selection.jobs += parse_selected(value)
    except JobIdError as error:
        session.fatal(str(error))


def _format(session: Session, options: Options, value: str) -> None:
    del session
    options.format += f"{value},"


def _delimiter(session: Session, options: Options, value: str) -> None:
    del session
    options.delimiter = os.fsencode(value)


def _units(session: Session, options: Options, value: str) -> None:
    letter = value[:1].upper()
    if not letter or letter not in _UNIT_LETTERS:
        session.error(f"Invalid unit type '{letter.lower()}'. Possible options are '{_UNIT_LETTERS}'")
        session.fatal("Invalid unit type")
    options.conversion.unit = _UNIT_LETTERS.index(letter) + 1


def _clusters(session: Session, options: Options, value: str) -> None:
    del session
    options.every_cluster = value.lower() in {"all", "-1"}
    if not options.every_cluster:
        options.clusters = (options.clusters or []) + [name for name in value.split(",") if name]


_VALUED: dict[str, Callable[[Session, Options, str], None]] = {
    "delimiter": _delimiter,
    "E": _end,
    "j": _jobs,
    "M": _clusters,
    "o": _format,
    "S": _start,
    "units": _units,
}
