"""The real daemon and its store: damaged while it runs, lost, opened twice; and a clock that is set."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.acceptance.process import DaemonProcess
from tests.patience import HANGS_SECONDS
from tests.sim_truth import differences

STEPPING = """
import runpy, sys, time
true_time, path = time.time, sys.argv.pop(1)

def stepped():
    with open(path) as file:
        return true_time() + float(file.read() or 0)

time.time = stepped
runpy.run_module("slurmwatchd", run_name="__main__", alter_sys=True)
"""
"""slurmwatchd on a machine whose clock is wrong by as many seconds as a file says."""


class SteppedProcess(DaemonProcess):
    """The daemon on a clock that the test sets; slurmdbd and slurmctld keep true time."""

    @property
    def offset(self) -> Path:
        return self.folder / "offset"

    def step(self, seconds: float) -> None:
        # Renamed into place: a file that is being written would be read half.
        fresh = self.offset.with_suffix(".new")
        fresh.write_text(str(seconds), encoding="utf-8")
        fresh.rename(self.offset)

    def _argv(self, command: str) -> list[str]:
        return [sys.executable, "-c", STEPPING, str(self.offset), command, "--config", str(self.config)]


def whole_truth(daemon: DaemonProcess) -> None:
    """Check that the file has every end once, and nothing but whole lines of JSON."""
    records = daemon.records()
    assert daemon.file.read_bytes().endswith(b"\n")
    assert differences(daemon.cluster, records) == []
    assert max(Counter(record["id"] for record in records).values()) == 1


def spoil(daemon: DaemonProcess) -> None:
    """Write over the middle of the store, as a failing disk does, and over the changes that are not in it yet."""
    wal = daemon.store.with_name(daemon.store.name + "-wal")
    for path, keep in ((daemon.store, 4096), (wal, 32)):
        with path.open("r+b") as file:
            file.seek(keep)
            file.write(b"\xa5" * max(0, path.stat().st_size - keep))


def asides(daemon: DaemonProcess) -> list[Path]:
    return [path for path in daemon.store.parent.glob("*.corrupt-*") if path.suffix not in {"-wal", "-shm"}]


def test_store_damaged_while_the_daemon_runs_is_made_anew_without_a_restart(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        for number in range(50):
            daemon.ended(60 + number)
        daemon.start_ready()
        daemon.wait_until(lambda: len(daemon.records()) == 50, "the first events")
        assert daemon.process is not None
        pid = daemon.process.pid
        assert daemon.samples("slurmwatchd_store_rebuilt_timestamp_seconds") == {(): 0}
        spoil(daemon)
        for _ in range(20):
            daemon.ended()

        def all_are_told_whatever_logrotate_sends_meanwhile() -> bool:
            for _ in range(10):
                os.kill(pid, signal.SIGHUP)
                time.sleep(0.005)
            return len(daemon.records()) == 70

        daemon.wait_until(all_are_told_whatever_logrotate_sends_meanwhile, "the events that ended since")
        daemon.wait_until(lambda: daemon.get("/-/ready")[0] == 200, "ready again")
        assert daemon.process.pid == pid
        rebuilt = daemon.samples("slurmwatchd_store_rebuilt_timestamp_seconds")[()]
        assert abs(rebuilt - time.time()) < 60
        assert [path.name for path in asides(daemon) if not path.name.endswith(("-wal", "-shm"))]
        assert "store damaged, moved aside" in {line["event"] for line in daemon.logged()}
        assert "Traceback" not in daemon.stderr()
        assert daemon.stop() == 0
        whole_truth(daemon)


@pytest.mark.heavy
@pytest.mark.parametrize("lost", ["all of it", "the store but not its log of changes"])
def test_killed_and_its_store_deleted_it_writes_nothing_twice(tmp_path: Path, lost: str) -> None:
    with DaemonProcess(tmp_path) as daemon:
        for round_ in range(3):
            for _ in range(30):
                daemon.ended(30)
            daemon.start()
            daemon.wait_until(lambda: len(daemon.records()) == 30 * (round_ + 1), "the events")  # noqa: B023 - at once
            daemon.kill()
            for path in daemon.store.parent.glob("slurmwatchd.db*"):
                if lost == "all of it" or path == daemon.store:
                    path.unlink()
        daemon.ended(30)
        daemon.start_ready()
        daemon.wait_until(lambda: len(daemon.records()) == 91, "the last event")
        assert daemon.stop() == 0
        whole_truth(daemon)
        seqs = [record["seq"] for record in daemon.records()]
        assert seqs == sorted(set(seqs))


def test_once_makes_a_damaged_store_anew_and_says_so(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.ended(60)
        assert daemon.run("once").returncode == 0
        with daemon.store.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xa5" * (daemon.store.stat().st_size - 4096))
        daemon.ended(60)
        done = daemon.run("once")
        assert done.returncode == 0, done.stderr
        assert "store damaged, moved aside" in done.stderr
        assert "Traceback" not in done.stderr
        assert len(daemon.records()) == 2
        whole_truth(daemon)


def test_second_daemon_on_one_store_is_refused_with_the_pid_of_the_first_which_goes_on(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.ended(60)
        daemon.start_ready()
        assert daemon.process is not None
        for command in ("run", "once"):
            second = subprocess.run(
                [sys.executable, "-m", "slurmwatchd", command, "--config", str(daemon.config)],
                check=False,
                capture_output=True,
                text=True,
                env={**os.environ, "SLURMWATCHD_WEB__LISTEN": ""},
                timeout=HANGS_SECONDS,
            )
            assert second.returncode == 1
            refusal = f"{daemon.store}: is in use by another slurmwatchd, pid {daemon.process.pid}"
            assert refusal in second.stderr
            assert "Traceback" not in second.stderr
        daemon.ended()
        daemon.wait_until(lambda: len(daemon.records()) == 2, "the first to go on")
        assert daemon.stop() == 0
        whole_truth(daemon)


def test_second_daemon_on_one_file_with_a_store_of_its_own_waits_and_writes_nothing(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.ended(60)
        daemon.start_ready()
        daemon.wait_until(lambda: len(daemon.records()) == 1, "the first event")
        other = tmp_path / "other.db"
        second = subprocess.run(
            [sys.executable, "-m", "slurmwatchd", "once", "--config", str(daemon.config)],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "SLURMWATCHD_WEB__LISTEN": "", "SLURMWATCHD_STORE__PATH": str(other)},
            timeout=HANGS_SECONDS,
        )
        # It has read back what is in the file already, so there is nothing left to write.
        assert second.returncode == 0, second.stderr
        daemon.ended()
        daemon.wait_until(lambda: len(daemon.records()) == 2, "the first to go on")
        assert daemon.stop() == 0
        whole_truth(daemon)


@pytest.mark.heavy
@pytest.mark.parametrize(
    "steps", [(7200, 0), (-1800, 0), (86400, -1800, 0)], ids=["forward and back", "back and forward", "wildly"]
)
def test_clock_that_is_set_while_the_daemon_runs_costs_no_event_and_makes_none_twice(
    tmp_path: Path, steps: tuple[float, ...]
) -> None:
    with SteppedProcess(tmp_path) as daemon:
        daemon.step(0)
        daemon.ended(60)
        daemon.start_ready()
        daemon.wait_until(lambda: len(daemon.records()) == 1, "the first event")
        for number, seconds in enumerate(steps):
            daemon.step(seconds)
            # While the clock is wrong jobs go on ending; two polls see it wrong.
            polls = daemon.samples("slurmwatchd_polls_total")[("sim",)]
            for _ in range(5):
                daemon.ended(1)
            daemon.wait_until(
                lambda: daemon.samples("slurmwatchd_polls_total")[("sim",)] >= polls + 2,  # noqa: B023 - at once
                f"polls after step {number}",
            )
        daemon.ended(1)
        daemon.wait_until(lambda: len(daemon.records()) == 2 + 5 * len(steps), "every event")
        assert daemon.stop() == 0
        whole_truth(daemon)
