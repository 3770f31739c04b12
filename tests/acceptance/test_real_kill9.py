"""The daemon is killed again and again while jobs end: nothing is lost, nothing is twice."""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING

import pytest

from tests.real_slurm import jobs, truth

if TYPE_CHECKING:
    from tests.acceptance.watch import Watch
    from tests.real_slurm.cluster import RealCluster

pytestmark = [pytest.mark.real_slurm, pytest.mark.one_release, pytest.mark.timeout(900)]

KILLS = 20
TASKS = 200
SEED_VARIABLE = "KILL9_SEED"


def wait_for_growth(watch: Watch, deadline: float) -> None:
    """Return as soon as the file has grown, or at the deadline."""
    before = watch.file.stat().st_size if watch.file.exists() else 0
    while time.monotonic() < deadline:
        if watch.file.exists() and watch.file.stat().st_size > before:
            return
        time.sleep(0.0005)


def test_daemon_killed_twenty_times_while_jobs_end_loses_and_repeats_nothing(
    cluster: RealCluster, watch: Watch, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get(SEED_VARIABLE) or random.SystemRandom().randrange(2**32))
    with capsys.disabled():
        print(f"\n{SEED_VARIABLE}={seed}", end=" ")  # noqa: T201  (to run the same moments again)
    dice = random.Random(seed)  # noqa: S311  (moments, not secrets)
    started = jobs.new_second(cluster)
    jobs.batch(cluster, f"--array=0-{TASKS - 1}%8", "--job-name=short|lived\n", script="sleep 0.$((RANDOM % 10))")

    seen: list[int] = []
    for turn in range(KILLS):
        watch.start()
        # Random moments are what is tested, so there is nothing else to wait for. Every other one comes just
        # after the file grew, where the cursor may not have moved yet.
        if turn % 2:
            # On a busy machine the first process may need long to write anything at all.
            patience = 3 if seen and seen[-1] else 30
            wait_for_growth(watch, deadline=time.monotonic() + patience)
            time.sleep(dice.uniform(0, 0.02))
        else:
            time.sleep(dice.uniform(0.3, 2.5))
        assert watch.is_running, watch.log_tail()
        watch.kill()
        seen.append(len(watch.keys()))
    assert seen[-1] > 0, "no process lived long enough to write: the kills proved nothing"

    watch.start()
    jobs.settle(cluster, started)
    ended = truth.ended(cluster, started)
    assert len(ended) == TASKS
    watch.wait_until(lambda: set(ended) <= watch.keys(), "every job to be in the file")
    assert not truth.compare(ended, watch.records(), truth.ended(cluster))
    watch.wait_until(lambda: watch.ended_by_state() == watch.states(), "/metrics to equal the file")
    assert watch.stop() == 0

    assert watch.file.read_bytes().endswith(b"\n")
    assert not truth.compare(ended, watch.records(), truth.ended(cluster))
    sequences = [record["seq"] for record in watch.records()]
    assert sequences == sorted(set(sequences))
