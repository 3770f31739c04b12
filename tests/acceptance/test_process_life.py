"""The real daemon from start to stop: ready, delivering, reloading, draining."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.process import DaemonProcess
from tests.sim_truth import differences


def test_daemon_starts_delivers_and_stops_with_everything_delivered(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.ended(60, job_name="before the start")
        daemon.start_ready()
        daemon.ended(job_name="while it runs")
        daemon.wait_until(lambda: len(daemon.records()) == 2, "two events")
        daemon.wait_until(lambda: "ready" in {line["event"] for line in daemon.logged()}, "the log to say ready")
        assert daemon.stop() == 0
        assert daemon.names() == ["before the start", "while it runs"]
        assert differences(daemon.cluster, daemon.records()) == []
        assert [line["event"] for line in daemon.logged() if line["event"] in {"started", "ready", "stopped"}] == [
            "started",
            "ready",
            "stopped",
        ]
        assert {line["level"] for line in daemon.logged()} == {"info"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_in_the_middle_of_a_reading_ends_it_at_once_and_leaves_no_child(
    tmp_path: Path, number: signal.Signals
) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.cluster.add_fault("sacct", "hang", match="--local", count=None)
        daemon.start()
        daemon.wait_until(lambda: _hanging(daemon), "a sacct that hangs")
        (child,) = _hanging(daemon)
        daemon.signal(number)
        assert daemon.wait() == 0
        assert not Path(f"/proc/{child}").exists()


def _hanging(daemon: DaemonProcess) -> list[int]:
    return [call.pid for call in daemon.cluster.calls("sacct") if call.fault == "hang"]


def test_events_of_a_dead_sink_are_delivered_by_the_drain_when_it_has_healed(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.file.parent.mkdir()
        daemon.file.mkdir()
        daemon.start_ready()
        daemon.ended(job_name="waits in the store")
        daemon.wait_until(lambda: daemon.samples("slurmwatchd_sink_up")[("jobs",)] == 0, "the sink to fail")
        assert "Is a directory" in daemon.get("/")[1]
        daemon.wait_until(
            lambda: daemon.samples("slurmwatchd_store_newest_events")[()] == 1, "the event in the store"
        )
        daemon.file.rmdir()
        assert daemon.stop() == 0
        assert daemon.names() == ["waits in the store"]


def test_restart_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        for round_ in range(3):
            daemon.ended(job_name=f"round {round_}")
            daemon.start_ready()
            daemon.wait_until(lambda: len(daemon.records()) == round_ + 1, "the event")  # noqa: B023 - at once
            assert daemon.stop() == 0
        assert differences(daemon.cluster, daemon.records()) == []


def test_sighup_takes_a_good_configuration_and_reopens_the_file(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, interval="1h") as daemon:
        daemon.ended(60, job_name="first")
        daemon.start_ready()
        daemon.wait_until(lambda: daemon.names() == ["first"], "the first event")
        daemon.ended(job_name="second")
        rotated = daemon.file.with_name("jobs.jsonl.1")
        daemon.file.rename(rotated)
        # With the old interval the second job would be read in an hour.
        daemon.change_config('interval = "1h"', 'interval = "1s"')
        daemon.signal(signal.SIGHUP)
        daemon.wait_until(lambda: daemon.names() == ["second"], "the second event, in a new file")
        assert rotated.read_bytes().count(b"\n") == 1
        assert daemon.samples("slurmwatchd_config_last_reload_successful") == {(): 1}
        assert daemon.stop() == 0


@pytest.mark.heavy
def test_sighup_with_a_faulty_configuration_says_so_and_changes_nothing(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.start_ready()
        daemon.change_config('since = "1h"', 'since = "1h"\nintervall = "5s"')
        daemon.signal(signal.SIGHUP)
        daemon.wait_until(
            lambda: daemon.samples("slurmwatchd_config_last_reload_successful") == {(): 0}, "the refusal"
        )
        faults = [line["fault"] for line in daemon.logged() if "fault" in line]
        fault = f"{daemon.config}: poll.intervall: unknown key"
        assert faults == [fault]
        told = daemon.ask("status")
        assert told.returncode == 4, told.stderr
        wrong = [line for line in told.stdout.splitlines() if line.startswith("wrong")]
        assert wrong == [
            f"wrong       the configuration cannot be used; the daemon keeps the one it read: {fault}"
        ]
        assert json.loads(daemon.get("/-/status")[1])["reload_refused"] == fault
        daemon.ended(job_name="goes on")
        daemon.wait_until(lambda: daemon.names() == ["goes on"], "an event")
        daemon.change_config('intervall = "5s"', "")
        told = daemon.ask("status")
        assert told.returncode == 4
        assert f"wrong       the last reload was refused: {fault}; reload again\n" in told.stdout
        daemon.signal(signal.SIGHUP)
        daemon.wait_until(
            lambda: daemon.samples("slurmwatchd_config_last_reload_successful") == {(): 1}, "the next reload"
        )
        assert daemon.ask("status").returncode == 0
        assert daemon.stop() == 0


@pytest.mark.heavy
def test_sighup_that_comes_while_it_starts_ends_nothing(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.cluster.add_fault("scontrol", "slow", seconds=1)
        daemon.start()
        daemon.wait_until(lambda: daemon.cluster.calls("scontrol"), "the first command it runs")
        daemon.signal(signal.SIGHUP)
        daemon.wait_until(lambda: daemon.get("/-/ready")[0] == 200, "ready")
        assert daemon.stop() == 0


def test_file_that_logrotate_renamed_is_followed_without_any_signal(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.ended(job_name="old file")
        daemon.start_ready()
        daemon.wait_until(lambda: daemon.names() == ["old file"], "the first event")
        daemon.file.rename(daemon.file.with_name("jobs.jsonl.1"))
        daemon.ended(job_name="new file")
        daemon.wait_until(lambda: daemon.names() == ["new file"], "the second event, in a new file")
        assert daemon.stop() == 0


def test_slurmdbd_down_at_the_start_keeps_it_waiting_unready_until_slurmdbd_is_up(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.cluster.set_slurmdbd_down()
        daemon.ended(60, job_name="kept by slurmdbd")
        daemon.start()
        daemon.wait_until(lambda: "sacct failed" in daemon.get("/-/ready")[1], "a first reading that failed")
        status, text, _ = daemon.get("/-/ready")
        assert status == 503
        assert text.startswith("sim: sacct failed (exit status 1): sacct: error: ")
        assert daemon.get("/-/healthy")[:2] == (200, "slurmwatchd is alive.\n")
        assert daemon.samples("slurmwatchd_slurmdbd_up") == {("sim",): 0}
        daemon.cluster.set_slurmdbd_down(down=False)
        daemon.wait_until(lambda: daemon.get("/-/ready")[0] == 200, "ready")
        daemon.wait_until(lambda: daemon.names() == ["kept by slurmdbd"], "the event")
        assert daemon.stop() == 0


def test_sacct_that_goes_away_while_it_runs_is_waited_for(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.start_ready()
        sacct = tmp_path / "bin" / "sacct"
        sacct.rename(tmp_path / "sacct.upgrading")
        daemon.wait_until(lambda: daemon.samples("slurmwatchd_slurmdbd_up") == {("sim",): 0}, "the failure")
        daemon.ended(job_name="during the upgrade")
        (tmp_path / "sacct.upgrading").rename(sacct)
        daemon.wait_until(lambda: daemon.names() == ["during the upgrade"], "the event")
        assert daemon.stop() == 0


@pytest.mark.heavy
def test_sacct_that_takes_longer_than_the_interval_does_not_keep_the_past_from_being_read(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.change_config('since = "1h"', 'since = "1h"\nslice = "15m"')
        for minutes in range(59):
            daemon.ended(minutes * 60, job_name=f"{minutes} minutes ago")
        daemon.cluster.add_fault("sacct", "slow", match="--local", count=None, seconds=1.1)
        daemon.start()
        daemon.wait_until(lambda: len(daemon.records()) == 59, "all of the hour")
        assert differences(daemon.cluster, daemon.records()) == []
        assert daemon.stop() == 0


def test_second_signal_stops_at_once(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.file.parent.mkdir()
        os.mkfifo(daemon.file)
        daemon.start_ready()
        daemon.signal(signal.SIGTERM)
        daemon.signal(signal.SIGTERM)
        # Once it has stopped nobody obeys the second, which then ends the process as it ends any.
        assert daemon.wait() in {0, -signal.SIGTERM}


def test_a_file_that_is_no_toml_does_not_lock_status_out_while_the_daemon_runs(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.start_ready()
        daemon.config.write_text("[[")
        told = daemon.ask("status", "--store", str(daemon.store))
        assert told.returncode == 4, told.stderr
        assert "is not valid TOML" in told.stdout
        assert daemon.stop() == 0
        told = daemon.ask("status", "--store", str(daemon.store))
        assert (told.returncode, told.stdout) == (78, "")


@pytest.mark.heavy
def test_a_sinks_file_moved_as_the_page_says_goes_on_where_it_was(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.ended(60, job_name="first")
        assert daemon.run("once").returncode == 0
        daemon.file.rename(daemon.file.with_name("jobs.jsonl.1"))
        daemon.ended(50, job_name="second")
        assert daemon.run("once").returncode == 0
        new = tmp_path / "data"
        new.mkdir()
        for file in daemon.file.parent.iterdir():
            shutil.copy2(file, new / file.name)  # As to another disk: another inode.
            file.unlink()
        daemon.change_config(str(daemon.file), str(new / daemon.file.name))
        daemon.file = new / daemon.file.name
        daemon.ended(40, job_name="third")
        assert daemon.run("once").returncode == 0
        assert daemon.names() == ["second", "third"]
        verified = daemon.ask("verify", "--since", "1h", "--sink", "jobs")
        assert verified.returncode == 0, verified.stdout


def test_a_half_written_row_is_waited_for_and_no_hole_in_status(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.start_ready()
        daemon.ended(2, job_name="allocation", partition="")
        daemon.ended(1, job_name="whole")
        daemon.wait_until(lambda: daemon.names() == ["whole"], "the whole one alone")

        def told() -> dict[str, Any]:
            (cluster,) = json.loads(daemon.ask("status", "--json").stdout)["clusters"]
            assert cluster["holes"] == []
            return dict(cluster)

        daemon.wait_until(lambda: told()["half_written"], "the second that is held back")
        assert daemon.ask("jobs", "--since", "30m").stderr == ""
