"""Rows for a person, a pipe or a program: a table that fits the terminal, tab-separated text, CSV, JSON.

Names come from users. What goes out as text has everything escaped that a terminal could obey; JSON is escaped in
its own way, to the same value; CSV is raw, except on a terminal.
"""

import io
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import click
import orjson

from slurmwatchd.cli.table_fit import asked_for, fitted, total
from slurmwatchd.config.units import spoken_duration
from slurmwatchd.model.terminal_text import json_shown, shown

TableRow = Mapping[str, Any]
"""A record or a part of one, in the fields of the wire format."""

_STYLES = {
    "COMPLETED": "green", "CANCELLED": "yellow", "PREEMPTED": "yellow", "REQUEUED": "yellow",
    "RESIZING": "yellow", "REVOKED": "yellow", "ok": "green", "warning": "yellow", "not configured": "yellow",
}  # fmt: skip
_TIMES = frozenset({"submit", "eligible", "start", "end", "time", "observed", "read_at"})
_TITLES = {"job_id": "job", "elapsed_seconds": "elapsed", "node_list": "nodes", "node_count": "count"}
_SCALE = 1024


class TableFormat(StrEnum):
    """How rows are written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class TableColumn:
    """One column: a field by its name, or one inside a field (`usage.cpu_efficiency`)."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        """Name it."""
        self.name = name

    @property
    def title(self) -> str:
        """What stands above it in a table."""
        return (
            _TITLES.get(self.name, self.name.rpartition(".")[2].removesuffix("_seconds")).upper().replace("_", " ")
        )

    def of(self, row: TableRow) -> Any:  # noqa: ANN401 - any JSON value
        """Return its value in a row; None where there is none."""
        value: Any = row
        for part in (self.name,) if self.name in row else self.name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    def text(self, row: TableRow) -> str:
        """Return its value as a person reads it; not escaped."""
        value = self.of(row)
        leaf = self.name.rpartition(".")[2]
        if value is None:
            return ""
        if leaf in _TIMES and isinstance(value, str):
            return local_time(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _number(leaf, value)
        if isinstance(value, Mapping):
            return ",".join(f"{key}={part}" for key, part in value.items())
        if isinstance(value, list | tuple):
            return ",".join(map(str, value))
        return str(value)


def write(
    rows: Iterable[TableRow], columns: Sequence[TableColumn], form: TableFormat, *, chosen: bool = True
) -> None:
    """Write rows to standard output as a table or as CSV.

    Args:
        rows: The rows; for anything but a table on a terminal one at a time.
        columns: What of them.
        form: How.
        chosen: Whether someone chose the columns: a table has all of them then.
    """
    if form is TableFormat.CSV:
        _write_csv(rows, columns)
    else:
        write_table(rows, columns, chosen=chosen)


def write_table(rows: Iterable[TableRow], columns: Sequence[TableColumn], *, chosen: bool = False) -> None:
    """Write a table: fitted to the terminal, or, into a pipe or a file, as lines with tabs between the values."""
    if sys.stdout.isatty():
        _write_fitted(list(rows), columns, chosen=chosen)
        return
    click.echo("\t".join(column.title for column in columns))
    for row in rows:
        click.echo("\t".join(shown(column.text(row)) for column in columns))


def write_json(value: object) -> None:
    """Write one JSON value, indented, with nothing in it that a terminal could obey."""
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    click.echo("\n".join(json_shown(line) for line in text.split("\n")))


def write_jobs(
    rows: Iterable[TableRow], columns: Sequence[TableColumn], besides: Mapping[str, object], *, chosen: bool
) -> None:
    """Write one JSON object, a line a row: `{"jobs": [...]}`.

    Args:
        rows: The rows, one at a time.
        columns: What of them, where someone chose.
        besides: What else the object has, after the rows.
        chosen: Whether someone chose the columns; if not, each row is whole.
    """
    click.echo('{"jobs":[', nl=False)
    count = 0
    for count, row in enumerate(rows, 1):
        value = {column.name: column.of(row) for column in columns} if chosen else row
        click.echo(("\n" if count == 1 else ",\n") + json_shown(orjson.dumps(value).decode()), nl=False)
    click.echo(("\n]," if count else "],") + json_shown(orjson.dumps(besides).decode()[1:]))


def local_time(text: str) -> str:
    """Return a time of the wire format in the machine's zone, as moments are read: `2026-11-20 14:30:00`."""
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def colours() -> bool:
    """Return whether standard output takes colours: a terminal, and NO_COLOR is not set to anything."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _write_csv(rows: Iterable[TableRow], columns: Sequence[TableColumn]) -> None:
    on_terminal = sys.stdout.isatty()
    # With colours, or click would take out of a name what it holds for one.
    click.echo(_csv_line([column.name for column in columns]), nl=False, color=True)
    for row in rows:
        values = [_plain(column.of(row)) for column in columns]
        click.echo(_csv_line([shown(value) for value in values] if on_terminal else values), nl=False, color=True)


def _csv_line(values: Sequence[str]) -> str:
    # Seldom asked for.
    import csv  # noqa: PLC0415

    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue()


def _plain(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return a value as a program reads it out of CSV."""
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _write_fitted(rows: Sequence[TableRow], columns: Sequence[TableColumn], *, chosen: bool) -> None:
    # Not quick to import, and not needed in a pipe.
    from rich.cells import cell_len  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    with_colours = colours()
    console = Console(highlight=False, color_system="auto" if with_colours else None, no_color=not with_colours)
    texts = {column: [shown(column.text(row)) for row in rows] for column in columns}
    wanted = {column.name: max(map(cell_len, (column.title, *texts[column]))) for column in texts}
    widths = (asked_for if chosen else fitted)(wanted, console.width)
    if chosen:
        console.width = max(console.width, total(widths))
    kept = [column for column in texts if column.name in widths]
    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    for column in kept:
        numeric = any(isinstance(column.of(row), int | float) for row in rows)
        width = widths[column.name]
        table.add_column(column.title, width=width, no_wrap=True, justify="right" if numeric else "left")
    for cells in zip(*(texts[column] for column in kept), strict=True):
        table.add_row(
            *(
                Text(text, style=_style(column, text), no_wrap=True, overflow="ellipsis")
                for column, text in zip(kept, cells, strict=True)
            )
        )
    # By click, so that a reader who has gone is noticed in one place.
    with console.capture() as captured:
        console.print(table)
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()), color=True)


