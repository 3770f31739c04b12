"""A slurm.conf that every command complains of: told once, and nothing else changes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.complaining import BACKUP, CONTROL, ComplainingConf, complaining_conf
from tests.acceptance.watch import Watch
from tests.real_slurm import jobs, truth

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.real_slurm.cluster import RealCluster

pytestmark = [pytest.mark.real_slurm, pytest.mark.timeout(900)]


@pytest.fixture
def conf(cluster: RealCluster, tmp_path: Path) -> Iterator[ComplainingConf]:
    """Leave the cluster as it was, whatever the test did."""
    with complaining_conf(cluster, tmp_path) as made:
        yield made
    cluster.start_slurmdbd()


def logged(watch: Watch, pattern: str) -> list[str]:
    return [line for line in watch.log.read_text("utf-8").splitlines() if re.search(pattern, line)]


def failures(watch: Watch) -> list[str]:
    """The windows that failed; a list of steps may fail before them."""
    return logged(watch, 'event="query failed"')


def test_complaint_that_comes_changes_and_goes_is_told_and_an_outage_beside_it_is_noticed_at_once(
    cluster: RealCluster, conf: ComplainingConf, tmp_path: Path
) -> None:
    conf.write(CONTROL)
    watch = Watch(conf.cluster, tmp_path / "watch")
    started = jobs.new_second(cluster)

    def ended() -> None:
        """Have a job end on two nodes, and find it told with them."""
        job = int(jobs.batch(cluster, "--nodes=2"))
        found: list[Mapping[str, Any]] = []

        def told() -> bool:
            ends = (record for record in watch.ends() if record["event"] == "job_ended")
            found[:] = [record for record in ends if record["job_id_raw"] == job]
            return bool(found)

        watch.wait_until(told, f"job {job} to be told")
        assert [len(record["nodes"]) for record in found] == [2]

    try:
        watch.start()
        watch.wait_until(lambda: watch.get("/-/ready")[0] == 200, "ready")
        ended()
        cluster.stop_slurmdbd()
        watch.wait_until(lambda: failures(watch), "the outage to be noticed")
        # The first query that fails is the one that is told.
        first = failures(watch)[0]
        assert " failures=1 " in first
        assert "sacct" in first
        assert "Ignoring" not in first
        cluster.start_slurmdbd()
        conf.write(CONTROL, BACKUP)
        ended()
        conf.write()
        ended()
        jobs.settle(cluster, started)
        told_of = "Slurm commands (print|no longer print) errors"
        watch.wait_until(lambda: len(logged(watch, told_of)) > 2, "the end of the complaints to be told")
        assert [
            (" level=warning " in line, line.count("error: Ignoring ")) for line in logged(watch, told_of)
        ] == [
            (True, 1),
            (True, 2),
            (False, 0),
        ]
    finally:
        watch.kill()
        print(watch.log_tail())  # noqa: T201  (pytest shows it where the test failed)
    assert not truth.compare(truth.ended(cluster, started), watch.records(), truth.ended(cluster))
