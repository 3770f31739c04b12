"""A store that cannot be used for a while: whoever looks into it now and then looks again, and nothing ends."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from slurmwatchd.daemon.pruner import ROUND_SECONDS
from slurmwatchd.daemon.requests import LOOK_SECONDS
from tests.integration.rig import START, Rig
from tests.patience import HANGS_SECONDS

HOUR = 3600


def _rename(rig: Rig, table: str, name: str) -> None:
    """Rename a table: to SQLite one that is missing is an error like that of a file that is locked."""
    with closing(sqlite3.connect(rig.store)) as store:
        store.execute(f"ALTER TABLE {table} RENAME TO {name}")


async def _until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(HANGS_SECONDS):
        while not condition():  # noqa: ASYNC110 - nothing tells when
            await anyio.sleep(0.01)


async def test_requests_are_looked_for_again_after_a_look_that_failed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Rig(tmp_path) as rig:
        async with rig.daemon() as daemon, anyio.create_task_group() as group:
            _rename(rig, "backfills", "elsewhere")
            group.start_soon(daemon.errands.run)
            await _until(lambda: rig.clock.asked == [LOOK_SECONDS])
            assert caplog.text.count("requests failed") == 1
            _rename(rig, "elsewhere", "backfills")
            rig.move(LOOK_SECONDS)
            await _until(lambda: rig.clock.asked == [LOOK_SECONDS] * 2)
            assert caplog.text.count("requests failed") == 1
            group.cancel_scope.cancel()


async def test_what_could_not_be_pruned_is_pruned_in_the_next_round(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = {"path": str(tmp_path / "store.db"), "retain": "1h"}
    with Rig(tmp_path, store=store, poll={"since": "5m", "reread": ["5m"], "open_set": "0s"}) as rig:
        rig.ended(5)
        await rig.once()
        rig.move(3 * HOUR)
        async with rig.daemon() as daemon, anyio.create_task_group() as group:
            # Until the hours since are read, nothing goes.
            await daemon.watchers[0].once()
            _rename(rig, "cursors", "elsewhere")
            group.start_soon(daemon.pruner.run)
            await _until(lambda: rig.clock.asked == [ROUND_SECONDS])
            assert caplog.text.count("pruning waits") == 1
            assert rig.ask_store("SELECT count(*) FROM events") == [(1,)]
            _rename(rig, "elsewhere", "cursors")
            rig.move(ROUND_SECONDS)
            await _until(lambda: rig.ask_store("SELECT count(*) FROM events") == [(0,)])
            group.cancel_scope.cancel()


async def test_readings_that_fail_because_of_the_store_are_no_reason_to_probe_slurmdbd(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        async with rig.daemon() as daemon, anyio.create_task_group() as group:
            _rename(rig, "backfills", "elsewhere")
            watcher, health = daemon.watchers[0], daemon.health.clusters["sim"]
            group.start_soon(watcher.run)
            with anyio.fail_after(HANGS_SECONDS):
                while health.failures < 5:
                    rig.move(1)
                    await anyio.sleep(0.01)
            assert not health.probing
            rig.ended(30, job_name="read without a probe")
            _rename(rig, "elsewhere", "backfills")
            with anyio.fail_after(HANGS_SECONDS):
                while not health.answered:
                    rig.move(1)
                    await anyio.sleep(0.01)
            group.cancel_scope.cancel()
        assert {call.argv[-1] == "JobIDRaw" for call in rig.cluster.calls("sacct") if "-S" in call.argv} == {False}


async def test_requests_are_looked_for_where_the_store_was_written_since(tmp_path: Path) -> None:
    """A look wakes SQLite's thread, and a daemon that idles has nothing else to wake it for."""
    with Rig(tmp_path) as rig:
        async with rig.daemon() as daemon:
            wal = rig.store.with_name("store.db-wal")
            reads: list[str] = []
            read = daemon.database.read

            async def counted(sql: str, parameters: tuple[object, ...] = ()) -> list[sqlite3.Row]:
                reads.append(sql)
                return await read(sql, parameters)

            daemon.database.read = counted  # type: ignore[method-assign]  # noticed here only
            # Written a moment ago: a write of now might not show.
            await daemon.errands.look()
            await daemon.errands.look()
            assert len(reads) == 2
            os.utime(wal, (START, START))
            await daemon.errands.look()
            await daemon.errands.look()
            assert len(reads) == 3
            with closing(sqlite3.connect(rig.store)) as store, store:
                store.execute("INSERT INTO meta VALUES ('key', 'value')")
            await daemon.errands.look()
            assert len(reads) == 4
            # A file that is not there says nothing.
            wal.rename(tmp_path / "elsewhere")
            await daemon.errands.look()
            await daemon.errands.look()
            assert len(reads) == 6
            (tmp_path / "elsewhere").rename(wal)
