"""Who may read the store and its folder, and nothing more, can ask it: beside a daemon or without one."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from slurmwatchd.store.database import open_database
from slurmwatchd.store.read.reader import StoreReader
from slurmwatchd.store.read.second_process import open_for_reading

_NOBODY = 65534


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that anybody may enter; those of pytest are root's alone."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    path.chmod(0o755)
    shutil.rmtree(path)


@contextmanager
def as_somebody_else(folder: Path) -> Iterator[None]:
    """Act as a user who may read what is in a folder, and write nothing there."""
    for file in folder.iterdir():
        file.chmod(0o644)
    folder.chmod(0o555)
    user = os.geteuid()
    if user == 0:
        os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)
        folder.chmod(0o755)


async def test_store_that_nobody_has_open_is_read_without_the_right_to_write(folder: Path) -> None:
    path = folder / "store.db"
    async with open_database(path) as database:
        await database.write(lambda connection: connection.execute("INSERT INTO meta VALUES ('a', 'b')"))
    assert [file.name for file in folder.iterdir() if file.name.endswith("-wal")] == []
    with as_somebody_else(folder):
        with StoreReader(path) as store:
            assert [tuple(row) for row in store.rows("SELECT value FROM meta WHERE key = 'a'")] == [("b",)]
        async with open_for_reading(path) as reader:
            assert [tuple(row) for row in await reader.read("SELECT value FROM meta WHERE key = 'a'")] == [("b",)]


async def test_store_that_a_daemon_has_open_is_read_with_what_it_has_just_written(folder: Path) -> None:
    path = folder / "store.db"
    async with open_database(path) as database:
        await database.write(lambda connection: connection.execute("INSERT INTO meta VALUES ('a', 'b')"))
        with as_somebody_else(folder):
            with StoreReader(path) as store:
                assert [tuple(row) for row in store.rows("SELECT value FROM meta WHERE key = 'a'")] == [("b",)]
            async with open_for_reading(path) as reader:
                found = await reader.read("SELECT value FROM meta WHERE key = 'a'")
                assert [tuple(row) for row in found] == [("b",)]
