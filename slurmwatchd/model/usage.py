"""What an attempt used, worked out from the rows of its steps. Pure arithmetic: no input or output.

The sums are sacct's and seff's own, so that their numbers and ours agree; docs/events.md says where seff rounds.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from slurmwatchd.model.clock import epoch
from slurmwatchd.model.records import JobUsage, StepRecord

BATCH = "batch"

WATTS_A_NODE = 1_000_000
"""No node takes as much: more than that for the whole run of an attempt is no measurement of its energy."""
CPUS_A_NODE = 65_535
"""Slurm counts a node's processors in 16 bits: more processor time than theirs is no measurement either."""

_FRACTION_DIGITS = 6
_INTERACTIVE_ALLOCATION = "salloc"


class UsageRequest(NamedTuple):
    """An attempt whose steps are wanted, with what its record says of it.

    A named tuple for the reason `JobRecord` is one.

    Attributes:
        job: Its row id in the store.
        submit: Epoch seconds; with `job_id_raw` the attempt's key within its cluster.
        selector: What sacct's `-j` is given for it.
        cpus: Allocated.
        run_seconds: From start to end, the time it was suspended included; None where one of them is not known.
        node_count: Allocated.
        memory_bytes: Allocated; asked for, where the cluster does not allocate memory.
        launcher: The command it was submitted with (`sbatch`, `srun`, `salloc`); empty where Slurm does not say
            (before 21.08).
        leads: False for the components of a heterogeneous job that have no batch step of their own.
    """

    job: int
    job_id_raw: int
    submit: int
    selector: str
    started: bool
    cpus: int | None = None
    elapsed_seconds: int | None = None
    run_seconds: int | None = None
    node_count: int | None = None
    memory_bytes: int | None = None
    launcher: str = ""
    leads: bool = True


T = TypeVar("T")
Column = Sequence[int | None]


class UsageAmounts(NamedTuple, Generic[T]):
    """Something of each amount that steps use, such as its column: the value of each of many steps, None for none.

    They are read and summed up as columns, which costs far less than making a record of each step.
    """

    max_rss_bytes: T
    ave_rss_bytes: T
    memory_bytes: T
    max_vmsize_bytes: T
    disk_read_bytes: T
    disk_write_bytes: T
    gpu_max_utilization_percent: T
    gpu_ave_utilization_percent: T
    gpu_max_memory_bytes: T


class MeasuredUsage(NamedTuple):
    """What sacct printed of an attempt and its steps.

    Attributes:
        cpu_seconds: sacct's own sum over the steps that have ended; the user's and the system's part follow.
        amounts: What its steps used, see `sums`.
        step_count: How many there are.
        has_batch: Whether the batch step is among them, or merged into the attempt's own row.
        complete: Whether each of them has its usage.
        steps: Where they are wanted one by one.
        raw: Step and field to text, for values that could not be parsed.
    """

    cpu_seconds: float | None
    user_cpu_seconds: float | None
    system_cpu_seconds: float | None
    energy_joules: int | None
    amounts: UsageAmounts[int | None]
    step_count: int
    has_batch: bool
    complete: bool
    steps: Sequence[StepRecord] = ()
    raw: Mapping[str, str] | None = None


class UsageAnswer(NamedTuple):
    """What is reported of an attempt: the sums, and the steps where they are wanted."""

    usage: JobUsage
    steps: Sequence[StepRecord] = ()


def node_seconds(seconds: int, nodes: int) -> int:
    """Return for how long nodes were used at most, added up.

    Args:
        seconds: From start to end, in whole seconds: a run within one took some of it.
        nodes: How many there were.
    """
    return (max(seconds, 0) + 1) * max(nodes, 1)


def asked(job: int, record: Mapping[str, Any], submit: int) -> UsageRequest:
    """Return what must be known of an attempt to ask for its steps.

    Args:
        job: Its row id in the store.
        record: Its body, parsed.
        submit: Epoch seconds.
    """
    memory = (record.get("alloc_tres") or {}).get("mem_bytes") or (record.get("req_tres") or {}).get("mem_bytes")
    words = record.get("submit_line", "").split(maxsplit=1)
    start, end = (epoch(record[name]) if record.get(name) else None for name in ("start", "end"))
    return UsageRequest(
        job=job,
        job_id_raw=record["job_id_raw"],
        submit=submit,
        selector=_selector(record),
        started=record.get("start") is not None,
        cpus=record.get("cpus"),
        elapsed_seconds=record.get("elapsed_seconds"),
        run_seconds=None if start is None or end is None else end - start,
        node_count=record.get("node_count"),
        memory_bytes=memory,
        launcher=words[0].rpartition("/")[2] if words else "",
        leads=record.get("het_job_offset", 0) == 0,
    )


