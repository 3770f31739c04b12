"""Logs: one event is one line, always, whatever a job name or an exception puts into it.

Two forms, `logfmt` for people and `json` for machines, both written to stderr with the same fields: `ts`,
`level`, `event`, `logger`, then what the caller gave, in the caller's order. Libraries that log through the
standard library (uvicorn, asyncio, warnings) go through the same door.

Under systemd, where stderr is the journal's (JOURNAL_STREAM), logfmt lines leave `ts` out, since the journal
dates every line itself, and both forms start with the priority mark, `<3>` for an error, that the journal
takes off again: so `journalctl -p warning` works.

What is logged where is not decided here, nor are logs ever the place where an event is delivered.
"""

import contextlib
import json
import logging
import math
import os
import re
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TextIO

LogFormat = Literal["logfmt", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]

VALUE_MAX_CHARACTERS = 2_000
"""A longer value is cut: the journal splits a line at 48 KiB (LineMax in journald.conf) into two events."""

REPEAT_SECONDS = 3600.0
"""So often a failure that goes on is logged again: an outage of a night is no thousand lines."""

TRACEBACK_MAX_CHARACTERS = 12_000
"""A longer traceback keeps its end, where the fault is."""

_CHATTY = {
    # Every query, and every turn of the event loop.
    "aiosqlite": logging.INFO,
    "asyncio": logging.INFO,
    # Its own starting and stopping, which the daemon logs.
    "uvicorn": logging.WARNING,
    # A line for each request.
    "httpx": logging.WARNING,
}
"""Libraries to the least of what they say that is of use here."""

_PLAIN = re.compile(r"[^\s\"=\\]+")
_OURS = ("ts", "level", "event", "logger", "exception", "exception_at", "traceback", "")
_NO_KEY = re.compile(r"[^A-Za-z0-9_.-]+")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_JOURNAL_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.NOTSET, 7))


