"""A command that takes long says what it waits for, so that silence is never taken for a hang."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
import click

from slurmwatchd.errors import SlurmwatchError
from slurmwatchd.printable import shown
from slurmwatchd.process import Completed, ProcessRunner, Spool
from slurmwatchd.units import spoken_duration

FIRST_SECONDS = 3.0
AGAIN_SECONDS = 30.0

_SHOWN_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class TellingRunner:
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
        command = shown(" ".join([Path(argv[0]).name, *argv[1:]]))
        command = command if len(command) <= _SHOWN_CHARACTERS else f"{command[:_SHOWN_CHARACTERS]}..."
        await anyio.sleep(self.first_seconds)
        while True:
            waited = spoken_duration(anyio.current_time() - began)
            most = spoken_duration(timeout_seconds)
            click.echo(f"waiting for `{command}`, {waited} so far, at most {most}", err=True)
            await anyio.sleep(self.again_seconds)
