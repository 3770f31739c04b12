"""The rows of attempts and their steps, as sacct prints them, read one at a time.

This alone decides what a row means; `step_columns.py` reads the ordinary ones faster, and is held against it.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from slurmwatchd.model.records import StepRecord
from slurmwatchd.model.usage import CPUS_A_NODE, WATTS_A_NODE, Amounts, Asked, Measured, node_seconds
from slurmwatchd.sources.sacct import grammar
from slurmwatchd.sources.sacct.framing import Row

FIELDS = (
    "JobIDRaw", "Submit", "DBIndex", "State", "End", "TotalCPU", "UserCPU", "SystemCPU", "ConsumedEnergyRaw",
    "TRESUsageInTot", "TRESUsageInMax", "TRESUsageInAve", "TRESUsageOutTot",
)  # fmt: skip
"""What sums need. Every release from 20.11 on prints these."""

STEP_FIELDS = ("JobName", "Start", "ElapsedRaw", "ExitCode", "NNodes", "NTasks", "NCPUS", "NodeList")
"""What each step is told with, besides."""

_SPENT = {
    "cpu_seconds": "TotalCPU",
    "user_cpu_seconds": "UserCPU",
    "system_cpu_seconds": "SystemCPU",
    "energy_joules": "ConsumedEnergyRaw",
}
"""What attempts and steps have alike, and sacct's names for it."""

Key = tuple[int, int]
"""job_id_raw and submit."""


def attempts_in(rows: Iterator[Row]) -> Iterator[tuple[Row, list[Row]]]:
    """Give each attempt's row with the rows of its steps, as sacct prints them: attempt, its steps, next attempt.

    A step that does not follow its own attempt is nobody's.
    """
    attempt: Row | None = None
    steps: list[Row] = []
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


def measure(fields: Sequence[str], row: Row, steps: Sequence[Row]) -> Measured:
    """Read an attempt's row and those of its steps."""
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
    return Measured(
        cpu_seconds=job.seconds("TotalCPU"),
        user_cpu_seconds=job.seconds("UserCPU"),
        system_cpu_seconds=job.seconds("SystemCPU"),
        energy_joules=job.energy(),
        amounts=Amounts.of(read),
        steps=read if job.is_full else (),
        raw=raw | job.raw,
    )


def measurable(attempt: Asked, measured: Measured) -> Measured:
    """Take for unread what an attempt and its steps cannot have used within their run on their nodes.

    Args:
        attempt: Which; where its run or its nodes are not known, nothing can be said.
        measured: What was read.
    """
    if attempt.run_seconds is None or attempt.node_count is None:
        return measured
    spent = node_seconds(attempt.run_seconds, attempt.node_count)
    if _is_measurable(measured, spent) and all(_is_measurable(step, spent) for step in measured.steps):
        return measured
    over = _over(measured, spent)
    nothing: dict[str, Any] = dict.fromkeys(over)
    raw = {_SPENT[name]: text for name, text in over.items()}
    steps = []
    for step in measured.steps:
        beyond = _over(step, spent)
        raw |= {f"{step.id}.{_SPENT[name]}": text for name, text in beyond.items()}
        unmeasured: dict[str, Any] = dict.fromkeys(beyond)
        steps.append(step._replace(**unmeasured))
    return measured._replace(**nothing, steps=steps, raw=raw | dict(measured.raw or {}))


def _is_measurable(amounts: Measured | StepRecord, spent: int) -> bool:
    most = CPUS_A_NODE * spent
    return (
        (amounts.energy_joules or 0) <= WATTS_A_NODE * spent
        and (amounts.cpu_seconds or 0) <= most
        and (amounts.user_cpu_seconds or 0) <= most
        and (amounts.system_cpu_seconds or 0) <= most
    )


def _over(amounts: Measured | StepRecord, spent: int) -> dict[str, str]:
    """Return what exceeds its limit, as text."""
    found = {}
    for name in _SPENT:
        value = getattr(amounts, name)
        if value is not None and value > spent * (WATTS_A_NODE if name == "energy_joules" else CPUS_A_NODE):
            found[name] = str(value)
    return found


