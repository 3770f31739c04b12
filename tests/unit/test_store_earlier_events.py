"""The events of an attempt, found without an index of all events: the newest, its usage, and the earlier ones."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from slurmwatchd.store import usage
from slurmwatchd.store.database import Database, open_database
from slurmwatchd.store.intake import Intake
from slurmwatchd.store.read import events, status
from slurmwatchd.store.read.reader import StoreReader
from slurmwatchd.store.usage import UsageResults
from tests.unit import old_store
from tests.unit.attempts import NOW, batch, reading, rows
from tests.unit.expiry import expire_events

EARLIER = "SELECT job, seq FROM earlier_events ORDER BY 1, 2"


async def fill(database: Database) -> None:
    """Three attempts of two users, events 1 to 3; usage of the first; it is revised twice, and the second once."""
    intake = await Intake.load(database, usage=True)
    await intake.commit(batch(reading(1), reading(2, user="bob"), reading(3)))
    await usage.tell(
        intake, UsageResults(told={1: (1, b',"usage":{"steps":1,"complete":true}')}, later={}, observed=NOW)
    )
    await intake.commit(batch(reading(1, 2, state="FAILED"), reading(2, 2, user="bob", state="FAILED")))
    await intake.commit(batch(reading(1, 3, state="TIMEOUT")))


async def test_every_event_of_an_attempt_is_found(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with open_database(path) as database:
        await fill(database)
        assert await rows(database, EARLIER) == [(1, 1), (1, 5), (2, 2)]
    with StoreReader(path) as reader:
        assert [(line["seq"], line["event"]) for line in status.history(reader, 1)] == [
            (1, "job_ended"), (4, "job_usage"), (5, "job_revised"), (7, "job_revised"),
        ]  # fmt: skip
        assert [line["seq"] for line in status.history(reader, 2)] == [2, 6]
        assert [line["seq"] for line in status.history(reader, 3)] == [3]
        assert status.history(reader, 4) == []


@pytest.mark.parametrize("near", [1000, 0])
async def test_the_events_of_a_user_are_found_near_and_far(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, near: int
) -> None:
    monkeypatch.setattr(events, "_NEAR", near)
    path = tmp_path / "store.db"
    async with open_database(path) as database:
        await fill(database)
    with StoreReader(path) as reader:
        assert events.positions(reader, 0, 100, user="ann") == ([1, 3, 4, 5, 7], 7)
        assert events.positions(reader, 1, 3, user="ann") == ([3, 4, 5], 5)
        assert events.positions(reader, 0, 100, user="bob") == ([2, 6], 7)
        assert events.positions(reader, 6, 100, user="bob") == ([], 7)


async def test_what_expires_is_forgotten(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        await fill(database)
        await (await Intake.load(database)).commit(batch(reading(9), observed=NOW + 100))
        await expire_events(database, before=NOW + 50, up_to=7)
        assert await rows(database, "SELECT seq FROM events") == [(8,)]
        assert await rows(database, EARLIER) == []


async def test_a_store_of_before_has_the_same_history_before_and_after(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    old_store.make(path, 40)
    with closing(sqlite3.connect(path)) as store:
        expected = {
            job: [row[0] for row in store.execute("SELECT seq FROM events WHERE job = ? ORDER BY 1", (job,))]
            for job in range(1, 41)
        }
    assert {len(seqs) for seqs in expected.values()} == {1, 2, 3}
    with StoreReader(path) as reader:
        assert {job: [line["seq"] for line in status.history(reader, job)] for job in expected} == expected
    async with open_database(path):
        pass
    with StoreReader(path) as reader:
        assert {job: [line["seq"] for line in status.history(reader, job)] for job in expected} == expected
