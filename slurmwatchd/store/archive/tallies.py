"""Rows of the archive as the sums of a report: what `model/sums.py` does to attempts, done to columns at once.

What an attempt had is spread over time as there, to the same second, so that it makes no difference to a report
which of the two has added an attempt up.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import orjson

from slurmwatchd.model.reports import Tally
from slurmwatchd.model.sums import HOUR, OF_END, OF_TIME, OF_WHOLE, SEVERAL
from slurmwatchd.model.tres_rates import TresRates, tres_rates
from slurmwatchd.model.waits import wait_bucket
from slurmwatchd.store.archive import arrow

WHOSE = ("partition", "account", "user", "qos", "outcome")
"""Columns that a report groups by or filters; the cluster is its file's."""

COLUMNS = (
    *WHOSE, "submit", "start", "end", "elapsed_seconds", "wait_seconds", "cpus", "node_count", "alloc_tres",
    "usage_complete", "usage_steps", "usage_cpu_seconds", "usage_memory_bytes",
    "usage_gpu_ave_utilization_percent",
)  # fmt: skip

_NO_TIME, _NO_END, _NOTHING_WHOLE = ((0,) * len(names) for names in (OF_TIME, OF_END, OF_WHOLE))
_MIB = 1 << 20
_MOST = 1 << 31
"""No attempt has as much of anything; with it, no product overflows."""

_ENERGY = '"energy_joules":(?P<joules>[0-9]{1,15})[,}]'
_NO_ENERGY = '(,"energy_joules":[0-9]{1,15}|"energy_joules":[0-9]{1,15},)'
"""Nearly every attempt used another amount; without it most lists of TRES are alike, and each is read once."""

_Tallies = defaultdict[str | int, Tally]

