"""Opening the store: whose file it is, how new it is, and who has it already."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from slurmwatchd.errors import StoreError, StoreInUseError
from slurmwatchd.store.database import open_database
from tests.unit.attempts import rows

HOLDER = """
import sys, anyio
from pathlib import Path
from slurmwatchd.store.database import open_database

async def hold():
    async with open_database(Path(sys.argv[1])):
        print("open", flush=True)
        await anyio.sleep(60)

anyio.run(hold)
"""


MIGRATIONS = Path(__file__).parents[2] / "slurmwatchd" / "store" / "migrations"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "slurmwatchd.db"


async def test_fresh_store_is_made_with_its_folder_and_bears_our_mark(path: Path) -> None:
    async with open_database(path) as database:
        assert await rows(database, "PRAGMA application_id") == [(0x534C5744,)]
        newest = max(int(file.name[:4]) for file in MIGRATIONS.glob("*.sql"))
        assert await rows(database, "PRAGMA user_version") == [(newest,)]
        assert await rows(database, "PRAGMA journal_mode") == [("wal",)]
        assert await rows(database, "SELECT count(*) FROM events") == [(0,)]


async def test_store_opened_again_keeps_what_it_holds(path: Path) -> None:
    async with open_database(path) as database:
        await database.write(lambda connection: connection.execute("INSERT INTO meta VALUES ('a', 'b')"))
    async with open_database(path) as database:
        assert await rows(database, "SELECT key, value FROM meta") == [("a", "b")]


async def test_store_under_two_names_is_one_store(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(path)
    async with open_database(link) as database:
        await database.write(lambda connection: connection.execute("INSERT INTO meta VALUES ('a', 'b')"))
        with pytest.raises(StoreInUseError, match=f"in use by another slurmwatchd, pid {os.getpid()}$"):
            async with open_database(path):
                pass
    async with open_database(path) as database:
        assert await rows(database, "SELECT key, value FROM meta") == [("a", "b")]
    path.write_bytes(b"damaged" * 10_000)
    async with open_database(link):
        assert link.is_symlink()
        assert (path.stat().st_size, link.stat().st_ino) == (link.stat().st_size, path.stat().st_ino)


async def test_commits_wait_for_the_disk(path: Path) -> None:
    async with open_database(path) as database:

        async def synchronous(connection: object) -> int:
            found = await connection.execute_fetchall("PRAGMA synchronous")  # type: ignore[attr-defined]
            return int(next(iter(found))[0])

        assert await database.write(synchronous) == 2  # FULL


@pytest.mark.parametrize("application_id", [0, 0x0F055112])
async def test_database_of_another_program_is_refused_and_left_alone(path: Path, application_id: int) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as foreign:
        foreign.execute("CREATE TABLE photos (id INTEGER)")
        foreign.execute(f"PRAGMA application_id = {application_id}")
    foreign.close()
    with pytest.raises(StoreError, match="is an SQLite database, but not a store of slurmwatchd"):
        async with open_database(path):
            pass
    with sqlite3.connect(path) as foreign:
        assert foreign.execute("SELECT name FROM sqlite_master").fetchall() == [("photos",)]
    foreign.close()


async def test_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"a letter to my aunt\n" * 500)
    with pytest.raises(StoreError, match="file is not a database"):
        async with open_database(path):
            pass
    assert path.read_bytes() == b"a letter to my aunt\n" * 500


async def test_store_of_a_newer_release_is_refused(path: Path) -> None:
    async with open_database(path):
        pass
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version = 9000")
    newer.close()
    with pytest.raises(StoreError, match=r"has schema 9000, and this slurmwatchd knows up to .*newer slurmwatchd"):
        async with open_database(path):
            pass


async def test_second_opener_is_told_the_pid_of_the_first(path: Path) -> None:
    first = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE)
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == b"open\n"
        with pytest.raises(StoreError, match=f"is in use by another slurmwatchd, pid {first.pid}"):
            async with open_database(path):
                pass
        # The lock dies with its holder, however that dies.
        first.send_signal(signal.SIGKILL)
        first.wait()
        async with open_database(path):
            assert path.with_name("slurmwatchd.db.lock").read_text().split() == [str(os.getpid()), "open"]
    finally:
        first.kill()
        first.communicate()


async def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"file/slurmwatchd\.db\.lock: cannot be opened"):
        async with open_database(tmp_path / "file" / "slurmwatchd.db"):
            pass
