"""Questions to the archive's files: which rows answer one, what they add up to, and the records they stand for.

A row is known by the place of its file in the listing and its place in the file. Files are read a row group at a
time, only the columns that a question needs, and only the row groups whose statistics do not rule them out: memory
does not grow with the archive.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

from slurmwatchd.errors import StoreError
from slurmwatchd.model.columns import USAGE
from slurmwatchd.store.archive import arrow, layout
from slurmwatchd.store.archive.arrow import KEY, Key, Known
from slurmwatchd.store.archive.conditions import columns_of, condition_of, min_day, ranges_of
from slurmwatchd.store.archive.layout import DayFile, day_of
from slurmwatchd.store.archive.parquet import NAMES_OF_NODES, ROW, ArchiveFile, Range, RowGroup, reading, taken
from slurmwatchd.store.archive.records import Record, records_of
from slurmwatchd.store.archive.tallies import COLUMNS
from slurmwatchd.store.read.query import Order, Question

_ORDERS = {
    Order.FOUND: (),
    Order.SUBMIT: ("submit",),
    Order.START: ("start",),
    Order.END: ("end",),
    Order.ELAPSED: ("start", "end"),
    Order.EFFICIENCY: ("usage_cpu_efficiency",),
}
_KEPT_GROUPS = 4
_KEPT_COUNTS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Rows of one row group that answer a question.

    Attributes:
        file: The place of the file in the listing.
        rows: Their places in the file.
        keys: job_id_raw and submit of each.
        order: What each is sorted by; None where it has none.
    """

    file: int
    rows: Sequence[int]
    keys: Sequence[Key]
    order: Sequence[float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayRow:
    """Tasks of one array and one outcome in a row group.

    Attributes:
        array: Its number, as text.
        attempts: How many.
        start: The first start, epoch seconds; None where nothing started.
        end: The last end.
        row: The last one's place in the file.
    """

    array: str
    outcome: str
    attempts: int
    start: int | None
    end: int | None
    row: int


class Dataset:
    """The files of an archive, as they were when last listed.

    Attributes:
        files: All that were ever met; the place of each stays, since ids of rows are made of it.
    """

    def __init__(self, path: Path) -> None:
        """Prepare; `refresh` lists the files."""
        # An extra, and not quick to import.
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.compute as pc  # noqa: PLC0415
        import pyarrow.parquet as pq  # noqa: PLC0415

        self.path = path
        self.pa, self.pc, self._pq = pa, pc, pq
        self.files: list[DayFile] = []
        self._places: dict[DayFile, int] = {}
        self._current: Sequence[int] = ()
        self._condition = lru_cache(maxsize=1)(partial(condition_of, pc))
        self._group = lru_cache(maxsize=_KEPT_GROUPS)(self._read_group)
        self._groups = lru_cache(maxsize=_KEPT_COUNTS)(self._read_groups)

    def refresh(self) -> None:
        """List the files that there are now: one that was read before is the same as long as it has its name.

        Raises:
            StoreError: The dataset cannot be read.
        """
        try:
            found = layout.files(self.path)
        except OSError as error:
            raise StoreError(f"{self.path}: the archive cannot be read: {error.strerror}") from error
        for file in found:
            if file not in self._places:
                self._places[file] = len(self.files)
                self.files.append(file)
        self._current = [self._places[file] for file in found]

    def places(self, question: Question, before: Mapping[str, int]) -> list[int]:
        """Return which files may have rows that answer a question, oldest first.

        Args:
            question: What is wanted.
            before: Cluster to the day up to which its files count; of other clusters all do.
        """
        first = min_day(question)
        last = None if question.ended_until is None else day_of(question.ended_until)
        return [
            place
            for place in self._current
            for file in (self.files[place],)
            if (not question.clusters or file.cluster in question.clusters)
            and (first is None or file.day >= first)
            and (last is None or file.day <= last)
            and file.day <= before.get(file.cluster, file.day)
        ]

    def find(self, place: int, question: Question) -> Iterator[Found]:
        """Give the rows of a file that answer a question.

        Raises:
            StoreBusyError: The daemon has replaced the file.
            StoreError: It cannot be read.
        """
        needed = (*KEY, *_ORDERS[question.order])
        with reading(self.pa, self.files[place].path):
            for table in self._answering(place, question, (*needed, ROW)):
                yield self._found(place, table, question.order)

    def count(self, place: int, question: Question, known: Known) -> int:
        """Return how many rows of a file answer a question, by the file's own counts as far as they say.

        Args:
            place: The file's.
            question: Which.
            known: See `Known`.

        Raises:
            StoreBusyError: The daemon has replaced the file.
            StoreError: It cannot be read.
        """
        with reading(self.pa, self.files[place].path):
            if known() or question.node is not None or self._condition(question) is not None:
                return sum(table.num_rows for table in self._answering(place, question, KEY, known))
            return self._count_by_times(place, question)

    def arrays(self, place: int, question: Question, known: Known) -> Iterator[ArrayRow]:
        """Give the arrays of which a file has tasks that answer a question, by outcome.

        Args:
            place: The file's.
            question: Which tasks count.
            known: See `Known`.

        Raises:
            StoreBusyError: The daemon has replaced the file.
            StoreError: It cannot be read.
        """
        pa, pc = self.pa, self.pc
        with reading(pa, self.files[place].path):
            for table in self._answering(place, question, ("job_id", "outcome", "start", "end", ROW), known):
                tasks = table.filter(pc.match_substring(table["job_id"], "_"))
                columns = {
                    "array": pc.replace_substring_regex(tasks["job_id"], pattern="(?s)_.*", replacement=""),
                    "outcome": tasks["outcome"],
                    "start": tasks["start"].cast(pa.int64()),
                    "end": tasks["end"].cast(pa.int64()),
                    "row": tasks[ROW],
                }
                sums = pa.table(columns).group_by(["array", "outcome"])
                sums = sums.aggregate([([], "count_all"), ("start", "min"), ("end", "max"), ("row", "max")])
                for found in sums.to_pylist():
                    start, end = (found[name] for name in ("start_min", "end_max"))
                    yield ArrayRow(
                        array=found["array"],
                        outcome=found["outcome"],
                        attempts=found["count_all"],
                        start=None if start is None else start // 1000,
                        end=None if end is None else end // 1000,
                        row=found["row_max"],
                    )

    def records(self, rows: Sequence[tuple[int, int]], *, nodes: bool, usage: bool) -> list[Record]:
        """Return the records of some rows, given by file and row, in their order.

        Raises:
            StoreBusyError: The daemon has replaced a file.
            StoreError: One cannot be read.
        """
        # Each row group once, in whatever order its rows are wanted.
        wanted: dict[tuple[int, int], list[tuple[int, int]]] = {}
        last: RowGroup | None = None
        of_file = -1
        for position, (place, row) in enumerate(rows):
            if last is None or place != of_file or not last.first <= row < last.first + last.rows:
                with reading(self.pa, self.files[place].path):
                    last, of_file = self._group_of(place, row), place
            wanted.setdefault((place, last.number), []).append((position, row - last.first))
        result: list[Record] = [{}] * len(rows)
        for (place, group), some in wanted.items():
            with reading(self.pa, self.files[place].path):
                table = self._group(place, group, nodes, usage)
            chosen = taken(self.pa, table, [row for _, row in some])
            for (position, _), record in zip(some, records_of(self.pa, self.pc, chosen), strict=True):
                result[position] = record
        return result

    def add_up(
        self, place: int, question: Question, by: str | None, known: Known
    ) -> Iterator[tuple[str | None, int, int, int]]:
        """Add up the rows of a file that ran in the interval from `running_from` until `running_until`.

        Args:
            place: The file's.
            question: Names both.
            by: The column to group by; None: none.
            known: See `Known`.

        Yields:
            The group, how many ran, how many of them ended, node seconds; a group once for each row group.

        Raises:
            StoreBusyError: The daemon has replaced the file.
            StoreError: It cannot be read.
        """
        pa, pc = self.pa, self.pc
        needed = ("start", "end", "node_count", "nodes", *([by] if by else []))
        texts = (NAMES_OF_NODES, *([by] if by else []))
        begin, end = ((moment or 0) * 1000 for moment in (question.running_from, question.running_until))
        with reading(pa, self.files[place].path):
            for table in self._answering(place, question, needed, known, texts=texts):
                # As numbers: pyarrow has no smaller one of two times.
                start, stop = (table[name].cast(pa.int64()) for name in ("start", "end"))
                ran = pc.subtract(pc.min_element_wise(stop, end), pc.max_element_wise(start, begin))
                nodes = pc.coalesce(pc.list_value_length(table["nodes"]).cast(pa.int64()), table["node_count"], 0)
                columns = {
                    "group": table[by] if by else pa.nulls(table.num_rows, pa.string()),
                    "ended": pc.less_equal(stop, end).cast(pa.int64()),
                    "milliseconds": pc.multiply(nodes, pc.max_element_wise(ran, 0)),
                }
                sums = pa.table(columns).unify_dictionaries().group_by("group", use_threads=False)
                sums = sums.aggregate([([], "count_all"), ("ended", "sum"), ("milliseconds", "sum")])
                for row in sums.to_pylist():
                    yield row["group"], row["count_all"], row["ended_sum"], row["milliseconds_sum"] // 1000

    def rows(self, place: int) -> int:
        """Return how many rows a file has.

        Raises:
            StoreBusyError: The daemon has replaced the file.
            StoreError: It cannot be read.
        """
        with reading(self.pa, self.files[place].path):
            return sum(group.rows for group in self._groups(place))

    def unsummed(
        self, place: int, question: Question, known: Known, expired: Sequence[tuple[int, int]]
    ) -> Iterator[Any]:
        """Give the rows of a file that the store's sums lack, as tables for `tallies.Adder`.

        Args:
            place: The file's.
            question: Which rows are wanted.
            known: See `Known`.
            expired: In these stretches, epoch seconds, both ends included, ended what expired from there.

        Raises:
            StoreBusyError: The daemon has replaced the file.
            StoreError: It cannot be read.
        """
        pa, pc = self.pa, self.pc
        with reading(pa, self.files[place].path):
            for table in self._answering(place, question, COLUMNS, known):
                moment = pc.coalesce(*(table[name].cast(pa.int64()) for name in ("end", "start", "submit")))
                rows = table.append_column("moment", pc.divide(moment, 1000))
                for first, last in expired:
                    moment = rows["moment"]
                    rows = rows.filter(pc.or_(pc.less(moment, first), pc.greater(moment, last)))
                if rows.num_rows:
                    yield rows

    def _answering(
        self,
        place: int,
        question: Question,
        columns: Sequence[str],
        known: Known = tuple,
        *,
        texts: Sequence[str] = (),
    ) -> Iterator[Any]:
        """Give the rows of a file that answer a question, a row group at a time, as tables of some columns.

        Args:
            place: The file's.
            question: Which rows are wanted.
            columns: What of them; `ROW` is where in the file each stands.
            known: Rows with a key of these are left out.
            texts: See `ArchiveFile`.
        """
        pa, pc = self.pa, self.pc
        condition, ranges = self._condition(question), ranges_of(question)
        left_out = cache(lambda: arrow.packed_keys(pa, known()))
        parts = self._parts(place, ranges)
        if not parts:
            # Of long intervals most files are like that.
            return
        with self._open(place, texts=texts) as file:
            for group, left in parts:
                hits = file.hits(group, left)
                if hits is None:
                    continue
                needed = dict.fromkeys([*columns, *columns_of(question), *(KEY if len(left_out()) else ())])
                table = file.rows(group, hits, list(needed))
                if question.node is not None:
                    table = self._on(table, question.node)
                if condition is not None:
                    table = table.filter(condition)
                if len(left_out()):
                    table = table.filter(pc.invert(pc.is_in(arrow.packed(pa, table), value_set=left_out())))
                if table.num_rows:
                    yield table

    def _open(self, place: int, *, texts: Sequence[str] = ()) -> ArchiveFile:
        return ArchiveFile(self.pa, self._pq, self.files[place].path, texts=texts)

    def _parts(self, place: int, ranges: Mapping[str, Range]) -> list[tuple[RowGroup, dict[str, Range]]]:
        """Return the row groups that may have rows in some ranges, each with those that only rows decide."""
        found = ((group, group.undecided(ranges)) for group in self._groups(place))
        return [(group, left) for group, left in found if left is not None]

    def _count_by_times(self, place: int, question: Question) -> int:
        """Count the rows of a file whose times answer a question, by the footer where that says so."""
        parts = self._parts(place, ranges_of(question))
        count = sum(group.rows for group, left in parts if not left)
        if all(not left for _, left in parts):
            return count
        with self._open(place) as file:
            return count + sum(file.count(group, left) for group, left in parts if left)

    def _group_of(self, place: int, row: int) -> RowGroup:
        """Return the row group that has a row."""
        for group in self._groups(place):
            if row < group.first + group.rows:
                return group
        raise StoreError(f"{self.files[place].path}: has no row {row}")

    def _read_groups(self, place: int) -> Sequence[RowGroup]:
        with self._open(place) as file:
            return file.groups()

    def _read_group(self, place: int, number: int, nodes: bool, usage: bool) -> Any:  # noqa: ANN401, FBT001 - of a cache
        columns = [
            name
            for name in arrow.archived()
            if name != arrow.REVISION
            and (nodes or name != "nodes")
            and (usage or not (name == arrow.STEPS or name.startswith(USAGE)))
        ]
        with self._open(place) as file:
            return file.read(self._groups(place)[number], columns)

    def _on(self, table: Any, node: str) -> Any:  # noqa: ANN401 - pyarrow's
        """Return the rows whose nodes include one."""
        pc = self.pc
        lists = table.column("nodes").combine_chunks()
        hits = pc.list_parent_indices(lists).filter(pc.equal(pc.list_flatten(lists), node))
        return table.take(hits.unique())

    def _found(self, place: int, table: Any, order: Order) -> Found:  # noqa: ANN401 - pyarrow's
        rows = table.column(ROW).to_pylist()
        return Found(file=place, rows=rows, keys=self._keys(table), order=self._order(table, order))

    def _keys(self, table: Any) -> list[Key]:  # noqa: ANN401 - pyarrow's
        return list(
            zip(table.column("job_id_raw").to_pylist(), arrow.epochs(self.pa, table["submit"]), strict=True)
        )

    def _order(self, table: Any, order: Order) -> Sequence[float | None]:  # noqa: ANN401 - pyarrow's
        if order is Order.FOUND:
            return table.column(ROW).to_pylist()  # type: ignore[no-any-return]
        if order is Order.EFFICIENCY:
            return table.column("usage_cpu_efficiency").to_pylist()  # type: ignore[no-any-return]
        columns = [arrow.epochs(self.pa, table[name]) for name in _ORDERS[order]]
        if order is not Order.ELAPSED:
            return columns[0]
        return [None if start is None or end is None else end - start for start, end in zip(*columns, strict=True)]
