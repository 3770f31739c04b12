"""The values that flow through the program: attempts, what became of them, and who is who.

Nothing here reads or writes anything. Slurm's own spelling lives in `sources/`, the text on the wire
in `formats.py`.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

NAMESPACE = UUID("6f2b1c0e-5d0a-5b8e-9a43-1f7c5e2d9b60")
"""The UUIDv5 namespace of event ids. Part of the wire format: never changed."""

_NAMESPACE_BYTES = NAMESPACE.bytes
_VARIANT = {f"{digit:x}": f"{digit & 3 | 8:x}" for digit in range(16)}

SCHEMA = 1
"""The version of the record on the wire. Fields are only ever added within one."""

REVISING = (
    "state", "cancelled_by_uid", "start", "end", "elapsed_seconds",
    "exit_code", "exit_signal", "derived_exit_code", "derived_exit_signal",
    "alloc_tres", "comment", "admin_comment", "system_comment", "extra",
    "name", "partition", "eligible", "node_list", "node_count", "cpus",
)  # fmt: skip
"""The fields whose later change makes a `job_revised`, if the configuration names no others."""

TresValue = int | float | str
Tres = Mapping[str, TresValue]


class EventKind(StrEnum):
    """What an event tells."""

    JOB_ENDED = "job_ended"
    JOB_USAGE = "job_usage"
    JOB_REVISED = "job_revised"


class FoundBy(StrEnum):
    """Which kind of reading saw an attempt first."""

    POLL = "poll"
    REREAD = "reread"
    OPEN_SET = "open_set"
    BACKFILL = "backfill"


class JobRecord(NamedTuple):
    """One attempt: one row of slurmdbd's job table, normalised.

    A named tuple and not a frozen dataclass as the other values are: it is made once for every job of the
    cluster, and with this many fields a frozen dataclass takes twenty times as long to fill.

    The fields stand in the order of the wire format. Times are epoch seconds, durations seconds,
    sizes bytes; None means that Slurm has no value. `(cluster, job_id_raw, submit)` is unique: it is
    slurmdbd's own key (`UNIQUE (id_job, time_submit)` in each cluster's job table, in every release).

    Attributes:
        job_id: As sacct prints it: `12`, `12_3`, `12+1`, `12_[0-9%2]`.
        job_id_raw: slurmdbd's `id_job`.
        array_tasks: For an array cancelled while pending: the task expression this one row stands for.
        array_task_count: How many tasks those are; None where Slurm cut the expression.
        db_index: Decimal text: from 24.11 on it can exceed 2**63.
        state: One word, upper case.
        start: None where the attempt never started.
        wait_seconds: From eligible to start, or to the end of an attempt that never started
            (sacct's `Planned`, `Reserved` before 23.02).
        node_list: Compact, as Slurm wrote it; None where no node was assigned.
        incomplete: True where slurmdbd never got the message of the attempt's start, and filled in what that would
            have said; what it filled in is absent.
        raw: Field name to what could not be parsed of it, or cannot be a measurement.
    """

    cluster: str
    job_id: str
    job_id_raw: int
    array_job_id: int | None = None
    array_task_id: int | None = None
    array_tasks: str | None = None
    array_task_count: int | None = None
    het_job_id: int | None = None
    het_job_offset: int | None = None
    db_index: str | None = None
    sluid: str | None = None
    restarts: int | None = None
    name: str | None = None
    user: str | None = None
    uid: int | None = None
    gid: int | None = None
    account: str | None = None
    partition: str | None = None
    qos: str | None = None
    reservation: str | None = None
    wckey: str | None = None
    state: str = "UNKNOWN"
    cancelled_by_uid: int | None = None
    exit_code: int | None = None
    exit_signal: int | None = None
    derived_exit_code: int | None = None
    derived_exit_signal: int | None = None
    submit: int = 0
    eligible: int | None = None
    start: int | None = None
    end: int | None = None
    wait_seconds: int | None = None
    elapsed_seconds: int | None = None
    suspended_seconds: int | None = None
    timelimit_seconds: int | None = None
    node_count: int | None = None
    cpus: int | None = None
    node_list: str | None = None
    req_tres: Tres | None = None
    alloc_tres: Tres | None = None
    work_dir: str | None = None
    submit_line: str | None = None
    comment: str | None = None
    admin_comment: str | None = None
    system_comment: str | None = None
    constraints: Sequence[str] | None = None
    reason: str | None = None
    extra: str | None = None
    failed_node: str | None = None
    licenses: Mapping[str, int] | None = None
    flags: Sequence[str] | None = None
    priority: int | None = None
    container: str | None = None
    mcs_label: str | None = None
    reservation_id: int | None = None
    std_in: str | None = None
    std_out: str | None = None
    std_err: str | None = None
    qos_req: str | None = None
    req_reservation: str | None = None
    segment_size: int | None = None
    original_sluid: str | None = None
    exclusive: str | None = None
    oversubscribe: str | None = None
    incomplete: bool | None = None
    raw: Mapping[str, str] | None = None


REVISABLE = frozenset(JobRecord._fields) - {
    "cluster", "job_id", "job_id_raw", "array_job_id", "array_task_id", "array_tasks", "het_job_id",
    "het_job_offset", "db_index", "sluid", "submit", "incomplete", "raw",
}  # fmt: skip
"""The fields that may be named so: all but those that say which attempt it is. DBIndex and SLUID change for the
same attempt when a cluster is upgraded to 24.11."""


WHOLE_EXIT_CODES = "exit_code>=128"
"""Stands among the fields that were asked for where sacct prints exit codes of 128 and more as they are (25.11
and newer); older ones take 128 from them."""


class JobUsage(NamedTuple):
    """What the steps of one attempt used, as sacct and seff have it; None means that nobody measured it.

    A named tuple for the reason `JobRecord` is one.

    Attributes:
        cpu_seconds: sacct's TotalCPU: whole seconds from an hour on, milliseconds below.
        max_rss_bytes: The largest MaxRSS of its steps: the peak of one task.
        ave_rss_bytes: AveRSS of the step that `memory_bytes` is of.
        memory_bytes: Peaks of resident memory, summed over the tasks of the step in which that is most. What seff
            calls memory utilized.
        max_vmsize_bytes: The largest MaxVMSize of its steps.
        disk_read_bytes: Summed over all tasks of all steps, as `disk_write_bytes`.
        energy_joules: As Slurm accounted it to the job; 0 where no energy is gathered.
        gpu_max_utilization_percent: The largest of any task, as `gpu_max_memory_bytes`.
        gpu_ave_utilization_percent: Of the step with the largest average.
        cpu_efficiency: CPU seconds over allocated CPUs times elapsed seconds; 1 is full use.
        memory_efficiency: `memory_bytes` over the memory allocated, or asked for where none is allocated.
        steps: How many there are, batch and extern included.
        complete: False where the usage of a step was still missing when slurmwatchd stopped asking.
        raw: Step and field to text, for values that could not be parsed.
    """

    cpu_seconds: float | None = None
    user_cpu_seconds: float | None = None
    system_cpu_seconds: float | None = None
    max_rss_bytes: int | None = None
    ave_rss_bytes: int | None = None
    memory_bytes: int | None = None
    max_vmsize_bytes: int | None = None
    disk_read_bytes: int | None = None
    disk_write_bytes: int | None = None
    energy_joules: int | None = None
    gpu_max_utilization_percent: int | None = None
    gpu_ave_utilization_percent: int | None = None
    gpu_max_memory_bytes: int | None = None
    cpu_efficiency: float | None = None
    memory_efficiency: float | None = None
    steps: int = 0
    complete: bool = True
    raw: Mapping[str, str] | None = None


class StepRecord(NamedTuple):
    """One step of an attempt. `id` is what follows the point of sacct's JobID: `batch`, `extern`, `0`, `0+1`.

    Times are epoch seconds. The fields that `JobUsage` has too mean the same, of this step.
    """

    id: str
    name: str | None = None
    state: str = "UNKNOWN"
    exit_code: int | None = None
    exit_signal: int | None = None
    start: int | None = None
    end: int | None = None
    elapsed_seconds: int | None = None
    node_count: int | None = None
    tasks: int | None = None
    cpus: int | None = None
    node_list: str | None = None
    cpu_seconds: float | None = None
    user_cpu_seconds: float | None = None
    system_cpu_seconds: float | None = None
    max_rss_bytes: int | None = None
    ave_rss_bytes: int | None = None
    memory_bytes: int | None = None
    max_vmsize_bytes: int | None = None
    disk_read_bytes: int | None = None
    disk_write_bytes: int | None = None
    energy_joules: int | None = None
    gpu_max_utilization_percent: int | None = None
    gpu_ave_utilization_percent: int | None = None
    gpu_max_memory_bytes: int | None = None
    complete: bool = True


class Event(NamedTuple):
    """What a sink receives, in the order of `seq`. A named tuple for the reason `JobRecord` is one.

    Attributes:
        seq: Position in this store; grows, never used twice.
        id: The dedupe key, see `event_id`.
        revision: 1 for `job_ended`; 2, 3 ... for `job_revised`.
        time: The attempt's end, epoch seconds; None where Slurm never dated it.
        observed: When this was first seen, epoch seconds.
        body: The record as a JSON object in UTF-8, in the wire format's fields.
        nodes: The expanded node names as a JSON array, or None.
        changed: For `job_revised`: a JSON object of field to [old, new].
    """

    seq: int
    id: str
    kind: EventKind
    revision: int
    time: int | None
    observed: int
    found_by: FoundBy
    body: bytes
    nodes: bytes | None = None
    changed: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A row of sacct that cannot be keyed: kept whole, never guessed at.

    Attributes:
        reason: Why, with the field and its value.
        fields: The names that were asked for, in order.
        row: The values, as sacct printed them.
    """

    reason: str
    fields: tuple[str, ...] = field(repr=False)
    row: tuple[bytes, ...] = field(repr=False)


def event_id(cluster: str, job_id_raw: int, submit: int, kind: str, revision: int) -> str:
    """Name an event, the same in every daemon that watches the cluster.

    Args:
        cluster: The cluster's name, as slurmdbd has it.
        job_id_raw: slurmdbd's `id_job`.
        submit: Epoch seconds.
        kind: An `EventKind`.
        revision: 1 for the first.

    Returns:
        A UUIDv5 of `cluster/job_id_raw/submit/kind/revision` under `NAMESPACE`, as 36 characters. The
        same as `uuid.uuid5`, at a third of its cost: a million jobs a day are named here.
    """
    return event_ids(cluster, [(job_id_raw, submit)], kind, revision)[0]


def event_ids(cluster: str, keys: Iterable[tuple[int, int]], kind: str, revision: int) -> list[str]:
    """Name the events of many attempts; see `event_id`.

    Args:
        cluster: The cluster of all of them.
        keys: job_id_raw and submit of each.
        kind: As for `event_id`.
        revision: As for `event_id`.
    """
    begun = hashlib.sha1(_NAMESPACE_BYTES + f"{cluster}/".encode(), usedforsecurity=False)
    tail = f"/{kind}/{revision}".encode()
    names = []
    for job_id_raw, submit in keys:
        # To copy a state costs less than to begin one.
        state = begun.copy()
        state.update(b"%d/%d%b" % (job_id_raw, submit, tail))
        text = state.hexdigest()
        names.append(f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:32]}")
    return names
