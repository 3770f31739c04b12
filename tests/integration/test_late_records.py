"""Records that become visible long after the end they tell of: found by the overlap or a re-read, sent once."""

from pathlib import Path

import pytest

from simslurm import Workload
from tests.integration.rig import START, Rig
from tests.sim_truth import differences


async def test_record_that_shows_itself_a_minute_late_is_found_by_the_overlap_and_sent_once(
    tmp_path: Path,
) -> None:
    with Rig(tmp_path) as rig:
        rig.ended(20, job_name="in time")
        rig.ended(60, job_name="late", visible_at=START + 10)
        await rig.once()
        assert rig.names() == ["in time"]
        for _ in range(6):
            rig.move(30)
            await rig.once()
        assert rig.names() == ["in time", "late"]
        assert [record["found_by"] for record in rig.records()] == ["poll", "poll"]
        assert differences(rig.cluster, rig.records()) == []


@pytest.mark.parametrize(
    ("visible_after", "found_after"),
    [(200, 450), (3600, 3 * 3600), (20 * 3600, 3 * 86400)],
    ids=["minutes", "an hour", "a day"],
)
async def test_record_far_behind_the_overlap_is_found_by_a_reread_and_sent_once(
    tmp_path: Path, visible_after: int, found_after: int
) -> None:
    with Rig(tmp_path, poll={"slice": "1d"}) as rig:
        rig.ended(60, job_name="late", visible_at=START + visible_after)
        await rig.once()
        for moment in (visible_after - 10, visible_after + 10, found_after, found_after + 60):
            rig.move(START + moment - rig.now)
            await rig.once()
        assert [(record["name"], record["found_by"]) for record in rig.records()] == [("late", "reread")]
        rig.move(9 * 86400)
        await rig.once()
        assert len(rig.records()) == 1


async def test_end_that_slurmdbd_learns_late_is_sent_with_its_old_end(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.ended(90, job_name="suspended, then killed", state="CANCELLED", end_visible_at=START + 45)
        await rig.once()
        assert rig.records() == []
        rig.move(50)
        await rig.once()
        (record,) = rig.records()
        assert (record["name"], record["state"], record["end"]) == (
            "suspended, then killed",
            "CANCELLED",
            "2026-11-24T05:58:30Z",
        )
        assert record["observed"] == "2026-11-24T06:00:50Z"


async def test_daemon_that_was_down_for_hours_reads_everything_it_missed(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        await rig.once()
        rig.move(5 * 3600 + 17)
        for number in range(60):
            rig.ended(number * 301, job_name=f"missed {number}")
        await rig.once()
        assert differences(rig.cluster, rig.records()) == []
        assert len(rig.records()) == 60
        assert rig.watermark() == 5 * 3600 + 17


async def test_half_written_row_is_sent_once_when_it_is_whole(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        key = rig.ended(2, job_name="allocation", partition="", nodelist="n1")
        rig.ended(2, job_name="neighbour")
        await rig.once()
        assert rig.names() == ["neighbour"]
        rig.cluster.update_job(key, job_name="real name", partition="main", nodelist="n[1-4]", nodes_alloc=4)
        for _ in range(5):
            rig.move(30)
            await rig.once()
        assert rig.names() == ["neighbour", "real name"]
        assert [record["event"] for record in rig.records()] == ["job_ended", "job_ended"]
        assert rig.records()[1]["nodes"] == ["n1", "n2", "n3", "n4"]
        assert differences(rig.cluster, rig.records()) == []


async def test_half_written_row_that_leaves_the_overlap_is_still_found_whole(tmp_path: Path) -> None:
    with Rig(tmp_path, poll={"overlap": "0s", "interval": "5s", "reread": []}) as rig:
        async with rig.daemon() as daemon:
            key = rig.ended(1, job_name="allocation", partition="")
            await daemon.watchers[0].once()
            assert rig.ask_store("SELECT count(*) FROM jobs") == [(0,)]
            rig.move(10)
            rig.cluster.update_job(key, job_name="real name", partition="main")
            await daemon.once()
        assert rig.names() == ["real name"]


async def test_row_that_stays_half_written_is_taken_as_it_is_after_a_minute(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.ended(2, job_name="allocation", partition="")
        await rig.once()
        rig.move(50)
        await rig.once()
        assert rig.names() == []
        rig.move(20)
        await rig.once()
        rig.move(20)
        await rig.once()
        (record,) = rig.records()
        assert record["name"] == "allocation"
        assert "partition" not in record


@pytest.mark.parametrize(("seed", "count", "seconds"), [(1, 1500, 5 * 3600), (2, 4500, 3000)])
async def test_realistic_mix_is_told_as_the_database_has_it(
    tmp_path: Path, seed: int, count: int, seconds: int
) -> None:
    with Rig(tmp_path, poll={"since": "6h"}) as rig:
        Workload(rig.cluster, seed=seed, nodes=200).load(count, START - seconds, START - 10, steps=False)
        await rig.once()
        assert differences(rig.cluster, rig.records()) == []
        assert len({record["id"] for record in rig.records()}) == len(rig.records()) == count
        assert [record["seq"] for record in rig.records()] == list(range(1, count + 1))


async def test_row_whose_start_was_never_told_is_told_as_such_and_set_right_when_the_start_comes(
    tmp_path: Path,
) -> None:
    with Rig(tmp_path, version="26.05.5") as rig:
        key = rig.ended(100, job_name="allocation", user="root", id_user=0, id_group=0, partition="", account="a")
        await rig.once()
        (record,) = rig.records()
        assert record["incomplete"] is True
        assert {"name", "user", "uid", "gid", "partition"}.isdisjoint(record)
        assert record["account"] == "a"
        assert rig.ask_store('SELECT "user" FROM jobs') == [(None,)]
        rig.cluster.update_job(key, job_name="real", user="ann", id_user=1000, id_group=100, partition="main")
        rig.move(30)
        await rig.once()
        revised = rig.records()[1]
        assert revised["changed"] == {"name": [None, "real"], "partition": [None, "main"]}
        assert (revised["user"], revised["uid"], "incomplete" in revised) == ("ann", 1000, False)
        assert rig.ask_store('SELECT "user" FROM jobs') == [("ann",)]
