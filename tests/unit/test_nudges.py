"""When nudges bring a poll forward, by a clock that moves only while somebody waits."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from prometheus_client import Counter

from slurmwatchd.daemon.nudges import Nudges
from tests.patience import Patience

EVERY = 2.0


class LeapingClock:
    """A clock that leaps to the end of each wait."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds
        await anyio.lowlevel.checkpoint()

    async def tick(self, every: float) -> float:
        await self.sleep(every)
        return 0.0


class Nudged:
    """Nudges beside a store, and when each brought a poll forward."""

    def __init__(self, store: Path) -> None:
        self.clock = LeapingClock()
        self.received = Counter("nudges", "Nudges.", registry=None)
        self.polls: list[float] = []
        self.path = store.with_name(f"{store.name}.nudge")
        self.nudges = Nudges(store, clock=self.clock, received=self.received, nudged=self._poll)
        self.more_at: list[float] = []

    def _poll(self) -> None:
        self.polls.append(round(self.clock.time, 2))
        if self.polls[-1] in self.more_at:
            self.nudge()

    def nudge(self, count: int = 1) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.connect(str(self.path))
            for _ in range(count):
                sender.send(b"x")

    async def wait_for(self, polls: int) -> None:
        patience = Patience(lambda: len(self.polls))
        while len(self.polls) < polls:
            assert not patience.is_over(), self.polls
            await anyio.sleep(0.001)


@asynccontextmanager
async def listening(folder: Path) -> AsyncIterator[Nudged]:
    made = Nudged(folder / "store.db")
    async with anyio.create_task_group() as group:
        group.start_soon(made.nudges.run, lambda: EVERY)
        patience = Patience()
        while not made.path.exists():
            assert not patience.is_over()
            await anyio.sleep(0.001)
        yield made
        group.cancel_scope.cancel()


async def test_one_nudge_brings_a_poll_when_slurmdbd_shows_the_end_and_one_for_an_end_it_got_late(
    tmp_path: Path,
) -> None:
    async with listening(tmp_path) as nudged:
        nudged.nudge()
        await nudged.wait_for(2)
        nudged.clock.time = 100
        nudged.nudge(3)
        await nudged.wait_for(4)
        assert nudged.polls == pytest.approx([1, 5, 101, 105])
        assert nudged.received._value.get() == 4


async def test_nudges_that_follow_each_other_bring_a_poll_in_two_seconds_and_one_after_the_last(
    tmp_path: Path,
) -> None:
    async with listening(tmp_path) as nudged:
        nudged.more_at = [1, 3]
        nudged.nudge()
        await nudged.wait_for(4)
        assert nudged.polls == pytest.approx([1, 3, 5, 9])
