"""A simulated site's lasting troubles: they begin and end between two calls, and show as they do on real Slurm."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from simslurm import SimCluster, install_commands
from simslurm.__main__ import main
from simslurm.troubles import CONTROL_MACHINE
from tests.patience import HANGS_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

T0 = 1795436431
TERMINAL = "CA,CD,F,NF,PR,TO,BF,DL,OOM,RQ,RS,RV"
WINDOW = ("-aXDP", "-s", TERMINAL, "-S", f"uts{T0}", "-E", f"uts{T0 + 100}", "-o", "jobid")
LATER_WINDOW = ("-aXDP", "-s", TERMINAL, "-S", f"uts{T0 + 2}", "-E", f"uts{T0 + 100}", "-o", "jobid")
OPEN = ("-aXDP", "-S", f"uts{T0 + 199}", "-E", f"uts{T0 + 200}", "-o", "jobid")
BY_ID = ("-DP", "-j", "1,2", "-S", f"uts{T0}", "-E", f"uts{T0 + 300}", "-o", "jobid")
ONE_BY_ID = ("-DP", "-j", "1", "-S", f"uts{T0}", "-E", f"uts{T0 + 300}", "-o", "jobid")


@pytest.fixture
def cluster(tmp_path: Path) -> SimCluster:
    """Two jobs ended, at T0 + 1 and T0 + 2, with a step each; two more run."""
    made = SimCluster.create(tmp_path / "sim.db")
    made.set_now(T0 + 200)
    for number in (1, 2):
        key = made.add_job(
            id_job=number, time_submit=T0, time_eligible=T0, time_start=T0, time_end=T0 + number, id_user=1000
        )
        made.add_step(key, "batch", time_start=T0, time_end=T0 + number)
    for number in (3, 4):
        made.add_job(id_job=number, time_submit=T0, time_eligible=T0, time_start=T0, state="RUNNING", id_user=1000)
    install_commands(tmp_path / "bin", tmp_path / "sim.db")
    return made


def run(cluster: SimCluster, command: str, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [str(cluster.path.parent / "bin" / command), *arguments],
        capture_output=True,
        env={"TZ": "UTC"},
        check=False,
        timeout=HANGS_SECONDS,
        encoding="utf-8",
    )
    return done.returncode, done.stdout, done.stderr


def test_a_statement_limit_empties_windows_and_leaves_questions_by_id_whole(cluster: SimCluster) -> None:
    cluster.set_statement_limit(windows=1)
    assert run(cluster, "sacct", *WINDOW) == (0, "JobID\n", "")
    # A window that holds no more than it may is answered.
    assert run(cluster, "sacct", *LATER_WINDOW) == (0, "JobID\n2\n", "")
    assert run(cluster, "sacct", *BY_ID) == (0, "JobID\n1\n1.batch\n2\n2.batch\n", "")
    assert run(cluster, "sacct", *OPEN) == (0, "JobID\n3\n4\n", "")
    cluster.set_statement_limit()
    assert run(cluster, "sacct", *WINDOW) == (0, "JobID\n1\n2\n", "")


def test_a_statement_limit_can_pick_its_windows_by_their_time(cluster: SimCluster) -> None:
    cluster.set_statement_limit(windows=0, ended=(T0, T0 + 1))
    assert run(cluster, "sacct", *WINDOW) == (0, "JobID\n", "")
    assert run(cluster, "sacct", *LATER_WINDOW) == (0, "JobID\n2\n", "")


def test_a_statement_limit_can_empty_lists_of_ids_and_of_open_jobs_too(cluster: SimCluster) -> None:
    cluster.set_statement_limit(jobs=1, open_jobs=1)
    assert run(cluster, "sacct", *WINDOW) == (0, "JobID\n1\n2\n", "")
    assert run(cluster, "sacct", *BY_ID) == (0, "JobID\n", "")
    assert run(cluster, "sacct", *ONE_BY_ID) == (0, "JobID\n1\n1.batch\n", "")
    assert run(cluster, "sacct", *OPEN) == (0, "JobID\n", "")


@pytest.mark.parametrize(
    ("command", "arguments", "stdout"),
    [
        ("sacct", ("-V",), "slurm 22.05.8\n"),
        ("sacct", ONE_BY_ID, "JobID\n1\n1.batch\n"),
        ("scontrol", ("-V",), "slurm 22.05.8\n"),
        ("scontrol", ("show", "hostnames", "a[1-2]"), "a1\na2\n"),
        ("sacctmgr", ("-nP", "show", "cluster", "format=cluster"), "sim\n"),
        ("sdiag", ("-V",), "slurm 22.05.8\n"),
    ],
)
def test_every_command_complains_of_slurm_conf_and_goes_on(
    cluster: SimCluster, command: str, arguments: tuple[str, ...], stdout: str
) -> None:
    cluster.set_complaints(CONTROL_MACHINE, "this is the site's wrapper")
    complaint = f"{command}: error: Ignoring ControlMachine since SlurmctldHost is set.\n"
    complaint += "this is the site's wrapper\n"
    assert run(cluster, command, *arguments) == (0, stdout, complaint)
    cluster.set_complaints()
    assert run(cluster, command, *arguments) == (0, stdout, "")


def test_a_fault_still_shows_beside_a_complaint(cluster: SimCluster) -> None:
    cluster.set_complaints(CONTROL_MACHINE)
    cluster.set_slurmdbd_down()
    status, stdout, stderr = run(cluster, "sacct", *WINDOW)
    assert (status, stdout, len(stderr.splitlines())) == (1, "", 4)


def test_lost_rights_hide_other_peoples_jobs_until_they_are_regained(cluster: SimCluster) -> None:
    cluster.lose_rights()
    assert run(cluster, "sacct", *WINDOW) == (0, "JobID\n", "")
    assert run(cluster, "sacctmgr", "-nP", "show", "user", "slurmwatchd", "format=user,adminlevel") == (
        0,
        "slurmwatchd|None\n",
        "",
    )
    # Who has jobs sees those, and nothing says that there are more.
    cluster.add_job(id_job=9, time_submit=T0, time_start=T0, time_end=T0 + 3, id_user=990)
    assert run(cluster, "sacct", *WINDOW) == (0, "JobID\n9\n", "")
    cluster.regain_rights()
    assert run(cluster, "sacct", *WINDOW) == (0, "JobID\n1\n2\n9\n", "")


def test_troubles_are_set_by_hand_too(cluster: SimCluster, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["set", str(cluster.path), "cut_windows_over=0", f"complaints={CONTROL_MACHINE}"]) == 0
    assert run(cluster, "sacct", *WINDOW) == (
        0,
        "JobID\n",
        "sacct: error: Ignoring ControlMachine since SlurmctldHost is set.\n",
    )
    assert main(["set", str(cluster.path), "cut_windows_over=", "complaints="]) == 0
    assert run(cluster, "sacct", *WINDOW) == (0, "JobID\n1\n2\n", "")
    assert main(["set", str(cluster.path), "cut_windows=0"]) == 1
    assert "no such setting: cut_windows; there are: version, package" in capsys.readouterr().err
