"""What has had its time goes from the store, and nothing else: no cursor, no total, no event somebody lacks."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from slurmwatchd.errors import SinkError
from slurmwatchd.store import retention
from tests.integration.rig import Rig
from tests.patience import HANGS_SECONDS
from tests.sim_truth import differences

HOUR = 3600
DAY = 24 * HOUR


def _rig(folder: Path, **sections: dict[str, Any]) -> Rig:
    # Slices of a day: a test that moves on for days would call sacct for every hour of them.
    poll: dict[str, Any] = {"slice": "1d", "reread": ["5m", "2h"]}
    store = {"path": str(folder / "store.db"), "retain": "2d"}
    given: dict[str, dict[str, Any]] = {"poll": poll, "store": store, **sections}
    return Rig(folder, version="22.05.8", **given)


def _counts(rig: Rig, *tables: str) -> dict[str, int]:
    return {table: rig.ask_store(f"SELECT count(*) FROM {table}")[0][0] for table in tables}  # noqa: S608 - ours


async def test_old_attempts_go_with_all_that_is_theirs_and_new_ones_stay(tmp_path: Path) -> None:
    with _rig(tmp_path) as rig:
        rig.ended(5, job_name="old", nodelist="n[1-3]")
        await rig.once()
        rig.move(1.5 * DAY)
        rig.ended(5, job_name="new", nodelist="n[3-4]")
        await rig.once()
        assert _counts(rig, "jobs", "events", "nodelists") == {"jobs": 2, "events": 2, "nodelists": 2}
        rig.move(1 * DAY)
        rig.ended(5, job_name="newest", nodelist="n[3-4]")
        await rig.once()
        # The list goes once its last event has gone; that is found in the round after.
        rig.move(60)
        await rig.once()
        assert rig.ask_store("SELECT job_id_raw FROM jobs ORDER BY job_id_raw") == [(2,), (3,)]
        assert rig.ask_store("SELECT seq FROM events") == [(2,), (3,)]
        rig.move(2 * DAY + 2 * HOUR)
        rig.ended(5, job_name="last", nodelist="n[3-4]")
        await rig.once()
        assert rig.ask_store("SELECT expression FROM nodelists") == [("n[3-4]",)]
        names = "SELECT name FROM nodelist_nodes JOIN nodes ON nodes.id = node ORDER BY name"
        assert rig.ask_store(names) == [("n3",), ("n4",)]
        assert rig.ask_store("SELECT min(read_at) FROM ledger")[0][0] >= rig.now - 2 * DAY - HOUR
        assert differences(rig.cluster, rig.records()) == []


async def test_what_was_pruned_is_never_read_again_whatever_asks_for_the_past(tmp_path: Path) -> None:
    with _rig(tmp_path) as rig:
        for number in range(6):
            rig.ended(5, job_name=f"job {number}")
            await rig.once()
            rig.move(12 * HOUR)
        await rig.once()
        assert _counts(rig, "jobs")["jobs"] < 6
        # All of the past is forgotten, as by a ledger that cannot be trusted.
        _forget_everything(rig)
        rig.move(30)
        await rig.once()
        assert rig.names() == [f"job {number}" for number in range(6)]
        assert differences(rig.cluster, rig.records()) == []
        asked = [call.argv for call in rig.cluster.calls("sacct") if "--local" in call.argv]
        begins = [int(argv[argv.index("-S") + 1].removeprefix("uts")) for argv in asked]
        assert min(begins[-3:]) >= rig.now - 2 * DAY - 60


async def test_reload_that_retains_more_reads_nothing_again_that_is_still_pruned_by_the_old_rule(
    tmp_path: Path,
) -> None:
    poll = {"since": "5m", "reread": ["5m", "3h"], "open_set": "0s"}
    with _rig(tmp_path, poll=poll, store={"path": str(tmp_path / "store.db"), "retain": "1h"}) as rig:
        rig.ended(10, job_name="job 0")
        async with rig.daemon() as daemon:
            store = daemon.config.store.model_copy(update={"retain": 30 * DAY})
            daemon.apply(daemon.config.model_copy(update={"store": store}))
            for turn in range(1, 40):
                await daemon.once()
                if turn % 10 == 0:
                    rig.ended(5, job_name=f"job {turn}")
                rig.move(600)
        assert _counts(rig, "jobs")["jobs"] < 4
        assert rig.names() == ["job 0", "job 10", "job 20", "job 30"]


async def test_outage_longer_than_retain_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    poll = {"since": "5m", "slice": "4h", "reread": ["5m", "1h"], "open_set": "0s"}
    with _rig(tmp_path, poll=poll, store={"path": str(tmp_path / "store.db"), "retain": "6h"}) as rig:
        rig.ended(5, job_name="before")
        await rig.once()
        for number in range(10):
            rig.move(2 * HOUR)
            rig.ended(5, job_name=f"job {number}")
        await rig.once()
        assert sorted(rig.names()) == ["before", *(f"job {number}" for number in range(10))]
        for _ in range(6):
            rig.move(2 * HOUR)
            await rig.once()
        # What was caught up with has had its time as well, and is not read again.
        assert _counts(rig, "jobs")["jobs"] == 1
        assert len(rig.names()) == 11
        assert differences(rig.cluster, rig.records()) == []


async def test_what_slurmctld_held_back_for_longer_than_retain_is_not_lost(tmp_path: Path) -> None:
    poll = {"since": "5m", "slice": "4h", "reread": [], "open_set": "0s"}
    with _rig(tmp_path, poll=poll, store={"path": str(tmp_path / "store.db"), "retain": "1h"}) as rig:
        async with rig.daemon() as daemon, anyio.create_task_group() as group:
            group.start_soon(daemon.watchers[0].run)
            await rig.clock.at_rest()
            rig.cluster.set_slurmdbd_down()
            rig.ended(5, job_name="held back", end_visible_at=rig.now + 5 * HOUR + 600)
            for _ in range(10):
                rig.move(HOUR / 2)
                await rig.clock.at_rest()
            rig.cluster.set_dbd_agent_queue(5)
            rig.cluster.set_slurmdbd_down(down=False)
            for _ in range(30):
                rig.move(30)
                await rig.clock.at_rest()
            assert rig.ask_store("SELECT count(*) FROM jobs") == [(0,)]
            rig.cluster.set_dbd_agent_queue(0)
            with anyio.fail_after(HANGS_SECONDS):
                while not rig.ask_store("SELECT count(*) FROM jobs")[0][0]:
                    rig.move(10)
                    await rig.clock.at_rest()
            group.cancel_scope.cancel()
        assert rig.ask_store("SELECT count(*) FROM events") == [(1,)]


async def test_what_a_lost_store_had_delivered_is_known_until_it_is_read_again(tmp_path: Path) -> None:
    with _rig(tmp_path, store={"path": str(tmp_path / "store.db"), "retain": "1h"}) as rig:
        rig.ended(5, job_name="job")
        await rig.once()
        rig.store.unlink()
        rig.cluster.set_slurmdbd_down()
        async with rig.daemon() as daemon:
            for _ in range(3):
                rig.move(2 * HOUR)
                await daemon.pruner.round(rest=False)
        rig.cluster.set_slurmdbd_down(down=False)
        await rig.once()
        assert _counts(rig, "jobs")["jobs"] == 1
        assert rig.names() == ["job"]


def _forget_everything(rig: Rig) -> None:
    with closing(sqlite3.connect(rig.store)) as store:
        store.execute("DELETE FROM coverage")
        store.commit()


async def test_event_that_a_sink_lacks_is_kept_however_old_until_the_sink_has_healed(
    tmp_path: Path,
) -> None:
    files = {name: {"type": "jsonl", "path": str(tmp_path / f"{name}.jsonl")} for name in ("dead", "jobs")}
    (tmp_path / "dead.jsonl").mkdir()
    with _rig(tmp_path, sinks=files) as rig:
        for number in range(4):
            rig.ended(5, job_name=f"job {number}")
            with pytest.raises(SinkError):
                await rig.once()
            rig.move(DAY)
        assert _counts(rig, "jobs", "events") == {"jobs": 4, "events": 4}
        (tmp_path / "dead.jsonl").rmdir()
        await rig.once()
        assert [record["name"] for record in rig.records("dead.jsonl")] == [f"job {n}" for n in range(4)]
        assert rig.ask_store("SELECT seq FROM events") == [(3,), (4,)]


async def test_sink_that_is_no_longer_configured_holds_nothing_and_is_forgotten(tmp_path: Path) -> None:
    files = {name: {"type": "jsonl", "path": str(tmp_path / f"{name}.jsonl")} for name in ("gone", "jobs")}
    (tmp_path / "gone.jsonl").mkdir()
    with _rig(tmp_path, sinks=files) as rig:
        rig.ended(5)
        with pytest.raises(SinkError):
            await rig.once()
        rig.config = rig.config.model_copy(
            update={"sinks": {name: its for name, its in rig.config.sinks.items() if name != "gone"}}
        )
        left = []
        for _ in range(3):
            rig.move(1.1 * DAY)
            rig.ended(5)
            await rig.once()
            left.append(rig.ask_store("SELECT seq FROM events"))
        # It never got the first event, which goes as soon as its time is over.
        assert left == [[(1,), (2,)], [(2,), (3,)], [(3,), (4,)]]
        assert rig.ask_store("SELECT sink FROM cursors ORDER BY sink") == [("jobs",), ("prometheus",)]
        assert rig.ask_store("SELECT DISTINCT sink FROM sink_state ORDER BY sink") == [("jobs",), ("prometheus",)]


async def test_totals_and_positions_survive_the_pruning_of_everything_they_came_from(tmp_path: Path) -> None:
    with _rig(tmp_path) as rig:
        for _ in range(3):
            rig.ended(5)
        await rig.once()
        rig.move(4 * DAY)
        await rig.once()
        # The newest attempt's row stays, so that its number is not given to another.
        assert _counts(rig, "jobs", "events") == {"jobs": 1, "events": 0}
        rig.ended(5)
        rig.move(60)
        async with rig.daemon() as daemon:
            await daemon.once()
            counted = daemon.metrics.registry.get_sample_value(
                "slurmwatchd_jobs_ended_total",
                {"slurm_cluster": "sim", "partition": rig.records()[0]["partition"], "state": "COMPLETED"},
            )
        assert counted == 4
        assert [record["seq"] for record in rig.records()] == [1, 2, 3, 4]
        assert rig.ask_store("SELECT max(id) FROM jobs") == [(4,)]


async def test_attempt_that_changed_lately_stays_though_it_was_first_told_long_ago(tmp_path: Path) -> None:
    with _rig(tmp_path) as rig:
        key = rig.ended(5)
        rig.ended(5)
        await rig.once()
        rig.move(2 * HOUR + 600)
        rig.cluster.update_job(key, admin_comment="looked at")
        await rig.once()
        assert [record["event"] for record in rig.records()] == ["job_ended", "job_ended", "job_revised"]
        rig.move(2 * DAY)
        await rig.once()
        assert rig.ask_store("SELECT job_id_raw FROM jobs ORDER BY id") == [(1,), (2,)]
        assert rig.ask_store("SELECT seq FROM events") == [(3,)]


async def test_pruning_goes_in_small_steps_and_lets_others_write_in_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "STEP_ROWS", 10)
    with _rig(tmp_path) as rig:
        for _ in range(45):
            rig.ended(5)
        await rig.once()
        rig.move(3 * DAY)
        async with rig.daemon() as daemon, anyio.create_task_group() as group:
            left: list[int] = []
            # Until the days since are read, nothing goes.
            await daemon.watchers[0].once()
            group.start_soon(daemon.pruner.run)
            with anyio.fail_after(HANGS_SECONDS):
                while not left or left[-1]:
                    asleep = len(rig.clock.asked)
                    while len(rig.clock.asked) == asleep:  # noqa: ASYNC110 - the clock has no event for it
                        await anyio.sleep(0.001)
                    left.append((await daemon.database.read("SELECT count(*) FROM events"))[0][0])
                    rig.move(6)
            group.cancel_scope.cancel()
            # After each step of ten rows it rests.
            assert left == [35, 25, 15, 5, 0]
            pruned = daemon.metrics.registry.get_sample_value
            assert pruned("slurmwatchd_store_pruned_rows_total", {"table": "events"}) == 45
            assert pruned("slurmwatchd_store_pruned_rows_total", {"table": "jobs"}) == 44


async def test_list_met_again_while_it_was_idle_is_kept(tmp_path: Path) -> None:
    with _rig(tmp_path) as rig:
        rig.ended(5, nodelist="n[1-3]")
        rig.ended(5, nodelist="n9")
        await rig.once()
        rig.move(2.5 * DAY)
        rig.ended(5, nodelist="n9")
        await rig.once()
        # Idle since just now, and met again before the last event of before was out of the way.
        rig.move(DAY)
        rig.ended(5, nodelist="n[1-3]")
        await rig.once()
        rig.move(1.5 * DAY)
        await rig.once()
        held = "SELECT seq, expression FROM events LEFT JOIN nodelists ON nodelists.id = events.nodelist"
        assert rig.ask_store(held) == [(4, "n[1-3]")]
        rig.ended(5, nodelist="n[1-3]")
        rig.move(60)
        await rig.once()
        assert rig.ask_store("SELECT expression FROM nodelists ORDER BY expression") == [("n9",), ("n[1-3]",)]
        assert rig.records()[-1]["nodes"] == ["n1", "n2", "n3"]
        assert rig.ask_store("SELECT count(*) FROM nodelist_nodes") == [(4,)]
