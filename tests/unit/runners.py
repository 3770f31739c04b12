"""Process runners for the tests of the sources: they answer by hand, and remember what they were asked."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from slurmwatchd.errors import SlurmwatchError
from slurmwatchd.sources.commands import Commands
from slurmwatchd.sources.process import Completed, Spool


def done(stdout: bytes = b"", *, stderr: str = "", returncode: int = 0) -> Completed:
    """A child that ended by itself."""
    return Completed(
        argv=(),
        returncode=returncode,
        stdout=stdout,
        stderr=stderr,
        complaints=tuple(line for line in stderr.splitlines() if "error:" in line or "fatal:" in line),
        seconds=0.25,
    )


VERSION = done(b"slurm 22.05.8\n")


class FakeRunner:
    """Answers each command by a function of its arguments; an error in place of an answer is raised.

    Attributes:
        calls: The arguments of each call.
        version: What answers to `-V`, which is no call then; None leaves it to the function.
        versions: How often that was asked.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[str]], Completed | SlurmwatchError],
        *,
        chunk_bytes: int = 7,
        version: Completed | SlurmwatchError | None = VERSION,
    ) -> None:
        self._answer = answer
        self._chunk_bytes = chunk_bytes
        self.version = version
        self.versions = 0
        self.calls: list[tuple[str, ...]] = []
        self.timeouts: list[float] = []

    async def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        timeout_seconds: float,
        spool: Spool | None = None,
    ) -> Completed:
        assert env["TZ"] == "UTC"
        if list(argv[1:]) == ["-V"] and self.version is not None:
            self.versions += 1
            if isinstance(self.version, SlurmwatchError):
                raise self.version
            return self.version
        self.calls.append(tuple(argv[1:]))
        self.timeouts.append(timeout_seconds)
        result = self._answer(argv[1:])
        if isinstance(result, SlurmwatchError):
            raise result
        if spool is not None:
            for begin in range(0, len(result.stdout), self._chunk_bytes):
                spool.write(result.stdout[begin : begin + self._chunk_bytes])
        return result


def commands(runner: FakeRunner, folder: Path) -> Commands:
    """Commands that are there, in a folder, and run by a fake."""
    for name in ("sacct", "scontrol", "sacctmgr", "sdiag"):
        script = folder / name
        script.write_text("#!/bin/sh\nexit 99\n")
        script.chmod(0o755)
    return Commands.of(runner, bin_dir=str(folder), environ={})
