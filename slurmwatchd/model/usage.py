"""What an attempt used, worked out from the rows of its steps. Pure arithmetic: no input or output.

The sums are sacct's and seff's own, so that their numbers and ours agree; docs/events.md says where seff rounds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

from slurmwatchd.model.clock import epoch
from slurmwatchd.model.records import JobUsage, StepRecord

BATCH = "batch"

WATTS_A_NODE = 1_000_000
"""No node takes as much: more than that for the whole run of an attempt is no measurement of its energy."""
CPUS_A_NODE = 65_535
"""Slurm counts a node's processors in 16 bits: more processor time than theirs is no measurement either."""

_FRACTION_DIGITS = 6
_INTERACTIVE_ALLOCATION = "salloc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An attempt whose steps are wanted, with what its record says of it.

    Attributes:
        job: Its row id in the store.
        submit: Epoch seconds; with `job_id_raw` the attempt's key within its cluster.
        selector: What sacct's `-j` is given for it.
        cpus: Allocated.
        run_seconds: From start to end, the time it was suspended included; None where one of them is not known.
        node_count: Allocated.
        memory_bytes: Allocated; asked for, where the cluster does not allocate memory.
        launcher: The command it was submitted with (`sbatch`, `srun`, `salloc`); empty where Slurm does not tell
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


class Amounts(NamedTuple):
    """What the steps of one attempt used: for each field of `StepRecord` named here, one value a step.

    Columns, since they are read as columns: a sum over one costs far less than making a record of each step.
    """

    id: Sequence[str]
    max_rss_bytes: Sequence[int | None]
    ave_rss_bytes: Sequence[int | None]
    memory_bytes: Sequence[int | None]
    max_vmsize_bytes: Sequence[int | None]
    disk_read_bytes: Sequence[int | None]
    disk_write_bytes: Sequence[int | None]
    gpu_max_utilization_percent: Sequence[int | None]
    gpu_ave_utilization_percent: Sequence[int | None]
    gpu_max_memory_bytes: Sequence[int | None]
    complete: Sequence[bool]

    @classmethod
    def of(cls, steps: Sequence[StepRecord]) -> "Amounts":
        """Return the columns of some steps."""
        return cls._make(list(map(attrgetter(name), steps)) for name in cls._fields)


class Measured(NamedTuple):
    """What sacct printed of an attempt and its steps.

    Attributes:
        cpu_seconds: sacct's own sum over the steps that have ended; the user's and the system's part follow.
        steps: Where they are to be told.
        raw: Step and field to text, for values that could not be parsed.
    """

    cpu_seconds: float | None
    user_cpu_seconds: float | None
    system_cpu_seconds: float | None
    energy_joules: int | None
    amounts: Amounts
    steps: Sequence[StepRecord] = ()
    raw: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is to be told of an attempt: the sums, and the steps where they are wanted."""

    usage: JobUsage
    steps: Sequence[StepRecord] = ()


def node_seconds(seconds: int, nodes: int) -> int:
    """Return for how long nodes were used at most, added up.

    Args:
        seconds: From start to end, in whole seconds: a run within one took some of it.
        nodes: How many there were.
    """
    return (max(seconds, 0) + 1) * max(nodes, 1)


def asked(job: int, record: Mapping[str, Any], submit: int) -> Asked:
    """Return what must be known of an attempt to ask for its steps.

    Args:
        job: Its row id in the store.
        record: Its body, parsed.
        submit: Epoch seconds.
    """
    memory = (record.get("alloc_tres") or {}).get("mem_bytes") or (record.get("req_tres") or {}).get("mem_bytes")
    words = record.get("submit_line", "").split(maxsplit=1)
    start, end = (epoch(record[name]) if record.get(name) else None for name in ("start", "end"))
    return Asked(
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


def summed(attempt: Asked, measured: Measured | None) -> JobUsage:
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
    heaviest = _heaviest(amounts.memory_bytes)
    memory = amounts.memory_bytes[heaviest] if heaviest is not None else None
    return JobUsage(
        cpu_seconds=measured.cpu_seconds,
        user_cpu_seconds=measured.user_cpu_seconds,
        system_cpu_seconds=measured.system_cpu_seconds,
        max_rss_bytes=_largest(amounts.max_rss_bytes),
        ave_rss_bytes=amounts.ave_rss_bytes[heaviest] if heaviest is not None else None,
        memory_bytes=memory,
        max_vmsize_bytes=_largest(amounts.max_vmsize_bytes),
        disk_read_bytes=_total(amounts.disk_read_bytes),
        disk_write_bytes=_total(amounts.disk_write_bytes),
        energy_joules=measured.energy_joules,
        gpu_max_utilization_percent=_largest(amounts.gpu_max_utilization_percent),
        gpu_ave_utilization_percent=_largest(amounts.gpu_ave_utilization_percent),
        gpu_max_memory_bytes=_largest(amounts.gpu_max_memory_bytes),
        cpu_efficiency=_ratio(measured.cpu_seconds, (attempt.cpus or 0) * (attempt.elapsed_seconds or 0)),
        memory_efficiency=_ratio(memory, attempt.memory_bytes or 0),
        steps=len(amounts.id),
        complete=_is_complete(attempt, amounts),
        raw=measured.raw or None,
    )


def _is_complete(attempt: Asked, amounts: Amounts) -> bool:
    """Tell whether every step that is there has its usage, and every step is there that must be.

    A step's row is there from its start on, and messages reach slurmdbd in order; so what may be missing as a
    whole are the steps of a job whose messages slurmctld has thrown away, or holds back. sbatch makes a batch
    step, srun a step; an attempt made with salloc may have had none.
    """
    if not all(amounts.complete):
        return False
    if attempt.launcher == "sbatch" and attempt.leads:
        # Before 22.05 a batch job whose only step has its name is printed as one row: that row is its step.
        return BATCH in amounts.id or "" in amounts.id
    return bool(amounts.id) or attempt.launcher == _INTERACTIVE_ALLOCATION or not attempt.started


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


def _heaviest(memory: Sequence[int | None]) -> int | None:
    """Return which step has the most memory, the first of several."""
    if not memory:
        return None
    known = [amount or 0 for amount in memory]
    return known.index(max(known))


def _largest(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return max(known) if known else None


def _total(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _ratio(used: float | None, had: int) -> float | None:
    return round(used / had, _FRACTION_DIGITS) if used is not None and had > 0 else None
