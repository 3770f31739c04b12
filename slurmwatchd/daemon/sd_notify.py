"""What the daemon sends to systemd: the sd_notify protocol, and nothing else.

The protocol is one datagram of `KEY=value` lines to the socket named in NOTIFY_SOCKET, sd_notify(3); systemd
promises it stable. When to call what is the supervisor's business. Without systemd every call does nothing.
"""

import os
import socket
import time
from collections.abc import Callable, Mapping

STATUS_MAX_CHARACTERS = 500
"""systemd reads 4096 bytes a datagram and drops a longer one whole; 500 characters are 2000 bytes at most."""

_SEND_TIMEOUT_SECONDS = 0.02
_MICROSECONDS_PER_SECOND = 1_000_000


class Notifier:
    """One service's line to its service manager.

    No method raises: a service manager that went away, or is slow, must not stop the daemon. Each returns
    whether the message was handed over. A state (READY, RELOADING, STOPPING) that could not be is sent again
    with the next message, because a lost READY=1 ends in a start timeout.
    """

    def __init__(
        self,
        environ: Mapping[str, str] | None = None,
        *,
        pid: int | None = None,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Read the environment once.

        Args:
            environ: Where NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are; None is the process's own.
            pid: This process, to compare with WATCHDOG_PID; None is the real one.
            monotonic_ns: CLOCK_MONOTONIC in nanoseconds, as systemd compares it.
        """
        environ = os.environ if environ is None else environ
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self._watchdog_seconds = _watchdog_seconds(environ, os.getpid() if pid is None else pid)
        self._monotonic_ns = monotonic_ns
        self._owed = ""

    def watchdog_interval(self) -> float | None:
        """Say how often to call `watchdog`.

        Returns:
            Seconds, half of the unit's WatchdogSec as sd_watchdog_enabled(3) advises; None where no watchdog
            runs.
        """
        return None if self._watchdog_seconds is None else self._watchdog_seconds / 2

    def ready(self, status: str = "") -> bool:
        """Say that start-up, or a reload, is over."""
        return self._send("READY=1", status=status)

    def reloading(self, status: str = "") -> bool:
        """Say that a reload begins; `ready` ends it.

        MONOTONIC_USEC is required by `Type=notify-reload` (systemd 253) and ignored before.
        """
        return self._send(f"RELOADING=1\nMONOTONIC_USEC={self._monotonic_ns() // 1000}", status=status)

    def stopping(self, status: str = "") -> bool:
        """Say that the drain begins."""
        return self._send("STOPPING=1", status=status)

    def status(self, text: str) -> bool:
        """Set the sentence that `systemctl status` shows."""
        return self._send(status=text)

    def watchdog(self) -> bool:
        """Prove that the service is alive."""
        return self._send(extra="WATCHDOG=1")

    def extend_timeout(self, seconds: float) -> bool:
        """Ask for more time to start or stop.

        Args:
            seconds: From now until the next such call, or the end of the phase, at the latest.
        """
        return self._send(extra=f"EXTEND_TIMEOUT_USEC={round(seconds * _MICROSECONDS_PER_SECOND)}")

    def _send(self, state: str = "", *, status: str = "", extra: str = "") -> bool:
        if self._address is None:
            return False
        # systemd takes the last state in a datagram, so a newer state replaces one still owed.
        state = state or self._owed
        lines = [line for line in (state, extra) if line]
        if status:
            lines.append(f"STATUS={_one_line(status)}")
        if not lines:
            return True
        sent = _hand_over("\n".join(lines).encode("utf-8", "replace"), self._address)
        self._owed = "" if sent else state
        return sent


def _hand_over(message: bytes, address: str) -> bool:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            # Connected, because only then does a full queue at the other end wait for the time-out, which is
            # short because this runs in the event loop.
            sender.settimeout(_SEND_TIMEOUT_SECONDS)
            sender.connect(address)
            sender.send(message)
    except OSError:
        return False
    return True


def _address(notify_socket: str) -> str | None:
    """Turn NOTIFY_SOCKET into an address: a path, or `@name` in the abstract namespace.

    Others (`vsock:`, for the init of a virtual machine) are not for services.
    """
    if notify_socket.startswith("/"):
        return notify_socket
    if notify_socket.startswith("@"):
        return "\0" + notify_socket[1:]
    return None


def _watchdog_seconds(environ: Mapping[str, str], pid: int) -> float | None:
    """Read the watchdog's deadline; None where there is none, or it is for another process."""
    try:
        microseconds = int(environ.get("WATCHDOG_USEC", "0"))
        for_pid = int(environ.get("WATCHDOG_PID", str(pid)))
    except ValueError:
        return None
    if microseconds <= 0 or for_pid != pid:
        return None
    return microseconds / _MICROSECONDS_PER_SECOND


def _one_line(text: str) -> str:
    """Make a status one line: after a line break it would be read as another assignment, say `READY=1`."""
    visible = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(visible.split())[:STATUS_MAX_CHARACTERS]
