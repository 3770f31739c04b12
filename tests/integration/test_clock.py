"""A clock that is wrong for a while, while slurmctld's is right: nothing is lost, nothing goes on in silence."""

from pathlib import Path

import pytest

from slurmwatchd.errors import ClockError
from tests.integration.rig import Rig

AHEAD = 7200


def _ended_by_slurmctld(rig: Rig, name: str) -> None:
    """A job that ended five seconds ago by a clock that is right, while ours is ahead."""
    end = rig.now - AHEAD - 5
    rig.cluster.add_job(
        job_name=name, state="COMPLETED", time_submit=end - 90, time_start=end - 60, time_end=end, id_user=1000
    )


async def test_nothing_is_lost_by_a_clock_that_is_ahead_for_a_while(tmp_path: Path) -> None:
    with Rig(tmp_path, poll={"since": "5m", "reread": ["5m", "15m"], "open_set": "0s"}) as rig:
        await rig.once()
        rig.clock.move(AHEAD)
        for number in range(12):
            rig.clock.move(200)
            rig.cluster.set_now(rig.now - AHEAD)
            _ended_by_slurmctld(rig, f"job {number}")
            await rig.once()
        # A poll reaches back to what is known, which is as far behind as the clock is ahead.
        assert len(rig.names()) == 12
        rig.clock.move(-AHEAD)
        for _ in range(3):
            await rig.once()
            rig.move(30)
        assert sorted(rig.names()) == sorted(f"job {number}" for number in range(12))


async def test_a_clock_behind_the_beginning_of_all_reading_is_an_error_until_it_is_right(tmp_path: Path) -> None:
    with Rig(tmp_path, poll={"since": "5m"}) as rig:
        await rig.once()
        rig.ended(-20, job_name="later")
        rig.clock.move(-400)
        with pytest.raises(
            ClockError,
            match="the clock says 2026-11-24T05:53:20Z, but reading began at 2026-11-24T05:55:00Z: set the clock",
        ):
            await rig.once()
        rig.clock.move(430)
        await rig.once()
        assert rig.names() == ["later"]
