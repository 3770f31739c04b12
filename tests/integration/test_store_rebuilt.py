"""A store that was lost or damaged is made anew from sacct; what the files hold already is not written again."""

import gzip
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from slurmwatchd.daemon.delivery import Delivery
from tests.integration.rig import START, Rig
from tests.sim_truth import differences

HOUR = 3600


def _lose_store(rig: Rig) -> None:
    for suffix in ("", "-wal", "-shm", ".lock"):
        rig.store.with_name(rig.store.name + suffix).unlink(missing_ok=True)


def _damage_store(rig: Rig) -> None:
    """Spoil the root page of the table of events, which the next start looks at."""
    ((page,),) = rig.ask_store("SELECT rootpage FROM sqlite_master WHERE name = 'events'")
    ((size,),) = rig.ask_store("PRAGMA page_size")
    with rig.store.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)


def _asides(rig: Rig) -> list[str]:
    return sorted(path.name for path in rig.folder.glob("store.db.corrupt-*"))


async def _three_then(rig: Rig) -> None:
    for number in range(3):
        rig.ended(5, job_name=f"before {number}")
        await rig.once()
        rig.move(30)


@pytest.mark.parametrize("how", ["lost", "damaged"])
async def test_what_the_file_has_is_not_written_again_and_what_it_lacks_is(tmp_path: Path, how: str) -> None:
    with Rig(tmp_path) as rig:
        await _three_then(rig)
        (_lose_store if how == "lost" else _damage_store)(rig)
        rig.ended(5, job_name="meanwhile")
        rig.move(30)
        await rig.once()
        assert rig.names() == ["before 0", "before 1", "before 2", "meanwhile"]
        assert differences(rig.cluster, rig.records()) == []
        assert [record["seq"] for record in rig.records()][:3] == [1, 2, 3]
        # Positions go on above the highest that any file has.
        assert rig.ask_store("SELECT min(seq), max(seq) FROM events") == [(4, 7)]
        assert 4 <= rig.records()[3]["seq"] <= 7
        assert rig.ask_store("SELECT count(*) FROM jobs") == [(4,)]
        assert len(_asides(rig)) == (how == "damaged")
        # What was met again needs no remembering; and the daemon goes on as ever.
        assert rig.ask_store("SELECT count(*) FROM told") == [(0,)]
        rig.ended(5, job_name="afterwards")
        rig.move(30)
        await rig.once()
        assert rig.names()[3:] == ["meanwhile", "afterwards"]
        assert differences(rig.cluster, rig.records()) == []


