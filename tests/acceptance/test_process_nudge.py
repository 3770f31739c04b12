"""Nudges to the real daemon: a job that has just ended is written within seconds, and a flood costs no more."""

import socket
import stat
import time
from pathlib import Path

import pytest

from tests.acceptance.process import DaemonProcess
from tests.patience import Patience


def polls(daemon: DaemonProcess) -> int:
    """How many windows the daemon has asked sacct for, as its own log has it."""
    return daemon.log.read_text(encoding="utf-8").count('"window read"')


def nudge_of(daemon: DaemonProcess) -> Path:
    return daemon.store.with_name("slurmwatchd.db.nudge")


def test_an_end_is_written_after_a_nudge_and_not_after_the_interval(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, interval="1h") as daemon:
        daemon.start_ready()
        assert stat.S_IMODE(nudge_of(daemon).stat().st_mode) == 0o660
        daemon.cluster.add_job(state="COMPLETED", time_start=int(time.time()) - 5, time_end=int(time.time()))
        done = daemon.run("nudge")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        daemon.wait_until(lambda: len(daemon.records()) == 1, "the line")
        assert daemon.stop() == 0
        assert not nudge_of(daemon).exists()
        refused = daemon.run("nudge")
        assert refused.returncode == 75
        assert refused.stderr == (
            f"slurmwatchd: {nudge_of(daemon)}: no daemon listens: is slurmwatchd running on this machine?\n"
        )


@pytest.mark.heavy
def test_a_flood_of_nudges_brings_no_more_polls_than_the_shortest_time_allows(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, interval="1h") as daemon:
        daemon.start_ready()
        before, began, sent = polls(daemon), time.monotonic(), 0
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as flood:
            flood.connect(str(nudge_of(daemon)))
            # It blocks while the socket is full, so whoever sends without end gets on as well.
            while time.monotonic() - began < 7:
                flood.send(b"now")
                sent += 1
        daemon.cluster.add_job(state="COMPLETED", time_start=int(time.time()) - 5, time_end=int(time.time()))
        daemon.run("nudge")
        daemon.wait_until(lambda: len(daemon.records()) == 1, "the line")
        daemon.wait_until(lambda: polls(daemon) > before, "a window in the log, which follows the line")
        assert sent > 50
        # Every 2 s, each poll with an overdue window elsewhere.
        assert polls(daemon) - before <= 2 * ((time.monotonic() - began) / 2 + 1)
        assert daemon.stop() == 0


@pytest.mark.heavy
def test_a_socket_that_a_killed_daemon_left_is_taken_over(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, interval="1h") as daemon:
        daemon.start_ready()
        daemon.kill()
        assert nudge_of(daemon).exists()
        assert daemon.run("nudge").returncode == 75
        daemon.start_ready()
        daemon.cluster.add_job(state="COMPLETED", time_start=int(time.time()) - 5, time_end=int(time.time()))
        patience = Patience()
        while not daemon.records() and not patience.is_over():
            assert daemon.run("nudge").returncode == 0
        assert len(daemon.records()) == 1
