"""What cannot work is said in one clear line with its exit code, and nothing is started."""

import os
import socket
import sqlite3
from pathlib import Path

import pytest

from tests.acceptance.process import DaemonProcess
from tests.sim_truth import differences


@pytest.mark.parametrize("command", ["run", "once"])
def test_faulty_configuration_is_exit_78_with_a_line_for_each_fault_and_nothing_started(
    tmp_path: Path, command: str
) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.change_config('since = "1h"', 'since = "an hour"\nintervall = "5s"')
        done = daemon.run(command)
        assert done.returncode == 78
        lines = done.stderr.splitlines()
        assert len(lines) == 2
        assert lines[0].startswith(f"slurmwatchd: {daemon.config}: poll.since: ")
        assert lines[1] == f"slurmwatchd: {daemon.config}: poll.intervall: unknown key"
        assert not daemon.store.parent.exists()
        assert daemon.cluster.calls() == []


def test_missing_configuration_is_exit_78(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.config.unlink()
        done = daemon.run("run")
        assert (done.returncode, done.stderr) == (
            78,
            f"slurmwatchd: {daemon.config}: cannot be read: No such file or directory\n",
        )


def test_a_folder_in_the_configurations_place_is_exit_78_and_no_mistake_on_the_command_line(
    tmp_path: Path,
) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.config.unlink()
        daemon.config.mkdir()
        done = daemon.run("run")
        assert (done.returncode, done.stderr) == (
            78,
            f"slurmwatchd: {daemon.config}: cannot be read: Is a directory\n",
        )


def test_port_in_use_is_exit_1_and_names_the_address(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon, socket.socket() as other:
        other.bind(("127.0.0.1", daemon.port))
        other.listen()
        done = daemon.run("run")
        assert (done.returncode, done.stderr) == (
            1,
            f"slurmwatchd: web.listen: cannot listen on 127.0.0.1:{daemon.port}: Address already in use\n",
        )
        assert daemon.cluster.calls() == []


@pytest.mark.parametrize("command", ["run", "once"])
def test_missing_sacct_is_exit_1_and_names_the_folder(tmp_path: Path, command: str) -> None:
    with DaemonProcess(tmp_path) as daemon:
        (tmp_path / "bin" / "sacct").unlink()
        done = daemon.run(command)
        assert (done.returncode, done.stderr) == (
            1,
            f"slurmwatchd: sacct is not in slurm.bin_dir ({tmp_path}/bin)\n",
        )


def test_store_of_another_program_is_exit_1_and_left_alone(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.store.parent.mkdir()
        with sqlite3.connect(daemon.store) as foreign:
            foreign.execute("CREATE TABLE photos (id INTEGER)")
        foreign.close()
        done = daemon.run("run")
        assert (done.returncode, done.stderr) == (
            1,
            f"slurmwatchd: {daemon.store}: is an SQLite database, but not a store of slurmwatchd\n",
        )


@pytest.mark.heavy
@pytest.mark.parametrize("flags", [(), ("--listen", "")], ids=["the same configuration", "another address"])
def test_second_daemon_on_one_store_is_exit_1_and_names_the_first(tmp_path: Path, flags: tuple[str, ...]) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.start_ready()
        assert daemon.process is not None
        done = daemon.run("run", *flags)
        assert (done.returncode, done.stderr.splitlines()[-1]) == (
            1,
            f"slurmwatchd: {daemon.store}: is in use by another slurmwatchd, pid {daemon.process.pid}",
        )
        daemon.ended(job_name="the first goes on")
        daemon.wait_until(lambda: daemon.names() == ["the first goes on"], "an event")


def test_once_reads_delivers_and_is_exit_0(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.ended(job_name="one")
        done = daemon.run("once")
        assert done.returncode == 0, done.stderr
        assert daemon.names() == ["one"]
        done = daemon.run("once")
        assert done.returncode == 0, done.stderr
        assert daemon.names() == ["one"]


def test_once_with_slurmdbd_down_is_exit_75_and_says_what_sacct_said(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.ended(job_name="later")
        daemon.cluster.set_slurmdbd_down()
        done = daemon.run("once")
        assert done.returncode == 75
        assert "Problem talking to the database: Connection refused" in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr
        daemon.cluster.set_slurmdbd_down(down=False)
        assert daemon.run("once").returncode == 0
        assert daemon.names() == ["later"]


def test_once_with_a_file_that_cannot_be_written_is_exit_75_and_loses_nothing(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.ended(job_name="later")
        daemon.file.mkdir(parents=True)
        done = daemon.run("once")
        assert (done.returncode, done.stderr.splitlines()[-1]) == (
            75,
            f"slurmwatchd: {daemon.file}: Is a directory",
        )
        daemon.file.rmdir()
        assert daemon.run("once").returncode == 0
        assert daemon.names() == ["later"]


@pytest.mark.skipif(os.getuid() == 0, reason="nothing is unwritable for root")
def test_store_folder_that_cannot_be_written_is_exit_1(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.store.parent.mkdir(mode=0o500)
        done = daemon.run("run")
        assert done.returncode == 1
        assert "Permission denied" in done.stderr


def test_check_tells_what_is_well_and_what_is_not(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        done = daemon.run("check")
        assert done.returncode == 0, done.stdout
        daemon.cluster.set_slurmdbd_down()
        done = daemon.run("check")
        assert done.returncode == 1
        assert "Problem talking to the database" in done.stdout
        assert not daemon.store.exists()


def test_environment_of_the_administrator_does_not_reach_sacct(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.ended(job_name="one")
        # Another format, another zone, another cluster: any of these would spoil the answer.
        daemon.start_ready(
            SACCT_FORMAT="JobID%5", SLURM_TIME_FORMAT="%H:%M", TZ="Asia/Kolkata", SLURM_CLUSTERS="x"
        )
        daemon.wait_until(lambda: daemon.names() == ["one"], "the event")
        assert differences(daemon.cluster, daemon.records()) == []
