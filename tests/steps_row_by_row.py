"""Attempts and their steps read one row at a time, the plain way: what the reader of columns is held against.

Nothing here is quick, and nothing of it is part of the program: each value is read by itself, each step is made
whole, and what they used is summed up from that.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from slurmwatchd.model.records import StepRecord
from slurmwatchd.model.usage import MeasuredUsage, UsageAmounts
from slurmwatchd.sources.sacct import grammar
from slurmwatchd.sources.sacct.framing import RawRow

Key = tuple[int, int]

_UNSET = (b"18446744073709551614", b"18446744073709551615")


def attempts_in(rows: Iterable[RawRow]) -> Iterator[tuple[RawRow, list[RawRow]]]:
    """Each attempt's row with those of its steps; a step that does not follow its own attempt is no one's."""
    attempt: RawRow | None = None
    steps: list[RawRow] = []
    for row in rows:
        base, point, _ = row[0].partition(b".")
        if not point:
            if attempt is not None:
                yield attempt, steps
            attempt, steps = row, []
        elif attempt is not None and (base, row[2]) == (attempt[0], attempt[2]):
            steps.append(row)
    if attempt is not None:
        yield attempt, steps


def key_of(row: RawRow) -> Key | None:
    """Which attempt a row is of."""
    if all(part.isdigit() and len(part) <= 11 for part in row[:2]):
        return int(row[0]), int(row[1])
    return None


def measure(fields: Sequence[str], row: RawRow, steps: Sequence[RawRow]) -> MeasuredUsage:
    """What an attempt's row and those of its steps say."""
    job = _Values(fields, row)
    raw: dict[str, str] = {}
    read = []
    for step in steps:
        values = _Values(fields, step)
        read.append(_step(values, job))
        raw |= values.raw
    if not read and job.text("TRESUsageInTot"):
        # Before 22.05 a job's only step may be merged into its row.
        read = [_step(job, job)]
    return MeasuredUsage(
        cpu_seconds=job.read("TotalCPU", _cpu_seconds),
        user_cpu_seconds=job.read("UserCPU", _cpu_seconds),
        system_cpu_seconds=job.read("SystemCPU", _cpu_seconds),
        energy_joules=job.read("ConsumedEnergyRaw", _joules),
        amounts=_summed_up(read),
        step_count=len(read),
        has_batch=any(step.id in ("batch", "") for step in read),
        complete=all(step.complete for step in read),
        steps=read if job.is_full else [],
        raw=(raw | job.raw) or None,
    )


def _summed_up(steps: Sequence[StepRecord]) -> UsageAmounts[int | None]:
    amounts: dict[str, int | None] = {}
    for name in UsageAmounts._fields:
        known = [value for value in (getattr(step, name) for step in steps) if value is not None]
        amounts[name] = (sum(known) if name.startswith("disk") else max(known)) if known else None
    if steps:
        heaviest = max(steps, key=lambda step: step.memory_bytes or 0)
        amounts |= {"memory_bytes": heaviest.memory_bytes, "ave_rss_bytes": heaviest.ave_rss_bytes}
    return UsageAmounts(**amounts)


class _Values:
    """One row by field name; what cannot be read is kept as text."""

    def __init__(self, fields: Sequence[str], row: RawRow) -> None:
        self._row = dict(zip(fields, row, strict=True))
        self.step_id = grammar.text(row[0].partition(b".")[2])
        self.raw: dict[str, str] = {}

    @property
    def is_full(self) -> bool:
        """Whether each step is wanted by itself."""
        return "JobName" in self._row

    def text(self, name: str) -> bytes:
        return self._row[name]

    @property
    def ending(self) -> tuple[bytes, bytes]:
        return self.text("State"), self.text("End")

    def read(self, name: str, reader: Callable[[bytes], Any], absent: Any = None) -> Any:  # noqa: ANN401 - any value
        value = self.text(name)
        if not value:
            return absent
        try:
            return reader(value)
        except grammar.PartlyReadError as error:
            self.raw[self.called(name)] = error.unread
            return error.read
        except ValueError:
            self.raw[self.called(name)] = grammar.text(value)
            return absent

    def called(self, name: str) -> str:
        return f"{self.step_id}.{name}" if self.step_id else name


def _step(values: _Values, job: _Values) -> StepRecord:
    total, largest, average, written = (
        values.read(f"TRESUsage{name}", grammar.usage_tres, {}) for name in ("InTot", "InMax", "InAve", "OutTot")
    )
    return StepRecord(
        id=values.step_id,
        max_rss_bytes=largest.get("mem"),
        ave_rss_bytes=average.get("mem"),
        memory_bytes=total.get("mem"),
        max_vmsize_bytes=largest.get("vmem"),
        disk_read_bytes=total.get("fs/disk"),
        disk_write_bytes=written.get("fs/disk"),
        gpu_max_utilization_percent=largest.get("gres/gpuutil"),
        gpu_ave_utilization_percent=average.get("gres/gpuutil"),
        gpu_max_memory_bytes=largest.get("gres/gpumem"),
        complete=bool(values.text("TRESUsageInTot")) or _has_ended(*values.ending, *job.ending),
        **(_details(values) if values.is_full else {}),
    )


def _details(values: _Values) -> dict[str, Any]:
    state, _ = values.read("State", grammar.state, ("UNKNOWN", None))
    code, signal = values.read("ExitCode", grammar.exit_code, (None, None))
    return {
        "name": values.read("JobName", grammar.text),
        "state": state,
        "exit_code": code,
        "exit_signal": signal,
        "start": values.read("Start", grammar.moment),
        "end": values.read("End", grammar.epoch),
        "elapsed_seconds": _elapsed(values),
        "node_count": values.read("NNodes", grammar.count),
        "tasks": values.read("NTasks", grammar.count),
        "cpus": values.read("NCPUS", grammar.count),
        "node_list": values.read("NodeList", grammar.text),
        "cpu_seconds": values.read("TotalCPU", _cpu_seconds),
        "user_cpu_seconds": values.read("UserCPU", _cpu_seconds),
        "system_cpu_seconds": values.read("SystemCPU", _cpu_seconds),
        "energy_joules": values.read("ConsumedEnergyRaw", _joules),
    }


def _elapsed(values: _Values) -> int | None:
    """From a start that is a number and yet none nothing can be counted."""
    text = values.text("ElapsedRaw")
    if values.text("Start").isdigit() and values.called("Start") in values.raw and text:
        values.raw[values.called("ElapsedRaw")] = text.decode(errors="backslashreplace")
        return None
    return values.read("ElapsedRaw", grammar.seconds)  # type: ignore[no-any-return]


def _has_ended(state: bytes, end: bytes, job_state: bytes, job_end: bytes) -> bool:
    """A step without an end is printed with its job's end and state."""
    if state in (b"PENDING", b"RUNNING", b"SUSPENDED") or end == b"Unknown":
        return False
    return end != job_end or state.split()[:1] != job_state.split()[:1]


def _cpu_seconds(value: bytes) -> float:
    return grammar.cpu_milliseconds(value) / 1000


def _joules(value: bytes) -> int | None:
    if value in _UNSET:
        return None
    if not value.isdigit():
        raise ValueError(value)
    return grammar.size(value.decode())
