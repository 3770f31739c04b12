"""A report as a table with bars, as CSV or as JSON."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import orjson

from slurmwatchd.cli import tables
from slurmwatchd.cli.tables import TableColumn, TableFormat, TableRow
from slurmwatchd.model.outcomes import Outcome, failed
from slurmwatchd.model.reports import OTHERS, TOTAL, ReportLine

BAR_CELLS = 12
_EIGHTHS = " ▏▎▍▌▋▊▉"
_GPU = "gres/gpu:"

_NAMED = {
    "attempts": "JOBS", "failed": "FAILED", "cpu_hours": "CPU H", "bar": "", "cpu_efficiency": "CPU EFF",
    "gpu_hours": "GPU H", "gpu_efficiency": "GPU EFF", "node_hours": "NODE H", "lost_cpu_hours": "LOST CPU H",
    "memory_efficiency": "MEM EFF", "wait_median_seconds": "WAIT", "wait_95th_seconds": "WAIT 95%",
    "billing_hours": "BILLING H", "energy_kwh": "KWH", "price": "PRICE", "co2_kilograms": "CO2 KG",
}  # fmt: skip


class _Amount(TableColumn):
    """A number with a title of its own."""

    __slots__ = ("_heading",)

    def __init__(self, name: str, heading: str = "") -> None:
        super().__init__(name)
        self._heading = heading

    @property
    def title(self) -> str:
        """What stands above it."""
        return self._heading or _NAMED.get(self.name, self.name.upper())

    def of(self, row: TableRow) -> Any:  # noqa: ANN401 - any JSON value
        """Return its value; names of TRES have points in them."""
        kind, _, name = self.name.partition("/")
        return row[kind].get(name) if name else row.get(self.name)

    def text(self, row: TableRow) -> str:
        """Return it as a person reads it."""
        value = self.of(row)
        if isinstance(value, float) and not self.name.endswith(("_seconds", "_efficiency")):
            return f"{value:,.2f}" if self.name == "price" or 0 < value < 10 else f"{value:,.0f}"  # noqa: PLR2004
        return f"{value:,}" if isinstance(value, int) else super().text(row)


def write(lines: Sequence[ReportLine], *, by: str, currency: str, form: TableFormat) -> None:
    """Write a report to standard output as a table or as CSV.

    Args:
        lines: Its lines, that of all together last.
        by: What they are grouped by.
        currency: Of the prices.
        form: How.
    """
    if form is TableFormat.CSV:
        flat = [{by: line.key, **_flat(line)} for line in lines]
        tables.write(flat, [TableColumn(name) for name in flat[0]], form)
    else:
        tables.write_table(list(_with_bars(lines)), list(_columns(lines, by, currency)))


def write_json(lines: Sequence[ReportLine], *, by: str, besides: Mapping[str, object]) -> None:
    """Write a report as one JSON object; see `write`.

    Args:
        lines: Its lines, that of all together last.
        by: What they are grouped by.
        besides: What else the object has.
    """
    *parts, total = lines
    named = [{by: line.key, **_without_key(line)} for line in parts]
    tables.write_json({"by": by, **besides, "lines": named, "total": _without_key(total)})


def _without_key(line: ReportLine) -> dict[str, Any]:
    return {name: value for name, value in asdict(line).items() if name != "key"}


def _flat(line: ReportLine) -> dict[str, Any]:
    """Return a line with a column for each outcome; other TRES are JSON text, since each site has its own."""
    values = _without_key(line)
    outcomes, tres = values.pop("outcomes"), values.pop("tres_hours")
    counts = {f"attempts_{outcome}": outcomes.get(outcome.value, 0) for outcome in Outcome}
    return {**values, "tres_hours": orjson.dumps(tres).decode(), **counts}


def _with_bars(lines: Sequence[ReportLine]) -> Iterator[Mapping[str, Any]]:
    most = max((line.cpu_hours for line in lines if line.key not in {TOTAL, OTHERS}), default=0.0)
    for line in lines:
        row = asdict(line)
        row["failed"] = failed(line.outcomes)
        row["bar"] = "" if line.key in {TOTAL, OTHERS} else bar(line.cpu_hours, most)
        yield row


def bar(amount: float, most: float) -> str:
    """Return a bar that fills its cells where an amount is the most."""
    if most <= 0 or amount <= 0:
        return ""
    eighths = min(BAR_CELLS * 8, max(1, round(amount / most * BAR_CELLS * 8)))
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[rest] if rest else "")


def _columns(lines: Sequence[ReportLine], by: str, currency: str) -> Iterator[TableColumn]:
    """Give the columns in which anything stands."""
    total = lines[-1]
    yield _Amount("key", by.upper())
    for name in _NAMED:
        if name == "bar":
            # Into a pipe or a file goes no picture.
            if sys.stdout.isatty():
                yield _Amount("bar")
        elif name in {"attempts", "failed", "cpu_hours"} or getattr(total, name):
            yield _Amount(name, currency if name == "price" else "")
            if name == "gpu_hours":
                for tres in total.tres_hours:
                    if tres.startswith(_GPU):
                        yield _Amount(f"tres_hours/{tres}", f"{tres.removeprefix(_GPU)} H")
