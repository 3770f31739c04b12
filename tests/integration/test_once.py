"""`once`: one poll and all that is to be caught up with, however long that takes."""

from pathlib import Path

from slurmwatchd.daemon.assembly import assembled
from slurmwatchd.daemon.daemon import Outside
from tests.integration.rig import START, FakeClock, Rig


class HastyClock(FakeClock):
    """A minute passes whenever somebody looks: every poll is due again at once."""

    def now(self) -> float:
        self.move(60)
        return super().now()


async def test_once_catches_up_though_the_next_poll_is_due_long_before_it_is_done(tmp_path: Path) -> None:
    with Rig(tmp_path, poll={"since": "10h"}) as rig:
        for hours in range(10):
            rig.ended(hours * 3600 + 1800, job_name=f"{hours} h ago")
        async with assembled(rig.config, Outside(clock=HastyClock(START))) as daemon:
            await daemon.once()
        assert sorted(rig.names()) == [f"{hours} h ago" for hours in range(10)]


async def test_once_looks_at_the_present_each_time(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        await rig.once()
        rig.move(2)
        rig.ended(1, job_name="just now")
        await rig.once()
        assert rig.names() == ["just now"]
