"""Who waits for usage: in and out with the transactions that store and tell, never twice, never forgotten."""

import sqlite3
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from slurmwatchd.model.records import FoundBy
from slurmwatchd.store import ledger, outbox, usage, usage_queue
from slurmwatchd.store.database import open_database
from slurmwatchd.store.intake import Intake
from slurmwatchd.store.usage import UsageResults
from tests.unit.attempts import NOW, attempt, batch, reading, rows

USAGE = b',"usage":{"steps":1,"complete":true}'


def told(*entries: usage_queue.WaitingAttempt) -> UsageResults:
    return UsageResults(told={entry.job: (entry.seq, USAGE) for entry in entries}, later={}, observed=NOW + 5)


async def test_new_attempts_wait_also_over_a_restart_and_are_told_once(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database, usage=True)
        await intake.commit(batch(reading(1), reading(2)))
        await intake.commit(batch(reading(2), observed=NOW + 30, found_by=FoundBy.REREAD))
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database, usage=True)
        entries = await usage_queue.due(database, "sim", now=NOW, limit=10)
        assert [orjson.loads(entry.body)["job_id_raw"] for entry in entries] == [1, 2]
        assert await usage.tell(intake, told(*entries)) == 2
        # The same answer again, as after a crash of whoever asked.
        assert await usage.tell(intake, told(*entries)) == 0
        events = await outbox.after(database, 2, 10)
        assert [(event.seq, event.kind, event.revision, event.time) for event in events] == [
            (3, "job_usage", 1, NOW - 60),
            (4, "job_usage", 1, NOW - 60),
        ]
        assert orjson.loads(events[0].body)["usage"] == {"steps": 1, "complete": True}
        assert orjson.loads(events[0].body)["name"] == "job 1"
        assert (events[0].nodes, events[0].observed, events[0].found_by) == (b'["n1"]', NOW + 5, "poll")
        assert await rows(database, "SELECT id, seq, usage_seq FROM jobs ORDER BY id") == [(1, 1, 3), (2, 2, 4)]
        assert intake.last_seq == 4
        assert await rows(database, "SELECT value FROM meta WHERE key = 'last seq'") == [("4",)]


async def test_usage_from_memory_is_that_of_the_store(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database, usage=True)
        await intake.commit(batch(reading(1), reading(2, node_list=None, end=None)))
        await intake.commit(batch((attempt(1, comment="new"), 2), found_by=FoundBy.REREAD))
        entries = await usage_queue.due(database, "sim", now=NOW, limit=10)
        assert await usage.tell(intake, told(*entries)) == 2
        await intake.commit(batch(reading(3), reading(4)))
        assert database.recent.after(3, 10) is not None
        quick = await outbox.after(database, 0, 10)
        database.recent.clear()
        assert await outbox.after(database, 0, 10) == quick
        assert [(event.seq, event.kind) for event in quick] == [
            (1, "job_ended"), (2, "job_ended"), (3, "job_revised"), (4, "job_usage"), (5, "job_usage"),
            (6, "job_ended"), (7, "job_ended"),
        ]  # fmt: skip


async def test_usage_found_in_two_ways_is_read_from_the_store(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database, usage=True)
        await intake.commit(batch(reading(1)))
        await intake.commit(batch(reading(2), found_by=FoundBy.REREAD))
        entries = await usage_queue.due(database, "sim", now=NOW, limit=10)
        assert await usage.tell(intake, told(*entries)) == 2
        assert database.recent.after(2, 10) is None
        found = [(event.seq, event.found_by) for event in await outbox.after(database, 2, 10)]
        assert found == [(3, "poll"), (4, "reread")]


