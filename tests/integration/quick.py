"""The simulated commands without a process each: Python's start is most of what they cost.

For tests that make hundreds of calls and are about something else. A call that a fault may hit is a real process,
which can be killed, and so is whatever is no simulated command.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import anyio.to_thread

from simslurm.sacct import sacct
from simslurm.sacctmgr import sacctmgr
from simslurm.schema import connect
from simslurm.scontrol import scontrol
from simslurm.sdiag import sdiag
from simslurm.session import Session, answer
from slurmwatchd.sources.process import Completed, Spool, StderrTail, SystemProcessRunner

_BODIES: dict[str, Callable[[Session, list[str]], int]] = {
    "sacct": sacct, "sacctmgr": sacctmgr, "scontrol": scontrol, "sdiag": sdiag,
}  # fmt: skip


class QuickRunner:
    """A `ProcessRunner` for one simulated cluster."""

    def __init__(self, bin_dir: Path, database: Path) -> None:
        self._bin_dir = bin_dir
        self._database = database
        self._real = SystemProcessRunner()

    async def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        timeout_seconds: float,
        spool: Spool | None = None,
    ) -> Completed:
        """See `ProcessRunner.run`."""
        path = Path(argv[0])
        if path.parent != self._bin_dir or not path.exists() or self._may_fail(path.name):
            return await self._real.run(argv, env=env, timeout_seconds=timeout_seconds, spool=spool)
        return await anyio.to_thread.run_sync(partial(self._answer, argv, env, spool))

    def _answer(self, argv: Sequence[str], env: Mapping[str, str], spool: Spool | None) -> Completed:
        stdout, stderr = bytearray(), StderrTail()
        began = time.monotonic()

        def emit(descriptor: int, data: bytes | memoryview) -> int:
            if descriptor == 1:
                stdout.extend(data)
            else:
                stderr.take(bytes(data))
            return len(data)

        command = Path(argv[0]).name
        session = Session(command, argv[0], str(self._database), None, environ=env, emit=emit)
        status = answer(session, list(argv[1:]), _BODIES[command])
        if spool is not None:
            spool.write(bytes(stdout))
        return Completed(
            argv=tuple(argv),
            returncode=status,
            stdout=b"" if spool is not None else bytes(stdout),
            stderr=stderr.text,
            complaints=stderr.complaints,
            seconds=time.monotonic() - began,
        )

    def _may_fail(self, command: str) -> bool:
        query = "SELECT 1 FROM faults WHERE command = ? AND (remaining IS NULL OR remaining > 0)"
        with closing(connect(str(self._database))) as database:
            return database.execute(query, (command,)).fetchone() is not None
