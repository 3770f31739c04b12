"""The generator of jobs: seeded, exact, realistic and fast."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest

from simslurm import JobKey, SimCluster, Workload, install_commands
from simslurm.__main__ import main
from simslurm.hostlists import expand
from tests.patience import Patience

if TYPE_CHECKING:
    from pathlib import Path

START, END = 1_700_000_000, 1_700_086_400


@pytest.fixture
def cluster(tmp_path: Path) -> SimCluster:
    return SimCluster.create(tmp_path / "sim.db", version="24.11.5")


@pytest.mark.heavy
def test_a_load_writes_exactly_the_rows_asked_for_and_inside_the_stretch(cluster: SimCluster) -> None:
    assert Workload(cluster, seed=1).load(3001, START, END) == 3001
    jobs = cluster.jobs()
    assert len(jobs) == 3001
    assert all(START <= job["time_end"] <= END for job in jobs)
    assert all(job["time_submit"] <= (job["time_start"] or job["time_end"]) <= job["time_end"] for job in jobs)
    assert len({(job["id_job"], job["time_submit"]) for job in jobs}) == 3001
    assert len({job["job_db_inx"] for job in jobs}) == 3001


def test_the_same_seed_writes_the_same_jobs(tmp_path: Path) -> None:
    truths = []
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        with SimCluster.create(tmp_path / name) as cluster:
            Workload(cluster, seed=seed).load(200, START, END)
            truths.append(cluster.truth())
    assert truths[0] == truths[1]
    assert truths[0] != truths[2]


def test_a_load_has_every_kind_of_job_and_hostile_names(cluster: SimCluster) -> None:
    Workload(cluster, seed=2, nodes=10_000).load(5000, START, END, steps=False)
    jobs = cluster.jobs()
    assert {job["state"] for job in jobs} >= {3, 4, 5, 6, 7, 8, 11, 1024}
    assert any(job["array_task_str"] for job in jobs)
    assert any(job["het_job_offset"] == 1 for job in jobs)
    assert any("1002=" in job["tres_alloc"] for job in jobs)
    assert any(not job["time_start"] for job in jobs)
    assert max(job["nodes_alloc"] for job in jobs) > 5000
    names = b"\0".join(job["job_name"] for job in jobs)
    assert all(part in names for part in (b"\n", b"\r", b"|", b"\x1f", b"\xff", b"<script>", b"x" * 255))
    attempts: dict[int, int] = {}
    for job in jobs:
        attempts[job["id_job"]] = attempts.get(job["id_job"], 0) + 1
    assert max(attempts.values()) == 3


def test_node_lists_hold_as_many_nodes_as_their_rows_say(cluster: SimCluster) -> None:
    Workload(cluster, seed=3, nodes=2000).load(500, START, END)
    for job in cluster.jobs():
        if job["time_start"]:
            assert len(set(expand(job["nodelist"].decode(), (24, 11)))) == job["nodes_alloc"]


def test_the_last_task_of_an_array_has_the_masters_id(cluster: SimCluster) -> None:
    Workload(cluster, seed=4).load(500, START, END)
    arrays: dict[int, list[tuple[int, int]]] = {}
    for job in cluster.jobs():
        if job["id_array_job"] and not job["array_task_str"]:
            arrays.setdefault(job["id_array_job"], []).append((job["id_array_task"], job["id_job"]))
    assert arrays
    for master, tasks in arrays.items():
        assert [task for task, _ in sorted(tasks)] == list(range(len(tasks)))
        assert max(tasks)[1] == master


def test_loaded_rows_are_what_sacct_finds_in_the_stretch(cluster: SimCluster, tmp_path: Path) -> None:
    Workload(cluster, seed=5).load(300, START, END)
    install_commands(tmp_path / "bin", tmp_path / "sim.db")
    states = "CA,CD,F,NF,PR,TO,BF,DL,OOM,RQ,RS,RV"
    fields = ("-o", "jobidraw,submit,dbindex")
    done = subprocess.run(
        [str(tmp_path / "bin" / "sacct"), "-aXDPn", "-s", states, "-S", f"uts{START}", "-E", f"uts{END}", *fields],
        capture_output=True,
        text=True,
        env={"SLURM_TIME_FORMAT": "%s"},
        check=True,
    )
    found = sorted(tuple(map(int, line.split("|"))) for line in done.stdout.splitlines())
    stored = ((job["id_job"], job["time_submit"], int(job["job_db_inx"])) for job in cluster.jobs())
    assert found == sorted(stored)


@pytest.mark.heavy
def test_jobs_live_and_end_in_real_time(cluster: SimCluster) -> None:
    stop = threading.Event()
    workload = Workload(cluster, seed=6, rate=60, runtime=0.5)
    thread = threading.Thread(target=workload.run_live, args=(stop,))
    thread.start()
    patience = Patience()
    try:
        while not patience.is_over():
            states = {job["state"] for job in cluster.jobs()}
            if {0, 1, 3} <= states and cluster.steps():
                break
            time.sleep(0.05)  # the workload is what is waited for, and a deadline ends it
    finally:
        stop.set()
        thread.join()
    assert {0, 1, 3} <= states
    ended = [job for job in cluster.jobs() if job["time_end"]]
    assert all(abs(job["time_end"] - time.time()) < 60 for job in ended)


def test_rows_change_by_their_key_and_go_with_their_steps(cluster: SimCluster) -> None:
    key = cluster.add_job(id_job=5, time_submit=START, time_start=START, tres_req="cpu=2,gres/gpu:h100=1")
    assert key == JobKey("sim", 5, START)
    cluster.add_step(key, "batch")
    cluster.set_now(START + 60)
    cluster.end_job(key, state="FAILED", exit_code=256)
    job = cluster.job(key)
    assert (job["time_end"], job["state"], job["exit_code"]) == (START + 60, 5, 256)
    assert job["tres_req"] == "1=2,1005=1"
    cluster.delete_job(key)
    assert cluster.truth() == {"jobs": [], "steps": []}
    with pytest.raises(KeyError):
        cluster.update_job(key, comment="gone")
    with pytest.raises(TypeError, match="no such column"):
        cluster.add_job(colour="red")  # type: ignore[call-arg]


def test_a_batch_is_seen_all_at_once_or_not_at_all(cluster: SimCluster) -> None:
    def fail() -> None:
        with cluster.batch():
            cluster.add_job()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert cluster.jobs() == []
    with cluster.batch():
        first, second = cluster.add_job(), cluster.add_job()
    assert (first.id_job, second.id_job) == (1, 2)


def test_the_command_line_makes_fills_breaks_and_shows_a_cluster(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = str(tmp_path / "cli.db")
    assert main(["create", database, "--cluster", "demo"]) == 0
    assert main(["create", database]) == 1
    assert "cli.db" in capsys.readouterr().err
    assert main(["install", database, str(tmp_path / "bin")]) == 0
    assert main(["load", database, "20", "--start", str(START), "--end", str(END), "--no-steps"]) == 0
    assert main(["live", database, "--seconds", "0.05"]) == 0
    assert main(["fault", database, "sacct", "exit", "--set", "code=3"]) == 0
    capsys.readouterr()
    assert main(["truth", database, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["jobs"]) >= 20
    done = subprocess.run([str(tmp_path / "bin" / "sacct")], capture_output=True, env={}, check=False)
    assert done.returncode == 3
