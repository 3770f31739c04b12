"""slurmdbd is away: the daemon stays, says so, and makes up for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.real_slurm import jobs, truth

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.watch import Watch
    from tests.real_slurm.cluster import RealCluster

pytestmark = [pytest.mark.real_slurm, pytest.mark.one_release, pytest.mark.timeout(900)]


@pytest.fixture(autouse=True)
def _slurmdbd_back(cluster: RealCluster) -> Iterator[None]:
    """Leave slurmdbd running, whatever the test did."""
    yield
    cluster.start_slurmdbd()


def test_daemon_started_during_an_outage_is_not_ready_and_later_tells_of_every_job(
    cluster: RealCluster, watch: Watch
) -> None:
    started = jobs.new_second(cluster)
    cluster.stop_slurmdbd()
    watch.start()
    watch.wait_until(lambda: watch.get("/-/ready")[0] == 503, "not ready")
    watch.wait_until(lambda: "sacct" in watch.get("/-/ready")[1], "the reason to be told")
    assert watch.get("/-/healthy")[0] == 200

    jobs.batch(cluster, "--array=0-4", "--job-name=ended in the dark")
    cluster.wait_until(lambda: not cluster.run("squeue", "-h").stdout.strip(), "jobs to end")
    assert cluster.undelivered() > 0
    assert watch.get("/-/ready")[0] == 503

    cluster.start_slurmdbd()
    watch.wait_until(lambda: watch.get("/-/ready")[0] == 200, "ready")
    jobs.settle(cluster, started)
    ended = truth.ended(cluster, started)
    assert len(ended) == 5
    watch.wait_until(lambda: set(ended) <= watch.keys(), "every job to be in the file")
    # A job may be told of without its end while the queue drains; the next poll revises it.
    watch.wait_until(
        lambda: not truth.compare(ended, watch.records(), truth.ended(cluster)), "the file to agree with slurmdbd"
    )


def test_slurmdbd_killed_under_the_running_daemon_costs_no_record(cluster: RealCluster, watch: Watch) -> None:
    watch.start()
    watch.wait_until(lambda: watch.get("/-/ready")[0] == 200, "ready")
    started = jobs.new_second(cluster)
    jobs.batch(cluster, "--array=0-9%2", "--job-name=across the outage", script="sleep 1")
    cluster.kill_slurmdbd()
    watch.wait_until(lambda: "Connection refused" in watch.log_tail(), "sacct to fail")
    cluster.start_slurmdbd()

    jobs.settle(cluster, started)
    ended = truth.ended(cluster, started)
    assert len(ended) == 10
    watch.wait_until(lambda: set(ended) <= watch.keys(), "every job to be in the file")
    # A job may be told of without its end while the queue drains; the next poll revises it.
    watch.wait_until(
        lambda: not truth.compare(ended, watch.records(), truth.ended(cluster)), "the file to agree with slurmdbd"
    )