def summed(attempt: UsageRequest, measured: MeasuredUsage | None) -> JobUsage:
    """Sum up an attempt.

    Args:
        attempt: Which.
        measured: What sacct printed; None where it did not print the attempt.
    """
    if measured is None:
        nothing = 0.0 if not attempt.started else None
        return JobUsage(
            cpu_seconds=nothing,
            user_cpu_seconds=nothing,
            system_cpu_seconds=nothing,
            complete=not attempt.started,
        )
    amounts = measured.amounts
    return JobUsage(
        cpu_seconds=measured.cpu_seconds,
        user_cpu_seconds=measured.user_cpu_seconds,
        system_cpu_seconds=measured.system_cpu_seconds,
        max_rss_bytes=amounts.max_rss_bytes,
        ave_rss_bytes=amounts.ave_rss_bytes,
        memory_bytes=amounts.memory_bytes,
        max_vmsize_bytes=amounts.max_vmsize_bytes,
        disk_read_bytes=amounts.disk_read_bytes,
        disk_write_bytes=amounts.disk_write_bytes,
        energy_joules=measured.energy_joules,
        gpu_max_utilization_percent=amounts.gpu_max_utilization_percent,
        gpu_ave_utilization_percent=amounts.gpu_ave_utilization_percent,
        gpu_max_memory_bytes=amounts.gpu_max_memory_bytes,
        cpu_efficiency=_ratio(measured.cpu_seconds, (attempt.cpus or 0) * (attempt.elapsed_seconds or 0)),
        memory_efficiency=_ratio(amounts.memory_bytes, attempt.memory_bytes or 0),
        steps=measured.step_count,
        complete=_is_complete(attempt, measured),
        raw=measured.raw or None,
    )


def _is_complete(attempt: UsageRequest, measured: MeasuredUsage) -> bool:
    """Return whether every step that is there has its usage, and every step is there that must be.

    A step's row is there from its start on, and messages reach slurmdbd in order; so what may be missing as a
    whole are the steps of a job whose messages slurmctld has thrown away, or holds back. sbatch makes a batch
    step, srun a step; an attempt made with salloc may have had none.
    """
    if not measured.complete:
        return False
    if attempt.launcher == "sbatch" and attempt.leads:
        # Before 22.05 a batch job whose only step has its name is printed as one row: that row is its step.
        return measured.has_batch
    return measured.step_count > 0 or attempt.launcher == _INTERACTIVE_ALLOCATION or not attempt.started


def _selector(record: Mapping[str, Any]) -> str:
    """Return what names just this job to `-j`.

    A plain number that is an array's or a heterogeneous job's own would bring the whole of it.
    """
    raw = record["job_id_raw"]
    if record.get("array_job_id") == raw and "array_task_id" in record:
        return f"{raw}_{record['array_task_id']}"
    if record.get("het_job_id") == raw and "het_job_offset" in record:
        return f"{raw}+{record['het_job_offset']}"
    return str(raw)


def sums(columns: UsageAmounts[Column], spans: Sequence[slice]) -> list[UsageAmounts[int | None]]:
    """Sum up what the steps of attempts used.

    Args:
        columns: What each of many steps used.
        spans: Which of them are an attempt's, for each attempt.

    Returns:
        Of each attempt: for a step's peaks the largest, for what was read and written the sum; and the average
        memory of the step whose tasks together have the most.
    """
    memory, average = columns.memory_bytes, columns.ave_rss_bytes
    heaviest = _heaviest(memory, spans)
    summed_up = UsageAmounts(
        max_rss_bytes=_of_each(max, columns.max_rss_bytes, spans),
        ave_rss_bytes=[None if place is None else average[place] for place in heaviest],
        memory_bytes=[None if place is None else memory[place] for place in heaviest],
        max_vmsize_bytes=_of_each(max, columns.max_vmsize_bytes, spans),
        disk_read_bytes=_of_each(sum, columns.disk_read_bytes, spans),
        disk_write_bytes=_of_each(sum, columns.disk_write_bytes, spans),
        gpu_max_utilization_percent=_of_each(max, columns.gpu_max_utilization_percent, spans),
        gpu_ave_utilization_percent=_of_each(max, columns.gpu_ave_utilization_percent, spans),
        gpu_max_memory_bytes=_of_each(max, columns.gpu_max_memory_bytes, spans),
    )
    return list(map(UsageAmounts._make, zip(*summed_up, strict=True)))


def _heaviest(memory: Column, spans: Sequence[slice]) -> list[int | None]:
    """Return the place of each attempt's step that has the most memory, the first of several."""
    known = [amount or 0 for amount in memory]
    found: list[int | None] = []
    for span in spans:
        own = known[span]
        found.append(span.start + own.index(max(own)) if own else None)
    return found


def _of_each(reduce: Callable[[Iterable[int]], int], column: Column, spans: Sequence[slice]) -> list[int | None]:
    """Reduce what an attempt's steps used to one number; None where none of them has any."""
    missing = column.count(None)
    if missing == len(column):
        return [None] * len(spans)
    found: list[int | None] = []
    for span in spans:
        own = [amount for amount in column[span] if amount is not None]
        found.append(reduce(own) if own else None)
    return found


def _ratio(used: float | None, had: int) -> float | None:
    return round(used / had, _FRACTION_DIGITS) if used is not None and had > 0 else None
