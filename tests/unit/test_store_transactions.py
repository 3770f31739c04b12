"""One transaction holds rows, events, node lists, quarantine and ledger: all of it, or nothing."""

import sqlite3
import threading
from pathlib import Path
from typing import Any

import aiosqlite
import anyio
import pytest

from slurmwatchd.errors import StoreBusyError
from slurmwatchd.model.records import Rejected
from slurmwatchd.store import database as database_module
from slurmwatchd.store import ledger, outbox
from slurmwatchd.store.database import Database, open_database
from slurmwatchd.store.intake import Intake
from tests.patience import HANGS_SECONDS
from tests.unit.attempts import NOW, batch, completed, counts, reading, rows

NOTHING = {
    "jobs": 0, "events": 0, "nodelists": 0, "nodes": 0,
    "quarantine": 0, "coverage": 0, "ledger": 0, "horizons": 0,
}  # fmt: skip
ALL = {
    "jobs": 2, "events": 2, "nodelists": 1, "nodes": 2,
    "quarantine": 1, "coverage": 1, "ledger": 1, "horizons": 1,
}  # fmt: skip
TWO_JOBS_AND_A_BAD_ROW = batch(
    reading(1, node_list="n[1-2]"),
    reading(2, node_list="n[1-2]"),
    rejected=(Rejected(reason="Submit is b'', not a time", fields=("Cluster", "Submit"), row=(b"sim", b"")),),
    expanded={"n[1-2]": ("n1", "n2")},
)


