"""The jobs of an untidy site: what `untidy` lets a cluster do, and what only slurmdbd's own tables can show.

As in `jobs`, nothing here says how a job should end; what became of it is read by `truth`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.real_slurm import jobs, untidy

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.real_slurm.cluster import RealCluster

GONE = "dissolved"
"""The account and the QOS that are deleted when their jobs have ended."""

BELOW_ZERO = 2**64 - 3
"""A counter of -3 as slurmdbd keeps it."""

LOADED = 1_690_000_000
"""Epoch seconds at which nothing else ends: there the loaded rows stand until they are as they should be."""

CRON = "cron"
_CRONTAB = f"#SCRON --job-name={CRON}\n#SCRON --output=/dev/null\n#SCRON --chdir=/tmp\n* * * * * exit 3\n"
CRON_SECONDS = 150
"""A minute until it begins at the most, and what slurmctld takes."""


def begin(cluster: RealCluster) -> Callable[[], None]:
    """Submit them; what is returned ends what does not end by itself."""
    _load(cluster, int(time.time()))
    finish = _cron(cluster)
    for kind in (_gpus, _licensed, _of_the_dissolved, _to_several_partitions, _one_task_cancelled):
        kind(cluster)
    return finish


def dissolve(cluster: RealCluster) -> None:
    """Delete the account and the QOS whose jobs have ended."""
    cluster.run("sacctmgr", "-i", "delete", "qos", GONE)
    cluster.run("sacctmgr", "-i", "delete", "account", GONE)


def _gpus(cluster: RealCluster) -> None:
    for gres in (f"gpu:{untidy.GPU}:2", f"gpu:{untidy.MIG}:1", "gpu:3"):
        jobs.batch(cluster, f"--gres={gres}", "--job-name=gpus", script="srun true")


def _licensed(cluster: RealCluster) -> None:
    jobs.batch(cluster, f"--licenses={untidy.LICENCE}:2", "--job-name=licensed")


def _of_the_dissolved(cluster: RealCluster) -> None:
    for what in (
        ("qos", GONE),
        ("account", GONE),
        ("user", "root", f"account={GONE}"),
    ):
        cluster.run("sacctmgr", "-i", "add", *what, check=False)
    cluster.run("sacctmgr", "-i", "modify", "user", "root", "where", f"account={GONE}", "set", f"qos+={GONE}")
    jobs.batch(cluster, f"--account={GONE}", f"--qos={GONE}", "--job-name=of the dissolved")


def _to_several_partitions(cluster: RealCluster) -> None:
    waiting = [
        jobs.batch(cluster, f"--partition={partitions}", "--hold", "--job-name=anywhere")
        for partitions in ("main,scavenge", "scavenge,main")
    ]
    jobs.batch(cluster, "--partition=scavenge,main", "--job-name=anywhere at once")
    cluster.run("scancel", *waiting)


def _one_task_cancelled(cluster: RealCluster) -> None:
    array = jobs.batch(cluster, "--array=0-3", "--begin=now+1hour", "--job-name=one task cancelled")
    # Of this task slurmdbd never hears.
    cluster.run("scancel", f"{array}_2")
    cluster.run("scancel", array)


def _cron(cluster: RealCluster) -> Callable[[], None]:
    if not untidy.habits(cluster.release).cron:
        return lambda: None
    cluster.run("scrontab", "-", stdin=_CRONTAB)

    def has_run() -> bool:
        ended = "select 1 from {job_table} where job_name = %s and time_end != 0"
        return bool(cluster.sql(ended, (CRON,)))

    def finish() -> None:
        try:
            cluster.wait_until(has_run, "a cron job to have run", CRON_SECONDS)
        finally:
            cluster.run("scrontab", "-r")

    return finish


def _load(cluster: RealCluster, submitted: int) -> None:
    """Write two jobs that end now: one with counters of -3, one whose start message was lost."""
    first = cluster.load_jobs(2, LOADED, LOADED + 2)
    cluster.load_steps(first, 1)
    times = "time_submit = %s, time_eligible = %s, time_start = %s, time_end = %s"
    dates = (submitted, submitted, submitted, submitted)
    used = f"1={BELOW_ZERO},2=524288000,3={BELOW_ZERO},6=77"
    cluster.sql(
        "update {step_table} step join {job_table} job using (job_db_inx) "
        "set tres_usage_in_tot = %s, tres_usage_in_max = %s, step.time_start = %s, step.time_end = %s "
        "where id_job = %s",
        (used, used, submitted, submitted, first),
    )
    cluster.sql(
        f"update {{job_table}} set tres_alloc = concat(tres_alloc, %s), {times} where id_job = %s",  # noqa: S608
        (f",3={BELOW_ZERO}", *dates, first),
    )
    # As 26.05 fills in the row of an end whose start it never heard of.
    cluster.sql(
        "update {job_table} set job_name = 'allocation', id_user = 0, id_group = 0, id_assoc = 0, account = null, "  # noqa: S608
        f"`partition` = '', tres_req = '', id_qos = 0, flags = 0, {times} where id_job = %s",
        (*dates, first + 1),
    )
