"""The pause between two polls, which a nudge, a request or a new configuration ends early."""

import random

import anyio

from slurmwatchd.model.clock import Clock

JITTER = 0.1
"""A pause is longer by up to this share of the interval, so that daemons started together drift apart."""

_SHORTEST_SECONDS = 0.05


class Pause:
    """Waits, and can be woken; a wake that comes while no one waits ends the next pause at once."""

    def __init__(self, clock: Clock) -> None:
        """Wait by this clock."""
        self._clock = clock
        self._woken = anyio.Event()

    def wake(self) -> None:
        """End the pause."""
        self._woken.set()

    def seconds(self, until_due: float, interval: float) -> float:
        """Return how long to wait until something is due: one interval at most, since a clock may jump."""
        return min(max(until_due, _SHORTEST_SECONDS), interval)

    async def wait(self, seconds: float) -> None:
        """Wait for so long, and a little longer, or until woken."""
        is_woken, self._woken = self._woken.is_set(), anyio.Event()
        if is_woken:
            return
        async with anyio.create_task_group() as group:

            async def wake() -> None:
                await self._woken.wait()
                group.cancel_scope.cancel()

            group.start_soon(wake)
            await self._clock.sleep(seconds + random.random() * JITTER * seconds)  # noqa: S311 - jitter
            group.cancel_scope.cancel()
