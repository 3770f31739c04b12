"""The store, asked by scripts: aware times, nodes, totals, the same answers with and without an event loop."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from slurmwatchd import connector
from slurmwatchd.connector import Question, Slurm, Totals, jobs_running_between
from slurmwatchd.connector.from_store import FIELDS
from slurmwatchd.errors import StoreError
from slurmwatchd.sources.sacct.fields import ASKED
from slurmwatchd.store.database import open_database
from slurmwatchd.store.intake import Intake
from tests.unit.attempts import NOW, batch, reading

# 2026-11-23T02:13:20Z.
T = datetime.fromtimestamp(NOW, UTC)
EXPANDED = {"n1": ("n1",), "n[1-3]": ("n1", "n2", "n3")}


def ago(seconds: int) -> datetime:
    return T - timedelta(seconds=seconds)


@pytest.fixture
async def path(tmp_path: Path) -> AsyncIterator[Path]:
    """A store that a daemon has open."""
    file = tmp_path / "s.db"
    async with open_database(file) as database:
        intake = await Intake.load(database)
        await intake.commit(
            batch(
                reading(5, submit=NOW - 500, start=NOW - 490, end=NOW - 400, state="REQUEUED"),
                reading(5, submit=NOW - 400, start=NOW - 390, end=NOW - 300, node_list="n[1-3]", node_count=3),
                reading(
                    6, job_id="4_1", array_job_id=4, array_task_id=1, name="a|b\nc", state="FAILED", exit_code=2
                ),
                reading(
                    7, start=None, node_list=None, state="CANCELLED", cancelled_by_uid=1000, elapsed_seconds=90061
                ),
                expanded=EXPANDED,
            )
        )
        yield file


async def test_jobs_have_all_attempts_with_aware_times(path: Path) -> None:
    with connector.open(path) as store:
        first, second = store.jobs(5)
        assert [first["state"], second["state"]] == ["REQUEUED", "COMPLETED"]
        assert (first["start"], first["end"]) == (ago(490), ago(400))
        assert first["start"].tzinfo is UTC
        assert second["nodes"] == ["n1", "n2", "n3"]
        assert [record["name"] for record in store.jobs("4")] == ["a|b\nc"]
        assert [record["job_id_raw"] for record in store.jobs("4_1", 7)] == [6, 7]
        assert store.jobs(7)[0]["start"] is None
        assert store.jobs(99) == store.jobs() == []


async def test_what_ran_when_and_where(path: Path) -> None:
    with connector.open(path) as store:
        assert [record["submit"] for record in store.running_between(ago(400), ago(395))] == [ago(500)]
        assert [record["job_id"] for record in store.running_between(ago(390), ago(70))] == ["5", "4_1"]
        assert [record["job_id"] for record in store.on_node("n2", ago(390))] == ["5"]
        assert store.on_node("n2", ago(391)) == store.on_node("n9", ago(390)) == []
        assert store.nodes_of(5) == {"n1", "n2", "n3"}
        assert store.nodes_of(7) == set()
        zone = timezone(timedelta(hours=9))
        assert len(store.running_between(ago(400).astimezone(zone), ago(395).astimezone(zone))) == 1
        naive = ago(400).astimezone().replace(tzinfo=None)
        assert len(store.running_between(naive, naive)) == 1
        with pytest.raises(ValueError, match="is before the start"):
            store.running_between(ago(1), ago(2))


async def test_totals_are_node_hours_inside_the_interval(path: Path) -> None:
    with connector.open(path) as store:
        # 90 s on one node, then 30 of the 90 s on three.
        assert store.totals(ago(490), ago(360)) == {None: Totals(ran=2, ended=1, node_hours=(90 + 3 * 30) / 3600)}
        assert store.totals(ago(490), T, by="state")["REQUEUED"] == Totals(ran=1, ended=1, node_hours=90 / 3600)


async def test_the_async_face_gives_the_same(path: Path) -> None:
    async with connector.open_async(path) as store:
        with connector.open(path) as plain:
            assert await store.jobs(5, 6) == plain.jobs(5, 6)
            assert await store.running_between(ago(400), T) == plain.running_between(ago(400), T)
            assert await store.on_node("n1", ago(390)) == plain.on_node("n1", ago(390))
            assert await store.nodes_of(5) == {"n1", "n2", "n3"}
            assert await store.totals(ago(490), T) == plain.totals(ago(490), T)
            assert [record async for record in store.find(Question())] == list(plain.find(Question()))
        # Several at once take turns at the one file.
        found = await asyncio.gather(*(store.jobs(5) for _ in range(20)))
        assert all(len(attempts) == 2 for attempts in found)
    with pytest.raises(RuntimeError, match="open it first"):
        await connector.open_async(path).jobs(5)


async def test_a_long_answer_comes_whole(tmp_path: Path) -> None:
    async with open_database(tmp_path / "s.db") as database:
        intake = await Intake.load(database)
        await intake.commit(batch(*(reading(number) for number in range(1, 1502))))
        async with connector.open_async(tmp_path / "s.db") as store:
            numbers = [record["job_id_raw"] async for record in store.find(Question())]
        assert numbers == list(range(1, 1502))


async def test_slurm_is_filled_from_the_store_without_sacct(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    slurm = Slurm(5, store=path, tz=UTC)
    assert slurm == {
        "5": {"jobidraw": "5", "start": ago(390), "end": ago(300), "nodelist": {"n1", "n2", "n3"}},
    }
    assert slurm.earlier["5"][0]["5"]["end"] == ago(400)
    with connector.open(path) as store:
        assert Slurm("4_1", store=store).load_keys("JobID", "jobname", "exitcode", "State")["6"] == {
            "jobidraw": "6",
            "start": ago(70).astimezone().replace(tzinfo=None),
            "end": ago(60).astimezone().replace(tzinfo=None),
            "nodelist": {"n1"},
            "jobid": "4_1",
            "jobname": "a|b\nc",
            "exitcode": "2:0",
            "state": "FAILED",
        }
        cancelled = Slurm(7, store=store).load_keys("state", "elapsed", "eligible", "comment")["7"]
        assert (cancelled["state"], cancelled["elapsed"], cancelled["comment"]) == (
            "CANCELLED by 1000",
            "1-01:01:01",
            "",
        )
        assert (cancelled["start"], cancelled["nodelist"]) == (None, set())
        assert Slurm(99, store=store) == {}
        with pytest.raises(ValueError, match="the store does not have maxrss: only "):
            Slurm(5, store=store).load_keys("MaxRSS")


async def test_slurm_has_what_newer_releases_say_from_the_store(tmp_path: Path) -> None:
    said: dict[str, Any] = {
        "mcs_label": "secret", "reservation_id": 17, "std_in": "/dev/null", "std_out": "/home/ada/%j.out",
        "std_err": "/home/ada/%j.err", "qos_req": "high", "req_reservation": "maint", "segment_size": 4,
        "original_sluid": "s2XYZ", "exclusive": "user", "oversubscribe": "NO",
    }  # fmt: skip
    expected = {
        "mcslabel": "secret", "reservationid": "17", "stdin": "/dev/null", "stdout": "/home/ada/%j.out",
        "stderr": "/home/ada/%j.err", "qosreq": "high", "reqreservation": "maint", "segmentsize": "4",
        "originalsluid": "s2XYZ", "exclusive": "user", "oversubscribe": "NO",
    }  # fmt: skip
    async with open_database(tmp_path / "s.db") as database:
        await (await Intake.load(database)).commit(batch(reading(8, **said), reading(9)))
    slurm = Slurm("8,9", store=tmp_path / "s.db").load_keys(*expected)
    assert {name: slurm["8"][name] for name in expected} == expected
    assert {slurm["9"][name] for name in expected} == {""}


def test_of_what_the_daemon_asks_for_only_amounts_are_not_there_in_sacct_words() -> None:
    asked = {name.lower() for names in ASKED.values() for name in names[:1]}
    assert asked - set(FIELDS) == {"reqtres", "alloctres", "timelimitraw"}


async def test_running_between_from_the_store(path: Path) -> None:
    found = jobs_running_between(ago(400), ago(70), ["jobid", "state"], store=path)
    assert found == {"5": {"jobid": "5", "state": "COMPLETED"}, "4_1": {"jobid": "4_1", "state": "FAILED"}}
    assert found.earlier == {"5": [{"5": {"jobid": "5", "state": "REQUEUED"}}]}
    assert list(jobs_running_between(ago(400), ago(400), store=path)) == ["5"]


async def test_a_store_that_is_gone_or_broken_is_an_error_that_names_it(tmp_path: Path) -> None:
    for ask in (connector.open, lambda path: Slurm(5, store=path)):
        with pytest.raises(StoreError, match=r"none\.db: there is no store yet"):
            ask(tmp_path / "none.db")
    with pytest.raises(StoreError, match=r"none\.db"):
        await connector.open_async(tmp_path / "none.db").__aenter__()


async def test_reading_leaves_the_daemon_free_to_write(path: Path) -> None:
    with connector.open(path) as store:
        records = store.find(Question())
        next(records)
        with closing(sqlite3.connect(path, timeout=0.1)) as writer:
            writer.execute("UPDATE meta SET value = value")
            writer.commit()
            assert writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        assert len(list(records)) == 3
