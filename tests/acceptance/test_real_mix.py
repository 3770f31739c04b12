"""Jobs of every kind end on a real cluster, and the file tells of each once, as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.real_slurm import jobs, truth

if TYPE_CHECKING:
    from tests.acceptance.watch import Watch
    from tests.real_slurm.cluster import RealCluster

pytestmark = [pytest.mark.real_slurm, pytest.mark.timeout(900)]


def test_jobs_of_every_kind_are_in_the_file_once_as_slurmdbd_holds_them(
    cluster: RealCluster, watch: Watch, request: pytest.FixtureRequest
) -> None:
    watch.start()
    watch.wait_until(lambda: watch.get("/-/ready")[0] == 200, "ready")

    started = request.getfixturevalue("mix")
    ended = truth.ended(cluster, started)
    assert len(ended) >= 50
    assert len({attempt.values["state"] for attempt in ended.values()}) >= 9

    def difference() -> truth.Difference:
        return truth.compare(ended, watch.records(), truth.ended(cluster))

    watch.wait_until(lambda: set(ended) <= watch.keys(), "every job to be in the file")
    # A row that slurmdbd fills in after the fact comes right by a revision.
    watch.wait_until(lambda: not difference().wrong, f"the file to be right: {difference().wrong[:5]}")
    assert not difference()


def test_metrics_say_what_the_file_says(cluster: RealCluster, watch: Watch) -> None:
    started = jobs.new_second(cluster)
    watch.start()
    jobs.batch(cluster, "--array=0-8", script="exit $((SLURM_ARRAY_TASK_ID % 3))")
    jobs.settle(cluster, started)
    ended = truth.ended(cluster, started)
    assert len(ended) == 9
    watch.wait_until(lambda: set(ended) <= watch.keys(), "every job to be in the file")

    watch.wait_until(lambda: watch.ended_by_state() == watch.states(), "/metrics to equal the file")
    assert watch.ended_by_state().total() >= 9
