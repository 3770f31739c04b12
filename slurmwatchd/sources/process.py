"""Child processes: started with a scrubbed environment, read as a stream, and never left behind.

What a command's output means is its caller's business (`sources/`).
"""

import fcntl
import io
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import anyio
import anyio.to_thread
from anyio.abc import Process

from slurmwatchd.errors import CommandError, SlurmNotFoundError

STDERR_BYTES = 65536
"""How much of a child's stderr is kept, from its end."""

COMPLAINT_BYTES = 1 << 20
"""How much of a child's complaints is kept: a slurm.conf of a large cluster may earn one for each of its nodes."""

UNKEPT = "error: more complaints than are kept"
"""Stands for the complaints behind those that are kept."""

CHUNK_BYTES = 1 << 20

_GATHER_SECONDS = 0.005

_COMPLAINING = (b"error:", b"fatal:")

# Slurm's commands obey many variables (SACCT_FORMAT, SLURM_CLUSTERS, SLURM_JSON, SCONTROL_*, ...); only what
# finds the cluster and proves who we are is handed on.
_KEPT = (
    "PATH",
    "SLURM_CONF",
    "SLURM_CONF_SERVER",
    "SLURM_JWT",
    "SLURM_SACK_SOCKET",
    "LD_LIBRARY_PATH",
    "HOME",
)


class Spool(Protocol):
    """Takes what a child prints, piece by piece, in a worker thread."""

    def write(self, data: bytes, /) -> object:
        """Take a piece; an OSError ends the child."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A child that ended by itself.

    Attributes:
        returncode: Exit status; negative is the signal that ended it.
        stdout: What it printed, unless a spool took it.
        stderr: The last `STDERR_BYTES` of what it said, decoded without failing.
        complaints: The lines of stderr that hold `error:` or `fatal:`, each once, also those in a part that is no
            longer kept.
        seconds: Wall time.
    """

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: str
    complaints: tuple[str, ...]
    seconds: float

    @property
    def complained(self) -> bool:
        """Whether there are complaints."""
        return bool(self.complaints)


class TimedOutError(CommandError):
    """The child did not end within its time and was killed, with its whole process group."""


class ProcessRunner(Protocol):
    """Runs one command; tests give the sources one of their own."""

    async def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        timeout_seconds: float,
        spool: Spool | None = None,
    ) -> Completed:
        """Run to the end.

        Args:
            argv: Command and arguments; no shell is involved.
            env: The whole environment of the child.
            timeout_seconds: After this the process group is killed.
            spool: Takes stdout piece by piece as it comes; without it stdout is collected.

        Raises:
            TimedOutError: It took too long.
            SlurmNotFoundError: There is no such program.
            CommandError: It cannot be started now.
        """
        ...


def child_environment(environ: Mapping[str, str], *, conf: str = "", conf_server: str = "") -> dict[str, str]:
    """Return the environment in which Slurm's commands answer the same everywhere.

    `TZ=UTC` and `SLURM_TIME_FORMAT=%s` make times unambiguous in every release; `SLURM_BITSTR_LEN=0` prints
    a pending array's task expression whole (21.08 and newer cut it at 64 bytes); `LC_ALL=C` keeps messages
    in English, which the checks on stderr rely on. A variable that is empty is left out: with an empty SLURM_JWT
    every command fails, also where munge would do.

    Args:
        environ: Where PATH and what finds the cluster are taken from.
        conf: `SLURM_CONF` for the children, if not empty.
        conf_server: `SLURM_CONF_SERVER` for them, if not empty; a SLURM_CONF would win, so they get none.
    """
    env = {name: environ[name] for name in _KEPT if environ.get(name)}
    env.setdefault("PATH", os.defpath)
    if conf:
        env["SLURM_CONF"] = conf
    if conf_server:
        env.pop("SLURM_CONF", None)
        env["SLURM_CONF_SERVER"] = conf_server
    return env | {"TZ": "UTC", "LC_ALL": "C", "SLURM_TIME_FORMAT": "%s", "SLURM_BITSTR_LEN": "0"}