async def test_attempt_revised_since_it_was_read_is_told_with_its_new_record(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database, usage=True)
        await intake.commit(batch(reading(1)))
        stale = await usage_queue.due(database, "sim", now=NOW, limit=10)
        await intake.commit(batch((attempt(1, comment="new"), 2), found_by=FoundBy.REREAD))
        assert await usage.tell(intake, told(*stale)) == 0
        assert await usage_queue.count(database, "sim") == 1
        fresh = await usage_queue.due(database, "sim", now=NOW, limit=10)
        assert await usage.tell(intake, told(*fresh)) == 1
        event = (await outbox.after(database, 2, 10))[0]
        assert orjson.loads(event.body)["comment"] == "new"
        # What found the attempt, not what revised it: a sink without backfills goes by this.
        assert event.found_by is FoundBy.POLL


async def test_a_revision_after_the_usage_is_told_is_compared_with_the_record(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database, usage=True)
        await intake.commit(batch(reading(1)))
        await usage.tell(intake, told(*await usage_queue.due(database, "sim", now=NOW, limit=10)))
        await intake.commit(batch((attempt(1, comment="later"), 2), found_by=FoundBy.REREAD))
        event = (await outbox.after(database, 2, 10))[0]
        assert (event.kind, event.revision) == ("job_revised", 2)
        assert orjson.loads(event.changed or b"") == {"comment": [None, "later"]}
        assert await usage_queue.count(database, "sim") == 0


async def test_what_is_to_be_asked_later_is_not_due_before(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database, usage=True)
        await intake.commit(batch(reading(1)))
        (entry,) = await usage_queue.due(database, "sim", now=NOW, limit=10)
        await usage.tell(intake, UsageResults(told={}, later={entry.job: NOW + 300}, observed=NOW))
        assert await usage_queue.due(database, "sim", now=NOW + 299, limit=10) == []
        (again,) = await usage_queue.due(database, "sim", now=NOW + 300, limit=10)
        assert (again.job, again.asked) == (entry.job, 1)


async def test_who_waits_belongs_to_a_cluster_also_after_it_got_its_name(tmp_path: Path) -> None:

    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database, usage=True)
        await intake.commit(batch(reading(1), cluster="local"))
        assert await usage_queue.due(database, "sim", now=NOW, limit=10) == []
        await ledger.rename(database, "local", "sim")
        assert len(await usage_queue.due(database, "sim", now=NOW, limit=10)) == 1


async def test_nobody_waits_where_usage_is_not_wanted(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        await intake.commit(batch(reading(1)))
        assert await usage_queue.count(database, "sim") == 0


@pytest.mark.parametrize(
    ("next_seq", "place"),
    [
        (1, -(1 << 23)),
        (7_000_000, -(1 << 23)),
        (8_000_000, -(1 << 31)),
        (1 << 31, -(1 << 47)),
        (1 << 50, -(1 << 63)),
    ],
)
def test_the_place_of_a_usage_takes_as_many_bytes_as_its_position_will(next_seq: int, place: int) -> None:
    assert usage_queue.place(next_seq, wanted=True) == {"usage_seq": place}
    assert usage_queue.place(next_seq, wanted=False) == {}


async def test_usage_that_comes_later_takes_no_more_pages(tmp_path: Path) -> None:
    with closing(sqlite3.connect(":memory:")) as any_database:
        options = [row[0] for row in any_database.execute("PRAGMA compile_options")]
    if "ENABLE_DBSTAT_VTAB" not in options:
        pytest.skip("this SQLite does not count a table's pages")
    pages = "SELECT count(*) FROM dbstat WHERE name = 'jobs'"
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database, usage=True)
        await intake.commit(batch(*map(reading, range(1, 1501))))
        assert await rows(database, "SELECT count(*) FROM jobs WHERE usage_seq IS NULL OR usage_seq > 0") == [(0,)]
        before = await rows(database, pages)
        entries = await usage_queue.due(database, "sim", now=NOW, limit=1500)
        assert await usage.tell(intake, told(*entries)) == 1500
        assert await rows(database, "SELECT count(*) FROM jobs WHERE usage_seq > 1500") == [(1500,)]
        assert await rows(database, pages) == before
