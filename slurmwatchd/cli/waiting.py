"""A command that takes long says what it waits for, so that silence is never taken for a hang."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
import click

from slurmwatchd.config.units import spoken_duration
from slurmwatchd.errors import SlurmwatchError
from slurmwatchd.model.terminal_text import shown
from slurmwatchd.sources.process import Completed, ProcessRunner, Spool

FIRST_SECONDS = 3.0
AGAIN_SECONDS = 30.0

_ASKED = {"sacct": "slurmdbd", "sacctmgr": "slurmdbd", "scontrol": "slurmctld", "sdiag": "slurmctld"}
"""Who answers each of Slurm's commands."""


@dataclass(frozen=True, slots=True)
class AnnouncingRunner:
    """Runs commands by another runner, and says on stderr which one it waits for.

    Attributes:
        inner: Runs them.
        first_seconds: After so long it says so for the first time.
        again_seconds: And then each time after so long.
    """

    inner: ProcessRunner
    first_seconds: float = FIRST_SECONDS
    again_seconds: float = AGAIN_SECONDS

    async def run(
        self, argv: Sequence[str], *, env: Mapping[str, str], timeout_seconds: float, spool: Spool | None = None
    ) -> Completed:
        """See `ProcessRunner.run`."""
        done: Completed | SlurmwatchError | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(self._tell, argv, timeout_seconds)
            try:
                done = await self.inner.run(argv, env=env, timeout_seconds=timeout_seconds, spool=spool)
            except SlurmwatchError as error:
                # Raised outside: the group would wrap it.
                done = error
            group.cancel_scope.cancel()
        if isinstance(done, SlurmwatchError):
            raise done
        assert done is not None  # noqa: S101 - or it was cancelled
        return done

    async def _tell(self, argv: Sequence[str], timeout_seconds: float) -> None:
        began = anyio.current_time()
        name = Path(argv[0]).name
        asked = _ASKED.get(name, "") if list(argv[1:]) != ["-V"] else ""
        what = f"{asked} to answer {name}" if asked else f"`{shown(' '.join([name, *argv[1:]]))}`"
        await anyio.sleep(self.first_seconds)
        while True:
            waited = spoken_duration(anyio.current_time() - began)
            most = spoken_duration(timeout_seconds)
            click.echo(f"waiting for {what}, {waited} so far, at most {most}", err=True)
            await anyio.sleep(self.again_seconds)