class StderrTail:
    """The end of what a child wrote to stderr, and the lines in which it complained there."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.kept = b""
        self._unfinished = b""
        self._complaints: dict[bytes, None] = {}
        self._room = COMPLAINT_BYTES

    @property
    def text(self) -> str:
        """What was kept, decoded."""
        return self.kept.decode(errors="backslashreplace")

    @property
    def complaints(self) -> tuple[str, ...]:
        """The lines that hold `error:` or `fatal:`, each once, decoded; the last may be unfinished."""
        lines = dict(self._complaints)
        if _complains(self._unfinished):
            lines[self._unfinished.strip()] = None
        heard = tuple(line.decode(errors="backslashreplace") for line in lines)
        return heard if self._room > 0 else (*heard, UNKEPT)

    def take(self, chunk: bytes) -> None:
        """Add what came."""
        self.kept = (self.kept + chunk)[-STDERR_BYTES:]
        *lines, rest = (self._unfinished + chunk).split(b"\n")
        if len(rest) > STDERR_BYTES:
            # No line of Slurm's. Its end may be half of the word that is listened for.
            lines.append(rest)
            rest = rest[-len(_COMPLAINING[0]) :]
        self._unfinished = rest
        for line in filter(_complains, map(bytes.strip, lines)):
            if self._room > 0 and line not in self._complaints:
                self._room -= len(line)
                self._complaints[line] = None


def _complains(line: bytes) -> bool:
    return any(word in line for word in _COMPLAINING)


def timed_out(argv: Sequence[str], timeout_seconds: float, tail: StderrTail) -> TimedOutError:
    """Return the error for a child that was killed after its time."""
    name = Path(argv[0]).name
    return TimedOutError(
        f"{name} gave no complete answer in {timeout_seconds:g} s and was killed", argv=argv, stderr=tail.text
    )


def cannot_start(argv: Sequence[str], error: OSError) -> CommandError | SlurmNotFoundError:
    """Return the error for a child that could not be started."""
    if isinstance(error, FileNotFoundError | PermissionError):
        return SlurmNotFoundError(f"cannot run {argv[0]}: {error.strerror}")
    # Too many processes or open files, no memory, an argument that is too long.
    return CommandError(f"cannot start {argv[0]}: {error.strerror}", argv=argv)


class SystemProcessRunner:
    """Runs real child processes, each in a session of its own so that all of it can be killed."""

    async def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        timeout_seconds: float,
        spool: Spool | None = None,
    ) -> Completed:
        """See `ProcessRunner.run`."""
        started = time.monotonic()
        try:
            stdout = _Stdout()
        except OSError as error:
            raise cannot_start(argv, error) from error
        collected = io.BytesIO()
        tail = StderrTail()
        try:
            # Cancelled half-way, it would be killed without what it had started itself, and not waited for.
            with anyio.CancelScope(shield=True):
                process = await _start(argv, env, stdout)
            try:
                with anyio.fail_after(timeout_seconds):
                    await _drain(process, stdout, spool or collected, tail)
                    returncode = await process.wait()
            finally:
                await _bury(process)
        except TimeoutError:
            raise timed_out(argv, timeout_seconds, tail) from None
        finally:
            stdout.close_unread()
        return Completed(
            argv=tuple(argv),
            returncode=returncode,
            stdout=collected.getvalue(),
            stderr=tail.text,
            complaints=tail.complaints,
            seconds=time.monotonic() - started,
        )


class _Stdout:
    """Our end of the pipe that is a child's stdout; closed by the thread that reads it, else by `close_unread`."""

    def __init__(self) -> None:
        ours, self.theirs = os.pipe()
        with suppress(OSError):
            # The default of 64 KiB makes sacct and us take turns; more than the user's limit is refused.
            fcntl.fcntl(ours, fcntl.F_SETPIPE_SZ, CHUNK_BYTES)
        self._file = os.fdopen(ours, "rb", buffering=0)
        self._begun = False

    def copy_to(self, spool: Spool) -> None:
        """Move the pipe's contents to its end; runs in a worker thread."""
        self._begun = True
        with self._file:
            while chunk := self._file.read(CHUNK_BYTES):
                spool.write(chunk)
                # Sacct writes pieces of 4 KiB; waking up for each would cost more than parsing them and would take
                # turns with the parsing. The pipe holds what comes meanwhile.
                time.sleep(_GATHER_SECONDS)

    def close_unread(self) -> None:
        """Close a pipe that no thread has begun to read: a descriptor is never taken away from under a read."""
        if not self._begun:
            self._file.close()


async def _start(argv: Sequence[str], env: Mapping[str, str], stdout: _Stdout) -> Process:
    """Start a child that prints into a pipe."""
    try:
        return await anyio.open_process(
            list(argv), stdin=subprocess.DEVNULL, stdout=stdout.theirs, env=dict(env), start_new_session=True
        )
    except OSError as error:
        raise cannot_start(argv, error) from error
    finally:
        os.close(stdout.theirs)


async def _drain(process: Process, stdout: _Stdout, spool: Spool, tail: StderrTail) -> None:
    """Read both pipes to their ends; a spool that fails ends the reading, and its error is raised."""
    failures: list[OSError] = []

    async def pump_stdout() -> None:
        try:
            # Large answers do not pass through the event loop. When this is cancelled the thread is left alone:
            # the child is killed next, which ends the pipe and with it the thread.
            await anyio.to_thread.run_sync(stdout.copy_to, spool, abandon_on_cancel=True)
        except OSError as error:
            failures.append(error)
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(pump_stdout)
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            while process.stderr is not None:
                tail.take(await process.stderr.receive())
    if failures:
        raise failures[0]


async def _bury(process: Process) -> None:
    """Kill what is left of the process group and wait for the child, also when cancelled."""
    with suppress(ProcessLookupError, PermissionError):
        # The group outlives its leader: a wrapper script may have left something behind.
        os.killpg(process.pid, signal.SIGKILL)
    with anyio.CancelScope(shield=True):
        await process.aclose()
