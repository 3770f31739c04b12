"""Debian's own Prometheus scrapes the daemon, and promtool has nothing to say about its metrics."""

from __future__ import annotations

import subprocess
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.scraper import PROMTOOL, install_prometheus, prometheus
from tests.real_slurm import jobs, truth
from tests.real_slurm.daemons import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.scraper import Prometheus
    from tests.acceptance.watch import Watch
    from tests.real_slurm.cluster import RealCluster

pytestmark = [pytest.mark.real_slurm, pytest.mark.one_release, pytest.mark.timeout(900)]


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    install_prometheus()


def ended_by_state(scraper: Prometheus) -> Counter[str]:
    """What Prometheus holds, or nothing while it does not answer."""
    samples = scraper.samples("sum by (state) (slurmwatchd_jobs_ended_total)")
    return Counter({labels["state"]: int(value) for labels, value in samples})


def test_prometheus_counts_what_the_file_holds(cluster: RealCluster, watch: Watch, tmp_path: Path) -> None:
    watch.start()
    watch.wait_until(lambda: watch.get("/-/ready")[0] == 200, "ready")
    started = jobs.new_second(cluster)
    jobs.batch(cluster, "--array=0-9", script="exit $((SLURM_ARRAY_TASK_ID % 3))")
    jobs.settle(cluster, started)
    ended = truth.ended(cluster, started)
    watch.wait_until(lambda: set(ended) <= watch.keys(), "every job to be in the file")

    states = watch.states()
    assert states["COMPLETED"] >= 4
    assert states["FAILED"] >= 6
    with prometheus(tmp_path, watch.port) as scraper:
        # What earlier jobs left late may still come.
        wait_until(
            lambda: ended_by_state(scraper) == watch.states(),
            f"Prometheus to hold {states}",
            explain=lambda: repr(ended_by_state(scraper)),
        )


def test_promtool_finds_no_fault_with_the_metrics(cluster: RealCluster, watch: Watch) -> None:
    started = jobs.new_second(cluster)
    watch.start()
    jobs.batch(cluster)
    jobs.settle(cluster, started)
    watch.wait_until(lambda: watch.get("/-/ready")[0] == 200, "ready")
    watch.wait_until(watch.ended_by_state, "jobs to be counted")

    argv = [PROMTOOL, "check", "metrics"]
    checked = subprocess.run(argv, check=False, input=watch.get("/metrics")[1], capture_output=True, text=True)

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
