"""The store's two connections: who reads is not cut off half-way and writes nothing, who writes waits its turn."""

import errno
import os
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import anyio
import anyio.to_thread
import pytest

from slurmwatchd.errors import StoreBusyError, StoreError
from slurmwatchd.store.database import Database, open_database
from slurmwatchd.store.lockfile import LockFile, ShutdownState
from tests.patience import HANGS_SECONDS
from tests.unit.attempts import rows

Read = Callable[[Database], Awaitable[object]]

READS: dict[str, Read] = {
    "read": lambda database: database.read("SELECT hold()"),
    "read_until": lambda database: database.read_until("SELECT hold()", (), weigh=len, max_bytes=1),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
async def test_reading_that_is_cancelled_ends_when_its_answer_is_there_and_not_before(
    tmp_path: Path, read: Read
) -> None:
    async with open_database(tmp_path / "store.db") as database:
        asked, answer, gave_up = threading.Event(), threading.Event(), anyio.Event()

        def hold() -> int:
            asked.set()
            return int(answer.wait(HANGS_SECONDS))

        async def ask(scope: anyio.CancelScope) -> None:
            with scope:
                try:
                    await read(database)
                finally:
                    gave_up.set()

        await database._reader.create_function("hold", 0, hold)
        scope = anyio.CancelScope()
        async with anyio.create_task_group() as group:
            group.start_soon(ask, scope)
            try:
                assert await anyio.to_thread.run_sync(asked.wait, 30)
                scope.cancel()
                await anyio.wait_all_tasks_blocked()
                assert not gave_up.is_set()
            finally:
                answer.set()
        assert gave_up.is_set()
        assert await rows(database, "SELECT 'the next one'") == [("the next one",)]


async def test_nothing_is_written_by_the_connection_that_reads(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        with pytest.raises(StoreBusyError, match="attempt to write a readonly database"):
            await database.read("INSERT INTO meta VALUES ('a', 'b')")
        assert await rows(database, "SELECT * FROM meta") == []


async def test_write_waits_for_another_program_that_is_writing(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        written = anyio.Event()

        async def write() -> None:
            await database.write(lambda connection: connection.execute("INSERT INTO meta VALUES ('a', 'ours')"))
            written.set()

        with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("INSERT INTO meta VALUES ('b', 'theirs')")
            async with anyio.create_task_group() as group:
                group.start_soon(write)
                with anyio.move_on_after(0.5):
                    await written.wait()
                assert not written.is_set()
                other.execute("COMMIT")
        assert await rows(database, "SELECT value FROM meta ORDER BY key") == [("ours",), ("theirs",)]


async def test_every_table_holds_its_columns_to_their_types(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        tables = await rows(
            database,
            "SELECT name, strict FROM pragma_table_list "
            "WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite%'",
        )
    assert {"jobs", "events", "cursors", "sink_state", "coverage"} < {name for name, _ in tables}
    assert [name for name, strict in tables if not strict] == []


def test_state_that_the_disk_did_not_keep_is_not_taken_for_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken_disk(descriptor: int) -> NoReturn:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with LockFile(tmp_path / "store.db") as lock_file:
        with monkeypatch.context() as patched:
            patched.setattr(os, "fdatasync", broken_disk)
            with pytest.raises(StoreError, match=r"store\.db\.lock: cannot be written: Input/output error"):
                lock_file.mark(ShutdownState.OPEN)
        assert lock_file.left is ShutdownState.UNKNOWN
