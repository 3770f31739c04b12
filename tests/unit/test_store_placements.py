"""Copies of where attempts ran: packed once there are enough, gone with whatever changes one of the attempts."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from slurmwatchd.daemon.pruner import Pruner
from slurmwatchd.model.clock import SystemClock
from slurmwatchd.store import placements
from slurmwatchd.store.database import Database, open_database
from slurmwatchd.store.intake import Intake
from slurmwatchd.store.placements import unpacked
from slurmwatchd.store.read.reader import StoreReader
from slurmwatchd.store.read.suspects import span
from slurmwatchd.telemetry.health import Health
from slurmwatchd.telemetry.metrics import Metrics
from tests.unit.attempts import NOW, Reading, batch, completed, reading, rows
from tests.unit.expiry import expire_events
from tests.unit.set_back import set_back

BEGIN = NOW - NOW % 3600 - 36_000
"""An hour begins."""

STRETCHES = "SELECT start, stop FROM placements ORDER BY start"


@pytest.fixture(autouse=True)
def _small_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placements, "LEAST_ATTEMPTS", 10)


def ended(number: int, end: int, digest: int = 1, **fields: Any) -> Reading:  # noqa: ANN401 - any field
    """An attempt that ran for a minute and a half; every fourth failed."""
    failed = number % 4 == 0
    values: dict[str, Any] = {
        "submit": BEGIN - 5000,
        "start": end - 90,
        "end": end,
        "elapsed_seconds": 90,
        "state": "FAILED" if failed else "COMPLETED",
        "outcome": "failed" if failed else "completed",
        **fields,
    }
    return reading(number, digest, **values)


def a_minute_apart(count: int, first: int = 1) -> list[Reading]:
    return [ended(number, BEGIN + 60 * number) for number in range(first, first + count)]


async def pack_all(database: Database) -> list[int]:
    """Pack until nothing is left to be packed; return how many attempts each stretch has."""
    found: list[int] = []
    while count := await placements.pack(database):
        found.append(count)
    return found


async def stored(database: Database, count: int) -> Intake:
    """Store attempts whose ends are a minute apart, all read up to now."""
    intake = await Intake.load(database)
    await intake.commit(batch(*a_minute_apart(count)), completed(start=BEGIN))
    return intake


def failures(path: Path) -> list[tuple[str, float, float]]:
    with StoreReader(path) as store:
        return [(one.node, one.attempts, one.failures) for one in span(store, "sim", BEGIN, NOW).ranked()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


async def test_the_newest_are_packed_first_and_few_are_left_as_they_are(path: Path) -> None:
    async with open_database(path) as database:
        intake = await stored(database, 9)
        assert await pack_all(database) == []
        await intake.commit(batch(*a_minute_apart(26, first=10), expanded={}))
        assert await pack_all(database) == [10, 10, 15]
        assert await rows(database, STRETCHES) == [
            (BEGIN + 60, BEGIN + 16 * 60),
            (BEGIN + 16 * 60, BEGIN + 26 * 60),
            (BEGIN + 26 * 60, NOW - 900),
        ]
    assert failures(path) == [("n1", 35, 8)]


async def test_what_may_still_come_late_is_not_packed(path: Path) -> None:
    async with open_database(path) as database:
        intake = await Intake.load(database)
        some = [ended(number, NOW - 900 + number) for number in range(30)]
        await intake.commit(batch(*some), completed(start=BEGIN))
        assert await pack_all(database) == []


async def test_a_late_record_removes_the_one_copy_it_belongs_to(path: Path) -> None:
    async with open_database(path) as database:
        intake = await stored(database, 35)
        await pack_all(database)
        first, second, third = await rows(database, STRETCHES)
        await intake.commit(batch(ended(100, second[0]), expanded={}))
        assert await rows(database, STRETCHES) == [first, third]
        assert failures(path) == [("n1", 36, 9)]
        assert await pack_all(database) == [11]
        assert await rows(database, STRETCHES) == [first, second, third]
    assert failures(path) == [("n1", 36, 9)]


async def test_a_revision_removes_the_copies_of_both_ends(path: Path) -> None:
    async with open_database(path) as database:
        intake = await stored(database, 35)
        await pack_all(database)
        _, second, third = await rows(database, STRETCHES)
        revised = ended(1, third[0], digest=2, state="FAILED", outcome="failed")
        await intake.commit(batch(revised, expanded={}))
        assert await rows(database, STRETCHES) == [second]
    assert failures(path) == [("n1", 35, 9)]


async def test_what_is_read_again_unchanged_removes_none(path: Path) -> None:
    async with open_database(path) as database:
        intake = await stored(database, 35)
        await pack_all(database)
        await intake.commit(batch(*a_minute_apart(35), expanded={}))
        assert len(await rows(database, STRETCHES)) == 3


async def test_retention_removes_copies_and_what_is_left_of_the_hour_is_not_packed(path: Path) -> None:
    async with open_database(path) as database:
        await stored(database, 35)
        await pack_all(database)
        _, second, third = await rows(database, STRETCHES)
        await expire_events(database, before=NOW + 1, up_to=3)
        assert await rows(database, STRETCHES) == [second, third]
        assert failures(path) == [("n1", 32, 8)]
        # Twelve are left, and they are the next to go.
        assert await pack_all(database) == []
    assert failures(path) == [("n1", 32, 8)]


async def test_a_damaged_copy_is_worth_no_more_than_none(path: Path) -> None:
    async with open_database(path) as database:
        await stored(database, 35)
        await pack_all(database)
        ((packed,), *_) = await rows(database, "SELECT packed FROM placements")
    whole = unpacked(packed)
    for place in range(len(packed)):
        flipped = packed[:place] + bytes([packed[place] ^ 1]) + packed[place + 1 :]
        assert unpacked(flipped) in (None, whole)
    for damaged in (packed[:20], b"", b"nothing"):
        assert unpacked(damaged) is None
        with closing(sqlite3.connect(path)) as store:
            store.execute("UPDATE placements SET packed = ? WHERE id = 1", (damaged,))
            store.commit()
        assert failures(path) == [("n1", 35, 8)]


async def test_a_store_of_an_older_version_is_read_without_copies(path: Path) -> None:
    async with open_database(path) as database:
        await stored(database, 35)
    set_back(path, "CREATE TABLE placements", "DROP TABLE placements")
    await copies_are_made_anew(path)


async def test_copies_of_an_earlier_form_are_made_anew(path: Path) -> None:
    async with open_database(path) as database:
        await stored(database, 35)
        await pack_all(database)
    set_back(path, "DELETE FROM placements", "UPDATE placements SET packed = CAST('an earlier form' AS BLOB)")
    await copies_are_made_anew(path)


async def copies_are_made_anew(path: Path) -> None:
    """The search finds the same without copies, and with those that the daemon makes."""
    assert failures(path) == [("n1", 35, 8)]
    async with open_database(path) as database:
        assert await pack_all(database) == [10, 10, 15]
    assert failures(path) == [("n1", 35, 8)]


async def test_none_is_made_before_all_rows_say_why_they_ended(path: Path) -> None:
    async with open_database(path) as database:
        await stored(database, 35)
        await database.write(lambda connection: connection.execute("INSERT INTO unsummed VALUES (0, 35)"))
        assert await pack_all(database) == []


async def test_one_that_does_not_say_why_it_ended_is_not_packed(path: Path) -> None:
    async with open_database(path) as database:
        await stored(database, 15)
        unsaid = "UPDATE jobs SET outcome_code = NULL WHERE id = 3"
        await database.write(lambda connection: connection.execute(unsaid))
        assert await pack_all(database) == []
    assert failures(path) == [("n1", 15, 3)]


async def test_the_daemon_makes_them_beside_its_retention(path: Path) -> None:
    async with open_database(path) as database:
        await stored(database, 35)
        pruner = Pruner(
            database, retain_seconds=10**9, sinks=(), clusters=(), archiver=None, clock=SystemClock(),
            metrics=Metrics(), health=Health(SystemClock()),
        )  # fmt: skip
        await pruner.round(rest=False)
        assert len(await rows(database, STRETCHES)) == 3