async def test_events_in_rotated_and_compressed_files_are_not_written_again(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        await _three_then(rig)
        rig.file.rename(tmp_path / "jobs.jsonl.1")
        first = (tmp_path / "jobs.jsonl.1").read_bytes()
        (tmp_path / "jobs.jsonl.2.gz").write_bytes(gzip.compress(first))
        (tmp_path / "jobs.jsonl.1").unlink()
        rig.ended(5, job_name="in jobs.jsonl.1")
        await rig.once()
        rig.file.rename(tmp_path / "jobs.jsonl.1")
        rig.move(30)
        rig.ended(5, job_name="in jobs.jsonl")
        await rig.once()
        _lose_store(rig)
        rig.move(30)
        await rig.once()
        assert rig.names() == ["in jobs.jsonl"]
        assert rig.ask_store("SELECT events, oldest FROM readbacks WHERE sink = 'jobs'") == [(5, 0)]
        assert rig.ask_store("SELECT count(*) FROM jobs") == [(5,)]


async def test_reading_begins_where_the_damaged_store_began(tmp_path: Path) -> None:
    with Rig(tmp_path, poll={"since": "1h"}) as rig:
        rig.ended(50 * 60, job_name="early")
        await rig.once()
        # Much later than `since` reaches back, the damage; in between everything was told.
        rig.move(30 * HOUR)
        rig.ended(29 * HOUR, job_name="while it was down")
        _damage_store(rig)
        await rig.once()
        assert rig.ask_store("SELECT horizon FROM horizons") == [(START - HOUR,)]
        assert rig.names() == ["early", "while it was down"]
        assert differences(rig.cluster, rig.records()) == []


async def test_nonsense_in_what_is_left_of_a_damaged_store_keeps_nobody_from_starting(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        await _three_then(rig)
        with closing(sqlite3.connect(rig.store, isolation_level=None)) as store:
            store.execute("UPDATE meta SET value = '3;' WHERE key = 'last seq'")
            store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        _damage_store(rig)
        await rig.once()
        rig.ended(5, job_name="afterwards")
        await rig.once()
        assert rig.names() == ["before 0", "before 1", "before 2", "afterwards"]
        assert [record["seq"] for record in rig.records()][:3] == [1, 2, 3]
        assert rig.ask_store("SELECT min(seq) FROM events") == [(4,)]


async def test_lost_store_is_read_anew_from_as_far_back_as_records_may_be_late(tmp_path: Path) -> None:
    with Rig(tmp_path, poll={"since": "1h", "reread": ["5m", "2h"]}) as rig:
        await _three_then(rig)
        rig.move(9 * HOUR)
        rig.ended(10, job_name="latest")
        await rig.once()
        _lose_store(rig)
        # It ended before the last line was written, but slurmdbd shows it only now; `since` would begin after it.
        rig.move(5 * HOUR)
        rig.ended(6 * HOUR, job_name="late")
        await rig.once()
        assert rig.names()[3:] == ["latest", "late"]
        assert differences(rig.cluster, rig.records()) == []


async def test_what_ended_before_the_files_begin_was_told_in_files_that_are_gone(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        await _three_then(rig)
        rig.file.unlink()
        rig.move(10 * 60)
        rig.ended(5, job_name="in the file")
        await rig.once()
        _damage_store(rig)
        rig.move(30)
        await rig.once()
        assert rig.ask_store("SELECT count(*) FROM jobs") == [(4,)]
        assert rig.names() == ["in the file"]
        # What is found later at such an old time was not told: a re-read found it.
        rig.ended(9 * 60, job_name="late")
        rig.move(20 * 60)
        await rig.once()
        assert rig.names() == ["in the file", "late"]


async def test_event_that_no_sink_had_when_the_store_was_lost_is_told_once(tmp_path: Path) -> None:
    files = {name: {"type": "jsonl", "path": str(tmp_path / f"{name}.jsonl")} for name in ("jobs", "dead")}
    with Rig(tmp_path, sinks=files) as rig:
        await _three_then(rig)
        dead = (tmp_path / "dead.jsonl").read_bytes().splitlines(keepends=True)
        # One file lacks the last event, as if its disk had been full.
        (tmp_path / "dead.jsonl").write_bytes(b"".join(dead[:2]))
        _lose_store(rig)
        await rig.once()
        assert differences(rig.cluster, rig.records()) == []
        assert differences(rig.cluster, rig.records("dead.jsonl")) == []


async def test_revisions_go_on_above_those_in_the_file(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        key = rig.ended(5, job_name="revised")
        await rig.once()
        rig.cluster.update_job(key, admin_comment="one")
        rig.move(10 * 60)
        await rig.once()
        assert [record["revision"] for record in rig.records()] == [1, 2]
        _lose_store(rig)
        rig.move(30)
        await rig.once()
        assert len(rig.records()) == 2
        rig.cluster.update_job(key, admin_comment="two")
        rig.move(30 * 60)
        await rig.once()
        told = [(r["event"], r["revision"], r.get("changed")) for r in rig.records()]
        assert told[2:] == [("job_revised", 3, {"admin_comment": ["one", "two"]})]
        assert len({record["id"] for record in rig.records()}) == 3


@pytest.mark.parametrize("how", ["lost", "damaged"])
async def test_totals_of_prometheus_count_nothing_twice(tmp_path: Path, how: str) -> None:
    with Rig(tmp_path) as rig:
        await _three_then(rig)
        (_lose_store if how == "lost" else _damage_store)(rig)
        rig.move(10)
        rig.ended(5, job_name="meanwhile")
        async with rig.daemon() as daemon:
            await daemon.once()
            counted = daemon.metrics.registry.get_sample_value(
                "slurmwatchd_jobs_ended_total",
                {"slurm_cluster": "sim", "partition": rig.records()[0]["partition"], "state": "COMPLETED"},
            )
        # A damaged store still has the totals; those of a lost one begin at zero, without a leap.
        assert counted == (4 if how == "damaged" else 1)


async def test_rebuilding_that_was_cut_off_is_begun_again_with_what_was_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Rig(tmp_path) as rig:
        await _three_then(rig)
        _damage_store(rig)
        with monkeypatch.context() as patch:
            patch.setattr("slurmwatchd.store.repair.salvage.keep", _die)
            with pytest.raises(KeyboardInterrupt):
                await rig.once()
        rig.move(30 * HOUR)
        await rig.once()
        assert rig.ask_store("SELECT horizon FROM horizons") == [(START - HOUR,)]
        assert len(_asides(rig)) == 1
        assert differences(rig.cluster, rig.records()) == []


def _die(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


async def test_renamed_sink_does_not_write_again_what_its_file_has(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        await _three_then(rig)
        options = rig.config.sinks
        rig.config = rig.config.model_copy(update={"sinks": {"other": options["jobs"]}})
        rig.move(30)
        rig.ended(5, job_name="after")
        await rig.once()
        assert rig.names() == ["before 0", "before 1", "before 2", "after"]


async def test_renamed_sink_whose_older_file_is_gone_is_told_of_a_record_that_shows_late(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.ended(5, job_name="in the file that is gone")
        await rig.once()
        (tmp_path / "old").mkdir()
        rig.file.rename(tmp_path / "old" / "jobs.jsonl.1")
        rig.move(600)
        rig.ended(5, job_name="in the file")
        await rig.once()
        rig.config = rig.config.model_copy(update={"sinks": {"other": rig.config.sinks["jobs"]}})
        rig.move(30)
        # It ended before the file's first event was seen, and slurmdbd shows it only now.
        rig.ended(100, job_name="late")
        await rig.once()
        assert rig.names() == ["in the file", "late"]


class _Killed(Exception):  # noqa: N818 - the end of a process, and no error of it
    """Where the process ends."""


@pytest.mark.parametrize("cursors", [0, 1, 2])
async def test_crash_between_the_first_cursors_of_two_sinks_repeats_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cursors: int
) -> None:
    names = ("first", "second")
    files = {name: {"type": "jsonl", "path": str(tmp_path / f"{name}.jsonl")} for name in names}
    with Rig(tmp_path, sinks=files) as rig:
        rig.ended(5, job_name="in a file that is gone")
        await rig.once()
        for name in names:
            (tmp_path / f"{name}.jsonl").unlink()
        rig.move(30)
        rig.ended(5, job_name="in the files")
        await rig.once()
        _lose_store(rig)
        rig.move(30)
        rig.ended(5, job_name="in no file")
        entered = 0
        enter = Delivery.enter

        async def until_killed(delivery: Delivery) -> None:
            nonlocal entered
            if entered == cursors:
                raise _Killed
            entered += 1
            await enter(delivery)

        with monkeypatch.context() as patch:
            patch.setattr(Delivery, "enter", until_killed)
            with pytest.raises(_Killed):
                await rig.once()
        await rig.once()
        for name in names:
            records = rig.records(f"{name}.jsonl")
            assert [record["name"] for record in records] == ["in the files", "in no file"]
