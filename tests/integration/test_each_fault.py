"""What Slurm does to its accounting besides failing, each by itself: the file against the database after it."""

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from slurmwatchd.errors import SacctError, SacctTooWideError
from tests.integration.rig import WINDOW, Rig
from tests.patience import HANGS_SECONDS
from tests.sim_truth import differences

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# No re-reads: what finds a record is what the test is about, and nothing else.
NO_REREADS = {"interval": "30s", "overlap": "1m", "reread": []}


@asynccontextmanager
async def running(rig: Rig) -> "AsyncIterator[None]":
    """A watcher at work; what it stored is delivered at the end."""
    async with rig.daemon() as daemon:
        async with anyio.create_task_group() as group:
            group.start_soon(daemon.watchers[0].run)
            yield
            group.cancel_scope.cancel()
        await daemon.deliveries[0].drain()


async def pass_time(rig: Rig, seconds: float) -> None:
    """Let so much time pass, in steps in which the watcher gets its calls done."""
    end = rig.now + seconds
    while rig.now < end:
        await _idle(rig)
        rig.move(5)
    await _idle(rig)


async def _idle(rig: Rig) -> None:
    """Wait until the watcher sleeps: no call under way, and none since."""
    with anyio.fail_after(HANGS_SECONDS):
        seen = -1
        while seen != (asked := len(rig.clock.asked)) or any(call.ended is None for call in rig.cluster.calls()):
            seen = asked
            await anyio.sleep(0.05)


@pytest.mark.heavy
async def test_ends_of_an_outage_that_arrive_later_one_by_one_are_told_once(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=NO_REREADS) as rig:
        async with running(rig):
            await pass_time(rig, 10)
            rig.cluster.stop_slurmdbd()
            for number in range(6):
                rig.ended(0, job_name=f"in the outage {number}")
                await pass_time(rig, 40)
            rig.cluster.start_slurmdbd(after=60, gap=20)
            assert rig.cluster.undelivered() == 6
            await pass_time(rig, 400)
            assert rig.cluster.undelivered() == 0
        assert len(rig.records()) == 6
        assert differences(rig.cluster, rig.records()) == []


@pytest.mark.parametrize("version", ["23.11.3", "23.11.4"])
@pytest.mark.parametrize(
    ("number", "error"),
    [
        (7000, SacctError),
        (7006, SacctTooWideError),
        (7007, SacctTooWideError),
        (1969, SacctTooWideError),
        (1024, SacctError),
    ],
    ids=["no database (88)", "too large (94)", "too wide (95)", "statement limit (177)", "MySQL's 1024 (0)"],
)
async def test_slurmdbds_errors_move_nothing_whatever_the_exit_status_becomes(
    tmp_path: Path, number: int, error: type[SacctError], version: str
) -> None:
    with Rig(tmp_path, version=version, poll={**NO_REREADS, "overlap": "0s"}) as rig:
        await rig.once()
        rig.move(30)
        rig.ended(5, job_name="job")
        rig.cluster.add_fault("sacct", "errno", count=None, match=WINDOW, number=number)
        with pytest.raises(error):
            await rig.once()
        assert rig.watermark() == 0
        calls = [call for call in rig.cluster.calls("sacct") if call.fault == "errno"]
        # What is too much is asked for in halves, from an hour down to a minute.
        assert len(calls) == (7 if error is SacctTooWideError else 1)
        modulo = {7000: 88, 7006: 94, 7007: 95, 1969: 177, 1024: 0}[number]
        assert {call.exit_status for call in calls} == {modulo if version == "23.11.3" else 1}
        rig.cluster.clear_faults()
        await rig.once()
        assert differences(rig.cluster, rig.records()) == []


async def test_answers_that_are_too_large_are_asked_for_in_smaller_slices(tmp_path: Path) -> None:
    with Rig(tmp_path, poll={**NO_REREADS, "since": "2h"}) as rig:
        for number in range(120):
            rig.ended(number * 60, job_name=f"job {number}")
        rig.cluster.set_max_result_rows(20)
        async with running(rig):
            with anyio.fail_after(HANGS_SECONDS):
                while rig.ask_store("SELECT count(*) FROM jobs") != [(120,)]:
                    rig.move(5)
                    await anyio.sleep(0.05)
        assert differences(rig.cluster, rig.records()) == []


async def test_once_asks_for_answers_that_are_too_large_in_smaller_slices(tmp_path: Path) -> None:
    with Rig(tmp_path, poll={**NO_REREADS, "since": "2h"}) as rig:
        for number in range(120):
            rig.ended(number * 60, job_name=f"job {number}")
        rig.cluster.set_max_result_rows(20)
        await rig.once()
        assert rig.ask_store("SELECT count(*) FROM jobs") == [(120,)]
        assert differences(rig.cluster, rig.records()) == []


@pytest.mark.heavy
async def test_job_suspended_for_longer_than_the_overlap_and_killed_is_found_by_a_reread(tmp_path: Path) -> None:
    with Rig(tmp_path, poll={"open_set": "0s"}) as rig:
        key = rig.ended(0, time_end=0, state="RUNNING", job_name="born old")
        rig.cluster.suspend_job(key)
        for _ in range(5):
            await rig.once()
            rig.move(120)
        rig.cluster.kill_suspended(key)
        for _ in range(8):
            await rig.once()
            rig.move(120)
        (record,) = rig.records()
        assert (record["state"], record["end"], record["found_by"]) == (
            "CANCELLED",
            "2026-11-24T06:00:00Z",
            "reread",
        )
        assert differences(rig.cluster, rig.records()) == []


