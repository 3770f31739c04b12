"""Questions to the store in worker threads, on connections of their own, with a time limit each.

A question never holds up the event loop, a poll, a delivery or a scrape: it reads a snapshot of the write-ahead
log, and SQLite lets go of Python's lock while it works. When the client goes or the time is over, SQLite is
interrupted.

Each thread keeps its connection from one question to the next. Who may be answered when is decided in the event
loop, so a question costs one handing over to a thread and one back.
"""

import asyncio
import queue
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import anyio

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

QUICK_SECONDS = 0.05
"""What is answered by then is not worth watching whether its client has gone; few questions take longer."""

_KNOWN_LISTS = 200

_log = get_logger(__name__)

T = TypeVar("T")


class StoppedError(Exception):
    """The client has gone, or the time is over."""


class ClientGoneError(Exception):
    """The client has gone, so the question was ended: there is nobody to answer."""


class Asking:
    """One question under way."""

    def __init__(self, seconds: float) -> None:
        """Begin now."""
        self.begun = time.monotonic()
        self._deadline = self.begun + seconds
        self._is_stopped = False

    def stop(self) -> None:
        """Have it ended."""
        self._is_stopped = True

    def is_over(self) -> bool:
        """Tell whether it is to end."""
        return self._is_stopped or time.monotonic() > self._deadline

    def check(self) -> None:
        """Go on, if there is time.

        Raises:
            StoppedError: There is none.
        """
        if self.is_over():
            raise StoppedError


Work = Callable[[StoreReader, Asking], T]


@dataclass(slots=True, eq=False)
class _Asked:
    """A question that waits or is being answered.

    Attributes:
        ended: Done as soon as no thread works at it any more; then it has its answer, or what went wrong.
        first: Done at the same moment, or already when it takes longer than `QUICK_SECONDS`.
    """

    work: Work[Any]
    who: str
    asking: Asking
    ended: asyncio.Future[None]
    first: asyncio.Future[None]
    answer: Any = None
    error: BaseException | None = None


