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
from typing import Any, TypeVar

from slurmwatchd.sources.process import Completed, Spool, StderrTail, cannot_start, timed_out

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
        tail = StderrTail()
        with _started(argv, env) as child:
            try:
                stdout, stderr = child.communicate(timeout=timeout_seconds)
            except subprocess.TimeoutExpired as expired:
                tail.take(expired.stderr or b"")
                raise timed_out(argv, timeout_seconds, tail) from None
            finally:
                # The group outlives its leader; and an interrupt from the keyboard does not reach another session.
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(child.pid, signal.SIGKILL)
        tail.take(stderr)
        if spool is not None:
            spool.write(stdout)
        return Completed(
            argv=tuple(argv),
            returncode=child.returncode,
            stdout=stdout if spool is None else b"",
            stderr=tail.text,
            complaints=tail.complaints,
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
    except OSError as error:
        raise cannot_start(argv, error) from error
