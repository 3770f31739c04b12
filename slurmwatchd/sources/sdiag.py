"""Ask slurmctld how many accounting records it still holds back: the one direct sign of a lag."""

import re

from slurmwatchd.errors import CommandError, SlurmNotFoundError
from slurmwatchd.sources.commands import Commands

_QUEUE = re.compile(rb"^DBD Agent queue size:\s*(\d+)\s*$", re.MULTILINE)
_TIMEOUT_SECONDS = 15.0


class Sdiag:
    """Slurmctld's own statistics."""

    def __init__(self, commands: Commands, *, cluster: str = "") -> None:
        """Prepare; nothing is run. An empty `cluster` is the local one."""
        self._commands = commands
        self._cluster = cluster

    async def queue_size(self) -> int | None:
        """Return how many messages for slurmdbd wait in slurmctld, or None where it is not known.

        `sdiag` prints it from 20.11 to 26.05; a slurmctld that is down, a cluster that this machine cannot reach,
        or an sdiag that cannot be started is no failure here.
        """
        arguments = ["-M", self._cluster] if self._cluster else []
        try:
            done = await self._commands.run("sdiag", *arguments, timeout_seconds=_TIMEOUT_SECONDS)
        except (CommandError, SlurmNotFoundError):
            return None
        match = _QUEUE.search(done.stdout)
        return int(match[1]) if match and done.returncode == 0 else None
