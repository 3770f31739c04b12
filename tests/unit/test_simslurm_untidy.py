"""What untidy sites have, as a simulated sacct prints it: the rows of real Slurm 22.05.8, 24.11.5 and 26.05.5."""

from __future__ import annotations

import subprocess
from random import Random
from typing import TYPE_CHECKING

import pytest

from simslurm import SimCluster, install_commands
from simslurm.shapes import BELOW_ZERO, Shaper
from tests.patience import HANGS_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

T0 = 1795436431


@pytest.fixture
def cluster(tmp_path: Path) -> SimCluster:
    made = SimCluster.create(tmp_path / "sim.db", version="26.05.5")
    made.set_now(T0 + 200)
    install_commands(tmp_path / "bin", tmp_path / "sim.db")
    return made


def sacct(cluster: SimCluster, job: int, fields: str, *options: str) -> str:
    program = str(cluster.path.parent / "bin" / "sacct")
    argv = [program, "-aDnP", "--noconvert", "-j", str(job), "-S", f"uts{T0 - 99}", "-E", f"uts{T0 + 99}"]
    done = subprocess.run(
        [*argv, *options, "-o", fields], capture_output=True, env={"TZ": "UTC"}, check=True, timeout=HANGS_SECONDS
    )
    assert done.stderr == b""
    return done.stdout.decode()


def test_counters_below_zero_are_two_to_the_64_and_a_time_of_584_million_years(cluster: SimCluster) -> None:
    key = cluster.add_job(
        id_job=1,
        time_submit=T0,
        time_start=T0,
        time_end=T0 + 1,
        tres_alloc=f"1=16,2=32000,3={BELOW_ZERO},4=1,5=16",
    )
    cluster.add_step(key, "batch", tres_usage_in_tot=f"1={BELOW_ZERO},2=524288000,3={BELOW_ZERO},6=77")
    assert sacct(cluster, 1, "alloctres", "-X") == (
        "billing=16,cpu=16,energy=18446744073709551616.00,mem=32000M,node=1\n"
    )
    assert sacct(cluster, 1, "tresusageintot").splitlines()[1] == (
        "cpu=213503982334-14:25:51,energy=18446744073709551616.00,fs/disk=77,mem=524288000"
    )


def test_a_job_whose_start_message_was_lost_is_an_allocation_of_roots(cluster: SimCluster) -> None:
    key = cluster.add_job(
        id_job=2, time_submit=T0, time_start=T0, time_end=T0 + 1, user="ada", id_user=1001, job_name="mine",
        partition="main", account="physics",
    )  # fmt: skip
    cluster.lose_start(key)
    assert sacct(cluster, 2, "jobid,jobname,uid,account,partition,state", "-X") == "2|allocation|0|||COMPLETED\n"


def test_parts_of_gpus_and_licences_are_tres_of_their_own(cluster: SimCluster) -> None:
    tres = "cpu=1,gres/gpu=1,gres/gpu:a100_1g.5gb=1,license/matlab=2,node=1,billing=1"
    cluster.add_job(id_job=3, time_submit=T0, time_start=T0, time_end=T0 + 1, tres_alloc=tres)
    assert sacct(cluster, 3, "alloctres", "-X") == (
        "billing=1,cpu=1,gres/gpu:a100_1g.5gb=1,gres/gpu=1,license/matlab=2,node=1\n"
    )


def test_a_deleted_qos_is_unknown(cluster: SimCluster) -> None:
    cluster.add_job(id_job=4, time_submit=T0, time_start=T0, time_end=T0 + 1, qos="dissolved")
    assert sacct(cluster, 4, "qos", "-X") == "dissolved\n"
    cluster.delete_qos("dissolved")
    assert sacct(cluster, 4, "qos", "-X") == "Unknown\n"


def test_an_untidy_workload_has_what_untidy_sites_have() -> None:
    shaper = Shaper(Random(5), nodes=20, runtime=60, late=0, untidy=True)  # noqa: S311 - the same jobs each time
    plans = [shaper.plan() for _ in range(600)]
    columns = [attempt.columns for plan in plans for attempt in plan]
    assert any(b"," in bytes(one["partition"]) for one in columns if isinstance(one["partition"], bytes))
    assert any(one.get("licenses") == b"matlab:2" for one in columns)
    assert any(f"3={BELOW_ZERO}" in one["tres_alloc"] for one in columns)
    cron = [plan for plan in plans if plan[0].columns["job_name"] == b"cron"]
    assert {attempt.columns["state"] for plan in cron for attempt in plan} == {"REQUEUED"}
    assert {attempt.columns["exit_code"] for plan in cron for attempt in plan} == {0, 3 << 8}
    resized = [plan for plan in plans if plan[0].columns["state"] == "RESIZING"]
    assert resized
    assert all(plan[1].submit == plan[0].end and plan[1].same_job for plan in resized)
