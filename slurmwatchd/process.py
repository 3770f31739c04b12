"""Child processes: started with a scrubbed environment, read as a stream, and never left behind.

What a command's output means is its caller's business (`sources/`).
"""

import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import anyio
from anyio.abc import ByteReceiveStream, Process

from slurmwatchd.errors import CommandError, SlurmNotFoundError

STDERR_BYTES = 65536
"""How much of a child's stderr is kept, from its end."""

CHUNK_BYTES = 1 << 18

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

Receiver = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A child that ended by itself.

    Attributes:
        returncode: Exit status; negative is the signal that ended it.
        stdout: What it printed, unless a receiver took it.
        stderr: The last `STDERR_BYTES` of what it said, decoded without failing.
        complained: Whether stderr ever held `error:` or `fatal:`, also in a part no longer kept.
        seconds: Wall time.
    """

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: str
    complained: bool
    seconds: float


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
        receiver: Receiver | None = None,
    ) -> Completed:
        """Run to the end.

        Args:
            argv: Command and arguments; no shell is involved.
            env: The whole environment of the child.
            timeout_seconds: After this the process group is killed.
            receiver: Takes stdout piece by piece as it comes; without it stdout is collected.

        Raises:
            TimedOutError: It took too long.
            SlurmNotFoundError: There is no such program.
            CommandError: It cannot be started now.
        """
        ...


def child_environment(environ: Mapping[str, str], *, conf: str = "") -> dict[str, str]:
    """Return the environment in which Slurm's commands answer the same everywhere.

    `TZ=UTC` and `SLURM_TIME_FORMAT=%s` make times unambiguous in every release; `SLURM_BITSTR_LEN=0` prints
    a pending array's task expression whole (21.08 and newer cut it at 64 bytes); `LC_ALL=C` keeps messages
    in English, which the checks on stderr rely on.

    Args:
        environ: Where PATH and what finds the cluster are taken from.
        conf: `SLURM_CONF` for the children, if not empty.
    """
    env = {name: environ[name] for name in _KEPT if name in environ}
    env.setdefault("PATH", os.defpath)
    if conf:
        env["SLURM_CONF"] = conf
    return env | {"TZ": "UTC", "LC_ALL": "C", "SLURM_TIME_FORMAT": "%s", "SLURM_BITSTR_LEN": "0"}


class _Tail:
    """The end of a stream, and whether it ever complained."""

    def __init__(self) -> None:
        self.kept = b""
        self.complained = False

    async def take(self, chunk: bytes) -> None:
        self.kept += chunk
        self.complained = self.complained or b"error:" in self.kept or b"fatal:" in self.kept
        self.kept = self.kept[-STDERR_BYTES:]


class SystemProcessRunner:
    """Runs real child processes, each in a session of its own so that all of it can be killed."""

    async def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        timeout_seconds: float,
        receiver: Receiver | None = None,
    ) -> Completed:
        """See `ProcessRunner.run`."""
        started = time.monotonic()
        try:
            process = await anyio.open_process(
                list(argv),
                stdin=subprocess.DEVNULL,
                env=dict(env),
                start_new_session=True,
            )
        except (FileNotFoundError, PermissionError) as error:
            raise SlurmNotFoundError(f"cannot run {argv[0]}: {error.strerror}") from error
        except OSError as error:
            # Too many processes or open files, no memory, an argument that is too long.
            raise CommandError(f"cannot start {argv[0]}: {error.strerror}", argv=argv) from error
        collected: list[bytes] = []
        tail = _Tail()

        async def collect(chunk: bytes) -> None:
            collected.append(chunk)

        try:
            with anyio.fail_after(timeout_seconds):
                await _drain(process, receiver or collect, tail.take)
                returncode = await process.wait()
        except TimeoutError:
            raise TimedOutError(
                f"{Path(argv[0]).name} gave no complete answer in {timeout_seconds:g} s and was killed",
                argv=argv,
                stderr=tail.kept.decode(errors="backslashreplace"),
            ) from None
        finally:
            await _bury(process)
        return Completed(
            argv=tuple(argv),
            returncode=returncode,
            stdout=b"".join(collected),
            stderr=tail.kept.decode(errors="backslashreplace"),
            complained=tail.complained,
            seconds=time.monotonic() - started,
        )


async def _drain(process: Process, out: Receiver, err: Receiver) -> None:
    """Read both pipes to their ends; the first receiver to fail stops the reading and its error is raised."""
    failures: list[OSError] = []

    async def pump(stream: ByteReceiveStream | None, receiver: Receiver) -> None:
        if stream is None:
            return
        try:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                while True:
                    await receiver(await stream.receive(CHUNK_BYTES))
        except OSError as error:
            failures.append(error)
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(pump, process.stdout, out)
        group.start_soon(pump, process.stderr, err)
    if failures:
        raise failures[0]


async def _bury(process: Process) -> None:
    """Kill what is left of the process group and wait for the child, also when cancelled."""
    with suppress(ProcessLookupError, PermissionError):
        # The group outlives its leader: a wrapper script may have left something behind.
        os.killpg(process.pid, signal.SIGKILL)
    with anyio.CancelScope(shield=True):
        await process.aclose()
