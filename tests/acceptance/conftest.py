"""Fixtures of the acceptance tests: a real cluster, and the daemon as a child process that watches it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.acceptance.watch import Watch
from tests.real_slurm import jobs, untidy_jobs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.real_slurm.cluster import RealCluster


@pytest.fixture(scope="session")
def mix(cluster: RealCluster) -> int:
    """Jobs of every kind have ended, once for all tests: when the first was submitted, epoch seconds.

    Who wants to watch them end asks for it with `request` when the daemon runs.
    """
    started = jobs.run_mix(cluster, untidy_jobs.begin)
    untidy_jobs.dissolve(cluster)
    return started


@pytest.fixture
def watch(cluster: RealCluster, tmp_path: Path) -> Iterator[Watch]:
    """A slurmwatchd of the test's own, not started yet; ended with the test, its log shown if that failed."""
    made = Watch(cluster, tmp_path / "watch")
    try:
        yield made
    finally:
        made.kill()
        print(made.log_tail())  # noqa: T201  (pytest shows it where the test failed)
