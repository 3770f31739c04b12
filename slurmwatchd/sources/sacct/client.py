"""Ask slurmdbd, through sacct, which attempts ended in a window, which are open, and what became of some.

One call at a time. Its output goes to a spool first and is read only once the call is proved
complete: exit 0, no `error:` or `fatal:` on stderr beyond what `sacct -V` prints as well (see `complaints`);
header and framing are proved while the spool is read.
Exit status alone proves nothing (releases up to 23.11.3 exit with errno modulo 256, which may be 0), and
neither does an answer with a header (it is printed before the query).
"""

import os
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import anyio
import anyio.to_thread

from slurmwatchd.errors import (
    SacctError,
    SacctOutputError,
    SacctTimeoutError,
    SacctTooWideError,
    StoreBusyError,
    StoreFullError,
    is_full_error,
)
from slurmwatchd.model.attempts import AttemptBatch
from slurmwatchd.model.records import Rejected
from slurmwatchd.model.windows import Window
from slurmwatchd.sources.commands import Commands
from slurmwatchd.sources.process import Completed, Spool, TimedOutError
from slurmwatchd.sources.sacct.arguments import named_arguments, open_arguments, window_arguments
from slurmwatchd.sources.sacct.columns import ColumnReader
from slurmwatchd.sources.sacct.fields import EVERYWHERE, Layout
from slurmwatchd.sources.sacct.framing import RowReader

PROBE_TIMEOUT_SECONDS = 60.0

_SPOOL_MEMORY = 1 << 20
_PIECE_BYTES = 1 << 17
"""So much of an answer is read at a time: with all that is made of it, it fits into a processor's own cache, which
makes reading a third quicker."""

_BATCH_ROWS = 2000
_BATCH_BYTES = 4 << 20
"""Rows are given when there are so many, or at least one and sacct printed so many bytes."""

_SHOWN_FIELDS = 5

