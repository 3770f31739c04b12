"""`slurmwatchd once`: what its exit status says, and that it may be run as often as one likes."""

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


def test_once_writes_every_ended_job_and_a_second_time_adds_none(cluster: RealCluster, watch: Watch) -> None:
    started = jobs.new_second(cluster)
    jobs.batch(cluster, "--array=0-2", "--job-name=once\nupon")
    jobs.settle(cluster, started)
    ended = truth.ended(cluster, started)
    assert len(ended) == 3

    first = watch.once()
    assert first.returncode == 0, first.stderr
    assert not truth.compare(ended, watch.records(), truth.ended(cluster))

    second = watch.once()
    assert second.returncode == 0, second.stderr
    assert not truth.compare(ended, watch.records(), truth.ended(cluster))


def test_once_fails_with_a_reason_and_no_traceback_while_slurmdbd_is_down(
    cluster: RealCluster, watch: Watch
) -> None:
    cluster.stop_slurmdbd()

    failed = watch.once()

    assert failed.returncode > 0
    assert "sacct" in failed.stderr + failed.stdout
    assert "Traceback" not in failed.stderr + failed.stdout
    assert watch.records() == []
