"""What a job or step row may hold, and what fills the columns no one gave."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypedDict

from .schema import NO_VAL, STATES
from .tres import CPU, NODE, count_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

Text = str | bytes
"""Text of a row: `str` is stored as UTF-8, `bytes` as they are."""


class JobColumns(TypedDict, total=False):
    """The columns of a job row; `schema` has their defaults."""

    cluster: str
    job_db_inx: int | str
    id_job: int
    time_submit: int
    id_array_job: int
    id_array_task: int
    array_task_str: str | None
    array_tasks: list[int]
    array_max_tasks: int
    het_job_id: int
    het_job_offset: int
    state: int | str
    state_reason_prev: int
    exit_code: int
    derived_ec: int
    time_eligible: int
    time_start: int
    time_end: int
    time_suspended: int
    timelimit: int
    mem_req: int | str
    tres_req: str
    tres_alloc: str
    nodelist: Text | None
    nodes_alloc: int
    cpus_req: int
    priority: int
    id_assoc: int
    id_qos: int
    qos: Text
    id_resv: int
    id_wckey: int
    id_user: int
    id_group: int
    user: Text | None
    group_name: Text | None
    account: Text | None
    partition: Text
    job_name: Text
    work_dir: Text
    submit_line: Text | None
    comment: Text | None
    admin_comment: Text | None
    system_comment: Text | None
    constraints: Text
    container: Text | None
    extra: Text | None
    failed_node: Text | None
    licenses: Text | None
    mcs_label: Text | None
    reservation: Text | None
    req_reservation: Text | None
    wckey: Text
    std_in: Text | None
    std_out: Text | None
    std_err: Text | None
    qos_req: Text | None
    kill_requid: int | None
    restart_cnt: int
    segment_size: int
    flags: int
    original_sluid: str | None
    visible_at: float
    end_visible_at: float
    copies: int
    whole_at: float


class StepColumns(TypedDict, total=False):
    """The columns of a step row, and shortcuts for its usage."""

    step_het_comp: int
    step_name: Text
    state: int | str
    exit_code: int
    kill_requid: int | None
    nodelist: Text
    nodes_alloc: int
    task_cnt: int
    task_dist: int
    time_start: int
    time_end: int
    time_suspended: int
    user_sec: int
    user_usec: int
    sys_sec: int
    sys_usec: int
    act_cpufreq: float
    consumed_energy: int
    container: Text | None
    req_cpufreq_min: int
    req_cpufreq: int
    req_cpufreq_gov: int
    submit_line: Text | None
    tres_alloc: str
    tres_usage_in_ave: str
    tres_usage_in_max: str
    tres_usage_in_max_taskid: str
    tres_usage_in_max_nodeid: str
    tres_usage_in_min: str
    tres_usage_in_min_taskid: str
    tres_usage_in_min_nodeid: str
    tres_usage_in_tot: str
    tres_usage_out_ave: str
    tres_usage_out_max: str
    tres_usage_out_max_taskid: str
    tres_usage_out_max_nodeid: str
    tres_usage_out_min: str
    tres_usage_out_min_taskid: str
    tres_usage_out_min_nodeid: str
    tres_usage_out_tot: str
    visible_at: float
    end_visible_at: float
    max_rss: int
    disk_read: int
    disk_write: int
    cpu_milliseconds: int


def stored(value: Text | None) -> bytes | None:
    """Turn text into the bytes the table holds."""
    return os.fsencode(value) if isinstance(value, str) else value


def complete_job(row: dict[str, Any], now: int) -> None:
    """Fill in what a job row needs and was not given."""
    row.setdefault("time_submit", now)
    row.setdefault("time_eligible", row["time_submit"])
    row.setdefault("state", STATES["COMPLETED"] if row.get("time_end") else STATES["PENDING"])
    row.setdefault("user", b"root" if not row.get("id_user") else None)
    row.setdefault("account", b"root")
    row.setdefault("partition", b"main")
    row.setdefault("job_name", b"job")
    row.setdefault("work_dir", b"/home")
    row.setdefault("tres_req", "1=1,2=2000,4=1,5=1")
    row.setdefault("cpus_req", max(1, _count(row["tres_req"], CPU)))
    row.setdefault("flags", 0x18)
    if not row.get("time_start"):
        row.setdefault("nodelist", b"None assigned")
        return
    row.setdefault("tres_alloc", row["tres_req"])
    row.setdefault("nodelist", b"n1")
    row.setdefault("nodes_alloc", max(1, _count(row["tres_alloc"], NODE)))


def complete_step(row: dict[str, Any], job: Mapping[str, Any]) -> None:
    """Fill in what a step row needs and was not given, from its job."""
    batch = row["id_step"] < 0
    row.setdefault("step_name", {-4: b"extern", -5: b"batch", -6: b"interactive"}.get(row["id_step"], b"step"))
    row.setdefault("time_start", job.get("time_start", 0))
    row.setdefault("time_end", job.get("time_end", 0))
    state = job["state"] if job["state"] <= STATES["OUT_OF_MEMORY"] else STATES["CANCELLED"]
    row.setdefault("state", state if row["time_end"] else STATES["RUNNING"])
    row.setdefault("nodes_alloc", 1 if batch else max(1, job.get("nodes_alloc", 0)))
    row.setdefault("nodelist", job["nodelist"])
    cpus = max(1, _count(job.get("tres_alloc", ""), CPU))
    row.setdefault("tres_alloc", f"1={cpus},2=0,4={row['nodes_alloc']}")
    row.setdefault("task_dist", 0 if batch else 1)
    usage = {
        1: row.pop("cpu_milliseconds", None),
        2: row.pop("max_rss", None),
        6: row.pop("disk_read", None),
    }
    written = row.pop("disk_write", None)
    if not row["time_end"]:
        return  # a step that still runs has no usage in the database
    if usage[1] is not None:
        row.setdefault("user_sec", usage[1] * 9 // 10_000)
        row.setdefault("user_usec", usage[1] * 900 % 1_000_000)
        row.setdefault("sys_sec", usage[1] // 10_000)
        row.setdefault("sys_usec", usage[1] * 100 % 1_000_000)
    tasks = max(1, row.setdefault("task_cnt", 1))
    _fill(row, "in", {**usage, 3: 0, 7: _twice(usage[2]), 8: 0}, tasks)
    _fill(row, "out", {3: 0, 6: written}, tasks)


def _twice(value: int | None) -> int | None:
    return None if value is None else value * 2


def _fill(row: dict[str, Any], way: str, usage: dict[int, int | None], tasks: int) -> None:
    """Write the usage strings: the peak on the first task, the same average on all."""
    known = {tres_id: value for tres_id, value in sorted(usage.items()) if value is not None}
    peak = ",".join(f"{tres_id}={value}" for tres_id, value in known.items())
    total = ",".join(f"{tres_id}={value * tasks}" for tres_id, value in known.items())
    first = ",".join(f"{tres_id}={0 if tres_id != 3 else NO_VAL << 32 | NO_VAL}" for tres_id in known)  # noqa: PLR2004 - energy has no task
    node = ",".join(f"{tres_id}=0" for tres_id in known)
    # Slurm has only energy for a step that was too short to be sampled.
    sampled = len(known) > 1
    row.setdefault(f"tres_usage_{way}_ave", peak)
    row.setdefault(f"tres_usage_{way}_tot", total)
    for kind, text in (("max", peak), ("min", peak)):
        row.setdefault(f"tres_usage_{way}_{kind}", text if sampled else "")
        row.setdefault(f"tres_usage_{way}_{kind}_taskid", first if sampled else "")
        row.setdefault(f"tres_usage_{way}_{kind}_nodeid", node if sampled else "")


def _count(text: str, tres_id: int) -> int:
    count = count_of(text.encode(), tres_id)
    return 1 if count >= NO_VAL else count
