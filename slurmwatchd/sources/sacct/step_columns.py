"""Attempts and their steps, a column at a time: what `measure` reads of their rows, at a fifth of the cost.

Anything out of the ordinary has a piece of the answer read row by row instead: `measure` alone
decides what a row means, and a test holds this module against it.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from slurmwatchd.model.records import StepRecord
from slurmwatchd.model.usage import Amounts, Measured
from slurmwatchd.sources.sacct import grammar
from slurmwatchd.sources.sacct.column_sources import Memo
from slurmwatchd.sources.sacct.framing import Columns
from slurmwatchd.sources.sacct.step_rows import (
    STEP_FIELDS,
    Key,
    attempts_in,
    cpu_seconds,
    has_ended,
    joules,
    key_of,
    measure,
)

_SPENT = (
    ("TotalCPU", cpu_seconds),
    ("UserCPU", cpu_seconds),
    ("SystemCPU", cpu_seconds),
    ("ConsumedEnergyRaw", joules),
)

_LIST = re.compile(
    rb"(?:cpu=\d\d:\d\d:\d\d,)?(?:energy=\d{1,18},)?(?:fs/disk=(\d{1,18}),)?(?:gres/gpumem=(\d{1,18}),)?"
    rb"(?:gres/gpuutil=(\d{1,18}),)?(?:mem=(\d{1,18}),)?(?:pages=\d{1,18},)?(?:vmem=(\d{1,18}),)?"
)
"""A list of what a step used as sacct prints nearly all of them, in the order of names, with a comma behind it."""

_Used = tuple[int | None, int | None, int | None, int | None, int | None]
"""What sums need of such a list."""

_DISK, _GPU_MEMORY, _GPU_UTILIZATION, _MEMORY, _VMEM = range(5)
_NOTHING: _Used = (None, None, None, None, None)


class StepColumns:
    """Reads one answer, in pieces of any size."""

    def __init__(self, fields: Sequence[str]) -> None:
        """Expect columns of `fields`: `FIELDS`, and `STEP_FIELDS` where steps are to be told."""
        self._fields = tuple(fields)
        self._place = {name: place for place, name in enumerate(fields)}
        self._full = STEP_FIELDS[0] in self._place
        self._held: Columns = [[] for _ in fields]

    def feed(self, columns: Columns) -> list[tuple[Key, Measured]]:
        """Add rows, one list a field; return the attempts that are whole now, each with its steps.

        The last attempt is held until the next one begins: more of its steps may follow.
        """
        before = len(self._held[0])
        for held, column in zip(self._held, columns, strict=True):
            held.extend(column)
        ids = columns[0]
        last = next((place for place in range(len(ids) - 1, -1, -1) if b"." not in ids[place]), None)
        if last is None:
            return []
        whole = [held[: before + last] for held in self._held]
        self._held = [held[before + last :] for held in self._held]
        return self._read(whole)

    def close(self) -> list[tuple[Key, Measured]]:
        """Say that the answer has ended; return its last attempt."""
        held, self._held = self._held, [[] for _ in self._fields]
        return self._read(held)

    def _read(self, columns: Columns) -> list[tuple[Key, Measured]]:
        if not columns[0]:
            return []
        try:
            return list(self._alike(columns))
        except ValueError:
            # A value, or an order of rows, that is out of the ordinary.
            attempts = attempts_in(zip(*columns, strict=True))
            found = ((key_of(row), measure(self._fields, row, steps)) for row, steps in attempts)
            return [(key, measured) for key, measured in found if key is not None]

    def _alike(self, columns: Columns) -> Iterator[tuple[Key, Measured]]:
        """Read rows of which every value is as it should be, and every step stands behind its own attempt.

        Raises:
            ValueError: One is not.
        """
        bases, points, names = zip(*[value.partition(b".") for value in columns[0]], strict=True)
        heads = [place for place, point in enumerate(points) if not point]
        if not heads or heads[0] != 0:
            raise ValueError("a step of no attempt")
        ends = [*heads[1:], len(bases)]
        index, totals = self._column(columns, "DBIndex"), self._column(columns, "TRESUsageInTot")
        ids = list(map(grammar.text, names))
        amounts = self._amounts(columns)
        complete = [True] * len(bases)
        states, moments = self._column(columns, "State"), self._column(columns, "End")
        begins = []
        for head, end in zip(heads, ends, strict=True):
            own = end - head
            if bases[head:end].count(bases[head]) != own or index[head:end].count(index[head]) != own:
                raise ValueError("a step of another attempt")
            # Before 22.05 a job's only step may be merged into its row.
            begins.append(head if own == 1 and totals[head] else head + 1)
            if b"" in totals[head + 1 : end]:
                job = states[head], moments[head]
                for step in range(head + 1, end):
                    complete[step] = bool(totals[step]) or has_ended(states[step], moments[step], *job)
        spent = self._spent(columns, heads)
        records = self._records(columns, ids, amounts, complete) if self._full else []
        for key, begin, end, values in zip(self._keys(columns, heads), begins, ends, spent, strict=True):
            used = Amounts._make([ids[begin:end], *(column[begin:end] for column in amounts), complete[begin:end]])
            yield key, Measured._make((*values, used, records[begin:end], None))

    def _column(self, columns: Columns, name: str) -> list[bytes]:
        return columns[self._place[name]]

    def _keys(self, columns: Columns, heads: Sequence[int]) -> Iterator[Key]:
        numbers, submits = ([column[head] for head in heads] for column in columns[:2])
        return zip(map(grammar.natural, numbers), map(grammar.natural, submits), strict=True)

    def _spent(self, columns: Columns, heads: Sequence[int]) -> Iterator[tuple[Any, ...]]:
        """Return processor times and energy of each attempt."""
        read = []
        for name, reader in _SPENT:
            column = self._column(columns, name)
            read.append(_understood(Memo(reader), [column[head] for head in heads]))
        return zip(*read, strict=True)

    def _amounts(self, columns: Columns) -> list[list[int | None]]:
        """Return what each row's step used, in the order of `Amounts`."""
        # One memory for all: where a step has one task, its total, largest and average are the same text.
        memo = Memo(_used, _NOTHING)
        total, largest, average, written = (
            _understood(memo, self._column(columns, f"TRESUsage{name}"))
            for name in ("InTot", "InMax", "InAve", "OutTot")
        )
        return [
            [used[place] for used in column]
            for column, place in (
                (largest, _MEMORY),
                (average, _MEMORY),
                (total, _MEMORY),
                (largest, _VMEM),
                (total, _DISK),
                (written, _DISK),
                (largest, _GPU_UTILIZATION),
                (average, _GPU_UTILIZATION),
                (largest, _GPU_MEMORY),
            )
        ]

    def _records(
        self, columns: Columns, ids: list[str], amounts: list[list[int | None]], complete: list[bool]
    ) -> list[StepRecord]:
        """Return each row as a step that is told by itself; of most attempts' own rows nobody asks for it."""

        def read(name: str, reader: Callable[[bytes], Any], absent: Any = None) -> list[Any]:  # noqa: ANN401
            return _understood(Memo(reader, absent), self._column(columns, name))

        codes = read("ExitCode", grammar.exit_code, (None, None))
        values: dict[str, Sequence[Any]] = {
            "id": ids,
            "name": read("JobName", grammar.text),
            "state": [state for state, _ in read("State", grammar.state, ("UNKNOWN", None))],
            "exit_code": [code for code, _ in codes],
            "exit_signal": [signal for _, signal in codes],
            "start": read("Start", grammar.moment),
            "end": read("End", grammar.epoch),
            "elapsed_seconds": read("ElapsedRaw", grammar.seconds),
            "node_count": read("NNodes", grammar.count),
            "tasks": read("NTasks", grammar.count),
            "cpus": read("NCPUS", grammar.count),
            "node_list": read("NodeList", grammar.text),
            "cpu_seconds": read("TotalCPU", cpu_seconds),
            "user_cpu_seconds": read("UserCPU", cpu_seconds),
            "system_cpu_seconds": read("SystemCPU", cpu_seconds),
            "energy_joules": read("ConsumedEnergyRaw", joules),
            **dict(zip(Amounts._fields[1:-1], amounts, strict=True)),
            "complete": complete,
        }
        return list(map(StepRecord._make, zip(*(values[name] for name in StepRecord._fields), strict=True)))


def _understood(memo: Memo, values: Sequence[bytes]) -> list[Any]:
    """Read a column; raises ValueError where a value is not as it should be."""
    read = memo.column(values)
    if memo.unread:
        raise ValueError(next(iter(memo.unread)))
    return read


def _used(value: bytes) -> _Used:
    """Read a list of what a step used; raises ValueError as `grammar.usage_tres` does."""
    ordinary = _LIST.fullmatch(value + b",")
    if ordinary is None:
        amount = grammar.usage_tres(value).get
        return (
            amount("fs/disk"),
            amount("gres/gpumem"),
            amount("gres/gpuutil"),
            amount("mem"),
            amount("vmem"),
        )
    disk, gpu_memory, gpu_utilization, memory, vmem = ordinary.groups()
    return (
        int(disk) if disk else None,
        int(gpu_memory) if gpu_memory else None,
        int(gpu_utilization) if gpu_utilization else None,
        int(memory) if memory else None,
        int(vmem) if vmem else None,
    )
