"""Reports for scripts: the lines that `slurmwatchd report` prints, as values or as a DataFrame."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, overload

from slurmwatchd.model.reports import ReportLine

if TYPE_CHECKING:
    import pandas as pd


class Report(Sequence[ReportLine]):
    """Lines, the one of all together last; hours are hours, waits seconds, efficiencies shares of 1.

    Attributes:
        by: What the lines are grouped by.
    """

    def __init__(self, lines: Sequence[ReportLine], by: str) -> None:
        """Wrap lines."""
        self._lines = list(lines)
        self.by = by

    @overload
    def __getitem__(self, index: int) -> ReportLine: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[ReportLine]: ...

    def __getitem__(self, index: int | slice) -> ReportLine | Sequence[ReportLine]:
        """Return a line, or some."""
        return self._lines[index]

    def __len__(self) -> int:
        """Return how many lines there are, that of all together included."""
        return len(self._lines)

    def __repr__(self) -> str:
        """Say what it is a report of."""
        return f"<report by {self.by}: {len(self) - 1} lines and a total>"

    @property
    def total(self) -> ReportLine:
        """The line of all together."""
        return self._lines[-1]

    def to_dataframe(self) -> "pd.DataFrame":
        """Return a row a line, without that of all together, indexed by what they are grouped by.

        Its columns are the fields of a line; `attempts_<outcome>` has the attempts of each outcome that is there,
        `hours_<name>` the hours of each other TRES (`hours_gres/gpu:a100`).

        Raises:
            ImportError: pandas is not there.
        """
        try:
            import pandas as pd  # noqa: PLC0415 - an extra, and a second to import
        except ImportError as error:
            raise ImportError("to_dataframe needs pandas: pip install 'slurmwatchd[dataframe]'") from error
        outcomes, tres = sorted(self.total.outcomes), sorted(self.total.tres_hours)
        rows: list[dict[str, Any]] = []
        for line in self._lines[:-1]:
            values = asdict(line)
            counts, hours = values.pop("outcomes"), values.pop("tres_hours")
            values[self.by] = values.pop("key")
            values |= {f"attempts_{name}": counts.get(name, 0) for name in outcomes}
            values |= {f"hours_{name}": hours.get(name, 0.0) for name in tres}
            rows.append(values)
        frame = pd.DataFrame(rows, columns=None if rows else [self.by, "attempts"])
        return frame.set_index(self.by)
