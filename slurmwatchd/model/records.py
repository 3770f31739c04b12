"""The values that flow through the program: attempts, what became of them, and who is who.

Nothing here reads or writes anything. Slurm's own spelling lives in `sources/`, the text on the wire
in `formats.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, NamedTuple

from slurmwatchd.model.fields import Moment, SacctField, Wire

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
    """What an event reports."""

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

    This is the one table of the record's fields: what stands beside each, see `fields.py`, makes the layout of
    sacct's answers, the schemas, the documentation, the columns of exported files and the connector's texts.
    """

    cluster: Annotated[str, SacctField("Cluster")]
    job_id: Annotated[str, SacctField("JobID", "job id"), "as sacct prints it: `12`, `12_3`, `12+1`, `12_[0-9%2]`"]
    job_id_raw: Annotated[int, SacctField("JobIDRaw", "natural"), "slurmdbd's `id_job`"]
    array_job_id: Annotated[int | None, SacctField("JobID", "job id"), "for an array, or a task of one"] = None
    array_task_id: Annotated[int | None, SacctField("JobID", "job id"), "for a task of an array"] = None
    array_tasks: Annotated[
        str | None,
        SacctField("JobID", "job id"),
        "for an array cancelled while pending: the tasks that this row represents",
    ] = None
    array_task_count: Annotated[
        int | None,
        SacctField("JobID", "job id"),
        "the number of those tasks; absent if Slurm truncated the expression (`...`)",
    ] = None
    het_job_id: Annotated[int | None, SacctField("JobID", "job id"), "for a component of a heterogeneous job"] = (
        None
    )
    het_job_offset: Annotated[
        int | None, SacctField("JobID", "job id"), "for a component of a heterogeneous job"
    ] = None
    db_index: Annotated[
        str | None,
        Wire("digits"),
        SacctField("DBIndex", "digits"),
        "a string, because from 24.11 on it can exceed 2^63",
    ] = None
    sluid: Annotated[str | None, SacctField("SLUID", "sluid")] = None
    restarts: Annotated[
        int | None, SacctField("Restarts", "count"), "how many times the job was requeued before this attempt"
    ] = None
    name: Annotated[str | None, SacctField("JobName")] = None
    user: Annotated[str | None, SacctField("User")] = None
    uid: Annotated[int | None, SacctField("UID", "integer")] = None
    gid: Annotated[int | None, SacctField("GID", "integer")] = None
    account: Annotated[str | None, SacctField("Account")] = None
    partition: Annotated[str | None, SacctField("Partition")] = None
    qos: Annotated[str | None, SacctField("QOS"), "the one it ran under"] = None
    reservation: Annotated[str | None, SacctField("Reservation"), "the one it ran in"] = None
    wckey: Annotated[str | None, SacctField("WCKey")] = None
    state: Annotated[str, SacctField("State", "state"), "one word: `CANCELLED`, never `CANCELLED by 0`"] = (
        "UNKNOWN"
    )
    cancelled_by_uid: Annotated[
        int | None, SacctField("State", "state"), "the user who cancelled it, if Slurm knows"
    ] = None
    exit_code: Annotated[int | None, SacctField("ExitCode", "exit code"), "see below"] = None
    exit_signal: Annotated[
        int | None, SacctField("ExitCode", "exit code"), "the signal that ended the batch script; 0 for none"
    ] = None
    derived_exit_code: Annotated[
        int | None,
        SacctField("DerivedExitCode", "exit code"),
        "the highest of the steps' exit codes, or the one a user set",
    ] = None
    derived_exit_signal: Annotated[int | None, SacctField("DerivedExitCode", "exit code")] = None
    submit: Annotated[Moment, SacctField("Submit", "natural")] = 0
    eligible: Annotated[
        Moment | None, SacctField("Eligible", "moment"), "absent if it was held until it ended"
    ] = None
    start: Annotated[
        int | None, Wire("time or null"), SacctField("Start", "moment"), "null if it never started"
    ] = None
    end: Annotated[Moment | None, SacctField("End", "epoch")] = None
    wait_seconds: Annotated[
        int | None,
        SacctField("Planned|Reserved", "duration"),
        "from eligible to start, or to the end of an attempt that never started",
    ] = None
    elapsed_seconds: Annotated[
        int | None, SacctField("ElapsedRaw", "seconds"), "from start to end, without suspended time"
    ] = None
    suspended_seconds: Annotated[int | None, SacctField("Suspended", "duration")] = None
    timelimit_seconds: Annotated[
        int | None,
        SacctField("TimelimitRaw", "minutes"),
        "absent if it had no limit of its own (`UNLIMITED`, `Partition_Limit`)",
    ] = None
    node_count: Annotated[
        int | None, SacctField("NNodes", "count"), "allocated nodes; requested nodes if the attempt never started"
    ] = None
    cpus: Annotated[
        int | None,
        SacctField("NCPUS", "count"),
        "allocated CPUs; before 23.02 requested CPUs if the attempt never started",
    ] = None
    node_list: Annotated[
        str | None,
        SacctField("NodeList", "node list"),
        "compact, as Slurm wrote it; absent if no node was assigned",
    ] = None
    req_tres: Annotated[Tres | None, SacctField("ReqTRES", "tres"), "requested; see below"] = None
    alloc_tres: Annotated[
        Tres | None, SacctField("AllocTRES", "tres"), "allocated; absent if it never started"
    ] = None
    work_dir: Annotated[str | None, SacctField("WorkDir")] = None
    submit_line: Annotated[str | None, SacctField("SubmitLine"), "the command with its arguments"] = None
    comment: Annotated[str | None, SacctField("Comment")] = None
    admin_comment: Annotated[str | None, SacctField("AdminComment")] = None
    system_comment: Annotated[str | None, SacctField("SystemComment")] = None
    constraints: Annotated[
        Sequence[str] | None,
        SacctField("Constraints", "constraints"),
        "requested node features, all of them required; one with alternatives stays whole",
    ] = None
    reason: Annotated[str | None, SacctField("Reason", "reason"), "why it last waited"] = None
    extra: Annotated[str | None, SacctField("Extra")] = None
    failed_node: Annotated[str | None, SacctField("FailedNode"), "the node whose failure ended it"] = None
    licenses: Annotated[
        Mapping[str, int] | None, SacctField("Licenses", "licenses"), 'license to count: `{"matlab@flex": 2}`'
    ] = None
    flags: Annotated[
        Sequence[str] | None,
        SacctField("Flags", "flags"),
        "how it was scheduled: `SchedBackfill`, `StartReceived` ...",
    ] = None
    priority: Annotated[int | None, SacctField("Priority", "integer"), "its last priority"] = None
    container: Annotated[str | None, SacctField("Container")] = None
    mcs_label: Annotated[str | None, SacctField("McsLabel")] = None
    reservation_id: Annotated[
        int | None, SacctField("ReservationId", "integer"), "reservation names are reused, ids are not"
    ] = None
    std_in: Annotated[str | None, SacctField("StdIn"), "as the user gave it, patterns such as `%j` unexpanded"] = (
        None
    )
    std_out: Annotated[str | None, SacctField("StdOut")] = None
    std_err: Annotated[str | None, SacctField("StdErr"), "absent if it is the same as std_out"] = None
    qos_req: Annotated[str | None, SacctField("QOSREQ"), "every requested QOS"] = None
    req_reservation: Annotated[str | None, SacctField("ReqReservation"), "every requested reservation"] = None
    segment_size: Annotated[int | None, SacctField("SegmentSize", "integer"), "for a job placed in blocks"] = None
    original_sluid: Annotated[
        str | None, SacctField("OriginalSLUID", "sluid"), "stays the same across resizes"
    ] = None
    exclusive: Annotated[str | None, SacctField("Exclusive"), "`NO`, `NODE`, `USER` ..."] = None
    oversubscribe: Annotated[str | None, SacctField("OverSubscribe"), "`NO`, `YES` ..."] = None
    outcome: Annotated[str | None, Wire("outcome"), "why it ended, in one word; see [below](#outcomes)"] = None
    incomplete: Annotated[bool | None, "true if slurmdbd filled in values it never received; see below"] = None
    raw: Annotated[
        Mapping[str, str] | None,
        "Slurm's field name to the text that could not be parsed, or cannot be a measurement",
    ] = None


