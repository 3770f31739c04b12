"""Where Slurm's commands are, and the environment and limits under which they are run."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from slurmwatchd.errors import SlurmNotFoundError
from slurmwatchd.process import Completed, ProcessRunner, child_environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """Runs `sacct`, `scontrol` and the others, all in the same scrubbed environment.

    Attributes:
        runner: Starts the processes.
        bin_dir: Where the commands are; empty: on PATH.
        env: The children's whole environment.
    """

    runner: ProcessRunner
    bin_dir: str
    env: Mapping[str, str]

    @classmethod
    def of(
        cls,
        runner: ProcessRunner,
        *,
        bin_dir: str = "",
        conf: str = "",
        environ: Mapping[str, str] = os.environ,
    ) -> "Commands":
        """Make one from configuration values; see `process.child_environment`."""
        return cls(runner=runner, bin_dir=bin_dir, env=child_environment(environ, conf=conf))

    def path(self, name: str) -> str:
        """Return the absolute path of a command.

        Raises:
            SlurmNotFoundError: It is not there, or cannot be executed.
        """
        found = shutil.which(name, path=self.bin_dir or self.env["PATH"])
        if found is None:
            where = f"in slurm.bin_dir ({self.bin_dir})" if self.bin_dir else f"on PATH ({self.env['PATH']})"
            raise SlurmNotFoundError(f"{name} is not {where}")
        return str(Path(found).absolute())

    async def run(self, name: str, *arguments: str, timeout_seconds: float) -> Completed:
        """Run a command to its end and collect what it prints.

        Raises:
            SlurmNotFoundError: It is not there.
            TimedOutError: It was killed after `timeout_seconds`.
        """
        return await self.runner.run([self.path(name), *arguments], env=self.env, timeout_seconds=timeout_seconds)
