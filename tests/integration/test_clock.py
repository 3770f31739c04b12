"""A clock that is wrong for a while, while slurmctld's is right: nothing is lost, nothing goes on in silence."""

from pathlib import Path

import pytest

from slurmwatchd.errors import ClockError
from slurmwatchd.operations.backfill import BackfillScope
from slurmwatchd.store import backfills
from slurmwatchd.store.ledger import ledger_of
from tests.integration.rig import Rig
from tests.sim_truth import differences

AHEAD = 7200
DAY = 86_400


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


async def _told_to_set_the_clock(rig: Rig) -> None:
    with pytest.raises(ClockError, match=r"but reading began at .*: set the clock right"):
        await rig.once()


async def _without_its_store(rig: Rig) -> None:
    """As docs/troubleshooting.md says: rename the store, start, read from the day the clock went wrong."""
    for suffix in ("", "-wal", "-shm"):
        store = rig.store.with_name(rig.store.name + suffix)
        if store.exists():
            store.rename(store.with_name("wrong-" + store.name))
    async with rig.daemon() as daemon:
        await daemon.once()
    async with rig.daemon() as daemon:
        wish = BackfillScope(start=rig.now - DAY, end=rig.now)
        ledger = await ledger_of(daemon.database, "sim")
        assert ledger is not None
        assert await backfills.ask(daemon.database, "sim", wish.spans(ledger), now=rig.now)
        await daemon.backfill()


async def test_way_out_after_a_clock_was_ahead_by_more_than_is_retained(tmp_path: Path) -> None:
    store = {"path": str(tmp_path / "store.db"), "retain": "1h"}
    poll = {"since": "5m", "slice": "4h", "reread": ["5m", "15m"], "open_set": "0s"}
    with Rig(tmp_path, poll=poll, store=store) as rig:
        rig.ended(5, job_name="before")
        await rig.once()
        rig.clock.move(10 * AHEAD)
        for number in range(3):
            rig.clock.move(200)
            rig.cluster.set_now(rig.now - 10 * AHEAD)
            end = rig.now - 10 * AHEAD - 5
            rig.cluster.add_job(
                job_name=f"meanwhile {number}", state="COMPLETED", time_submit=end - 90, time_start=end - 60,
                time_end=end, user="ann", id_user=1000,
            )  # fmt: skip
            await rig.once()
        # All that was before has expired, by that clock.
        assert rig.ask_store("SELECT count(*) FROM jobs WHERE id = 1") == [(0,)]
        rig.clock.move(-10 * AHEAD)
        rig.move(60)
        rig.ended(5, job_name="while it read nothing")
        await _told_to_set_the_clock(rig)
        rig.move(10 * 60)
        await _without_its_store(rig)
        rig.move(60)
        rig.ended(5, job_name="after")
        await rig.once()
        names = ["before", "meanwhile 0", "meanwhile 1", "meanwhile 2", "while it read nothing", "after"]
        assert rig.names() == names
        assert differences(rig.cluster, rig.records()) == []


async def test_files_that_begin_ahead_of_the_clock_keep_nothing_back_that_ends_from_now_on(tmp_path: Path) -> None:
    with Rig(tmp_path, poll={"since": "5m", "reread": ["5m"], "open_set": "0s"}) as rig:
        rig.ended(5, job_name="in a file that is gone")
        await rig.once()
        rig.file.unlink()
        rig.clock.move(AHEAD)
        rig.clock.move(200)
        rig.cluster.set_now(rig.now - AHEAD)
        _ended_by_slurmctld(rig, "by the wrong clock")
        await rig.once()
        rig.clock.move(-AHEAD)
        rig.move(60)
        for suffix in ("", "-wal", "-shm", ".lock"):
            rig.store.with_name(rig.store.name + suffix).unlink(missing_ok=True)
        await rig.once()
        rig.move(60)
        rig.ended(5, job_name="from now on")
        await rig.once()
        assert rig.names() == ["by the wrong clock", "from now on"]