_ROWS_AT_ONCE = 500_000
"""An attempt of a month is a row for each hour of a report by the hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """The time that a report is of, in the pieces that it tells apart.

    Attributes:
        edges: Where each piece begins, epoch seconds, full hours; the last is where the time ends.
        of_hour: For each hour, the place of its piece.
    """

    edges: Sequence[int]
    of_hour: Sequence[int]


class Adder:
    """Adds up rows, a table at a time."""

    def __init__(
        self, pa: ModuleType, pc: ModuleType, pieces: Pieces, *, by: str | None, only: Mapping[str, Sequence[str]]
    ) -> None:
        """Prepare.

        Args:
            pa: The module pyarrow.
            pc: The module pyarrow.compute.
            pieces: The time.
            by: The column of `WHOSE` that is grouped by; None: the pieces of time.
            only: Column to the values that count, for the columns of which not all do.
        """
        self._pa, self._pc = pa, pc
        self._by = by
        self._only = {name: pa.array(values, pa.string()) for name, values in only.items()}
        self._edges = pa.array(pieces.edges, pa.int64())
        self._of_hour = pa.array(pieces.of_hour, pa.int64())
        self._start, self._end = pieces.edges[0], pieces.edges[-1]

    def tallies(self, table: Any) -> dict[str | int, Tally]:  # noqa: ANN401 - a pyarrow.Table
        """Return what rows add up to, by group or by the place of a piece of time.

        Args:
            table: Rows with the columns `COLUMNS`, and `moment`: when each counts as ended, epoch seconds.
        """
        found: _Tallies = defaultdict(Tally)
        rows = self._labelled(table)
        self._count(rows, found)
        rows, kinds = self._with_rates(self._that_ran(rows))
        most = self._pc.max(self._pc.subtract(rows["last"], rows["first"])).as_py() if rows.num_rows else 0
        step = max(1, _ROWS_AT_ONCE // (most + 1))
        for begin in range(0, rows.num_rows, step):
            self._add(self._by_piece(rows.slice(begin, step)), kinds, found)
        return found

    def _labelled(self, table: Any) -> Any:  # noqa: ANN401 - pyarrow's
        """Return the rows that count, with the names that the sums have, and times in seconds."""
        pa, pc = self._pa, self._pc
        columns = {name: table[name] for name in (*COLUMNS, "moment")}
        columns |= {name: pc.coalesce(table[name], "") for name in WHOSE}
        is_list = pc.match_substring(columns["partition"], ",")
        columns["partition"] = pc.if_else(is_list, SEVERAL, columns["partition"])
        columns |= {name: pc.divide(table[name].cast(pa.int64()), 1000) for name in ("start", "end")}
        rows = pa.table(columns)
        for name, values in self._only.items():
            rows = rows.filter(pc.is_in(rows[name], value_set=values))
        return rows

    def _count(self, rows: Any, found: _Tallies) -> None:  # noqa: ANN401 - pyarrow's
        """Count what ended, and how long it had waited."""
        pa, pc = self._pa, self._pc
        moment = rows["moment"]
        rows = rows.filter(pc.and_(pc.greater_equal(moment, self._start), pc.less(moment, self._end)))
        if not rows.num_rows:
            return
        waited = pc.and_(pc.is_valid(rows["start"]), pc.is_valid(rows["wait_seconds"]))
        waits = pc.if_else(waited, rows["wait_seconds"], None).cast(pa.int64())
        keys = {"key": self._keys(rows, self._piece_of(rows["moment"])), "outcome": rows["outcome"], "wait": waits}
        counts = pa.table(keys).group_by(["key", "outcome"], use_threads=False)
        counts = counts.aggregate([([], "count_all"), ("wait", "count"), ("wait", "sum")])
        for row in counts.to_pylist():
            amounts = (row["count_all"], row["wait_count"], row["wait_sum"] or 0)
            found[row["key"]].add(row["outcome"], (*_NO_TIME, *amounts, *_NOTHING_WHOLE))
        buckets = pa.table(keys).filter(waited).group_by(["key", "wait"], use_threads=False)
        for row in buckets.aggregate([([], "count_all")]).to_pylist():
            found[row["key"]].add_waits(wait_bucket(row["wait"]), row["count_all"])

    def _that_ran(self, rows: Any) -> Any:  # noqa: ANN401 - pyarrow's
        """Return the rows that ran in the time, with `first` and `last`: the pieces of it in which each did."""
        pc = self._pc
        start, end = rows["start"], rows["end"]
        ran = pc.and_(pc.greater(end, self._start), pc.greater_equal(end, start))
        at_once = pc.and_(pc.equal(start, end), pc.equal(start, self._start))
        rows = rows.filter(pc.and_(pc.less(start, self._end), pc.or_(ran, at_once)))
        start, end = rows["start"], rows["end"]
        first = self._piece_of(pc.max_element_wise(start, self._start))
        last = pc.min_element_wise(pc.subtract(end, 1), self._end - 1)
        last = self._piece_of(pc.max_element_wise(last, start, self._start))
        return rows.append_column("first", first).append_column("last", last)

    def _with_rates(self, rows: Any) -> tuple[Any, Sequence[TresRates]]:  # noqa: ANN401 - pyarrow's
        """Add what each row had of everything: `kind` is the place of its list of TRES among those returned."""
        pa, pc = self._pa, self._pc
        texts, joules = rows["alloc_tres"], None
        if pc.any(pc.match_substring(texts, '"energy_joules"')).as_py():
            joules = pc.struct_field(pc.extract_regex(texts, pattern=_ENERGY), "joules").cast(pa.int64())
            texts = pc.replace_substring_regex(texts, pattern=_NO_ENERGY, replacement="")
        encoded = pa.array(texts.combine_chunks(), pa.string()).dictionary_encode()
        kinds = [tres_rates(None, None, orjson.loads(text)) for text in encoded.dictionary.to_pylist()]
        columns = {name: rows[name] for name in rows.column_names}

        def each(values: list[int]) -> Any:  # noqa: ANN401 - pyarrow's
            amounts = pa.array([min(value, _MOST) for value in values], pa.int64())
            return pc.coalesce(amounts.take(encoded.indices), 0)

        for place, name in enumerate(OF_TIME):
            columns[name] = each([kind.of_time[place] for kind in kinds])
        for name, named in (("cpu_seconds", "cpus"), ("node_seconds", "node_count")):
            columns[name] = pc.if_else(pc.equal(columns[name], 0), pc.coalesce(rows[named], 0), columns[name])
        columns["kind"] = encoded.indices.cast(pa.int64())
        # What `energy_joules` in a list is too odd for the pattern stays there.
        columns["energy_joules"] = each([kind.energy_joules for kind in kinds])
        if joules is not None:
            columns["energy_joules"] = pc.add(columns["energy_joules"], pc.coalesce(joules, 0))
        columns["run"] = pc.subtract(rows["end"], rows["start"])
        columns["elapsed"] = pc.coalesce(rows["elapsed_seconds"], columns["run"])
        return pa.table(columns | self._used(columns)), kinds

    def _used(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Return what each row used, and beside it what it had where that is known; see `Sums.add_usage`."""
        pa, pc, elapsed = self._pa, self._pc, columns["elapsed"]
        memory, percent = columns["usage_memory_bytes"], columns["usage_gpu_ave_utilization_percent"]
        memory_mib, gpus = columns["memory_mib_seconds"], columns["gpu_seconds"]
        is_known = pc.coalesce(columns["usage_complete"], False)
        of_cpu = pc.and_(is_known, pc.greater(pc.coalesce(columns["usage_steps"], 0), 0))
        of_cpu = pc.and_(of_cpu, pc.is_valid(columns["usage_cpu_seconds"]))
        of_memory = pc.and_(pc.and_(is_known, pc.is_valid(memory)), pc.greater(memory_mib, 0))
        of_gpus = pc.and_(pc.and_(is_known, pc.is_valid(percent)), pc.greater(gpus, 0))
        milliseconds = pc.round(pc.multiply(columns["usage_cpu_seconds"], 1000)).cast(pa.int64())
        amounts = (
            (of_cpu, milliseconds),
            (of_cpu, pc.multiply(columns["cpu_seconds"], elapsed)),
            (of_memory, pc.multiply(pc.divide(memory, _MIB), elapsed)),
            (of_memory, pc.multiply(memory_mib, elapsed)),
            (of_gpus, pc.multiply(pc.multiply(percent, gpus), elapsed)),
            (of_gpus, pc.multiply(gpus, elapsed)),
        )
        return {
            name: pc.coalesce(pc.if_else(known, amount, 0), 0)
            for name, (known, amount) in zip(OF_WHOLE[1:], amounts, strict=True)
        }

    def _by_piece(self, rows: Any) -> Any:  # noqa: ANN401 - pyarrow's
        """Return a row for each piece of time in which one ran, with what falls into it."""
        pa, pc = self._pa, self._pc
        piece = rows["first"]
        if pc.any(pc.not_equal(rows["first"], rows["last"])).as_py():
            counts = pc.add(pc.subtract(rows["last"], rows["first"]), 1)
            ends = pc.cumulative_sum(counts)
            parents = _parents(pa, pc, ends)
            rows = rows.take(parents)
            begins = pc.subtract(ends, counts).take(parents)
            place = pc.subtract(arrow.counting(pa, 0, rows.num_rows), begins)
            piece = pc.add(rows["first"], place)
        low, high = self._edges.take(_one(piece)), self._edges.take(_one(pc.add(piece, 1)))
        start, end, run = rows["start"], rows["end"], rows["run"]
        is_inside = pc.and_(pc.greater_equal(start, low), pc.less_equal(end, high))
        if pc.all(is_inside).as_py():
            parts = {name: rows[name] for name in ("elapsed", *OF_WHOLE)}
        else:
            run = pc.max_element_wise(run, 1)
            until = pc.subtract(pc.min_element_wise(end, high), start)
            since = pc.subtract(pc.max_element_wise(start, low), start)
            parts = {}
            for name in ("elapsed", *OF_WHOLE):
                part = pc.subtract(_due(pc, rows[name], until, run), _due(pc, rows[name], since, run))
                parts[name] = pc.if_else(is_inside, rows[name], part)
        seconds = parts.pop("elapsed")
        amounts = {name: seconds if name == OF_TIME[0] else pc.multiply(seconds, rows[name]) for name in OF_TIME}
        whose = {"key": self._keys(rows, piece), "outcome": rows["outcome"], "kind": rows["kind"]}
        return pa.table(whose | {"seconds": seconds} | amounts | parts)

    def _add(self, parts: Any, kinds: Sequence[TresRates], found: _Tallies) -> None:  # noqa: ANN401
        """Add up the parts of attempts."""
        names = (*OF_TIME, *OF_WHOLE)
        sums = parts.group_by(["key", "outcome"], use_threads=False).aggregate([(name, "sum") for name in names])
        for row in sums.to_pylist():
            amounts = [row[f"{name}_sum"] for name in names]
            found[row["key"]].add(row["outcome"], (*amounts[: len(OF_TIME)], *_NO_END, *amounts[len(OF_TIME) :]))
        others = self._pa.array([place for place, kind in enumerate(kinds) if kind.others], self._pa.int64())
        rows = parts.filter(self._pc.is_in(parts["kind"], value_set=others))
        sums = rows.group_by(["key", "kind"], use_threads=False).aggregate([("seconds", "sum")])
        for row in sums.to_pylist():
            for name, each in kinds[row["kind"]].others:
                found[row["key"]].add_tres(name, row["seconds_sum"] * each)

    def _keys(self, rows: Any, pieces: Any) -> Any:  # noqa: ANN401 - pyarrow's
        return pieces if self._by is None else rows[self._by]

    def _piece_of(self, moments: Any) -> Any:  # noqa: ANN401 - pyarrow's
        hours = self._pc.divide(self._pc.subtract(moments, self._start), HOUR)
        return self._of_hour.take(_one(hours))


def _one(column: Any) -> Any:  # noqa: ANN401 - pyarrow's
    """Return a column in one piece: what is to take the places of an array."""
    return column.combine_chunks() if hasattr(column, "combine_chunks") else column


def _parents(pa: ModuleType, pc: ModuleType, ends: Any) -> Any:  # noqa: ANN401 - pyarrow's
    """Return the place of each row as often as it is to be there, given the running total of that."""
    offsets = pa.concat_arrays([pa.array([0], pa.int64()), _one(ends)]).cast(pa.int32())
    repeated = pa.ListArray.from_arrays(offsets, pa.nulls(offsets[-1].as_py()))
    return pc.list_parent_indices(repeated)


def _due(pc: ModuleType, total: Any, reached: Any, run: Any) -> Any:  # noqa: ANN401 - pyarrow's
    """Return what of a total belongs to the seconds reached of a run, rounded down, whatever its size."""
    whole = pc.divide(total, run)
    rest = pc.subtract(total, pc.multiply(whole, run))
    return pc.add(pc.multiply(whole, reached), pc.divide(pc.multiply(rest, reached), run))
