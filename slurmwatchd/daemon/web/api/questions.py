"""Questions to the store in worker threads, on connections of their own, with a time limit each.

A question never holds up the event loop, a poll, a delivery or a scrape: it reads a snapshot of the write-ahead
log, and SQLite lets go of Python's lock while it works. When the client goes or the time is over, SQLite is
interrupted.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread

from slurmwatchd.config.units import spoken_duration
from slurmwatchd.daemon.web.api.problems import ProblemError
from slurmwatchd.errors import StoreBusyError, StoreError
from slurmwatchd.store.read.reader import StoreReader
from slurmwatchd.telemetry.log import get_logger

AT_ONCE = 4
"""So many questions are answered at a time, and have a connection each."""

AT_ONCE_EACH = 2
"""So many of one token."""

MAX_WAITING = 200
"""So many wait at most; more are sent away."""

_KNOWN_LISTS = 200
_MAX_IDLE = AT_ONCE

_log = get_logger(__name__)

T = TypeVar("T")


class StoppedError(Exception):
    """The client has gone, or the time is over."""


class Asking:
    """One question under way."""

    def __init__(self, seconds: float) -> None:
        """Begin now."""
        self._deadline = time.monotonic() + seconds
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Have it ended."""
        self._stopped.set()

    def is_over(self) -> bool:
        """Tell whether it is to end."""
        return self._stopped.is_set() or time.monotonic() > self._deadline

    def check(self) -> None:
        """Go on, if there is time.

        Raises:
            StoppedError: There is none.
        """
        if self.is_over():
            raise StoppedError


Work = Callable[[StoreReader, Asking], T]


class Questions:
    """The connections, and who may use them."""

    def __init__(self, path: Path, *, seconds: float) -> None:
        """Open none yet.

        Args:
            path: The store.
            seconds: The time limit of a question, waiting included.
        """
        self._path = path
        self._seconds = seconds
        self._idle: list[StoreReader] = []
        self._lock = threading.Lock()
        self._closed = False
        self._limiter = anyio.CapacityLimiter(AT_ONCE)
        self._threads = anyio.CapacityLimiter(AT_ONCE)
        self._each: dict[str, anyio.Semaphore] = {}
        self._under_way: Counter[str] = Counter()

    async def ask(self, work: Work[T], *, who: str) -> T:
        """Put a question and return its answer.

        Args:
            work: Asks, in a worker thread.
            who: The token's name.

        Raises:
            ProblemError: Too many wait, the time is over, or the store cannot be read.
        """
        if self._under_way.total() >= AT_ONCE + MAX_WAITING:
            raise ProblemError(503, "Too many questions wait; ask again later.", headers={"Retry-After": "1"})
        asking = Asking(self._seconds)
        self._under_way[who] += 1
        semaphore = self._each.setdefault(who, anyio.Semaphore(AT_ONCE_EACH))
        try:
            with anyio.move_on_after(self._seconds):
                async with semaphore, self._limiter:
                    return await self._in_thread(work, asking)
        except StoppedError:
            pass
        finally:
            self._under_way[who] -= 1
            if not self._under_way[who]:
                del self._under_way[who], self._each[who]
        limit = spoken_duration(self._seconds)
        raise ProblemError(
            503, f"The question took longer than {limit}; ask for less: since, until, user, cluster."
        )

    def close(self) -> None:
        """Close the connections that nobody uses; the others are closed by who uses them."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for reader in idle:
            reader.close()

    async def _in_thread(self, work: Work[T], asking: Asking) -> T:
        """Run in a thread; who is cancelled meanwhile has the question ended, and waits for that."""
        done = anyio.Event()
        result: list[T] = []
        errors: list[Exception] = []

        async def run() -> None:
            try:
                result.append(await anyio.to_thread.run_sync(self._run, work, asking, limiter=self._threads))
            except Exception as error:  # noqa: BLE001 - raised again below
                errors.append(error)
            finally:
                done.set()

        async with anyio.create_task_group() as group:
            group.start_soon(run)
            try:
                await done.wait()
            except BaseException:
                asking.stop()
                raise
        if errors:
            raise errors[0]
        return result[0]

    def _run(self, work: Work[T], asking: Asking) -> T:
        asking.check()
        try:
            reader = self._take()
            try:
                reader.end_when(asking.is_over)
                answer = work(reader, asking)
            except BaseException:
                reader.close()
                raise
            reader.end_when(None)
            self._give_back(reader)
        except StoreBusyError as error:
            raise ProblemError(503, "The store is busy; ask again later.", headers={"Retry-After": "1"}) from error
        except StoreError as error:
            asking.check()
            _log.warning("the store cannot be read for the API", error=str(error))
            raise ProblemError(503, "The store cannot be read now; the daemon's log says why.") from error
        return answer

    def _take(self) -> StoreReader:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return StoreReader(self._path, known_lists=_KNOWN_LISTS)

    def _give_back(self, reader: StoreReader) -> None:
        with self._lock:
            if not self._closed and len(self._idle) < _MAX_IDLE:
                self._idle.append(reader)
                return
        reader.close()