class Questions:
    """The threads with their connections, and who may use them."""

    def __init__(self, path: Path, *, seconds: float) -> None:
        """Open none yet.

        Args:
            path: The store.
            seconds: The time limit of a question, waiting included.
        """
        self._path = path
        self._seconds = seconds
        self._waiting: deque[_Asked] = deque()
        self._asked: set[_Asked] = set()
        self._under_way: Counter[str] = Counter()
        self._ticks = False
        self._threads: list[threading.Thread] = []
        self._handed: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()

    async def ask(self, work: Work[T], *, who: str, until_gone: Callable[[], Awaitable[None]] | None = None) -> T:
        """Put a question and return its answer.

        Args:
            work: Asks, in a worker thread.
            who: The token's name.
            until_gone: Returns when the client has gone, which ends the question.

        Raises:
            ProblemError: Too many wait, the time is over, or the store cannot be read.
            ClientGoneError: The client went first.
        """
        if len(self._waiting) + self._under_way.total() >= AT_ONCE + MAX_WAITING:
            raise ProblemError(503, "Too many questions wait; ask again later.", headers={"Retry-After": "1"})
        loop = asyncio.get_running_loop()
        asked = _Asked(work, who, Asking(self._seconds), loop.create_future(), loop.create_future())
        self._asked.add(asked)
        self._waiting.append(asked)
        self._hand_over()
        if not self._ticks:
            self._ticks = True
            loop.call_later(QUICK_SECONDS, self._tick, loop)
        has_gone = False
        try:
            await asked.first
            if not asked.ended.done():
                has_gone = await _goes(asked, until_gone)
        except BaseException:
            await self._end(asked)
            raise
        finally:
            self._asked.remove(asked)
        if asked.error is None:
            answer: T = asked.answer
            return answer
        if not isinstance(asked.error, StoppedError):
            raise asked.error
        if has_gone:
            raise ClientGoneError
        limit = spoken_duration(self._seconds)
        raise ProblemError(
            503, f"The question took longer than {limit}; ask for less: since, until, user, cluster."
        )

    def close(self) -> None:
        """Have each thread close its connection and end, once it has answered what it was handed."""
        for _ in self._threads:
            self._handed.put(None)
        self._threads = []

    def _hand_over(self) -> None:
        """Give waiting questions to threads, in their order, as far as each may be answered now."""
        for asked in tuple(self._waiting):
            under_way = self._under_way.total()
            if under_way >= AT_ONCE:
                return
            if self._under_way[asked.who] >= AT_ONCE_EACH:
                continue
            self._waiting.remove(asked)
            self._under_way[asked.who] += 1
            if len(self._threads) <= under_way:
                # One that hangs must not keep the process from ending.
                thread = threading.Thread(target=self._answer_all, name="questions", daemon=True)
                thread.start()
                self._threads.append(thread)
            self._handed.put(asked)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        """Say of questions that they take long: one timer for all costs less than one for each.

        A question whose time is over while it waits is sent away here; one under way is interrupted in its thread.
        """
        for asked in [asked for asked in self._waiting if asked.asking.is_over()]:
            self._waiting.remove(asked)
            asked.error = StoppedError()
            _finish(asked)
        late = time.monotonic() - QUICK_SECONDS
        for asked in self._asked:
            if asked.asking.begun <= late and not asked.first.done():
                asked.first.set_result(None)
        self._ticks = bool(self._asked)
        if self._ticks:
            loop.call_later(QUICK_SECONDS, self._tick, loop)

    def _take_back(self, asked: _Asked) -> None:
        """Take a question back from its thread, which is free again."""
        self._under_way[asked.who] -= 1
        if not self._under_way[asked.who]:
            del self._under_way[asked.who]
        _finish(asked)
        self._hand_over()

    async def _end(self, asked: _Asked) -> None:
        """End a question whose asker was cancelled; return when nothing works at it any more."""
        if asked in self._waiting:
            self._waiting.remove(asked)
            return
        asked.asking.stop()
        with anyio.CancelScope(shield=True):
            await asyncio.wait((asked.ended,))

    def _answer_all(self) -> None:
        """Answer in this thread, on a connection of its own, until `close`."""
        reader: StoreReader | None = None
        while (asked := self._handed.get()) is not None:
            try:
                asked.asking.check()
                reader = reader or StoreReader(self._path, known_lists=_KNOWN_LISTS)
                reader.end_when(asked.asking.is_over)
                asked.answer = asked.work(reader, asked.asking)
            except BaseException as raised:  # noqa: BLE001 - raised again where it was asked
                asked.error = _as_problem(raised, asked.asking)
                # Rows of which not all were read hold the connection, and these frames hold the rows.
                traceback.clear_frames(raised.__traceback__)
                if reader is not None and not isinstance(raised, ProblemError):
                    reader.close()
                    reader = None
            try:
                asked.ended.get_loop().call_soon_threadsafe(self._take_back, asked)
            except RuntimeError:
                # The event loop has ended, and with it whoever asked.
                break
        if reader is not None:
            reader.close()


def _finish(asked: _Asked) -> None:
    asked.ended.set_result(None)
    if not asked.first.done():
        asked.first.set_result(None)


def _as_problem(error: BaseException, asking: Asking) -> BaseException:
    """Return what is told of an error."""
    if isinstance(error, StoreBusyError):
        return ProblemError(503, "The store is busy; ask again later.", headers={"Retry-After": "1"})
    if isinstance(error, StoreError):
        if asking.is_over():
            return StoppedError()
        _log.warning("the store cannot be read for the API", error=str(error))
        return ProblemError(503, "The store cannot be read now; the daemon's log says why.")
    return error


async def _goes(asked: _Asked, until_gone: Callable[[], Awaitable[None]] | None) -> bool:
    """Wait for an answer, and end the question when its client goes; return whether it went."""
    if until_gone is None:
        await asyncio.wait((asked.ended,))
        return False
    has_gone = False

    async def watch() -> None:
        nonlocal has_gone
        await until_gone()
        has_gone = True
        asked.asking.stop()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        await asyncio.wait((asked.ended,))
        group.cancel_scope.cancel()
    return has_gone