def configure(
    *,
    format: LogFormat = "logfmt",  # noqa: A002  the config key's own name
    level: LogLevel = "info",
    stream: TextIO | None = None,
    environ: Mapping[str, str] | None = None,
) -> None:
    """Send every log line of this process to one stream. A second call, for a reload, replaces the first.

    Args:
        format: `logfmt` or `json`.
        level: The lowest level shown. At `debug`, exceptions bring their traceback, escaped into one field.
        stream: Where lines go; None is stderr as it is now.
        environ: Where JOURNAL_STREAM is; None is the process's own.
    """
    stream = sys.stderr if stream is None else stream
    in_journal = _is_journal(stream, os.environ if environ is None else environ)
    handler = _LineHandler(stream)
    handler.setFormatter(_LineFormatter(format, in_journal=in_journal, tracebacks=level == "debug"))
    root = logging.getLogger()
    for old in [each for each in root.handlers if isinstance(each, _LineHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name, least in _CHATTY.items():
        logging.getLogger(name).setLevel(max(least, root.level))
    logging.captureWarnings(capture=True)


class Repeats:
    """Decides which of the same failures in a row deserve a line: the first, another one, and then one an hour."""

    def __init__(self) -> None:
        """Begin with none."""
        self._text = ""
        self._told_at = -math.inf

    def is_news(self, text: str, now: float) -> bool:
        """Return whether to log a failure.

        Args:
            text: What it is.
            now: Seconds, of a clock that never goes back.
        """
        if text == self._text and now - self._told_at < REPEAT_SECONDS:
            return False
        self._text, self._told_at = text, now
        return True

    def reset(self) -> None:
        """Take the next failure for a new one: something worked in between."""
        self._told_at = -math.inf


class Logger:
    """Logs events with fields: `log.info("sink stalled", sink="jobs")` is one line.

    `exc_info` in the fields, an exception or True for the present one, becomes what went wrong and where.
    """

    __slots__ = ("_logger",)

    def __init__(self, name: str) -> None:
        """Use the standard library's logger of that name."""
        self._logger = logging.getLogger(name)

    def debug(self, event: str, /, **fields: object) -> None:
        """Log what helps to find a fault."""
        self.log(logging.DEBUG, event, **fields)

    def info(self, event: str, /, **fields: object) -> None:
        """Log what happened as it should."""
        self.log(logging.INFO, event, **fields)

    def warning(self, event: str, /, **fields: object) -> None:
        """Log what the program goes on in spite of."""
        self.log(logging.WARNING, event, **fields)

    def error(self, event: str, /, **fields: object) -> None:
        """Log what the program cannot do."""
        self.log(logging.ERROR, event, **fields)

    def exception(self, event: str, /, **fields: object) -> None:
        """Log an error with the exception that is being handled."""
        self.log(logging.ERROR, event, **{"exc_info": True, **fields})

    def log(self, level: int, event: str, /, **fields: object) -> None:
        """Log an event at a level of the standard library."""
        if self._logger.isEnabledFor(level):
            self._logger.log(level, {"event": event, **fields})


def get_logger(name: str) -> Logger:
    """Return a logger.

    It may be made before `configure` runs; until then only warnings and worse show, as for any library.

    Args:
        name: The module's `__name__`.
    """
    return Logger(name)


class _LineHandler(logging.Handler):
    """Writes whole lines and never raises: a daemon does not die of its own log."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._descriptor = _descriptor_of(stream)
        self._torn = False

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(Exception):  # there is nowhere left to say so
            self._write(self.format(record) + "\n")

    def _write(self, line: str) -> None:
        if self._descriptor is None:
            self._stream.write(line)
            self._stream.flush()
            return
        # Straight to the descriptor, a line a call: lines of two processes do not mix, and no buffer keeps
        # what a stuck reader did not take.
        rest = (("\n" if self._torn else "") + line).encode()
        whole = len(rest)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        finally:
            # A full, non-blocking pipe took part of the line: the next one must not continue it.
            self._torn = 0 < len(rest) < whole or (self._torn and len(rest) == whole)


class _LineFormatter(logging.Formatter):
    """Turns a record, ours or a library's, into one line."""

    def __init__(self, form: LogFormat, *, in_journal: bool, tracebacks: bool) -> None:
        super().__init__()
        self._form = form
        self._in_journal = in_journal
        self._tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        fields = dict(self._fields(record))
        if self._form == "json":
            line = json.dumps({key: _json_value(value) for key, value in fields.items()}, separators=(",", ":"))
        else:
            line = " ".join(f"{key}={_logfmt_value(value)}" for key, value in fields.items())
        return f"<{_journal_priority(record.levelno)}>{line}" if self._in_journal else line

    def _fields(self, record: logging.LogRecord) -> Iterator[tuple[str, object]]:
        given: dict[str, object]
        given = dict(record.msg) if isinstance(record.msg, dict) else {"event": _message(record)}
        error = _error_of(given.pop("exc_info", None) or record.exc_info)
        if self._form == "json" or not self._in_journal:
            yield "ts", _timestamp(record.created)
        yield "level", record.levelname.lower()
        yield "event", given.pop("event", "")
        yield "logger", record.name
        for name, value in given.items():
            key = _NO_KEY.sub("_", str(name))
            yield f"{key}_" if key in _OURS else key, value
        if error is not None:
            yield from _error_fields(error, tracebacks=self._tracebacks)


def _message(record: logging.LogRecord) -> str:
    """Return a library's message; one whose arguments do not fit its text is still worth a line."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return str(record.msg)


def _error_of(exc_info: object) -> BaseException | None:
    """Find the exception in all the ways `exc_info` may be given."""
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1] if isinstance(exc_info[1], BaseException) else None
    return sys.exc_info()[1] if exc_info else None


def _error_fields(error: BaseException, *, tracebacks: bool) -> Iterator[tuple[str, object]]:
    """Say what went wrong, and where, in a line a person can act on."""
    leaves = list(_leaves(error))
    yield "exception", "; ".join(f"{type(leaf).__name__}: {_text(leaf)}" for leaf in leaves)
    place = _place(leaves[0])
    if place:
        yield "exception_at", place
    if tracebacks:
        text = "".join(traceback.format_exception(error))
        yield "traceback", _Long(text[-TRACEBACK_MAX_CHARACTERS:])


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """Open groups: `unhandled errors in a TaskGroup` says nothing."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _place(error: BaseException) -> str:
    """Return `module:line` of the innermost frame, enough to report a bug by."""
    step = error.__traceback__
    if step is None:
        return ""
    while step.tb_next is not None:
        step = step.tb_next
    return f"{step.tb_frame.f_globals.get('__name__', '?')}:{step.tb_lineno}"


class _Long(str):
    """Text that has been cut to a length of its own already."""

    __slots__ = ()


def _text(value: object) -> str:
    """Return `str(value)`, whatever its class does, cut to a length a line can carry."""
    try:
        text = str(value)
    except Exception:  # noqa: BLE001  a value that cannot be shown must not cost the line
        return f"<unprintable {type(value).__name__}>"
    if isinstance(value, _Long) or len(text) <= VALUE_MAX_CHARACTERS:
        return text
    return f"{text[:VALUE_MAX_CHARACTERS]}...(+{len(text) - VALUE_MAX_CHARACTERS} characters)"


def _logfmt_value(value: object) -> str:
    """Write a value bare where that is unambiguous, else in quotes with JSON-like escapes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = "" if value is None else _text(value)
    if _PLAIN.fullmatch(text) and text.isprintable():
        return text
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    """Escape what ends a line or a value, or acts on a terminal: control, bidi and half characters."""
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004  end of the BMP


def _json_value(value: object) -> Any:  # noqa: ANN401  JSON is any of its types
    """Make a value one JSON has; numbers that JSON lacks, and all else, become text."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping | list | tuple | set | frozenset) and len(_text(value)) > VALUE_MAX_CHARACTERS:
        return _text(value)
    if isinstance(value, Mapping):
        return {_text(key): _json_value(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_json_value(inner) for inner in value]
    # Lone surrogates, from bytes that were not UTF-8, have no JSON: strict readers refuse the line.
    return _text(value).encode("utf-8", "backslashreplace").decode()


def _timestamp(epoch: float) -> str:
    """Write a moment to the millisecond, RFC 3339 UTC."""
    seconds, milliseconds = divmod(int(epoch * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{milliseconds:03d}Z"


def _journal_priority(level: int) -> int:
    """Return the syslog priority, sd-daemon(3)."""
    return next(priority for floor, priority in _JOURNAL_PRIORITIES if level >= floor)


def priority_mark(level: int = logging.ERROR, stream: TextIO | None = None) -> str:
    """Return what the journal wants before a line that no logger writes; nothing where it does not read.

    Args:
        level: Of the standard library.
        stream: Where the line goes; None is stderr.
    """
    in_journal = _is_journal(sys.stderr if stream is None else stream, os.environ)
    return f"<{_journal_priority(level)}>" if in_journal else ""


def _descriptor_of(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError, AttributeError):
        return None


def _is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Compare the stream with JOURNAL_STREAM, `device:inode` of what systemd connected, systemd.exec(5).

    The variable alone proves nothing: it is inherited by shells whose output goes elsewhere.
    """
    descriptor = _descriptor_of(stream)
    if descriptor is None:
        return False
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
