"""What the simulated slurmctld holds back while its slurmdbd is away, and what slurmdbd then shows, and when."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from simslurm import SimCluster, install_commands
from tests.patience import HANGS_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

T0 = 1795436431
ASK = ("sacct", "-aXDP", "-n", "-s", "CD,CA", "-S", f"uts{T0 - 100}", "-E", f"uts{T0 + 1000}")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[SimCluster]:
    install_commands(tmp_path / "bin", tmp_path / "sim.db")
    with SimCluster.create(tmp_path / "sim.db") as made:
        made.set_now(T0)
        yield made


def run(cluster: SimCluster, command: str, *arguments: str) -> tuple[int, str, str]:
    argv = [str(cluster.path.parent / "bin" / command), *arguments]
    done = subprocess.run(
        argv, check=False, capture_output=True, text=True, env={"TZ": "UTC"}, timeout=HANGS_SECONDS
    )
    return done.returncode, done.stdout, done.stderr


def shown(cluster: SimCluster, *fields: str) -> list[str]:
    return run(cluster, *ASK, "-o", ",".join(fields or ("jobid",)))[1].splitlines()


def queue(cluster: SimCluster) -> str:
    lines = run(cluster, "sdiag")[1].splitlines()
    return next(line for line in lines if line.startswith("DBD Agent queue size:"))


def test_what_happens_while_slurmdbd_is_away_arrives_message_by_message_with_its_old_end(
    cluster: SimCluster,
) -> None:
    running = cluster.add_job(id_job=1, time_submit=T0 - 50, time_start=T0 - 40, state="RUNNING")
    cluster.stop_slurmdbd()
    cluster.end_job(running)
    cluster.add_job(id_job=2, time_submit=T0, time_start=T0, time_end=T0 + 1)
    assert run(cluster, *ASK)[0] == 1
    assert queue(cluster) == "DBD Agent queue size: 2"

    cluster.set_now(T0 + 60)
    cluster.start_slurmdbd(after=10, gap=5)
    assert (shown(cluster), queue(cluster)) == ([], "DBD Agent queue size: 2")
    cluster.set_now(T0 + 75)
    assert (shown(cluster, "jobid", "end"), queue(cluster)) == (
        ["1|2026-11-23T12:20:31"],
        "DBD Agent queue size: 1",
    )
    # What ends now stands in line behind what waits.
    cluster.add_job(id_job=3, time_submit=T0 + 70, time_start=T0 + 70, time_end=T0 + 75)
    cluster.set_now(T0 + 80)
    assert (shown(cluster), queue(cluster)) == (["1", "2"], "DBD Agent queue size: 1")
    cluster.set_now(T0 + 85)
    assert (shown(cluster), queue(cluster), cluster.undelivered()) == (
        ["1", "2", "3"],
        "DBD Agent queue size: 0",
        0,
    )


def test_slurmdbd_that_goes_down_without_an_agent_hides_nothing_afterwards(cluster: SimCluster) -> None:
    cluster.set_slurmdbd_down()
    cluster.add_job(id_job=1, time_submit=T0, time_start=T0, time_end=T0)
    cluster.set_slurmdbd_down(down=False)
    assert (shown(cluster), queue(cluster)) == (["1"], "DBD Agent queue size: 0")


def test_suspended_job_that_is_killed_ended_when_it_was_suspended(cluster: SimCluster) -> None:
    key = cluster.add_job(id_job=1, time_submit=T0 - 90, time_start=T0 - 80, state="RUNNING")
    cluster.suspend_job(key, at=T0 - 45)
    assert shown(cluster) == []
    cluster.kill_suspended(key)
    assert shown(cluster, "jobid", "state", "end", "elapsedraw") == ["1|CANCELLED|2026-11-23T12:19:46|35"]


def test_half_written_row_is_an_allocation_on_one_node_until_it_is_whole(cluster: SimCluster) -> None:
    cluster.add_job(
        id_job=1, time_submit=T0, time_start=T0, time_end=T0, job_name="real", nodelist="n[2-4]", whole_at=T0 + 2
    )
    fields = ("jobname", "partition", "nodelist")
    assert shown(cluster, *fields) == ["allocation||n2"]
    cluster.set_now(T0 + 2)
    assert shown(cluster, *fields) == ["real|main|n[2-4]"]


@pytest.mark.parametrize(("version", "status"), [("22.05.8", 94), ("23.11.3", 94), ("23.11.4", 1), ("26.05.5", 1)])
def test_answer_with_too_many_rows_is_refused_behind_its_header(
    cluster: SimCluster, version: str, status: int
) -> None:
    cluster.set_version(version)
    for number in range(3):
        cluster.add_job(id_job=number, time_submit=T0, time_start=T0, time_end=T0)
    cluster.set_max_result_rows(2)
    error = "sacct: error: Query result exceeds size limit\n"
    assert run(cluster, *ASK[:2], *ASK[3:], "-o", "jobid") == (status, "JobID\n", error)
    cluster.set_max_result_rows(3)
    assert run(cluster, *ASK)[0] == 0
