"""What no window shows in time: a job killed while suspended, a cluster that is not there."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

from tests.real_slurm import jobs, truth

if TYPE_CHECKING:
    from tests.acceptance.watch import Watch
    from tests.real_slurm.cluster import RealCluster

pytestmark = [pytest.mark.real_slurm, pytest.mark.one_release, pytest.mark.timeout(900)]

OVERLAP_SECONDS = 10


def configure(watch: Watch, poll: str, slurm: str = "") -> None:
    """Write other rules into the configuration of a daemon that has not started yet."""
    text = watch.config.read_text(encoding="utf-8")
    text = re.sub(r"(?m)^(overlap|reread) = .*\n", "", text)
    text = text.replace("[poll]\n", f"[poll]\n{poll}\n").replace("[slurm]\n", f"[slurm]\n{slurm}\n")
    watch.config.write_text(text, encoding="utf-8")


def test_job_cancelled_while_suspended_for_longer_than_the_overlap_is_in_the_file(
    cluster: RealCluster, watch: Watch
) -> None:
    # No re-read: only the open set can find it.
    configure(watch, f'overlap = "{OVERLAP_SECONDS}s"\nopen_set = "5s"\nreread = []')
    watch.start()
    watch.wait_until(lambda: watch.get("/-/ready")[0] == 200, "ready")
    started = jobs.new_second(cluster)
    job = jobs.batch(cluster, "--job-name=killed while suspended", script=jobs.LONG)
    jobs.wait_for_state(cluster, job, "RUNNING")
    listed = 'slurmwatchd_open_jobs{slurm_cluster="' + cluster.name + '"} '
    watch.wait_until(
        lambda: listed in watch.get("/metrics")[1] and listed + "0" not in watch.get("/metrics")[1], "listed"
    )
    cluster.run("scontrol", "suspend", job)
    suspended = time.time()
    cluster.wait_until(lambda: time.time() > suspended + 3 * OVERLAP_SECONDS, "the overlap to pass")
    # A poll reaches back to the newest end that is known: let that be one after the suspension.
    other = int(jobs.batch(cluster))
    watch.wait_until(lambda: other in {record["job_id_raw"] for record in watch.ends()}, "the other job")
    cluster.run("scancel", job)
    jobs.settle(cluster, started)

    ended = truth.ended(cluster, started)
    assert len(ended) == 2
    watch.wait_until(lambda: set(ended) <= watch.keys(), "the job to be in the file")
    (record,) = [record for record in watch.ends() if str(record["job_id_raw"]) == job]
    assert record["found_by"] == "open_set"
    assert not truth.compare(ended, watch.records(), truth.ended(cluster))


def test_cluster_that_does_not_exist_is_told_and_never_taken_for_an_idle_one(
    cluster: RealCluster, watch: Watch
) -> None:
    configure(watch, 'overlap = "2m"', slurm='clusters = ["nosuch"]')
    watch.start()
    watch.wait_until(lambda: "does not know a cluster" in watch.get("/-/ready")[1], "the suspicion")
    assert watch.get("/-/ready")[0] == 503
    assert 'slurmwatchd_suspicion{reason="cluster",slurm_cluster="nosuch"} 1.0' in watch.get("/metrics")[1]
    assert 'slurmwatchd_watermark_timestamp_seconds{slurm_cluster="nosuch"}' not in watch.get("/metrics")[1]
    assert cluster.name not in watch.log.read_text(encoding="utf-8").split("clusters=")[1].split()[0]
