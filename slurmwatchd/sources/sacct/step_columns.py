"""Rows of attempts and their steps, read a column at a time: the one way from sacct's text to what was used.

A value that cannot be parsed costs only itself: its text is kept under `raw`. Rows that belong to no attempt, or
to one without a key, are cut out first. A test holds this against the same rows read one at a time.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slurmwatchd.model.records import StepRecord
from slurmwatchd.model.usage import BATCH, MeasuredUsage, UsageAmounts, sums
from slurmwatchd.sources.sacct import grammar
from slurmwatchd.sources.sacct.column_sources import Memo
from slurmwatchd.sources.sacct.fields import ValueReader
from slurmwatchd.sources.sacct.framing import RawColumns, without
from slurmwatchd.sources.sacct.step_fields import SPENT, STEP_FIELDS, Key
from slurmwatchd.sources.sacct.step_values import amounts_used, processor_times

_LISTS = ("TRESUsageInTot", "TRESUsageInMax", "TRESUsageInAve", "TRESUsageOutTot")
_TOTAL = _LISTS[0]
_TIMES = ("TotalCPU", "UserCPU", "SystemCPU")
_ENERGY = "ConsumedEnergyRaw"
_OPEN_STATES = frozenset({b"PENDING", b"RUNNING", b"SUSPENDED"})
_MAIN = frozenset({BATCH.encode(), b""})
"""The batch step; an attempt's own row, where its only step is merged into that."""


