"""Jobs that live through what slurmctld does to them: really on a real cluster, on paper on a simulated one.

The simulated life is written from what was measured; the tests ask both the same, so the paper stays true.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from simslurm.versions import release_of
from tests.real_slurm import jobs

if TYPE_CHECKING:
    from simslurm import JobKey, SimCluster
    from simslurm.rows import JobColumns
    from tests.real_slurm.cluster import RealCluster

LONG = "sleep 600"


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What was submitted: job ids as text, moments as epoch seconds.

    Attributes:
        requeued: Ran, was requeued, and was cancelled while it waited again.
        suspended: Ran, was suspended between `suspended_at` and `suspended_by`, and cancelled at `cancelled_at`.
        resized: Ran on three nodes, then on one.
        array: The master of tasks 0, 1 and 2, which ran one after the other.
        never_array: An array of 134 tasks, two at a time, cancelled before any started.
        het: The leader of three components.
        held: Cancelled while it was held.
        stepped: Ran two steps from its batch script.
    """

    since: int
    requeued: str
    suspended: str
    suspended_at: int
    suspended_by: int
    cancelled_at: int
    resized: str
    array: str
    never_array: str
    het: str
    held: str
    stepped: str


def real(cluster: RealCluster) -> Life:
    """Let it happen and wait until slurmdbd knows."""
    since = jobs.new_second(cluster)
    suspended = jobs.batch(cluster, "--job-name=suspended", script=LONG)
    requeued = jobs.batch(cluster, "--requeue", "--job-name=requeued", script=LONG)
    resized = jobs.batch(cluster, "--nodes=3", "--job-name=resized", script=LONG)
    array = jobs.batch(cluster, "--array=0-2%1", "--job-name=array")
    stepped = jobs.batch(cluster, "--ntasks=2", "--job-name=stepped", script="srun -n2 hostname; srun -n1 sleep 2")
    never_array = jobs.batch(cluster, "--array=0-399:3%2", "--hold", "--job-name=never array")
    held = jobs.batch(cluster, "--hold", "--job-name=held")
    argv = ["sbatch", "--parsable", *jobs.QUIET, "--job-name=het", "-n1", ":", "-n2", ":", "-N2"]
    het = cluster.run(*argv, stdin="#!/bin/sh\ntrue\n").stdout.strip()
    jobs.wait_for_state(cluster, suspended, "RUNNING")
    suspended_at = int(time.time())
    cluster.run("scontrol", "suspend", suspended)
    suspended_by = int(time.time())
    for job in (requeued, resized):
        jobs.wait_for_state(cluster, job, "RUNNING")
    # Attempts of one job are told apart by the second of their submission.
    cluster.wait_until(lambda: time.time() >= suspended_by + 2, "a second to pass")
    # An attempt that is over before slurmctld has sent its start (which it may put off for five seconds) never
    # gets one in slurmdbd.
    cluster.wait_until(lambda: _has_start(cluster, requeued), "the first attempt's start to be in slurmdbd")
    cluster.run("scontrol", "requeue", requeued)
    cluster.run("scancel", never_array, held)
    cluster.run("scontrol", "update", f"JobId={resized}", "NumNodes=1")
    jobs.wait_for_state(cluster, requeued, "PENDING")
    cluster.run("scancel", requeued)
    cluster.wait_until(lambda: time.time() >= suspended_by + 4, "four seconds of suspension")
    cancelled_at = int(time.time())
    cluster.run("scancel", suspended, resized)
    jobs.settle(cluster, since)
    return Life(
        since=since, requeued=requeued, suspended=suspended, suspended_at=suspended_at,
        suspended_by=suspended_by, cancelled_at=cancelled_at, resized=resized, array=array,
        never_array=never_array, het=het, held=held, stepped=stepped,
    )  # fmt: skip


def _has_start(cluster: RealCluster, job: str) -> bool:
    return bool(cluster.sql("select 1 from {job_table} where id_job = %s and time_start != 0", (int(job),)))


def hold_back(cluster: RealCluster) -> None:
    """Let jobs end whose records slurmctld cannot deliver."""
    jobs.batch(cluster, "--array=0-1", "--job-name=held back")
    cluster.wait_until(lambda: cluster.undelivered() > 0, "records to be held back")


def simulated(cluster: SimCluster) -> Life:
    """Write it down."""
    since = cluster.now() - 100
    ran: JobColumns = {"time_submit": since, "time_start": since + 1, "state": "RUNNING"}
    first = _add(cluster, ran, job_name="requeued")
    second = cluster.requeue_job(first, time_submit=since + 10)
    cluster.end_job(second, state="CANCELLED", kill_requid=0, time_end=since + 12)
    suspended = _add(cluster, ran)
    cluster.suspend_job(suspended, at=since + 2)
    cluster.end_job(suspended, state="CANCELLED", kill_requid=0, time_end=since + 2)
    resized = _add(cluster, ran, nodelist="n[1-3]", nodes_alloc=3)
    cluster.end_job(resized, state="RESIZING", time_end=since + 5)
    begin = since + 1 if release_of(cluster.config("version")) < (23, 2) else since + 5
    rest: JobColumns = {"id_job": resized.id_job, "time_submit": since + 5, "time_start": begin}
    _add(cluster, rest, time_end=since + 9, state="CANCELLED", kill_requid=0, nodes_alloc=1, nodelist="n1")
    array = _array(cluster, ran)
    cut: JobColumns = {"time_submit": since, "time_end": since + 3, "state": "CANCELLED", "kill_requid": 0}
    never = _add(cluster, cut, array_tasks=list(range(0, 400, 3)), array_max_tasks=2)
    cluster.update_job(never, id_array_job=never.id_job)
    held = _add(cluster, cut, time_eligible=0)
    leader = _add(cluster, ran, het_job_offset=0)
    cluster.update_job(leader, het_job_id=leader.id_job)
    others = [_add(cluster, ran, het_job_id=leader.id_job, het_job_offset=offset) for offset in (1, 2)]
    for key in (leader, *others):
        cluster.end_job(key, time_end=since + 4)
    stepped = _add(cluster, ran)
    cluster.end_job(stepped, time_end=since + 6)
    for step, name in (("batch", "batch"), (0, "hostname"), (1, "sleep")):
        cluster.add_step(stepped, step, step_name=name, tres_usage_in_tot="3=0")
    return Life(
        since=since, requeued=str(first.id_job), suspended=str(suspended.id_job), suspended_at=since + 2,
        suspended_by=since + 2, cancelled_at=since + 8, resized=str(resized.id_job), array=array,
        never_array=str(never.id_job), het=str(leader.id_job), held=str(held.id_job), stepped=str(stepped.id_job),
    )  # fmt: skip


def _array(cluster: SimCluster, ran: JobColumns) -> str:
    """Write three tasks: the last keeps the master's row."""
    master = _add(cluster, ran)
    cluster.update_job(master, id_array_job=master.id_job, id_array_task=2)
    others = [_add(cluster, ran, id_array_job=master.id_job, id_array_task=task) for task in (0, 1)]
    for key in (master, *others):
        cluster.end_job(key, time_end=ran["time_start"] + 1)
    return str(master.id_job)


def _add(simulated: SimCluster, base: JobColumns, **more: Any) -> JobKey:  # noqa: ANN401 - columns of many types
    """Write a row of what several have in common and what this one has of its own."""
    columns = cast("JobColumns", {**base, **more})
    return simulated.add_job(**columns)