async def test_row_that_is_half_written_for_a_while_is_told_once_and_whole(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=NO_REREADS) as rig:
        rig.ended(2, job_name="a name of its own", nodelist="n[1-4]", nodes_alloc=4, whole_at=rig.now + 20)
        rig.ended(2, job_name="neighbour")
        for _ in range(4):
            await rig.once()
            rig.move(15)
        assert rig.names() == ["neighbour", "a name of its own"]
        assert [record["revision"] for record in rig.records()] == [1, 1]
        assert differences(rig.cluster, rig.records()) == []


async def test_change_after_the_end_is_told_by_one_revision_that_the_next_readings_do_not_repeat(
    tmp_path: Path,
) -> None:
    with Rig(tmp_path) as rig:
        key = rig.ended(5, job_name="job")
        await rig.once()
        rig.move(200)
        rig.cluster.update_job(key, admin_comment="checked\nby hand", job_db_inx=str(1 << 63))
        for _ in range(8):
            rig.move(150)
            await rig.once()
        assert [(record["event"], record["revision"]) for record in rig.records()] == [
            ("job_ended", 1),
            ("job_revised", 2),
        ]
        assert rig.records()[1]["changed"] == {"admin_comment": [None, "checked\nby hand"]}


async def test_upgrade_changes_nothing_of_what_never_started(tmp_path: Path) -> None:
    with Rig(tmp_path, version="22.05.8") as rig:
        rig.ended(5, state="CANCELLED", time_start=0, job_name="asked for four", tres_req="1=4,2=100,4=1,5=4")
        await rig.once()
        rig.cluster.set_version("23.02.7")
        rig.move(60)
        await rig.once()
        assert [record["event"] for record in rig.records()] == ["job_ended"]


@pytest.mark.parametrize(
    ("kind", "wish"), [("slow", {"seconds": 1.0}), ("trickle", {"bytes": 500, "seconds": 0.01})]
)
async def test_slow_answer_is_as_good_as_any(tmp_path: Path, kind: str, wish: dict[str, float]) -> None:
    with Rig(tmp_path, poll=NO_REREADS) as rig:
        for number in range(20):
            rig.ended(number, job_name=f"job {number}")
        rig.cluster.add_fault("sacct", kind, match=WINDOW, **wish)  # type: ignore[arg-type]
        await rig.once()
        assert [
            call.fault for call in rig.cluster.calls("sacct") if any(WINDOW in word for word in call.argv)
        ] == [kind]
        assert differences(rig.cluster, rig.records()) == []


@pytest.mark.parametrize(
    ("kind", "wish"),
    [
        ("exit", {"code": 0, "stderr": "scontrol: error: Invalid hostlist: n[1-4]"}),
        ("stderr_exit0", {"stderr": "scontrol: error: something else"}),
        ("garbage", {"bytes": 0}),
        ("cut", {"records": 3}),
    ],
    ids=["an error instead of an answer", "an error behind an answer", "nothing", "half an answer"],
)
async def test_scontrol_that_ends_with_0_and_an_error_costs_the_nodes_of_its_lists_and_no_record(
    tmp_path: Path, kind: str, wish: dict[str, str | int]
) -> None:
    with Rig(tmp_path, poll=NO_REREADS) as rig:
        rig.ended(5, job_name="bad luck", nodelist="n[1-4]", nodes_alloc=4)
        rig.ended(4, job_name="alone", nodelist="n7")
        rig.ended(3, job_name="bad luck too", nodelist="m[1-2]", nodes_alloc=2)
        # The batch of two, and each list by itself.
        rig.cluster.add_fault("scontrol", kind, count=3, match="hostnames", **wish)  # type: ignore[arg-type]
        await rig.once()
        nodes = {record["name"]: record.get("nodes") for record in rig.records()}
        assert nodes["alone"] == ["n7"]
        # Whatever stands there is not half a list.
        assert nodes["bad luck"] in (None, ["n1", "n2", "n3", "n4"])
        assert differences(rig.cluster, rig.records()) == []
        rig.move(30)
        rig.cluster.clear_faults()
        rig.ended(5, job_name="later", nodelist="n[1-4]", nodes_alloc=4)
        await rig.once()
        assert rig.records()[-1]["nodes"] == ["n1", "n2", "n3", "n4"]
        assert differences(rig.cluster, rig.records()) == []


@pytest.mark.heavy
async def test_sacct_that_hangs_is_killed_and_asked_again_in_shorter_slices(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=NO_REREADS, slurm={"bin_dir": str(tmp_path / "bin"), "timeout": "1s"}) as rig:
        for number in range(30):
            rig.ended(number * 100, job_name=f"job {number}")
        rig.cluster.add_fault("sacct", "hang", count=2, match=WINDOW, records=1)
        async with running(rig):
            with anyio.fail_after(HANGS_SECONDS):
                while rig.ask_store("SELECT count(*) FROM jobs") != [(30,)]:
                    rig.move(5)
                    await anyio.sleep(0.1)
        assert [call.fault for call in rig.cluster.calls("sacct") if any(WINDOW in word for word in call.argv)][
            :3
        ] == [
            "hang",
            "hang",
            None,
        ]
        assert differences(rig.cluster, rig.records()) == []
