"""The archive at work: finds the days that are to be written, and has a process of its own write them.

That process has the lowest priority and its own memory, so neither polls nor deliveries wait for it. It dies with
the daemon; what it was writing is written again.
"""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import anyio.to_thread
import orjson
from anyio.streams.text import TextReceiveStream

from slurmwatchd.errors import ArchiveError, StoreFullError, TransientError
from slurmwatchd.model.clock import Clock
from slurmwatchd.store.archive import days, layout
from slurmwatchd.store.archive.writer import Written
from slurmwatchd.store.database import Database
from slurmwatchd.telemetry.disks import Disks
from slurmwatchd.telemetry.log import get_logger
from slurmwatchd.telemetry.metrics import Metrics

ROUND_SECONDS = 300.0
"""How often the archiver looks for days to write."""

AT_ONCE = 30
"""Days that one process is given."""

COMMAND: tuple[str, ...] = (sys.executable, "-P", "-m", "slurmwatchd.store.archive")
"""The process that writes."""

_PATIENCE_SECONDS = 1800.0
"""A day of a million attempts takes minutes, at the lowest priority."""

_NOT_HANDED_ON = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "SLURM_JWT", "LISTEN_FDS", "LISTEN_PID")

_log = get_logger(__name__)


class Archiver:
    """Keeps one archive in step with one store."""

    def __init__(
        self,
        database: Database,
        dataset: Path,
        *,
        finished_after: int,
        clock: Clock,
        metrics: Metrics,
        disks: Disks,
    ) -> None:
        """Prepare; nothing is written.

        Args:
            database: The store.
            dataset: The archive's folder.
            finished_after: A day is finished so many seconds after its end.
            clock: Says what is finished.
            metrics: Count what is written.
            disks: Show that the archive's is full; what else is wrong stands beside that.
        """
        self.finished_after = finished_after
        self._database = database
        self._dataset = dataset
        self._clock = clock
        self._metrics = metrics
        self._health = disks.health
        self._disks = disks
        self._surveyed = False

    async def run(self) -> None:
        """Write for ever; what fails is tried again in the next round."""
        while True:
            try:
                await self.round()
            except TransientError as error:
                self._failed(error)
            self._health.tick("archive", within_seconds=ROUND_SECONDS + _PATIENCE_SECONDS)
            await self._clock.sleep(ROUND_SECONDS)

    async def round(self, *, rest: bool = True) -> None:
        """Write every day that is due.

        Args:
            rest: Whether others want the machine meanwhile.

        Raises:
            TransientError: The store or the archive cannot be read or written now.
        """
        survey = False
        if not self._surveyed:
            there = await anyio.to_thread.run_sync(self._files)
            await days.adopt(self._database, self._dataset, there)
            survey = bool(there)
        met: set[tuple[str, int]] = set()
        while True:
            await days.note(self._database)
            now = int(self._clock.now())
            due = await days.due(self._database, now=now, finished_after=self.finished_after, limit=AT_ONCE)
            # One that waits for another day's file comes back, but not for ever.
            if not survey and not (due and {(cluster, day) for cluster, day, _ in due} - met):
                break
            met |= {(cluster, day) for cluster, day, _ in due}
            await self._write(due, survey=survey, rest=rest)
            survey = False
        self._surveyed = True
        self._disks.room("archive")
        self._health.archive = ""
        await self._measure()

    async def taken_up_to(self) -> int:
        """Return the position up to which the archive has all events: what comes later must not be pruned."""
        return await days.taken_up_to(self._database)

    def _files(self) -> list[layout.DayFile]:
        try:
            return layout.files(self._dataset)
        except OSError as error:
            raise ArchiveError(f"{error.filename or self._dataset}: {error.strerror}") from error

    async def _write(self, due: list[tuple[str, int, int]], *, survey: bool, rest: bool) -> None:
        """Have a process write days; note each as it is done."""
        order = {
            "store": str(self._database.path),
            "dataset": str(self._dataset.absolute()),
            "days": due,
            "survey": survey,
            "rest": rest,
        }
        async with _process() as process:
            assert process.stdin is not None and process.stdout is not None  # noqa: PT018, S101 - asked for as pipes
            await process.stdin.send(orjson.dumps(order))
            await process.stdin.aclose()
            left = ""
            async for text in TextReceiveStream(process.stdout):
                *lines, left = (left + text).split("\n")
                for line in lines:
                    await self._done(orjson.loads(line))
            code = await process.wait()
        if code:
            raise ArchiveError(f"the archive's process ended with status {code}")

    async def _done(self, said: dict[str, Any]) -> None:
        """Take one line of the process."""
        if error := said.get("error"):
            if said.get("full"):
                self._disks.full("archive", str(error))
            raise ArchiveError(str(error))
        if (files := said.get("files")) is not None:
            await days.take_stock(self._database, files)
            return
        is_wanted, written = said.pop("wanted"), Written(**said)
        if is_wanted:
            await days.done(self._database, written)
        else:
            await days.rewritten(self._database, written)
        self._metrics.archive_files.labels(written.cluster).inc()
        self._health.tick("archive", within_seconds=_PATIENCE_SECONDS)
        _log.info(
            "day archived",
            cluster=written.cluster,
            day=layout.day_text(written.day),
            attempts=written.attempts,
            bytes=written.bytes,
        )

    async def _measure(self) -> None:
        found = await days.stock(self._database, now=int(self._clock.now()), finished_after=self.finished_after)
        self._metrics.archive_attempts.set(found.attempts)
        self._metrics.archive_bytes.set(found.bytes)
        self._metrics.archive_waiting.set(found.waiting)
        self._metrics.archive_waiting_since.set(found.waiting_since or 0)
        self._metrics.archive_success.set(self._clock.now())

    def _failed(self, error: TransientError) -> None:
        self._metrics.archive_failures.inc()
        # A full disk is reported once, by `Disks`.
        if not isinstance(error, StoreFullError) and "archive" not in self._health.full:
            log = _log.warning if self._health.archive != str(error) else _log.debug
            log("archive not written, the daemon tries again", error=str(error))
        self._health.archive = str(error)


def environment() -> dict[str, str]:
    """Return what a process that reads or writes the archive gets of the daemon's environment."""
    return {name: value for name, value in os.environ.items() if name not in _NOT_HANDED_ON}


@asynccontextmanager
async def _process() -> AsyncIterator[anyio.abc.Process]:
    """Start the process that writes; whatever ends the caller ends it, too."""
    try:
        # Cancelled half-way, it would be killed and not waited for.
        with anyio.CancelScope(shield=True):
            process = await anyio.open_process(
                COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None, env=environment()
            )
    except OSError as error:
        raise ArchiveError(f"{COMMAND[0]}: cannot be started: {error.strerror}") from error
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        with anyio.CancelScope(shield=True):
            await process.aclose()