def _style(column: TableColumn, text: str) -> str:
    if column.name not in {"state", "mark"} or not text:
        return ""
    return _STYLES.get(text, "red")


def _number(leaf: str, value: float) -> str:
    if leaf.endswith("_seconds"):
        return spoken_duration(value)
    if leaf.endswith("_bytes"):
        return _size(value)
    if leaf.endswith("_efficiency"):
        return f"{value:.0%}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _size(value: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(value) < _SCALE:
            return f"{value:.0f}{unit}" if unit == "B" else f"{value:.1f}{unit}"
        value /= _SCALE
    return f"{value:.1f}PiB"


def fields(text: str, known: Iterable[str]) -> Iterator[TableColumn]:
    """Read `a,b,usage.c` as columns.

    Raises:
        click.BadParameter: One is no known field, or begins with none; or there is none.
    """
    # As in `job_filters.known_fields`.
    from slurmwatchd.model.records import JobUsage  # noqa: PLC0415

    names, usage = frozenset(known), frozenset(JobUsage._fields)
    chosen = [part.strip() for part in text.split(",") if part.strip()]
    if not chosen:
        raise click.BadParameter(f"{text!r} has no field", param_hint="'--columns'")
    for name in chosen:
        part, _, inner = name.partition(".")
        if part not in names or (part == "usage" and inner and inner not in usage):
            full = f"usage.{inner or part}" if (inner or part) in usage else ""
            meant = f"it is {full}" if full else "see docs/events.md"
            raise click.BadParameter(f"{name!r} is not a field: {meant}", param_hint="'--columns'")
        yield TableColumn(name)
