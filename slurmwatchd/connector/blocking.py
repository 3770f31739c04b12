"""The same child processes for callers that have no event loop: scripts and notebooks.

What is written as coroutines over a `ProcessRunner` runs here to its end in the calling thread. It works inside a
running event loop too (a notebook has one), which starting a second loop would not.
"""

import os
import signal
import subprocess
import time
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from slurmwatchd.errors import CommandError, SlurmNotFoundError
from slurmwatchd.process import STDERR_BYTES, Completed, Spool, TimedOutError

T = TypeVar("T")


class BlockingProcessRunner:
    """Runs a child and waits for it; its coroutine never suspends."""

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
        with _started(argv, env) as child:
            try:
                stdout, stderr = child.communicate(timeout=timeout_seconds)
            except subprocess.TimeoutExpired as expired:
                raise TimedOutError(
                    f"{Path(argv[0]).name} gave no complete answer in {timeout_seconds:g} s and was killed",
                    argv=argv,
                    stderr=(expired.stderr or b"")[-STDERR_BYTES:].decode(errors="backslashreplace"),
                ) from None
            finally:
                # The group outlives its leader; and an interrupt from the keyboard does not reach another session.
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(child.pid, signal.SIGKILL)
        if spool is not None:
            spool.write(stdout)
        return Completed(
            argv=tuple(argv),
            returncode=child.returncode,
            stdout=stdout if spool is None else b"",
            stderr=stderr[-STDERR_BYTES:].decode(errors="backslashreplace"),
            complained=b"error:" in stderr or b"fatal:" in stderr,
            seconds=time.monotonic() - started,
        )


def run_blocking(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine whose only waiting is done by a `BlockingProcessRunner`, and return what it returns.

    Raises:
        RuntimeError: It waits for something else: a fault of this program.
    """
    try:
        work.send(None)
    except StopIteration as finished:
        result: T = finished.value
        return result
    finally:
        work.close()
    raise RuntimeError("waits for an event loop, and there is none")


def _started(argv: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(env),
            start_new_session=True,
        )
    except (FileNotFoundError, PermissionError) as error:
        raise SlurmNotFoundError(f"cannot run {argv[0]}: {error.strerror}") from error
    except OSError as error:
        raise CommandError(f"cannot start {argv[0]}: {error.strerror}", argv=argv) from error