class StepColumns:
    """Reads one answer, in pieces of any size."""

    def __init__(self, fields: Sequence[str]) -> None:
        """Expect columns of `fields`: `FIELDS`, and `STEP_FIELDS` where each step is wanted."""
        self._fields = tuple(fields)
        self._readers = _Readers()
        self._full = STEP_FIELDS[0] in self._fields
        self._held: RawColumns = [[] for _ in fields]

    def feed(self, columns: RawColumns) -> list[tuple[Key, MeasuredUsage]]:
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

    def close(self) -> list[tuple[Key, MeasuredUsage]]:
        """Say that the answer has ended; return its last attempt."""
        held, self._held = self._held, [[] for _ in self._fields]
        return self._read(held)

    def _read(self, columns: RawColumns) -> list[tuple[Key, MeasuredUsage]]:
        rows = _rows_of(columns)
        if not rows.heads:
            return []
        batch = _Batch(dict(zip(self._fields, rows.columns, strict=True)), rows, self._readers)
        return list(zip(rows.keys, batch.read(full=self._full), strict=True))


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of attempts that have a key, each followed by those of its own steps.

    Attributes:
        columns: One list a field.
        names: What follows the point of each row's id; empty in an attempt's own row.
        heads: The places of the attempts' own rows.
        ends: For each attempt, the place after its last step.
        keys: Of each attempt.
    """

    columns: RawColumns
    names: Sequence[bytes]
    heads: Sequence[int]
    ends: Sequence[int]
    keys: Sequence[Key]


def _rows_of(columns: RawColumns) -> _Rows:
    """Leave out the rows that belong to no attempt, or to one without a key."""
    cut = [text.partition(b".") for text in columns[0]]
    heads, ends = _attempts(cut)
    keys = _keys(*([column[head] for head in heads] for column in columns[:2]))
    left_out = _strays(([base for base, _, _ in cut], columns[2]), heads, ends)
    for key, head, end in zip(keys, heads, ends, strict=True) if None in keys else ():
        left_out.update(range(head, end) if key is None else ())
    if left_out:
        places = sorted(left_out)
        cut = without(places, cut)
        columns = [without(places, column) for column in columns]
        heads, ends = _attempts(cut)
    return _Rows(columns, [name for _, _, name in cut], heads, ends, [key for key in keys if key is not None])


def _attempts(cut: Sequence[tuple[bytes, bytes, bytes]]) -> tuple[list[int], list[int]]:
    """Return where the rows of each attempt begin and end, by their ids before, at and after the point."""
    heads = [place for place, (_, point, _) in enumerate(cut) if not point]
    return heads, [*heads[1:], len(cut)] if heads else []


def _strays(columns: Sequence[Sequence[bytes]], heads: Sequence[int], ends: Sequence[int]) -> set[int]:
    """Return the places of rows that do not have in each column what the attempt before them has."""
    first = heads[0] if heads else len(columns[0])
    found = set(range(first))
    before = [head for head, end in zip(heads, ends, strict=True) for _ in range(head, end)]
    for column in columns:
        expected = list(map(column.__getitem__, before))
        if expected != column[first:]:
            pairs = enumerate(zip(column[first:], expected, strict=True), first)
            found.update(place for place, (text, own) in pairs if text != own)
    return found


def _keys(numbers: Sequence[bytes], submits: Sequence[bytes]) -> list[Key | None]:
    """Return which attempts rows are of; None where it cannot be told."""
    if grammar.are_natural(numbers) and grammar.are_natural(submits):
        return list(zip(map(int, numbers), map(int, submits), strict=True))
    found: list[Key | None] = []
    for number, submit in zip(numbers, submits, strict=True):
        is_known = grammar.is_natural(number) and grammar.is_natural(submit)
        found.append((int(number), int(submit)) if is_known else None)
    return found


class _Readers:
    """What is remembered of columns whose values come again."""

    def __init__(self) -> None:
        self.energy = Memo(joules)
        self.details = {name: Memo(reader, absent) for name, (reader, absent) in _DETAILS.items()}


class _Batch:
    """Some attempts and their steps, while they are read."""

    def __init__(self, columns: Mapping[str, Sequence[bytes]], rows: _Rows, readers: _Readers) -> None:
        self._columns = columns
        self._rows = rows
        self._readers = readers
        self._count = len(rows.names)
        self._unread: dict[str, Mapping[int, str]] = {}
        """Field to what of it cannot be read, by the row's place."""

    def read(self, *, full: bool) -> list[MeasuredUsage]:
        """Read all of them; with each step by itself, if wanted."""
        names, totals = self._rows.names, self._columns[_TOTAL]
        # Before 22.05 a job's only step may be merged into its row.
        spans = [
            slice(head if end - head == 1 and totals[head] else head + 1, end)
            for head, end in zip(self._rows.heads, self._rows.ends, strict=True)
        ]
        amounts, unread = amounts_used([self._columns[name] for name in _LISTS])
        self._unread |= zip(_LISTS, unread, strict=True)
        incomplete = self._incomplete()
        steps = self._steps(amounts, incomplete) if full else []
        heads = self._rows.heads
        return list(
            map(
                MeasuredUsage,
                *self._spent(heads),
                sums(amounts, spans),
                [span.stop - span.start for span in spans],
                [not _MAIN.isdisjoint(names[span]) for span in spans],
                [not incomplete or incomplete.isdisjoint(range(span.start, span.stop)) for span in spans],
                [steps[span] for span in spans] if full else [()] * len(spans),
                self._raw(spans),
            )
        )

    def _incomplete(self) -> set[int]:
        """Return the places of steps without their usage."""
        totals, heads = self._columns[_TOTAL], self._rows.heads
        without = {place for place, total in enumerate(totals) if not total}.difference(heads)
        states, ends = self._columns["State"], self._columns["End"]
        found = set()
        for place in without:
            head = heads[self._number(place)]
            if not has_ended(states[place], ends[place], states[head], ends[head]):
                found.add(place)
        return found

    def _number(self, place: int) -> int:
        """Return which attempt a row is of."""
        return bisect_right(self._rows.heads, place) - 1

    def _spent(self, places: Sequence[int]) -> list[Sequence[Any]]:
        """Return processor times and energy of some rows."""
        read: list[Sequence[Any]] = []
        for name in _TIMES:
            times, unread = processor_times([self._columns[name][place] for place in places])
            read.append(times)
            self._keep(name, places, unread)
        texts = [self._columns[_ENERGY][place] for place in places]
        read.append(self._readers.energy.column(texts))
        self._keep(_ENERGY, places, self._readers.energy.unread_in(texts, len(texts)))
        return read

    def _keep(self, name: str, places: Sequence[int], unread: Mapping[int, str]) -> None:
        """Keep what cannot be read of some rows; their places are counted among these."""
        if unread:
            self._unread[name] = {
                **self._unread.get(name, {}),
                **{places[at]: text for at, text in unread.items()},
            }

    def _steps(self, amounts: UsageAmounts[Sequence[int | None]], incomplete: Collection[int]) -> list[StepRecord]:
        """Return each row as a step by itself; of most attempts' own rows it is not needed."""
        every = range(self._count)
        values: dict[str, Sequence[Any]] = {"id": list(map(grammar.text, self._rows.names))}
        for field, name in _PLAIN.items():
            values[field] = self._detail(name)
        values["state"] = [state for state, _ in self._detail("State")]
        codes = self._detail("ExitCode")
        values["exit_code"], values["exit_signal"] = ([code[part] for code in codes] for part in (0, 1))
        values["elapsed_seconds"] = self._counted(values["elapsed_seconds"])
        values |= zip(SPENT, self._spent(every), strict=True)
        values |= zip(UsageAmounts._fields, amounts, strict=True)
        values["complete"] = [place not in incomplete for place in every] if incomplete else [True] * self._count
        return list(map(StepRecord, *(values[name] for name in StepRecord._fields)))

    def _detail(self, name: str) -> Sequence[Any]:
        """Read a column of what only a step by itself needs."""
        texts, memo = self._columns[name], self._readers.details[name]
        if name in _NUMBERS:
            digits = _NUMBERS[name]
            read = [int(text) if text.isdigit() and len(text) in digits else memo[text] for text in texts]
        else:
            read = memo.column(texts)
        self._keep(name, range(self._count), memo.unread_in(texts, self._count))
        return read

    def _counted(self, seconds: Sequence[int | None]) -> Sequence[int | None]:
        """Leave out how long steps ran whose start is a number and yet none: nothing can be counted from there."""
        texts, elapsed = self._columns["Start"], self._columns["ElapsedRaw"]
        places = [place for place in self._unread.get("Start", ()) if texts[place].isdigit() and elapsed[place]]
        if not places:
            return seconds
        self._keep("ElapsedRaw", places, {at: grammar.text(elapsed[place]) for at, place in enumerate(places)})
        rests_on_none = frozenset(places)
        return [None if place in rests_on_none else second for place, second in enumerate(seconds)]

    def _raw(self, spans: Sequence[slice]) -> list[dict[str, str] | None]:
        """Return what cannot be read of each attempt, by the names of the fields: its steps first."""
        if not any(self._unread.values()):
            return [None] * len(spans)
        cells: dict[int, dict[str, str]] = defaultdict(dict)
        for name in _RAW_ORDER:
            for place, text in self._unread.get(name, {}).items():
                cells[place][name] = text
        found: dict[int, dict[str, str]] = defaultdict(dict)
        for place in sorted(cells):
            number = self._number(place)
            if place >= spans[number].start:
                step = grammar.text(self._rows.names[place])
                found[number] |= {f"{step}.{name}" if step else name: text for name, text in cells[place].items()}
        for place in cells.keys() & set(self._rows.heads):
            own = cells[place]
            found[self._number(place)] |= {name: own[name] for name in SPENT.values() if name in own}
        return [found.get(number) or None for number in range(len(spans))]


