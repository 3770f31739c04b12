"""What systemd would read, seen through a real datagram socket."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurmwatchd.daemon.sd_notify import Notifier


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """Stand in for systemd: the receiving end of NOTIFY_SOCKET."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(5)
        yield receiver


def environ_of(manager: socket.socket) -> dict[str, str]:
    return {"NOTIFY_SOCKET": manager.getsockname()}


def test_ready_is_told_with_its_status(manager: socket.socket) -> None:
    assert Notifier(environ_of(manager)).ready("watching cluster tux")
    assert manager.recv(4096) == b"READY=1\nSTATUS=watching cluster tux"


def test_a_reload_carries_the_monotonic_clock_and_ends_with_ready(manager: socket.socket) -> None:
    notifier = Notifier(environ_of(manager), monotonic_ns=lambda: 12_345_678_901)
    notifier.reloading()
    notifier.ready()
    assert manager.recv(4096) == b"RELOADING=1\nMONOTONIC_USEC=12345678"
    assert manager.recv(4096) == b"READY=1"


def test_the_drain_is_announced_and_asks_for_time(manager: socket.socket) -> None:
    notifier = Notifier(environ_of(manager))
    notifier.stopping("draining 2 sinks")
    notifier.extend_timeout(2.5)
    assert manager.recv(4096) == b"STOPPING=1\nSTATUS=draining 2 sinks"
    assert manager.recv(4096) == b"EXTEND_TIMEOUT_USEC=2500000"


def test_the_watchdog_is_pinged(manager: socket.socket) -> None:
    assert Notifier(environ_of(manager)).watchdog()
    assert manager.recv(4096) == b"WATCHDOG=1"


def test_an_abstract_socket_is_reached(tmp_path: Path) -> None:
    name = f"slurmwatchd-test-{tmp_path}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0" + name)
        receiver.settimeout(5)
        assert Notifier({"NOTIFY_SOCKET": "@" + name}).ready()
        assert receiver.recv(4096) == b"READY=1"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("lost\nREADY=1", b"STATUS=lost READY=1"),
        ("a\r\n\tb\x00\x1b[31m", b"STATUS=a b [31m"),
        ("two\u2028lines\x85here", b"STATUS=two lines here"),
        ("bad \udcff byte", b"STATUS=bad byte"),
        ("Größe", b"STATUS=Gr\xc3\xb6\xc3\x9fe"),
    ],
)
def test_a_hostile_status_stays_one_assignment(manager: socket.socket, text: str, line: bytes) -> None:
    assert Notifier(environ_of(manager)).status(text)
    assert manager.recv(4096) == line


def test_a_long_status_fits_what_systemd_reads(manager: socket.socket) -> None:
    assert Notifier(environ_of(manager)).ready("\U0001f600" * 10_000)
    message = manager.recv(65536)
    assert message.startswith(b"READY=1\nSTATUS=\xf0\x9f\x98\x80")
    assert len(message) == len(b"READY=1\nSTATUS=") + 2000


@pytest.mark.parametrize("value", ["", "vsock:2:1234", "relative/path"])
def test_without_a_socket_of_ours_nothing_is_sent(value: str) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": value})
    assert not notifier.ready("nobody listens")


def test_a_socket_that_went_away_does_not_raise(tmp_path: Path) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    assert not notifier.ready()
    assert not notifier.watchdog()


def test_a_path_longer_than_the_kernel_allows_does_not_raise() -> None:
    assert not Notifier({"NOTIFY_SOCKET": "/" + "x" * 200}).ready()


def test_a_ready_nobody_took_is_sent_with_the_next_ping(tmp_path: Path) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "late")})
    assert not notifier.ready("watching")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "late"))
        receiver.settimeout(5)
        assert notifier.watchdog()
        assert notifier.watchdog()
        assert receiver.recv(4096) == b"READY=1\nWATCHDOG=1"
        assert receiver.recv(4096) == b"WATCHDOG=1"


def test_a_newer_state_replaces_one_still_owed(tmp_path: Path) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "late")})
    assert not notifier.ready()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "late"))
        receiver.settimeout(5)
        assert notifier.stopping()
        assert receiver.recv(4096) == b"STOPPING=1"


def test_a_manager_that_does_not_read_does_not_hold_the_daemon_up(manager: socket.socket) -> None:
    notifier = Notifier(environ_of(manager))
    taken = 0
    while taken < 100_000 and notifier.watchdog():
        taken += 1
    assert 0 < taken < 100_000
    assert not notifier.ready()


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "41"}, 15.0),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "42"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": ""}, None),
        ({}, None),
    ],
)
def test_the_watchdog_interval_is_half_the_deadline(environ: dict[str, str], seconds: float | None) -> None:
    assert Notifier(environ, pid=41).watchdog_interval() == seconds


def test_the_environment_of_the_process_is_the_default(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", manager.getsockname())
    assert Notifier().ready()
    assert manager.recv(4096) == b"READY=1"