REVISABLE = frozenset(JobRecord._fields) - {
    "cluster", "job_id", "job_id_raw", "array_job_id", "array_task_id", "array_tasks", "het_job_id",
    "het_job_offset", "db_index", "sluid", "submit", "outcome", "incomplete", "raw",
}  # fmt: skip
"""The fields that may be named so: all but those that say which attempt it is, or follow from others. DBIndex and
SLUID change for the same attempt when a cluster is upgraded to 24.11."""


WHOLE_EXIT_CODES = "exit_code>=128"
"""Stands among the fields that were asked for where sacct prints exit codes of 128 and more as they are (25.11
and newer); older ones take 128 from them."""


class JobUsage(NamedTuple):
    """What the steps of one attempt used, as sacct and seff have it; None means that no one measured it.

    A named tuple for the reason `JobRecord` is one.
    """

    cpu_seconds: Annotated[float | None, "TotalCPU: to the millisecond below an hour, whole seconds above"] = None
    user_cpu_seconds: Annotated[float | None, "UserCPU"] = None
    system_cpu_seconds: Annotated[float | None, "SystemCPU"] = None
    max_rss_bytes: Annotated[
        int | None, "MaxRSS: the peak of one task; for an attempt, the largest of its steps"
    ] = None
    ave_rss_bytes: Annotated[int | None, "AveRSS; for an attempt, from the step that `memory_bytes` is from"] = (
        None
    )
    memory_bytes: Annotated[
        int | None, "the sum of the peaks of all tasks of a step; for an attempt, the largest of its steps"
    ] = None
    max_vmsize_bytes: Annotated[int | None, "MaxVMSize; for an attempt, the largest of its steps"] = None
    disk_read_bytes: Annotated[int | None, "by all tasks; for an attempt, by all steps"] = None
    disk_write_bytes: Annotated[int | None, "by all tasks; for an attempt, by all steps"] = None
    energy_joules: Annotated[int | None, "ConsumedEnergyRaw; 0 if Slurm gathers no energy"] = None
    gpu_max_utilization_percent: Annotated[
        int | None, "`gres/gpuutil`, if Slurm gathers it: the maximum of one task"
    ] = None
    gpu_ave_utilization_percent: Annotated[
        int | None, "the average; for an attempt, from the step where it is highest"
    ] = None
    gpu_max_memory_bytes: Annotated[int | None, "`gres/gpumem`, if Slurm gathers it: the maximum of one task"] = (
        None
    )
    cpu_efficiency: Annotated[
        float | None, "`cpu_seconds` divided by `cpus` times `elapsed_seconds`; 1 is full use"
    ] = None
    memory_efficiency: Annotated[
        float | None, "`memory_bytes` divided by the allocated, otherwise the requested memory"
    ] = None
    steps: Annotated[int, "the number of steps, batch and extern included"] = 0
    complete: Annotated[bool, "false if steps were still missing a quarter of an hour after the first query"] = (
        True
    )
    raw: Annotated[
        Mapping[str, str] | None,
        "step and field to the text that could not be parsed, or cannot be a measurement: the first 1,000",
    ] = None


class StepRecord(NamedTuple):
    """One step of an attempt. `id` is what follows the point of sacct's JobID: `batch`, `extern`, `0`, `0+1`.

    Times are epoch seconds. The measured fields that `JobUsage` has too mean the same, of this step.
    """

    id: Annotated[str, "`batch`, `extern`, `interactive`, `0`, `0+1`"]
    name: str | None = None
    state: str = "UNKNOWN"
    exit_code: int | None = None
    exit_signal: int | None = None
    start: Moment | None = None
    end: Moment | None = None
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
    complete: Annotated[bool, "false if slurmdbd does not have its end"] = True


class Event(NamedTuple):
    """What a sink receives, in the order of `seq`. A named tuple for the reason `JobRecord` is one.

    Attributes:
        seq: Position in this store; grows, never used twice.
        id: The dedupe key, see `event_ids.py`.
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
