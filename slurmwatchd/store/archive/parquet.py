"""One file of the archive, read a row group at a time: columns as a table, and what the footer alone says.

pyarrow's datasets would do the same at twice the cost: most questions open hundreds of files, and want four of
some ninety columns of a few.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Self

from slurmwatchd.errors import StoreBusyError, StoreError
from slurmwatchd.store.archive import arrow

ROW = "row"
"""Of a table of rows: the place of each in its file."""

TIMES = ("start", "end")
"""The times of which row groups are left out by the footer."""

NAMES_OF_NODES = "nodes.list.element"
"""What Parquet calls the texts in the lists of the column `nodes`."""


@dataclass(frozen=True, slots=True)
class Range:
    """Which values of a time answer a question; one that is missing does not.

    Attributes:
        least: Milliseconds since 1970; None: any.
        most: Likewise.
    """

    least: int | None = None
    most: int | None = None


@dataclass(frozen=True, slots=True)
class TimeStatistics:
    """What the footer says of a time in a row group.

    Attributes:
        least: Milliseconds since 1970; None: the footer does not say.
        most: Likewise.
        missing: In how many rows there is none; None: the footer does not say.
    """

    least: int | None
    most: int | None
    missing: int | None


@dataclass(frozen=True, slots=True)
class RowGroup:
    """One row group, as the footer has it.

    Attributes:
        number: Its place in the file.
        first: The place of its first row in the file.
        rows: How many it has.
        times: By column; an older file may lack one.
    """

    number: int
    first: int
    rows: int
    times: Mapping[str, TimeStatistics]

    def undecided(self, ranges: Mapping[str, Range]) -> dict[str, Range] | None:
        """Return which times are not known to be in their ranges in all rows; None: in no row all are."""
        left: dict[str, Range] = {}
        for name, wanted in ranges.items():
            known = self.times.get(name)
            if known is None or known.missing == self.rows:
                return None
            if _is_before(known.most, wanted.least) or _is_before(wanted.most, known.least):
                return None
            is_inside = known.least is not None and not _is_before(known.least, wanted.least)
            is_inside = is_inside and known.most is not None and not _is_before(wanted.most, known.most)
            if known.missing != 0 or not is_inside:
                left[name] = wanted
        return left


@dataclass(frozen=True, slots=True)
class Hits:
    """Rows of a row group.

    Attributes:
        mask: For each row whether it is one; None: all are.
        times: What was read to know that, a pyarrow.Table of all rows; None: nothing.
    """

    mask: Any
    times: Any


class reading:  # noqa: N801 - used as a function
    """Say in our words what pyarrow and the system say in theirs."""

    def __init__(self, pa: ModuleType, path: Path) -> None:
        """Prepare."""
        self._pa = pa
        self._path = path

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Translate."""
        if isinstance(error, FileNotFoundError):
            text = f"{self._path}: the daemon has just written this day of the archive again; try again"
            raise StoreBusyError(text) from error
        if isinstance(error, OSError | self._pa.ArrowInvalid):
            raise StoreError(f"{self._path}: cannot be read: {error}") from error


class ArchiveFile:
    """A file, open for reading."""

    def __init__(self, pa: ModuleType, pq: ModuleType, path: Path, *, texts: Sequence[str] = ()) -> None:
        """Open it, and read its footer.

        Args:
            pa: The module pyarrow.
            pq: The module pyarrow.parquet.
            path: The file.
            texts: Columns whose texts are wanted as dictionaries: each once, and a number for each row.

        Raises:
            OSError: It cannot be read.
            pyarrow.ArrowInvalid: It is no Parquet file.
        """
        import pyarrow.compute as pc  # noqa: PLC0415 - as `pa`

        self._pa, self._pc = pa, pc
        self._file = pq.ParquetFile(path, read_dictionary=list(texts))
        self._footer = self._file.metadata

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self._file.close()

    def groups(self) -> Sequence[RowGroup]:
        """Return its row groups."""
        names, found, first = self._footer.schema.names, [], 0
        for number in range(self._footer.num_row_groups):
            group = self._footer.row_group(number)
            times = {name: _statistics(group.column(names.index(name))) for name in TIMES if name in names}
            found.append(RowGroup(number, first, group.num_rows, times))
            first += group.num_rows
        return found

    def count(self, group: RowGroup, ranges: Mapping[str, Range]) -> int:
        """Count the rows of a row group whose times are in some ranges."""
        return int(self._pc.sum(self._within(self.read(group, list(ranges)), ranges)).as_py() or 0)

    def hits(self, group: RowGroup, ranges: Mapping[str, Range]) -> Hits | None:
        """Return which rows of a row group have their times in some ranges; None where none has.

        Args:
            group: The row group.
            ranges: Time to its range; all have to be met. None at all: every row.
        """
        if not ranges:
            return Hits(None, None)
        # Most of what ended after an interval began after it, too: the rest is read only where it pays.
        times = self.read(group, list(ranges))
        mask = self._within(times, ranges)
        return Hits(mask, times) if self._pc.any(mask).as_py() else None

    def rows(self, group: RowGroup, hits: Hits, columns: Sequence[str]) -> Any:  # noqa: ANN401 - a pyarrow.Table
        """Return columns, `ROW` included, of the rows of a row group that `hits` gave."""
        there = [name for name in hits.times.column_names if name in columns] if hits.times is not None else []
        table = self.read(group, [name for name in columns if name != ROW and name not in there])
        for name in there:
            table = table.append_column(name, hits.times[name])
        if ROW in columns:
            table = table.append_column(ROW, arrow.counting(self._pa, group.first, group.rows))
        return table if hits.mask is None else table.filter(hits.mask)

    def read(self, group: RowGroup, columns: Sequence[str]) -> Any:  # noqa: ANN401 - a pyarrow.Table
        """Return columns of a row group; those that an older file lacks are empty."""
        table = self._file.read_row_group(group.number, columns=list(columns), use_threads=False)
        if len(table.column_names) < len(columns):
            return arrow.filled(self._pa, table, columns)
        return table.select(columns)

    def _within(self, table: Any, ranges: Mapping[str, Range]) -> Any:  # noqa: ANN401 - pyarrow's
        """Return for each row whether its times are in some ranges; null where one is missing."""
        pc, mask = self._pc, None
        for name, wanted in ranges.items():
            moments = table[name].cast(self._pa.int64())
            bounds = ((pc.greater_equal, wanted.least), (pc.less_equal, wanted.most))
            parts = [compare(moments, bound) for compare, bound in bounds if bound is not None]
            for part in parts or [pc.is_valid(moments)]:
                mask = part if mask is None else pc.and_(mask, part)
        return mask


def taken(pa: ModuleType, table: Any, rows: list[int]) -> Any:  # noqa: ANN401 - pyarrow's
    """Return some rows of a table. Those of a whole day stand one behind the other, and are not copied."""
    if rows == list(range(rows[0], rows[0] + len(rows))):
        return table.slice(rows[0], len(rows))
    return table.take(pa.array(rows))


def _statistics(column: Any) -> TimeStatistics:  # noqa: ANN401 - pyarrow's
    found = column.statistics
    if found is None:
        return TimeStatistics(None, None, None)
    least, most = (found.min_raw, found.max_raw) if found.has_min_max else (None, None)
    return TimeStatistics(least, most, found.null_count if found.has_null_count else None)


def _is_before(moment: int | None, other: int | None) -> bool:
    """Return whether a moment lies before another; an open end lies before nothing, and nothing before it."""
    return moment is not None and other is not None and moment < other
