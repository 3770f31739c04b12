"""Nudges: datagrams on a Unix socket, each of which says that a job has just ended.

A nudge makes the next poll due at once, however long the interval is. It is sent where slurmctld runs a script
for each end (`slurmwatchd nudge` in EpilogSlurmctld), so there may be thousands in a second: whatever comes, there
is one poll in `every` seconds at most. Where no more nudges come, a second poll follows the first: slurmdbd may
have got an end too late for that. What a datagram holds means nothing.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from prometheus_client import Counter

from slurmwatchd.config.ownership import give_socket_to_folder_owner
from slurmwatchd.config.paths import nudge_path, socket_address
from slurmwatchd.model.clock import Clock
from slurmwatchd.telemetry.log import get_logger

SETTLE_SECONDS = 1.0
"""slurmdbd mostly shows an end within a second after slurmctld has run the script."""

AGAIN_SECONDS = 4.0
"""So long after that poll the second one follows: on a busy machine slurmdbd gets an end seconds late."""

_MODE = 0o660
_DRAIN_SECONDS = 0.05
"""A socket holds ten datagrams on most systems; who sends another one waits, unless it is read meanwhile."""
_AT_ONCE = 1000
_BYTES = 1

_log = get_logger(__name__)


class Nudges:
    """Listens beside one store."""

    def __init__(self, store: Path, *, clock: Clock, received: Counter, nudged: Callable[[], object]) -> None:
        """Prepare; nothing is opened.

        Args:
            store: Whose daemon this is; the socket is beside it.
            clock: For waiting.
            received: Counts them.
            nudged: Makes the next poll due.
        """
        self._path = nudge_path(store)
        self._clock = clock
        self._received = received
        self._nudged = nudged

    async def run(self, every: Callable[[], float]) -> None:
        """Listen for ever; where no socket can be made, the daemon polls as if there were no nudges.

        Args:
            every: Returns for how many seconds one poll is enough.
        """
        with _listening(self._path) as listener:
            if listener is None:
                return
            polled = -1e9
            while True:
                await asyncio.get_running_loop().sock_recv(listener, _BYTES)
                self._received.inc()
                waits = True
                while waits:
                    # What comes from here on may be of an end that the poll does not see yet.
                    self._drain(listener)
                    due = max(self._clock.monotonic() + SETTLE_SECONDS, polled + every())
                    waits = await self._came_until(due, listener)
                    polled = self._poll()
                    if not waits:
                        again = polled + max(AGAIN_SECONDS, every())
                        waits = self._drain(listener) or await self._came_until(again, listener, or_nudge=True)
                        polled = polled if waits else self._poll()

    def _poll(self) -> float:
        """Make the next poll due, and return when that was."""
        self._nudged()
        return self._clock.monotonic()

    async def _came_until(self, due: float, listener: socket.socket, *, or_nudge: bool = False) -> bool:
        """Wait until a moment, or for the next nudge if that is sooner, and return whether any came."""
        came = False
        while (left := due - self._clock.monotonic()) > 0 and not (or_nudge and came):
            await self._clock.sleep(min(left, _DRAIN_SECONDS))
            came = self._drain(listener) or came
        return came

    def _drain(self, listener: socket.socket) -> bool:
        """Read what has come, and return whether anything has; a sender that never rests does not keep us here."""
        count = 0
        with suppress(BlockingIOError):
            while count < _AT_ONCE:
                listener.recv(_BYTES)
                count += 1
        self._received.inc(count)
        return count > 0


@contextmanager
def _listening(path: Path) -> Iterator[socket.socket | None]:
    """Give a socket that the service's user and group may send to; None where there can be none."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.setblocking(False)
        try:
            # Only who holds the store's lock comes here: what is left is of a daemon that died.
            path.unlink(missing_ok=True)
            with socket_address(path) as address:
                listener.bind(address)
            path.chmod(_MODE)
            give_socket_to_folder_owner(path)
        except OSError as error:
            _log.warning("no nudges", socket=str(path), error=os.strerror(error.errno or 0))
            yield None
            return
        try:
            yield listener
        finally:
            with suppress(OSError):
                path.unlink(missing_ok=True)
