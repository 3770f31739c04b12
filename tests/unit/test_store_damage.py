"""Damage to the store's file: met at the start or in use, the file is set aside and a new one takes its place."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from slurmwatchd.errors import StoreCorruptError, StoreError, StoreFullError
from slurmwatchd.store.database import open_database
from slurmwatchd.store.intake import Intake
from slurmwatchd.store.repair import damage
from tests.unit.attempts import batch, completed, reading, rows
from tests.unit.subjects import disk_full


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "slurmwatchd.db"


async def _fill(path: Path, count: int = 1) -> None:
    async with open_database(path) as database:
        intake = await Intake.load(database)
        await intake.commit(batch(*(reading(number) for number in range(count))), completed())


def _spoil(path: Path, page: int, *, at: int = 0) -> None:
    with closing(sqlite3.connect(path)) as store:
        ((size,),) = store.execute("PRAGMA page_size").fetchall()
    with path.open("r+b") as file:
        file.seek((page - 1) * size + at)
        file.write(b"\xa5" * (size - at))


def _root(path: Path, name: str) -> int:
    with closing(sqlite3.connect(path)) as store:
        return int(store.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()[0])


def _page_with(path: Path, seq: int) -> int:
    with closing(sqlite3.connect(path)) as store:
        ((size,),) = store.execute("PRAGMA page_size").fetchall()
        ((body,),) = store.execute("SELECT body FROM events WHERE seq = ?", (seq,)).fetchall()
    return path.read_bytes().index(body) // int(size) + 1


def _asides(path: Path) -> list[str]:
    return sorted(found.name for found in path.parent.glob("slurmwatchd.db.corrupt-*"))


def _state(path: Path) -> str:
    return path.with_name("slurmwatchd.db.lock").read_text().split("\n")[1].strip()


@pytest.mark.parametrize(
    "table", ["meta", "cursors", "horizons", "coverage", "jobs", "events", "nodelists", "ledger"]
)
async def test_store_with_a_spoilt_table_is_set_aside_at_the_start(path: Path, table: str) -> None:
    await _fill(path)
    _spoil(path, _root(path, table))
    before = path.read_bytes()
    async with open_database(path) as database:
        (aside,) = _asides(path)
        assert database.aside == path.with_name(aside)
        assert await rows(database, "SELECT count(*) FROM jobs") == [(0,)]
        assert _state(path) == f"rebuilding {aside}"
        database.rebuilt()
        assert _state(path) == "open"
    assert path.with_name(aside).read_bytes() == before
    async with open_database(path) as database:
        assert database.aside is None
        assert _asides(path) == [aside]


@pytest.mark.parametrize("spoilt", ["first page", "all but the first pages", "zeros"])
async def test_file_that_is_hardly_a_database_is_set_aside_where_it_was_ours(path: Path, spoilt: str) -> None:
    await _fill(path)
    text = path.read_bytes()
    if spoilt == "first page":
        path.write_bytes(text[:100] + b"\xa5" * 3996 + text[4096:])
    elif spoilt == "zeros":
        path.write_bytes(bytes(len(text)))
        path.with_name("slurmwatchd.db.lock").unlink()
    else:
        path.write_bytes(text[:8192])
    async with open_database(path) as database:
        assert len(_asides(path)) == 1
        assert await rows(database, "SELECT count(*) FROM jobs") == [(0,)]


async def test_spoilt_database_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as foreign:
        foreign.execute("CREATE TABLE photos (id INTEGER)")
    spoilt = path.read_bytes()[:100] + b"\xa5" * 3996 + path.read_bytes()[4096:]
    path.write_bytes(spoilt)
    with pytest.raises(StoreError, match="malformed"):
        async with open_database(path):
            pass
    assert _asides(path) == []
    assert path.read_bytes() == spoilt


async def test_damage_met_while_reading_is_noted_and_the_next_start_sets_the_store_aside(path: Path) -> None:
    await _fill(path, 3000)
    _spoil(path, _page_with(path, 1500))
    # Closed in order, so that only the ends of the large tables are looked at.
    async with open_database(path) as database:
        assert database.aside is None
        with pytest.raises(StoreCorruptError, match=r"slurmwatchd\.db: database disk image is malformed"):
            await database.read("SELECT sum(length(body)), sum(length(CAST(changed AS TEXT))) FROM events")
        assert _state(path) == "corrupt"
    assert _state(path) == "corrupt"
    async with open_database(path) as database:
        assert len(_asides(path)) == 1
        assert await rows(database, "SELECT count(*) FROM jobs") == [(0,)]


@pytest.mark.parametrize(("left", "found"), [("closed", False), ("open", True)])
async def test_all_of_a_store_that_was_not_closed_is_looked_over(path: Path, left: str, found: bool) -> None:
    await _fill(path, 3000)
    _spoil(path, _page_with(path, 1500))
    lock = path.with_name("slurmwatchd.db.lock")
    lock.write_text(lock.read_text().replace("closed", left))
    async with open_database(path):
        assert bool(_asides(path)) is found


async def test_look_at_a_store_that_was_not_closed_costs_no_more_than_its_time(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await _fill(path, 3000)
    lock = path.with_name("slurmwatchd.db.lock")
    lock.write_text(lock.read_text().replace("closed", "open"))
    monkeypatch.setattr(damage, "THOROUGH_SECONDS", 0.1)
    monkeypatch.setattr(damage, "_expect_ok", _never_done)
    async with open_database(path) as database:
        assert await rows(database, "SELECT count(*) FROM jobs") == [(3000,)]
    assert "too large to check whole" in caplog.text


async def _never_done(connection: object, check: str) -> None:
    """A check that would take for ever."""
    if "(1)" in check:
        endless = "WITH RECURSIVE n AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT count(*) FROM n"
        await connection.execute_fetchall(endless)  # type: ignore[attr-defined]


async def test_full_disk_is_told_and_so_is_the_room_that_comes_back(path: Path) -> None:
    async with open_database(path) as database:
        told: list[str] = []
        database.noted = lambda full: told.append("room" if full is None else type(full).__name__)
        intake = await Intake.load(database)
        large = batch(*(reading(number, comment="x" * 2000) for number in range(300)))
        with disk_full(150_000):
            with pytest.raises(StoreFullError, match="the daemon continues when there is room"):
                await intake.commit(large, completed())
            with pytest.raises(StoreFullError):
                await intake.commit(large, completed())
        assert await rows(database, "SELECT count(*) FROM jobs") == [(0,)]
        await database.has_room()
        assert told == ["StoreFullError", "StoreFullError", "room"]
        await intake.commit(large, completed())
        assert await rows(database, "SELECT count(*), max(seq) FROM events") == [(300, 300)]
        assert _asides(path) == []


async def test_asking_for_room_fails_while_there_is_none(path: Path) -> None:
    async with open_database(path) as database:
        intake = await Intake.load(database)
        await database.has_room()
        with disk_full(0):
            await database.has_room()
            with pytest.raises(StoreFullError):
                await intake.commit(batch(reading(1)), completed())
            with pytest.raises(StoreFullError):
                await database.has_room()