def has_ended(state: bytes, end: bytes, job_state: bytes, job_end: bytes) -> bool:
    """Tell whether slurmdbd has the end of a step that is printed without usage.

    A step without an end is printed with its job's end and state, so usage, or another end or state than the
    job's, is the sign of one of its own.
    """
    if state in _OPEN_STATES or end == b"Unknown":
        return False
    # Word by word: who cancelled it stands with the job alone.
    return (end, *state.split()[:1]) != (job_end, *job_state.split()[:1])


def joules(value: bytes) -> int | None:
    """Read energy; None where it is not set."""
    if grammar.text(value) in grammar.UNSET_AMOUNTS:
        return None
    if not value.isdigit():
        raise ValueError(value)
    return grammar.size(value.decode())


_DETAILS: Mapping[str, tuple[ValueReader, Any]] = {
    "State": (grammar.state, ("UNKNOWN", None)),
    "ExitCode": (grammar.exit_code, (None, None)),
    "JobName": (grammar.text, None),
    "Start": (grammar.moment, None),
    "End": (grammar.epoch, None),
    "ElapsedRaw": (grammar.seconds, None),
    "NNodes": (grammar.count, None),
    "NTasks": (grammar.count, None),
    "NCPUS": (grammar.count, None),
    "NodeList": (grammar.text, None),
}
"""What only a step by itself needs, in the order in which it is read: the reader, and what stands for no value."""

_PLAIN = {
    "name": "JobName",
    "start": "Start",
    "end": "End",
    "elapsed_seconds": "ElapsedRaw",
    "node_count": "NNodes",
    "tasks": "NTasks",
    "cpus": "NCPUS",
    "node_list": "NodeList",
}
"""Those that fill one field of the record each."""

_NUMBERS = {"Start": (10,), "End": (10,), "ElapsedRaw": range(1, grammar.SECONDS_DIGITS + 1)}
"""Those in which hardly two values are alike, and how many digits a plain number there has: ten make a time of
2001 or later."""

_RAW_ORDER = (*_LISTS, *_DETAILS, *SPENT.values())
"""In this order values that cannot be read stand under `raw`."""
