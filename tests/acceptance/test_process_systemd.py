"""What systemd is told, on a real socket: ready, alive, reloading, stopping, and a status that cannot lie."""

import signal
import time
from pathlib import Path

import pytest

from tests.acceptance.process import DaemonProcess
from tests.service_manager import ServiceManager


@pytest.fixture
def socket_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # The name of a socket may have 107 bytes.
    return tmp_path_factory.mktemp("n") / "s"


def is_stopped(daemon: DaemonProcess) -> bool:
    assert daemon.process is not None
    stat = Path(f"/proc/{daemon.process.pid}/stat").read_text(encoding="utf-8")
    return stat.rpartition(")")[2].split()[0] == "T"


def test_service_is_ready_alive_reloading_and_stopping(tmp_path: Path, socket_path: Path) -> None:
    with ServiceManager(socket_path) as manager, DaemonProcess(tmp_path) as daemon:
        daemon.ended(60)
        began = time.monotonic_ns() // 1000
        daemon.start(NOTIFY_SOCKET=str(socket_path), WATCHDOG_USEC="1000000")
        daemon.wait_until(lambda: manager.told("READY"), "READY=1")
        ready = next(message for message in manager.messages if "READY" in message)
        assert ready["READY"] == "1"
        assert ready["STATUS"].startswith("sim: 1 ended, all before 20")
        # Half of a second is the latest that a watchdog of one second may be fed twice in time.
        daemon.wait_until(lambda: len(manager.told("WATCHDOG")) >= 4, "WATCHDOG=1, four times")
        assert set(manager.told("WATCHDOG")) == {"1"}

        daemon.signal(signal.SIGHUP)
        daemon.wait_until(lambda: len(manager.told("READY")) == 2, "READY=1 behind the reload")
        states = [
            key for message in manager.messages for key in message if key in {"RELOADING", "READY", "STOPPING"}
        ]
        assert states == ["READY", "RELOADING", "READY"]
        (usec,) = manager.told("MONOTONIC_USEC")
        assert began < int(usec) <= time.monotonic_ns() // 1000

        assert daemon.stop() == 0
        manager.told("STOPPING")
        stopping = [message for message in manager.messages if "STOPPING" in message]
        assert [message["STOPPING"] for message in stopping] == ["1"]
        assert 10_000_000 <= int(manager.told("EXTEND_TIMEOUT_USEC")[0]) <= 60_000_000


def test_service_is_ready_although_slurmdbd_is_down_and_says_why_it_waits(
    tmp_path: Path, socket_path: Path
) -> None:
    with ServiceManager(socket_path) as manager, DaemonProcess(tmp_path) as daemon:
        daemon.cluster.set_slurmdbd_down()
        daemon.start(NOTIFY_SOCKET=str(socket_path))
        daemon.wait_until(lambda: manager.told("READY"), "READY=1")
        daemon.wait_until(
            lambda: any("Connection refused" in line for line in manager.told("STATUS")), "the reason"
        )
        daemon.cluster.set_slurmdbd_down(down=False)
        daemon.wait_until(lambda: "all before" in manager.told("STATUS")[-1], "the status to get better")
        assert manager.told("WATCHDOG") == []


def test_error_text_cannot_forge_a_message_to_systemd(tmp_path: Path, socket_path: Path) -> None:
    with ServiceManager(socket_path) as manager, DaemonProcess(tmp_path) as daemon:
        hostile = "sacct: error: x\nSTOPPING=1\nMAINPID=1\nWATCHDOG=trigger"
        daemon.cluster.add_fault("sacct", "exit", count=None, match="--local", stderr=hostile)
        daemon.start(NOTIFY_SOCKET=str(socket_path))
        daemon.wait_until(
            lambda: any("MAINPID" in line for line in manager.told("STATUS")), "the error in the status"
        )
        assert {key for message in manager.messages for key in message} == {"READY", "STATUS"}


def test_daemon_whose_loop_is_stuck_is_not_called_alive(tmp_path: Path, socket_path: Path) -> None:
    with ServiceManager(socket_path) as manager, DaemonProcess(tmp_path) as daemon:
        daemon.start(NOTIFY_SOCKET=str(socket_path), WATCHDOG_USEC="400000")
        daemon.wait_until(lambda: manager.told("WATCHDOG"), "WATCHDOG=1")
        # A stopped process is what systemd sees of a loop that hangs: no message comes any more.
        daemon.signal(signal.SIGSTOP)
        daemon.wait_until(lambda: is_stopped(daemon), "the process to be stopped")
        fed = len(manager.told("WATCHDOG"))
        time.sleep(1.0)
        assert len(manager.told("WATCHDOG")) == fed
        daemon.signal(signal.SIGCONT)
        daemon.wait_until(lambda: len(manager.told("WATCHDOG")) > fed, "WATCHDOG=1 again")


def test_service_manager_that_goes_away_does_not_stop_the_daemon(tmp_path: Path, socket_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        with ServiceManager(socket_path) as manager:
            daemon.start(NOTIFY_SOCKET=str(socket_path), WATCHDOG_USEC="400000")
            daemon.wait_until(lambda: manager.told("READY"), "READY=1")
        socket_path.unlink()
        daemon.ended(job_name="goes on")
        daemon.wait_until(lambda: daemon.names() == ["goes on"], "an event")
        assert daemon.stop() == 0


def test_a_refused_reload_is_in_the_state_line_until_one_is_taken(tmp_path: Path, socket_path: Path) -> None:
    with ServiceManager(socket_path) as manager, DaemonProcess(tmp_path) as daemon:
        daemon.start(NOTIFY_SOCKET=str(socket_path))
        daemon.wait_until(lambda: manager.told("READY"), "READY=1")
        daemon.change_config('since = "1h"', 'since = "1h"\nintervall = "5s"')
        daemon.signal(signal.SIGHUP)
        fault = f"{daemon.config}: poll.intervall: unknown key"
        refused = f"reload refused, the old configuration is in use: {fault}"
        daemon.wait_until(lambda: manager.told("STATUS")[-1].startswith(refused[:200]), "the refusal")
        daemon.change_config('intervall = "5s"', "")
        daemon.signal(signal.SIGHUP)
        daemon.wait_until(lambda: "reload" not in manager.told("STATUS")[-1], "the next reload")
        assert daemon.stop() == 0