_TOO_WIDE = (
    "Too wide of a date range", "exceeds size limit", "Result too large", "range in query", "Unknown error 1969",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ParsedRows:
    """Some rows of an answer.

    Attributes:
        readings: The rows that can be keyed.
        rejected: The others.
    """

    readings: AttemptBatch
    rejected: Sequence[Rejected] = ()

    @property
    def count(self) -> int:
        """How many rows sacct printed."""
        return len(self.readings) + len(self.rejected)


class SacctAnswer(Protocol):
    """What a complete call brought."""

    @property
    def seconds(self) -> float:
        """How long the call took."""
        ...

    @property
    def size(self) -> int:
        """How many bytes sacct printed, where they are still to be read."""
        ...

    @property
    def slots(self) -> frozenset[str]:
        """The fields of `JobRecord` that were asked for."""
        ...

    def rows(self) -> AsyncIterator[ParsedRows]:
        """Give the rows, a few thousand at a time and never none; each answer can be read once."""
        ...


class Sacct:
    """One cluster's accounting, as sacct shows it."""

    def __init__(
        self,
        commands: Commands,
        *,
        timeout_seconds: float,
        spool_dir: Path,
        cluster: str = "",
        spent: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Prepare; nothing is run.

        Args:
            commands: Where sacct is.
            timeout_seconds: For one window. slurmdbd goes on with a query whose sacct was killed, so this is
                minutes, and failures are to be followed by a pause.
            spool_dir: Where answers of over a megabyte are put while they are read; nothing stays there.
            cluster: Which one; empty: the local one.
            spent: Told after each call how many seconds it took, whatever came of it.
        """
        self._commands = commands
        self._timeout_seconds = timeout_seconds
        self._spool_dir = spool_dir
        self._cluster = cluster
        self._spent = spent
        self._turn: AbstractAsyncContextManager[object] = anyio.Lock()

    async def version(self) -> str:
        """Return what `sacct -V` says, such as `slurm 24.11.5`; it asks nobody.

        Raises:
            SacctError: It fails.
        """
        done = await self._run(["-V"], PROBE_TIMEOUT_SECONDS)
        return done.stdout.decode(errors="backslashreplace").strip()

    async def available_fields(self) -> list[str]:
        """Return the fields this sacct prints; up to 24.11 this needs slurmdbd.

        Raises:
            SacctError: It fails, as 22.05 does with a token it does not take: error lines, exit status 0.
            SacctOutputError: Fields are missing that every release has.
        """
        done = await self._run(["--helpformat"], PROBE_TIMEOUT_SECONDS)
        names = done.stdout.decode(errors="backslashreplace").split()
        if missing := EVERYWHERE.difference(names):
            shown = ", ".join(sorted(missing)[:_SHOWN_FIELDS])
            text = f"sacct --helpformat left out {len(missing)} fields that every release has: {shown}"
            raise SacctOutputError(text, argv=done.argv, stderr=done.stderr[-2000:])
        return names

    async def answers(self) -> None:
        """Check that slurmdbd answers a query, with a window in which nothing can have ended.

        Raises:
            SacctError: It does not.
        """
        delimiter = fresh_delimiter()
        window = Window(1_000_000, 1_000_001)
        arguments = window_arguments(window, ["JobIDRaw"], delimiter=delimiter, cluster=self._cluster)
        done = await self._run(arguments, PROBE_TIMEOUT_SECONDS)
        reader = RowReader(delimiter.encode(), ["JobIDRaw"])
        reader.feed(done.stdout)
        reader.close()

    @asynccontextmanager
    async def ended_in(self, window: Window, layout: Layout) -> AsyncIterator[SacctAnswer]:
        """Ask for the attempts that ended in a window; raises as `_ask` does."""
        delimiter = fresh_delimiter()
        arguments = window_arguments(window, layout.fields, delimiter=delimiter, cluster=self._cluster)
        async with self._ask(arguments, delimiter, layout) as answer:
            yield answer

    @asynccontextmanager
    async def open_at(self, now: int, layout: Layout, *, since: int | None = None) -> AsyncIterator[SacctAnswer]:
        """Ask for the jobs that are eligible and have not ended, see `open_arguments`; raises as `_ask` does."""
        delimiter = fresh_delimiter()
        arguments = open_arguments(now, layout.fields, delimiter=delimiter, cluster=self._cluster, since=since)
        async with self._ask(arguments, delimiter, layout) as answer:
            yield answer

    @asynccontextmanager
    async def named(
        self, job_ids: Sequence[str], layout: Layout, *, since: int, now: int
    ) -> AsyncIterator[SacctAnswer]:
        """Ask for some jobs, see `named_arguments`; other attempts of theirs answer too. Raises as `_ask` does."""
        delimiter = fresh_delimiter()
        arguments = named_arguments(
            job_ids, layout.fields, since=since, now=now, delimiter=delimiter, cluster=self._cluster
        )
        async with self._ask(arguments, delimiter, layout) as answer:
            yield answer

    @asynccontextmanager
    async def _ask(self, arguments: Sequence[str], delimiter: str, layout: Layout) -> AsyncIterator[SacctAnswer]:
        """Run one query; its answer is proved complete when it is given, except for its framing.

        Raises:
            SacctTimeoutError: No complete answer within the timeout; the process group was killed.
            SacctTooWideError: slurmdbd refuses so wide a stretch.
            SacctError: Its exit status or its stderr says that it failed.
            StoreFullError: The spool's disk is full.
            StoreBusyError: The spool cannot be written.
        """
        async with self._spooled(arguments, self._timeout_seconds) as (spool, done):
            yield _Spooled(spool, RowReader(delimiter.encode(), layout.fields), layout, done)

    @asynccontextmanager
    async def answer_to(self, arguments: Sequence[str], *, timeout_seconds: float) -> AsyncIterator[IO[bytes]]:
        """Ask anything else of this cluster; give what sacct printed, once it has ended well.

        Args:
            arguments: All but the cluster.
            timeout_seconds: Never more than that of a window is used.

        Raises:
            SacctError: As for `_ask`; header and framing are the reader's to prove.
            StoreBusyError: The spool cannot be written, or its disk is full.
        """
        cluster = ["-M", self._cluster] if self._cluster else []
        timeout_seconds = min(timeout_seconds, self._timeout_seconds)
        async with self._spooled([*cluster, *arguments], timeout_seconds) as (spool, _):
            yield spool

    @asynccontextmanager
    async def _spooled(
        self, arguments: Sequence[str], timeout_seconds: float
    ) -> AsyncIterator[tuple[IO[bytes], Completed]]:
        spool = tempfile.SpooledTemporaryFile(max_size=_SPOOL_MEMORY, dir=str(self._spool_dir))  # noqa: SIM115 - closed below
        try:
            try:
                done = await self._run(arguments, timeout_seconds, spool)
            except OSError as error:
                kind = StoreFullError if is_full_error(error) else StoreBusyError
                raise kind(f"{self._spool_dir}: cannot keep sacct's answer: {error.strerror}") from error
            spool.seek(0)
            yield spool, done
        finally:
            spool.close()

    async def _run(
        self, arguments: Sequence[str], timeout_seconds: float, spool: Spool | None = None
    ) -> Completed:
        argv = [self._commands.path("sacct"), *arguments]
        async with self._turn:
            began = time.monotonic()
            try:
                done = await self._commands.run("sacct", *arguments, timeout_seconds=timeout_seconds, spool=spool)
            except TimedOutError as error:
                raise SacctTimeoutError(error.reason, argv=argv, stderr=error.stderr) from error
            finally:
                self._spent(time.monotonic() - began)
        if done.returncode != 0 or done.complained:
            refused = any(words in done.stderr for words in _TOO_WIDE)
            kind = SacctTooWideError if refused else SacctError
            expired = await self._commands.expired_token()
            reason = f"sacct failed: {expired}" if expired else "sacct failed"
            raise kind(reason, argv=argv, returncode=done.returncode, stderr=done.stderr[-2000:])
        return done


class _Spooled:
    """An answer in a spool."""

    def __init__(self, spool: IO[bytes], reader: RowReader, layout: Layout, done: Completed) -> None:
        self._spool = spool
        self._reader = reader
        self._columns = ColumnReader(layout)
        self._done = done
        self.seconds = done.seconds
        self.slots = layout.slots
        self.size = spool.seek(0, os.SEEK_END)
        spool.seek(0)

    async def rows(self) -> AsyncIterator[ParsedRows]:
        """See `SacctAnswer.rows`.

        Raises:
            SacctOutputError: Header or framing is not what was asked for; rows given before are true, but the
                answer is not complete.
        """
        try:
            while (rows := await anyio.to_thread.run_sync(self._parse)) is not None:
                yield rows
        except SacctOutputError as error:
            done = self._done
            raise SacctOutputError(
                error.reason, argv=done.argv, returncode=done.returncode, stderr=done.stderr[-2000:]
            ) from error

    def _parse(self) -> ParsedRows | None:
        """Read the next rows of the spool; runs in a worker thread. Returns None at its end."""
        parts: list[AttemptBatch] = []
        rejected: list[Rejected] = []
        count = weight = 0
        while not count or (count < _BATCH_ROWS and weight < _BATCH_BYTES):
            chunk = self._spool.read(_PIECE_BYTES)
            if not chunk:
                self._reader.close()
                break
            readings, refused = self._columns.read(self._reader.feed(chunk))
            parts.append(readings)
            rejected += refused
            count += len(readings) + len(refused)
            weight += len(chunk)
        return ParsedRows(AttemptBatch.joined(parts), rejected) if count else None


def fresh_delimiter() -> str:
    """Return text that no user could have put into a job's name beforehand.

    It stands behind every value, so it is short; 48 random bits, new for each call, are beyond guessing.
    """
    return f"\x1f{secrets.token_urlsafe(6)}"
