"""Ask slurmdbd, through sacct, for the steps of some attempts, and read what they used.

The steps of a window are cut by that window, so they are asked for by job id (`-j`), many at a time: sacct takes
as long for 50 jobs as for one, and a millisecond for each of thousands. `-j` finds every job that ever had an id,
and `-D` every attempt of it; each attempt is a row of its own, followed by the rows of its steps, which carry its
DBIndex, so a requeued job's steps fall to the attempt they belong to.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any

import anyio.to_thread

from slurmwatchd.records import StepRecord
from slurmwatchd.sources import grammar
from slurmwatchd.sources.framing import Row, RowReader
from slurmwatchd.sources.sacct import Sacct, fresh_delimiter
from slurmwatchd.usage import Asked, Measured, Told, summed

FIELDS = (
    "JobIDRaw", "Submit", "DBIndex", "State", "End", "TotalCPU", "UserCPU", "SystemCPU", "ConsumedEnergyRaw",
    "TRESUsageInTot", "TRESUsageInMax", "TRESUsageInAve", "TRESUsageOutTot",
)  # fmt: skip
"""What sums need. Every release from 20.11 on prints these."""

STEP_FIELDS = ("JobName", "Start", "ElapsedRaw", "ExitCode", "NNodes", "NTasks", "NCPUS", "NodeList")
"""What each step is told with, besides."""

MAX_STEPS = 1000
"""So many steps of one attempt are told at most; all of them are in its sums."""

CLOCK_SECONDS = 3600
"""How far ahead of ours slurmctld's clock may be."""

_READ_BYTES = 1 << 18

Key = tuple[int, int]
"""job_id_raw and submit."""


class StepSource:
    """The steps of one cluster's jobs."""

    def __init__(self, sacct: Sacct, *, full: bool) -> None:
        """Prepare; nothing is run.

        Args:
            sacct: Of the cluster.
            full: Whether each step is to be told, and not the sums alone.
        """
        self._sacct = sacct
        self._full = full
        self._fields = FIELDS + STEP_FIELDS if full else FIELDS

    async def usage_of(self, attempts: Sequence[Asked], *, now: int, timeout_seconds: float) -> dict[Key, Told]:
        """Return what attempts used; those that sacct does not print are not in it.

        Args:
            attempts: At least one.
            now: Epoch seconds.
            timeout_seconds: For the call.

        Raises:
            SacctError: No proved answer; see `Sacct`.
            StoreBusyError: The spool's disk is full.
        """
        delimiter = fresh_delimiter()
        arguments = list_arguments(attempts, self._fields, delimiter=delimiter, now=now)
        wanted = {(attempt.job_id_raw, attempt.submit): attempt for attempt in attempts}
        async with self._sacct.answer_to(arguments, timeout_seconds=timeout_seconds) as spool:
            reader = RowReader(delimiter.encode(), self._fields)
            return await anyio.to_thread.run_sync(self._read, spool, reader, wanted)

    def _read(self, spool: IO[bytes], reader: RowReader, wanted: Mapping[Key, Asked]) -> dict[Key, Told]:
        """Read a whole answer; runs in a worker thread. Only one attempt's steps are held at a time."""
        found: dict[Key, Told] = {}
        for row, steps in attempts_in(_rows(spool, reader)):
            key = _key(row)
            attempt = wanted.get(key) if key is not None else None
            if key is not None and attempt is not None:
                measured = measure(self._fields, row, steps)
                told = tuple(measured.steps[:MAX_STEPS]) if self._full else ()
                found[key] = Told(usage=summed(attempt, measured), steps=told)
        return found


def list_arguments(attempts: Sequence[Asked], fields: Sequence[str], *, delimiter: str, now: int) -> list[str]:
    """Return sacct's arguments for the attempts and steps of some jobs.

    From the earliest submission on: an id may have been another job's, long ago. Without `-s`: with states the
    window would be one of ends.
    """
    since = min(attempt.submit for attempt in attempts)
    return [
        "-a", "-D", "--local", "--noconvert", "-p", f"--delimiter={delimiter}",
        "-j", ",".join(dict.fromkeys(attempt.selector for attempt in attempts)),
        "-S", f"uts{since}", "-E", f"uts{now + CLOCK_SECONDS}", "-o", ",".join(fields),
    ]  # fmt: skip


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
        steps=read,
        raw=raw | job.raw,
    )


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

    def read(self, name: str, reader: Callable[[bytes], Any], absent: Any = None) -> Any:  # noqa: ANN401 - any value
        value = self.text(name)
        if not value:
            return absent
        try:
            return reader(value)
        except ValueError:
            self.raw[f"{self.step_id}.{name}" if self.step_id else name] = grammar.text(value)
            return absent

    def seconds(self, name: str) -> float | None:
        milliseconds = self.read(name, grammar.cpu_milliseconds)
        return None if milliseconds is None else milliseconds / 1000

    def energy(self) -> int | None:
        value = self.text("ConsumedEnergyRaw")
        unset = value.decode(errors="replace") in grammar.UNSET_AMOUNTS
        return None if unset else self.read("ConsumedEnergyRaw", _whole)


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
        complete=_has_ended(values, job),
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
        "start": values.read("Start", grammar.epoch),
        "end": values.read("End", grammar.epoch),
        "elapsed_seconds": values.read("ElapsedRaw", grammar.integer),
        "node_count": values.read("NNodes", grammar.integer),
        "tasks": values.read("NTasks", grammar.integer),
        "cpus": values.read("NCPUS", grammar.integer),
        "node_list": values.read("NodeList", grammar.text),
        "cpu_seconds": values.seconds("TotalCPU"),
        "user_cpu_seconds": values.seconds("UserCPU"),
        "system_cpu_seconds": values.seconds("SystemCPU"),
        "energy_joules": values.energy(),
    }


def _has_ended(step: _Values, job: _Values) -> bool:
    """Tell whether slurmdbd has a step's end, and with it what it used.

    A step without an end is printed with its job's end and state, so usage, or another end or state than the
    job's, is the sign of one of its own.
    """
    if step.text("TRESUsageInTot"):
        return True
    if step.text("State") in _OPEN_STATES or step.text("End") == b"Unknown":
        return False
    # Word by word: who cancelled it stands with the job alone.
    return (step.text("End"), *step.text("State").split()[:1]) != (job.text("End"), *job.text("State").split()[:1])


_OPEN_STATES = frozenset({b"PENDING", b"RUNNING", b"SUSPENDED"})


def _rows(spool: IO[bytes], reader: RowReader) -> Iterator[Row]:
    """Give a spool's rows; raises SacctOutputError where framing is not what was asked for."""
    while chunk := spool.read(_READ_BYTES):
        yield from zip(*reader.feed(chunk), strict=True)
    reader.close()


def _key(row: Row) -> Key | None:
    try:
        return grammar.natural(row[0]), grammar.natural(row[1])
    except ValueError:
        return None


def _whole(value: bytes) -> int:
    number = grammar.integer(value)
    if number is None:
        raise ValueError(value)
    return number
