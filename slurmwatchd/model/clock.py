"""Time: where it comes from, and how it is written.

Inside the program a moment is an integer: seconds since 1970-01-01 UTC, as sacct prints it under
`SLURM_TIME_FORMAT=%s`. Text exists at the edges only, and is RFC 3339 with `Z`.
"""

import time
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Protocol

EARLIEST = 946_684_800
"""2000-01-01, before there was Slurm: a start before it is a zero, or the clock of a machine that had none."""


class Clock(Protocol):
    """What a part of the program that waits or dates things is given instead of `time`."""

    def now(self) -> float:
        """Return seconds since the epoch, as the wall clock has it (it may jump)."""
        ...

    def monotonic(self) -> float:
        """Return seconds that only grow, for deadlines and durations."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    async def tick(self, every: float) -> float:
        """Wait until `monotonic` next is a multiple of `every` seconds; return how many seconds late that was.

        Whoever waits for the same moment wakes up together: a process that idles wakes up once and not for each.
        """
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Return `time.time()`."""
        return time.time()

    def monotonic(self) -> float:
        """Return `time.monotonic()`."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait without holding up the event loop."""
        # Commands that only write moments have no event loop.
        import anyio  # noqa: PLC0415

        await anyio.sleep(seconds)

    async def tick(self, every: float) -> float:
        """See `Clock.tick`."""
        now = time.monotonic()
        due = now - now % every + every
        await self.sleep(due - now)
        return max(0.0, time.monotonic() - due)


@lru_cache(maxsize=4096)
def rfc3339(epoch: int) -> str:
    """Write a moment as `2026-11-20T08:15:00Z`.

    Args:
        epoch: Whole seconds since 1970-01-01 UTC.

    Returns:
        20 characters for the years 1000 to 9999.
    """
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch))


def epoch(text: str) -> int | None:
    """Read what `rfc3339` wrote; None where it is no such moment."""
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except ValueError:
        return None


class Backoff:
    """How long to wait after one failure more: twice as long each time, up to a ceiling, with jitter."""

    def __init__(
        self, *, first_seconds: float, ceiling_seconds: float, jitter: Callable[[], float] | None = None
    ) -> None:
        """Begin with no failure.

        Args:
            first_seconds: After the first failure.
            ceiling_seconds: Never longer than this.
            jitter: Gives 0..1, by default at random; a wait is cut by up to a quarter, so that many daemons do not
                knock together.
        """
        # As above.
        from random import random  # noqa: PLC0415

        self._first = first_seconds
        self._ceiling = ceiling_seconds
        self._jitter = random if jitter is None else jitter
        self.failures = 0

    def reset(self) -> None:
        """Note a success."""
        self.failures = 0

    def next(self) -> float:
        """Note a failure and return how many seconds to wait now."""
        # The exponent is bounded: a receiver may be dead for months.
        wait = min(self._ceiling, self._first * 2.0 ** min(self.failures, 32))
        self.failures += 1
        return wait * (1 - 0.25 * self._jitter())