async def test_batch_and_its_place_in_the_ledger_are_written_together(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        committed = await intake.commit(TWO_JOBS_AND_A_BAD_ROW, completed())
        assert (committed.new, committed.revised, committed.rejected, committed.seq) == (2, 0, 1, 2)
        assert await counts(database) == ALL
        assert await rows(database, "SELECT rows, new, revised, rejected FROM ledger") == [(1, 2, 0, 1)]
        assert await rows(database, "SELECT horizon, watermark FROM horizons") == [(NOW - 120, NOW)]


async def test_batch_that_is_not_the_last_of_its_reading_moves_no_ledger(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        await intake.commit(TWO_JOBS_AND_A_BAD_ROW)
        assert await counts(database) == {**ALL, "coverage": 0, "ledger": 0, "horizons": 0}


# Every statement of the transaction is made to fail in turn: by a trigger on the table it writes.
@pytest.mark.parametrize("table", ["jobs", "events", "nodelists", "nodes", "nodelist_nodes", "quarantine",
                                   "horizons", "coverage", "ledger"])  # fmt: skip
async def test_failure_at_any_table_leaves_nothing_and_the_next_try_writes_all(tmp_path: Path, table: str) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        await _script(
            database, f"CREATE TRIGGER trap BEFORE INSERT ON {table} BEGIN SELECT RAISE(FAIL, 'no'); END"
        )
        with pytest.raises(aiosqlite.IntegrityError, match="no"):
            await intake.commit(TWO_JOBS_AND_A_BAD_ROW, completed())
        assert await counts(database) == NOTHING
        await _script(database, "DROP TRIGGER trap")
        assert (await intake.commit(TWO_JOBS_AND_A_BAD_ROW, completed())).seq == 2
        assert await counts(database) == ALL
        assert await rows(database, "SELECT seq, job FROM events ORDER BY seq") == [(1, 1), (2, 2)]


async def test_exception_in_the_middle_of_a_write_rolls_it_back_and_frees_the_store(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:

        async def half(connection: aiosqlite.Connection) -> None:
            await connection.execute("INSERT INTO meta VALUES ('half', 'written')")
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await database.write(half)
        assert await rows(database, "SELECT * FROM meta") == []
        await database.write(lambda connection: connection.execute("INSERT INTO meta VALUES ('a', 'b')"))
        assert await rows(database, "SELECT * FROM meta") == [("a", "b")]


async def test_cancelling_the_caller_in_the_middle_of_a_write_does_not_cut_it(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        between = anyio.Event()
        go_on = anyio.Event()

        async def slow(connection: aiosqlite.Connection) -> None:
            await connection.execute("INSERT INTO meta VALUES ('first', '1')")
            between.set()
            await go_on.wait()
            await connection.execute("INSERT INTO meta VALUES ('second', '2')")

        async with anyio.create_task_group() as group:
            group.start_soon(database.write, slow)
            await between.wait()
            group.cancel_scope.cancel()
            go_on.set()
        assert await rows(database, "SELECT key FROM meta ORDER BY key") == [("first",), ("second",)]


async def test_cancelling_before_a_write_begins_writes_nothing(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await database.write(lambda connection: connection.execute("INSERT INTO meta VALUES ('a', 'b')"))
        assert await rows(database, "SELECT * FROM meta") == []


async def test_commit_cancelled_from_outside_is_whole_and_the_intake_goes_on_behind_it(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        for attempt in range(1, 30):
            # Cancelled after a growing number of turns of the loop: somewhere inside, before, or behind.
            async with anyio.create_task_group() as group:
                group.start_soon(intake.commit, batch(*(reading(attempt * 10 + n) for n in range(3))))
                for _ in range(attempt):
                    await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()
        jobs = await rows(database, "SELECT count(*) FROM jobs GROUP BY job_id_raw / 10")
        assert jobs
        assert set(jobs) == {(3,)}
        await intake.commit(batch(reading(999)))
        assert await rows(database, "SELECT max(seq) = count(*), min(seq) FROM events") == [(1, 1)]


async def test_write_that_takes_too_long_is_given_up_and_rolled_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "WRITE_TIMEOUT_SECONDS", 0.05)
    async with open_database(tmp_path / "store.db") as database:

        async def endless(connection: aiosqlite.Connection) -> None:
            await connection.execute("INSERT INTO meta VALUES ('a', 'b')")
            await anyio.sleep_forever()

        with pytest.raises(StoreBusyError, match=r"a write took over 0\.05 s"):
            await database.write(endless)
        assert await rows(database, "SELECT * FROM meta") == []


@pytest.mark.parametrize("statement", ["BEGIN IMMEDIATE", "COMMIT"])
async def test_deadline_that_passes_at_either_end_of_a_transaction_leaves_store_and_intake_in_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        execute = database._writer.execute

        async def slow(sql: str, *arguments: object) -> object:
            done = await execute(sql, *arguments)
            if sql == statement:
                await anyio.sleep(0.2)
            return done

        with monkeypatch.context() as patched:
            patched.setattr(database_module, "WRITE_TIMEOUT_SECONDS", 0.1)
            patched.setattr(database._writer, "execute", slow)
            try:
                await intake.commit(batch(reading(1)), completed())
                said = 1
            except StoreBusyError:
                said = 0
        # Said to have failed is not there, said to be done is; and either way the next one works.
        assert await rows(database, "SELECT count(*) FROM jobs") == [(said,)]
        await intake.commit(batch(reading(1), reading(2)), completed())
        assert await rows(database, "SELECT seq, job FROM events ORDER BY seq") == [(1, 1), (2, 2)]


async def test_quick_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:

        def failing(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO meta VALUES ('a', 'b')")
            raise ValueError("half-way")

        with pytest.raises(ValueError, match="half-way"):
            await database.write_at_once(failing)
        assert await rows(database, "SELECT * FROM meta") == []
        await database.write_at_once(_note)
        assert await rows(database, "SELECT * FROM meta") == [("c", "d")]


async def test_quick_write_that_is_cancelled_is_done_when_it_ends(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        asked, answer, gave_up = threading.Event(), threading.Event(), anyio.Event()

        def held(connection: sqlite3.Connection) -> None:
            asked.set()
            assert answer.wait(HANGS_SECONDS)
            _note(connection)

        async def write(scope: anyio.CancelScope) -> None:
            with scope:
                await database.write_at_once(held)
            gave_up.set()

        scope = anyio.CancelScope()
        async with anyio.create_task_group() as group:
            group.start_soon(write, scope)
            try:
                assert await anyio.to_thread.run_sync(asked.wait, HANGS_SECONDS)
                scope.cancel()
                await anyio.wait_all_tasks_blocked()
                assert not gave_up.is_set()
            finally:
                answer.set()
        assert await rows(database, "SELECT * FROM meta") == [("c", "d")]


async def test_a_cursor_moves_in_one_way_to_the_thread_of_sqlite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_database(tmp_path / "store.db") as database:
        await outbox.position(database, "bus", now=NOW)
        ways = 0
        execute: Any = database._writer._execute

        async def counted(*given: object) -> object:
            nonlocal ways
            ways += 1
            return await execute(*given)

        monkeypatch.setattr(database._writer, "_execute", counted)
        await outbox.advance(database, "bus", 7, {"offsets": b"1", "gone": b""}, now=NOW)
        assert ways == 1
        assert await outbox.position(database, "bus", now=NOW) == outbox.SinkCursor(7, {"offsets": b"1"})


def _note(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO meta VALUES ('c', 'd')")


async def test_ledger_that_overlaps_itself_is_not_trusted(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        await intake.commit(batch(), completed())
        assert (await ledger.load(database, "sim", horizon=0)).watermark == NOW
        await _script(
            database, 'INSERT INTO coverage SELECT cluster, start + 60, "end" + 60, read_at FROM coverage'
        )
        loaded = await ledger.load(database, "sim", horizon=0)
        assert (loaded.horizon, loaded.stretches) == (NOW - 120, ())


async def _script(database: Database, sql: str) -> None:
    await database.write(lambda connection: connection.execute(sql))
