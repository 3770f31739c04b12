"""Jobs that were seen open and vanish without an end any window would show: asked for by name, told once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from simslurm import JobKey
from simslurm.settings import Call
from slurmwatchd.sources.process import Completed, ProcessRunner
from tests.integration.rig import START, Rig
from tests.patience import HANGS_SECONDS
from tests.sim_truth import differences

QUIET = {"since": "5m", "overlap": "1m", "reread": [], "open_set": "5m"}
"""No re-reads: what finds a job here is the open set, and nothing else."""

UNKNOWN = 4_294_967_295
"""What slurmdbd stores for the end of a job that was set right and whose eligible time it never knew."""


def running(rig: Rig, name: str, **columns: Any) -> JobKey:  # noqa: ANN401 - any column
    """A job that began three hours before the test."""
    return rig.cluster.add_job(
        **{
            "job_name": name,
            "time_submit": START - 10_900,
            "time_start": START - 10_800,
            "state": "RUNNING",
            "user": "ann",
            "id_user": 1000,
            **columns,
        }
    )


def listings(rig: Rig) -> list[Call]:
    """The calls for the open jobs: neither states nor names are asked for."""
    calls = [call for call in rig.cluster.calls("sacct") if "--local" in call.argv]
    return [call for call in calls if "-s" not in call.argv and "-j" not in call.argv]


def named(rig: Rig) -> list[Call]:
    """The calls for whole records by name."""
    calls = [call for call in rig.cluster.calls("sacct") if "-j" in call.argv]
    return [call for call in calls if "SubmitLine" in call.argv[-1]]


async def passes(rig: Rig, seconds: int) -> None:
    """Let time pass, with a poll every 100 seconds, each by a daemon started anew."""
    for _ in range(seconds // 100):
        rig.move(100)
        await rig.once()


@pytest.mark.heavy
async def test_job_cancelled_while_suspended_for_longer_than_the_overlap_is_told_once(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=QUIET) as rig:
        key = running(rig, "suspended")
        await rig.once()
        rig.cluster.suspend_job(key)
        await passes(rig, 1000)
        # Slurm dates the end of a job that is cancelled while suspended at its suspension.
        rig.cluster.end_job(key, state="CANCELLED", time_end=START, kill_requid=1000)
        await passes(rig, 500)
        (record,) = rig.records()
        assert (record["name"], record["state"], record["found_by"]) == ("suspended", "CANCELLED", "open_set")
        assert record["end"] == "2026-11-24T06:00:00Z"
        assert differences(rig.cluster, rig.records()) == []
        assert rig.ask_store("SELECT count(*) FROM open_jobs") == [(0,)]
        await passes(rig, 500)
        assert len(rig.records()) == 1
        assert len(named(rig)) == 1


async def test_runaway_job_that_is_set_right_is_told_with_its_old_end(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=QUIET) as rig:
        key = running(rig, "runaway")
        await rig.once()
        await passes(rig, 300)
        rig.cluster.end_job(key, state="COMPLETED", time_end=START - 10_800)
        await passes(rig, 500)
        (record,) = rig.records()
        assert (record["name"], record["end"], record["found_by"]) == (
            "runaway",
            "2026-11-24T03:00:00Z",
            "open_set",
        )


@pytest.mark.parametrize("eligible", [UNKNOWN, START - 10_900], ids=["hidden", "listed for ever"])
async def test_job_whose_end_slurmdbd_does_not_know_is_told_once_without_one(
    tmp_path: Path, eligible: int
) -> None:
    with Rig(tmp_path, poll=QUIET) as rig:
        key = running(rig, "no end")
        await rig.once()
        rig.cluster.update_job(key, state="COMPLETED", time_end=UNKNOWN, time_eligible=eligible)
        await passes(rig, 1500)
        (record,) = rig.records()
        assert (record["name"], record["state"], record["found_by"]) == ("no end", "COMPLETED", "open_set")
        assert "end" not in record
        assert "time" not in record
        assert len(named(rig)) == 1


@pytest.mark.heavy
async def test_job_without_an_end_that_is_listed_for_ever_is_told_once_however_little_the_store_retains(
    tmp_path: Path,
) -> None:
    with Rig(tmp_path, poll=QUIET, store={"retain": "1h"}) as rig:
        key = running(rig, "no end")
        await rig.once()
        rig.cluster.update_job(key, state="COMPLETED", time_end=UNKNOWN, time_eligible=START - 10_900)
        for turn in range(4):
            await passes(rig, 500)
            # The newest attempt of all stays in the store.
            rig.ended(5, job_name=f"other {turn}")
            await passes(rig, 2500)
        assert rig.names() == ["no end", "other 0", "other 1", "other 2", "other 3"]
        assert rig.ask_store("SELECT count(*) FROM jobs WHERE job_id = '1'") == [(0,)]


async def test_tasks_and_components_are_asked_for_by_their_own_names_since_their_submission(
    tmp_path: Path,
) -> None:
    with Rig(tmp_path, poll=QUIET) as rig:
        # An attempt of the same id that ended since the earliest submission asked for: it answers too.
        rig.ended(11_500, job_name="earlier", id_job=5)
        keys = [
            running(rig, "plain", id_job=5),
            running(rig, "task", id_array_job=70, id_array_task=3, time_submit=START - 12_000),
            running(rig, "part", het_job_id=80, het_job_offset=1),
        ]
        await rig.once()
        for key in keys:
            rig.cluster.end_job(key, state="COMPLETED", time_end=START - 5000)
        await passes(rig, 500)
        (call,) = named(rig)
        assert set(call.argv[call.argv.index("-j") + 1].split(",")) == {"5", "70_3", "80+1"}
        assert call.argv[call.argv.index("-S") + 1] == f"uts{START - 12_000}"
        assert sorted(rig.names()) == ["part", "plain", "task"]


async def test_job_that_ends_as_usual_is_found_by_the_poll_and_never_asked_for(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=QUIET) as rig:
        keys = [running(rig, f"job {number}") for number in range(3)]
        await rig.once()
        assert rig.ask_store("SELECT count(*), sum(absent) FROM open_jobs") == [(3, 0)]
        for number, key in enumerate(keys):
            rig.move(90)
            rig.cluster.end_job(key, time_end=rig.now - number)
            await rig.once()
        await passes(rig, 900)
        assert {record["found_by"] for record in rig.records()} == {"poll"}
        assert len(rig.records()) == 3
        assert named(rig) == []
        assert rig.ask_store("SELECT count(*) FROM open_jobs") == [(0,)]


async def test_pending_array_whose_last_task_starts_is_the_same_job(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=QUIET) as rig:
        key = running(rig, "array", state="PENDING", time_start=0, id_job=90, id_array_job=90, array_tasks=[4, 5])
        await rig.once()
        assert rig.ask_store("SELECT job_id FROM open_jobs") == [("90_[4-5]",)]
        rig.cluster.update_job(key, state="RUNNING", time_start=START, id_array_task=5, array_task_str=None)
        await passes(rig, 400)
        assert rig.ask_store("SELECT job_id, absent FROM open_jobs") == [("90_5", 0)]
        assert named(rig) == []


@pytest.mark.heavy
async def test_job_held_after_it_was_seen_is_asked_for_once_an_hour_and_forgotten_when_listed_again(
    tmp_path: Path,
) -> None:
    with Rig(tmp_path, poll={**QUIET, "interval": "100s"}) as rig:
        key = running(rig, "held", state="PENDING", time_start=0)
        await rig.once()
        rig.cluster.update_job(key, time_eligible=0)
        await passes(rig, 3000)
        assert len(named(rig)) == 1
        await passes(rig, 2000)
        assert len(named(rig)) == 2
        rig.cluster.update_job(key, time_eligible=rig.now)
        await passes(rig, 400)
        assert rig.ask_store("SELECT absent, asked FROM open_jobs") == [(0, 0)]
        assert rig.records() == []


@pytest.mark.heavy
async def test_listing_that_is_silent_makes_nothing_and_is_made_good_by_the_next(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=QUIET) as rig:
        keys = [running(rig, f"job {number}") for number in range(3)]
        await rig.once()
        rig.move(400)
        rig.cluster.add_fault("sacct", "header_only", match=f"uts{rig.now + 1}")
        await rig.once()
        assert rig.ask_store("SELECT count(*) FROM open_jobs WHERE absent != 0") == [(3,)]
        await passes(rig, 800)
        assert rig.ask_store("SELECT count(*), sum(absent) FROM open_jobs") == [(3, 0)]
        assert rig.records() == []
        for key in keys:
            rig.cluster.end_job(key, time_end=START)
        await passes(rig, 500)
        assert differences(rig.cluster, rig.records()) == []


async def test_listing_that_fails_leaves_what_was_listed_and_the_polls_go_on(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=QUIET) as rig:
        async with rig.daemon() as daemon:
            key = running(rig, "job")
            await daemon.watchers[0].once()
            rig.move(400)
            rig.cluster.add_fault("sacct", "exit", match=f"uts{rig.now + 1}", code=1)
            with pytest.raises(Exception, match="simulated failure"):
                await daemon.watchers[0].once()
            before = rig.watermark()
            assert rig.ask_store("SELECT count(*), sum(absent) FROM open_jobs") == [(1, 0)]
            rig.cluster.add_fault("sacct", "exit", match=f"uts{rig.now + 31}", code=1)
            rig.move(30)
            await daemon.watchers[0].once()
            # The next listing is due an interval of its own later, not at once.
            assert rig.watermark() > before
            rig.cluster.clear_faults()
            rig.cluster.end_job(key, time_end=START - 5000)
            for _ in range(5):
                rig.move(100)
                await daemon.watchers[0].once()
        assert rig.ask_store("SELECT count(*) FROM jobs") == [(1,)]


async def test_open_jobs_are_not_listed_where_that_is_switched_off(tmp_path: Path) -> None:
    with Rig(tmp_path, poll={**QUIET, "open_set": "0s"}) as rig:
        running(rig, "job")
        await rig.once()
        await passes(rig, 400)
        assert listings(rig) == []


async def test_listing_costs_one_small_call_every_five_minutes(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=QUIET) as rig:
        async with rig.daemon() as daemon:
            running(rig, "job")
            for _ in range(20):
                await daemon.watchers[0].once()
                rig.move(60)
        assert len(listings(rig)) == 4
        assert {call.argv[-1] for call in listings(rig)} == {"Cluster,JobIDRaw,Submit,JobID,State,End"}
        (first, *_) = listings(rig)
        assert first.argv[first.argv.index("-S") : -2] == ("-S", f"uts{START}", "-E", f"uts{START + 1}")


async def test_job_that_vanished_while_the_clock_was_ahead_is_asked_for_when_it_is_right(tmp_path: Path) -> None:
    with Rig(tmp_path, poll={**QUIET, "slice": "4d"}) as rig:
        key = running(rig, "runaway")
        await rig.once()
        rig.cluster.end_job(key, state="COMPLETED", time_end=START - 7200)
        rig.clock.move(10 * 86400)
        await rig.once()
        assert rig.ask_store("SELECT absent > 1796000000 FROM open_jobs") == [(1,)]
        rig.clock.move(-10 * 86400)
        await passes(rig, 600)
        assert rig.names() == ["runaway"]


class _ShortListsOnly:
    """A `ProcessRunner` for a slurmdbd that gives up on more than three names, and on one of them always."""

    def __init__(self, runner: ProcessRunner, impossible: str) -> None:
        self._runner = runner
        self._impossible = impossible

    async def run(self, argv: Sequence[str], **options: Any) -> Completed:  # noqa: ANN401 - handed on
        names = argv[argv.index("-j") + 1].split(",") if "-j" in argv else []
        if len(names) <= 3 and self._impossible not in names:
            return await self._runner.run(argv, **options)
        said = "sacct: error: Problem getting jobs for cluster sim"
        return Completed(argv=(*argv,), returncode=1, stdout=b"", stderr=said, complaints=(said,), seconds=0.0)


async def test_names_that_fail_together_are_asked_for_in_shorter_lists_and_hold_no_other_reading_up(
    tmp_path: Path,
) -> None:
    with Rig(tmp_path, poll={**QUIET, "reread": ["5m"]}) as rig:
        first, *others = [running(rig, f"job {number}") for number in range(6)]
        rig.ended(5, job_name="known")
        runner = _ShortListsOnly(rig.runner(), impossible=str(first.id_job))
        async with rig.daemon(runner) as daemon, anyio.create_task_group() as group:
            group.start_soon(daemon.watchers[0].run)
            with anyio.fail_after(HANGS_SECONDS):
                while rig.ask_store("SELECT count(*) FROM open_jobs") != [(6,)]:
                    await rig.clock.at_rest()
                    rig.move(10)
                for key in (first, *others):
                    rig.cluster.end_job(key, state="COMPLETED", time_end=START - 7200)
                while rig.ask_store("SELECT count(*) FROM jobs") != [(6,)]:
                    await rig.clock.at_rest()
                    rig.move(20)
            group.cancel_scope.cancel()
        assert rig.ask_store("SELECT count(*) FROM ledger WHERE found_by = 'reread'")[0][0] > 0
        assert rig.ask_store("SELECT count(*) FROM open_jobs") == [(1,)]
