"""A query that failed inside slurmdbd looks like a quiet hour: an answer must show an attempt that is known."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from slurmwatchd.daemon.daemon import Daemon
from slurmwatchd.errors import SacctError, SilenceError
from slurmwatchd.model.ledger import Ledger
from slurmwatchd.operations.backfill import BackfillScope, count
from slurmwatchd.operations.read_only import onlooker
from slurmwatchd.operations.verify.against_sacct import Comparison
from slurmwatchd.operations.verify.scope import scope_of
from slurmwatchd.store import backfills
from slurmwatchd.store.ledger import ledger_of
from tests.integration.rig import START, Rig
from tests.sim_truth import differences

if TYPE_CHECKING:
    from simslurm.rows import JobColumns

HOUR = 3600
QUIET = {"since": "5m", "overlap": "1m", "reread": [], "open_set": "0s"}
DAY = {"since": "30h", "overlap": "1m", "reread": [], "open_set": "0s", "slice": "1h"}


async def fails(rig: Rig, *, seconds: int = 0) -> str:
    """Let time pass and read; return why that failed, if it did."""
    rig.move(seconds)
    try:
        await rig.once()
    except SilenceError as error:
        return error.reason
    return ""


def every_minutes(rig: Rig, minutes: int, hours: int) -> int:
    """Jobs that ended over some hours; return how many."""
    ends = range(30, hours * HOUR, minutes * 60)
    for end in ends:
        rig.ended(end, job_name=f"{end} s ago")
    return len(ends)


@asynccontextmanager
async def backfilling(rig: Rig, start: int, end: int = START) -> AsyncIterator[Daemon]:
    """A daemon of whom somebody wants to have a stretch read."""
    async with rig.daemon() as daemon:
        read = await ledger_of(daemon.database, "sim")
        assert read is not None
        await backfills.ask(daemon.database, "sim", BackfillScope(start=start, end=end).spans(read), now=START)
        yield daemon


async def test_first_start_under_a_limit_takes_nothing_as_read_until_it_is_lifted(
    tmp_path: Path,
) -> None:
    with Rig(tmp_path, poll=DAY) as rig:
        number = every_minutes(rig, 5, 29)
        rig.cluster.set_statement_limit(windows=5)
        assert await fails(rig) == "silent"
        # What was read is what could be proved: a slice of at most five rows at a time.
        assert rig.watermark() == -30 * HOUR
        rig.cluster.set_statement_limit()
        assert await fails(rig) == ""
        assert rig.watermark() == 0
        assert len(rig.records()) == number
        assert differences(rig.cluster, rig.records()) == []


async def test_first_start_where_no_window_answers_asks_by_number_whether_there_were_jobs(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=DAY) as rig:
        number = every_minutes(rig, 60, 29)
        rig.cluster.set_statement_limit(windows=0)
        for _ in range(3):
            assert await fails(rig, seconds=60) == "silent"
        assert rig.ask_store("SELECT * FROM horizons") == []
        rig.cluster.set_statement_limit()
        assert await fails(rig) == ""
        assert len(rig.records()) == number


async def test_cluster_where_nothing_ever_ended_is_read_and_asked_of_slurm_cheaply(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=QUIET) as rig:
        rig.cluster.add_job(job_name="waits", time_submit=START - 500, state="PENDING")
        async with rig.daemon() as daemon:
            await daemon.watchers[0].once()
            rig.cluster.clear_calls()
            for _ in range(10):
                rig.move(30)
                await daemon.watchers[0].once()
        assert rig.watermark() == 300
        # The window, all of time in a few fields, and the newest jobs by number.
        assert sum("-V" not in call.argv for call in rig.cluster.calls("sacct")) <= 30
        assert len(rig.cluster.calls("sacctmgr")) <= 4


async def test_empty_answer_on_a_new_store_is_believed_once_an_older_end_is_shown_with_it(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=QUIET) as rig:
        rig.ended(9 * HOUR, job_name="long before the daemon")
        await rig.once()
        assert rig.watermark() == 0
        # Nobody asked to have it read.
        assert rig.names() == []


async def test_limit_in_the_middle_of_a_busy_day_moves_nothing_and_loses_nothing(tmp_path: Path) -> None:
    with Rig(tmp_path, poll={**QUIET, "reread": ["5m", "15m"]}) as rig:
        rig.ended(30, job_name="before")
        await rig.once()
        rig.cluster.set_statement_limit(windows=0)
        for number in range(5):
            rig.move(60)
            rig.ended(10, job_name=f"during {number}")
            assert await fails(rig) == "silent"
        assert rig.watermark() == 0
        rig.cluster.set_statement_limit()
        rig.move(60)
        assert await fails(rig) == ""
        assert rig.watermark() == 360
        assert differences(rig.cluster, rig.records()) == []


async def test_reread_that_fails_silently_is_asked_again(tmp_path: Path) -> None:
    with Rig(tmp_path, poll={**QUIET, "reread": ["5m"]}) as rig:
        for number in range(3):
            rig.ended(200 + number, job_name=f"early {number}")
        rig.ended(205, job_name="late", visible_at=START + 200)
        await rig.once()
        rig.move(500)
        rig.ended(10, job_name="now")
        rig.cluster.set_statement_limit(windows=0, ended=(START - 300, START - 100))
        assert await fails(rig) == "silent"
        assert "late" not in rig.names()
        assert rig.ask_store("SELECT count(*) FROM ledger WHERE found_by = 'reread'") == [(0,)]
        rig.cluster.set_statement_limit()
        assert await fails(rig, seconds=30) == ""
        assert differences(rig.cluster, rig.records()) == []


async def test_quiet_night_is_read_though_the_newest_attempt_was_deleted(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=QUIET) as rig:
        keys = [rig.ended(60 * number + 20, job_name=f"job {number}") for number in range(4)]
        await rig.once()
        rig.cluster.delete_job(keys[0])
        for _ in range(3):
            assert await fails(rig, seconds=HOUR) == ""
        assert rig.watermark() == 3 * HOUR
        assert rig.ask_store("SELECT count(*) FROM gone") == [(1,)]


async def test_attempt_that_comes_back_is_held_to_again(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=QUIET) as rig:
        columns: JobColumns = {"id_job": 77, "job_name": "archived, then loaded"}
        lost = rig.ended(10, **columns)
        for number in range(3):
            rig.ended(60 * number + 20, job_name=f"job {number}")
        await rig.once()
        rig.cluster.delete_job(lost)
        assert await fails(rig, seconds=30) == ""
        assert rig.ask_store("SELECT count(*) FROM gone") == [(1,)]
        rig.ended(40, **columns)
        assert await fails(rig) == ""
        assert rig.ask_store("SELECT count(*) FROM gone") == [(0,)]
        assert len(rig.records()) == 4


async def test_backfill_under_a_limit_fails_and_goes_on_when_it_is_lifted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slurmwatchd.watcher.watcher.BACKFILL_FAILURES", 0)
    with Rig(tmp_path, poll={**QUIET, "since": "1h", "slice": "1h"}) as rig:
        number = every_minutes(rig, 10, 12)
        await rig.once()
        assert len(rig.records()) == 6
        rig.cluster.set_statement_limit(windows=3, ended=(START - 6 * HOUR, START - 4 * HOUR))
        async with backfilling(rig, START - 12 * HOUR) as daemon:
            with pytest.raises(SilenceError):
                await daemon.backfill()
        (left,) = rig.ask_store("SELECT reached - start FROM backfills")[0]
        assert left > 8 * HOUR - 1
        rig.cluster.set_statement_limit()
        async with backfilling(rig, START - 12 * HOUR) as daemon:
            await daemon.backfill()
        assert len(rig.records()) == number
        assert differences(rig.cluster, rig.records()) == []


async def test_backfill_of_a_stretch_by_itself_is_proved_by_its_neighbourhood(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=QUIET) as rig:
        rig.ended(20, job_name="now")
        rig.ended(30 * HOUR, job_name="between")
        await rig.once()
        async with backfilling(rig, START - 50 * HOUR, START - 48 * HOUR) as daemon:
            await daemon.backfill()
            assert await backfills.unfinished(daemon.database, "sim") == []
        assert rig.names() == ["now"]


@pytest.mark.heavy
async def test_dry_run_and_verify_fail_where_an_answer_lacks_what_it_must_show(tmp_path: Path) -> None:
    with Rig(tmp_path, poll={**QUIET, "since": "1h"}) as rig:
        every_minutes(rig, 10, 3)
        await rig.once()
        rig.cluster.set_statement_limit(windows=0)
        async with onlooker(rig.config) as view:
            with pytest.raises(SilenceError):
                await count(view, BackfillScope(start=START - 3 * HOUR, end=START), lambda *_: None, now=START)
        async with onlooker(rig.config) as view:
            comparison = Comparison(view.reader, rig.clock)
            await comparison.begin()
            ledger = await view.ledger("sim") or Ledger(START)
            with pytest.raises(SilenceError):
                await comparison.compare(
                    "sim",
                    view.sacct["sim"],
                    scope_of(ledger, START - HOUR, START, overlap=0, old=0).compared,
                    ledger=ledger,
                    policy=view.policy(await view.limits()),
                    timeout_seconds=60,
                    seen=lambda *_: None,
                )


async def test_list_of_open_jobs_that_fails_makes_nobody_vanish(tmp_path: Path) -> None:
    with Rig(tmp_path, poll={**QUIET, "open_set": "1m"}) as rig:
        for number in range(3):
            rig.cluster.add_job(
                job_name=f"runs {number}",
                time_submit=START - 900,
                time_start=START - 800,
                state="RUNNING",
                id_user=1000,
            )
        rig.ended(100, job_name="ended")
        await rig.once()
        assert rig.ask_store("SELECT count(*) FROM open_jobs WHERE absent = 0") == [(3,)]
        rig.cluster.set_statement_limit(open_jobs=0)
        rig.move(70)
        assert await fails(rig) == "silent"
        assert rig.ask_store("SELECT count(*) FROM open_jobs WHERE absent = 0") == [(3,)]
        rig.cluster.set_statement_limit()
        assert await fails(rig, seconds=70) == ""
        assert rig.ask_store("SELECT count(*) FROM open_jobs WHERE absent = 0") == [(3,)]


async def test_list_of_steps_that_fails_tells_no_usage_without_steps(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=QUIET, steps={"mode": "summary"}) as rig:
        for number in range(3):
            key = rig.ended(100 + number, job_name=f"job {number}")
            rig.cluster.add_step(key, step_name="batch")
        rig.cluster.set_statement_limit(jobs=0)
        assert await fails(rig) == "silent"
        assert [record["event"] for record in rig.records()] == ["job_ended"] * 3
        rig.cluster.set_statement_limit()
        assert await fails(rig, seconds=1000) == ""
        usages = [record["usage"] for record in rig.records() if record["event"] == "job_usage"]
        assert len(usages) == 3
        assert all(usage["steps"] == 1 for usage in usages)


async def test_steps_of_an_attempt_that_was_deleted_hold_nobody_up(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=QUIET, steps={"mode": "summary"}) as rig:
        rig.ended(200, job_name="stays")
        lost = rig.ended(100, job_name="goes")
        async with rig.daemon() as daemon:
            watcher = daemon.watchers[0]
            rig.cluster.add_fault("sacct", "exit", match="-j", code=1)
            with pytest.raises(SacctError):
                await watcher.once()
            rig.cluster.delete_job(lost)
            for _ in range(4):
                rig.move(1000)
                await watcher.once()
        assert rig.ask_store("SELECT count(*) FROM usage_queue") == [(0,)]


async def test_night_is_not_believed_to_be_empty_where_known_attempts_lie_before_it(
    tmp_path: Path,
) -> None:
    with Rig(tmp_path, poll={**QUIET, "slice": "1h"}) as rig:
        rig.ended(100, job_name="known")
        await rig.once()
        rig.move(9 * HOUR)
        for number in range(9):
            rig.ended(number * HOUR + 1800, job_name=f"{number} h ago")
        # One row at a time is answered, which is what a probe asks for; the known one is a night away.
        rig.cluster.set_statement_limit(windows=1)
        assert await fails(rig) == "silent"
        assert rig.watermark() == 0
        rig.cluster.set_statement_limit()
        assert await fails(rig) == ""
        assert rig.watermark() == 9 * HOUR
        assert len(rig.names()) == 10


async def test_job_whose_steps_are_too_many_costs_the_others_no_usage(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=QUIET, steps={"mode": "summary"}) as rig:
        for number in range(12):
            key = rig.ended(100 + number, job_name=f"job {number}")
            for step in range(50 if number == 7 else 1):
                rig.cluster.add_step(key, step)
        rig.cluster.set_statement_limit(steps=20)
        assert await fails(rig) == ""
        told = {record["name"] for record in rig.records() if record["event"] == "job_usage"}
        assert told == {f"job {number}" for number in range(12)} - {"job 7"}
        rig.cluster.set_statement_limit()
        assert await fails(rig, seconds=1000) == ""
        usage = next(r["usage"] for r in rig.records() if r["event"] == "job_usage" and r["name"] == "job 7")
        assert usage["steps"] == 50
        assert usage["complete"]


async def test_first_start_is_not_believed_where_lists_of_numbers_are_empty_too(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=QUIET) as rig:
        rig.cluster.add_job(job_name="waits", time_submit=START - 500, state="PENDING")
        rig.ended(60, job_name="is there")
        rig.cluster.set_statement_limit(windows=0, jobs=1)
        assert await fails(rig) == "silent"
        assert rig.ask_store("SELECT * FROM horizons") == []
        rig.cluster.set_statement_limit()
        assert await fails(rig) == ""
        assert rig.names() == ["is there"]


async def test_cut_that_hits_long_lists_too_is_not_taken_for_deleted_rows(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=QUIET) as rig:
        for number in range(5):
            rig.ended(20 + number)
        await rig.once()
        rig.cluster.set_statement_limit(windows=0, jobs=1)
        assert await fails(rig, seconds=30) == "silent"


@pytest.mark.parametrize("lost", ["tres", "qos"])
async def test_names_that_slurmdbd_cannot_read_are_not_told_as_absent(tmp_path: Path, lost: str) -> None:
    with Rig(tmp_path, poll=QUIET) as rig:
        rig.ended(20, job_name="before")
        await rig.once()
        rig.cluster.lose_names(tres=lost == "tres", qos=lost == "qos")
        rig.move(30)
        rig.ended(10, job_name="meanwhile")
        assert await fails(rig) == "names"
        assert rig.names() == ["before"]
        rig.cluster.lose_names()
        assert await fails(rig) == ""
        assert [record["event"] for record in rig.records()] == ["job_ended"] * 2
        assert all("cpu" in record["alloc_tres"] and record["qos"] == "normal" for record in rig.records())
        assert rig.watermark() == 30


async def test_qos_that_was_deleted_holds_nothing_up(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=QUIET) as rig:
        rig.ended(20, job_name="its QOS is gone", id_qos=4711)
        assert await fails(rig) == ""
        assert rig.records()[0]["qos"] == "Unknown"
