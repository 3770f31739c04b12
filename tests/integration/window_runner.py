"""A process runner that leaves it to the test what comes of a call for a window."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import anyio

from slurmwatchd.sources.process import Completed, Spool
from tests.integration.rig import WINDOW, Rig


class WindowRunner:
    """Runs a rig's commands; before each window it waits for what the test gives."""

    def __init__(self, rig: Rig, before: Callable[[], Awaitable[None]]) -> None:
        self._inner = rig.runner()
        self._before = before
        self.asked = anyio.Event()
        """Set once a window was asked for."""

    async def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        timeout_seconds: float,
        spool: Spool | None = None,
    ) -> Completed:
        """See `ProcessRunner.run`."""
        if any(WINDOW in word for word in argv):
            self.asked.set()
            await self._before()
        return await self._inner.run(argv, env=env, timeout_seconds=timeout_seconds, spool=spool)