def key_of(row: Row) -> Key | None:
    """Return which attempt a row is of; None where it cannot be told."""
    try:
        return grammar.natural(row[0]), grammar.natural(row[1])
    except ValueError:
        return None


class _Values:
    """One row by field name; what cannot be read is kept as text."""

    def __init__(self, fields: Sequence[str], row: Row) -> None:
        self._row = dict(zip(fields, row, strict=True))
        self.step_id = grammar.text(row[0].partition(b".")[2])
        self.raw: dict[str, str] = {}

    @property
    def is_full(self) -> bool:
        """Whether what `STEP_FIELDS` names was asked for too."""
        return STEP_FIELDS[0] in self._row

    def text(self, name: str) -> bytes:
        return self._row.get(name, b"")

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
            self.raw[self._called(name)] = error.unread
            return error.read
        except ValueError:
            self.raw[self._called(name)] = grammar.text(value)
            return absent

    def run_seconds(self, start: bytes) -> int | None:
        """Read how long it ran; from a start that is a number and yet none nothing can be counted."""
        if start.isdigit() and self._called("Start") in self.raw and self.text("ElapsedRaw"):
            self.raw[self._called("ElapsedRaw")] = grammar.text(self.text("ElapsedRaw"))
            return None
        return self.read("ElapsedRaw", grammar.seconds)  # type: ignore[no-any-return]

    def _called(self, name: str) -> str:
        return f"{self.step_id}.{name}" if self.step_id else name

    def seconds(self, name: str) -> float | None:
        return self.read(name, cpu_seconds)  # type: ignore[no-any-return]

    def energy(self) -> int | None:
        return self.read("ConsumedEnergyRaw", joules)  # type: ignore[no-any-return]


def _step(values: _Values, job: _Values) -> StepRecord:
    total = values.read("TRESUsageInTot", grammar.usage_tres, {})
    largest = values.read("TRESUsageInMax", grammar.usage_tres, {})
    average = values.read("TRESUsageInAve", grammar.usage_tres, {})
    written = values.read("TRESUsageOutTot", grammar.usage_tres, {})
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
        complete=bool(values.text("TRESUsageInTot")) or has_ended(*values.ending, *job.ending),
        **(_details(values) if values.is_full else {}),
    )


def _details(values: _Values) -> dict[str, Any]:
    """Read what only a step that is told by itself needs: half of the cost of its row."""
    state, _ = values.read("State", grammar.state, ("UNKNOWN", None))
    code, signal = values.read("ExitCode", grammar.exit_code, (None, None))
    return {
        "name": values.read("JobName", grammar.text),
        "state": state,
        "exit_code": code,
        "exit_signal": signal,
        "start": values.read("Start", grammar.moment),
        "end": values.read("End", grammar.epoch),
        "elapsed_seconds": values.run_seconds(values.text("Start")),
        "node_count": values.read("NNodes", grammar.count),
        "tasks": values.read("NTasks", grammar.count),
        "cpus": values.read("NCPUS", grammar.count),
        "node_list": values.read("NodeList", grammar.text),
        "cpu_seconds": values.seconds("TotalCPU"),
        "user_cpu_seconds": values.seconds("UserCPU"),
        "system_cpu_seconds": values.seconds("SystemCPU"),
        "energy_joules": values.energy(),
    }


def has_ended(state: bytes, end: bytes, job_state: bytes, job_end: bytes) -> bool:
    """Tell whether slurmdbd has the end of a step that is printed without usage.

    A step without an end is printed with its job's end and state, so usage, or another end or state than the
    job's, is the sign of one of its own.
    """
    if state in _OPEN_STATES or end == b"Unknown":
        return False
    # Word by word: who cancelled it stands with the job alone.
    return (end, *state.split()[:1]) != (job_end, *job_state.split()[:1])


_OPEN_STATES = frozenset({b"PENDING", b"RUNNING", b"SUSPENDED"})


def cpu_seconds(value: bytes) -> float:
    """Read processor time."""
    return grammar.cpu_milliseconds(value) / 1000


def joules(value: bytes) -> int | None:
    """Read energy; None where it is not set."""
    if value.decode(errors="replace") in grammar.UNSET_AMOUNTS:
        return None
    if not value.isdigit():
        raise ValueError(value)
    return grammar.size(value.decode())
