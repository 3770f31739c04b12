"""Backfills: what ended before the first poll is read once, whatever fails, for the sinks that want it."""

from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import TaskGroup

from slurmwatchd.daemon.daemon import Daemon
from slurmwatchd.errors import SacctError, TransientError
from slurmwatchd.operations.backfill import BackfillScope, beside
from slurmwatchd.store import backfills
from slurmwatchd.store.backfills import Backfill
from slurmwatchd.store.ledger import ledger_of
from slurmwatchd.store.read.second_process import open_beside
from tests.integration.rig import START, Rig
from tests.patience import HANGS_SECONDS
from tests.sim_truth import differences

HOUR = 3600


async def ask(daemon: Daemon, start: int, end: int = START, *, again: bool = False) -> list[Backfill]:
    read = await ledger_of(daemon.database, "sim")
    assert read is not None
    spans = BackfillScope(start=start, end=end, again=again).spans(read)
    return await backfills.ask(daemon.database, "sim", spans, now=START)


def hourly(rig: Rig, hours: int) -> None:
    for number in range(hours):
        rig.ended(number * HOUR + 60, job_name=f"{number} h ago")


def asked(rig: Rig) -> list[tuple[int, int]]:
    """The windows that backfills asked for, in hours before the start; sacct's own end is inclusive."""
    rows = rig.ask_store("SELECT start, \"end\" FROM ledger WHERE found_by = 'backfill' ORDER BY id")
    return [((START - start) // HOUR, (START - end) // HOUR) for start, end in rows]


async def test_what_ended_before_the_first_poll_is_read_and_sent_once(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        hourly(rig, 6)
        await rig.once()
        assert rig.names() == ["0 h ago"]
        async with rig.daemon() as daemon:
            (request,) = await ask(daemon, START - 5 * HOUR)
            assert (request.start, request.end, request.reached) == (
                START - 5 * HOUR,
                START - HOUR,
                START - HOUR,
            )
            await daemon.backfill()
            assert await backfills.unfinished(daemon.database, "sim") == []
            assert await ask(daemon, START - 5 * HOUR) == []
        assert rig.names() == ["0 h ago", "1 h ago", "2 h ago", "3 h ago", "4 h ago"]
        assert [record["found_by"] for record in rig.records()] == ["poll", *["backfill"] * 4]
        assert asked(rig) == [(2, 1), (3, 2), (4, 3), (5, 4)]
        assert rig.ask_store('SELECT reached, "rows", new FROM backfills') == [(START - 5 * HOUR, 4, 4)]
        # The store's promise reaches back to there now, and another poll asks for nothing of it.
        assert rig.ask_store("SELECT horizon, watermark FROM horizons") == [(START - 5 * HOUR, START)]
        before = rig.windows_asked()
        rig.move(30)
        await rig.once()
        assert rig.windows_asked() == before + 1


async def test_a_backfill_that_fails_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slurmwatchd.watcher.watcher.BACKFILL_FAILURES", 0)
    with Rig(tmp_path) as rig:
        hourly(rig, 6)
        await rig.once()
        async with rig.daemon() as daemon:
            await ask(daemon, START - 6 * HOUR)
            rig.cluster.add_fault("sacct", "exit", match=f"uts{START - 4 * HOUR}", code=1)
            with pytest.raises(SacctError):
                await daemon.backfill()
        done = asked(rig)
        assert (2, 1) in done
        assert (4, 3) not in done
        async with rig.daemon() as daemon:
            (left,) = await ask(daemon, START - 6 * HOUR)
            assert left.reached == START - done[-1][0] * HOUR
            await daemon.backfill()
        assert asked(rig) == [(2, 1), (3, 2), (4, 3), (5, 4), (6, 5)]
        assert differences(rig.cluster, rig.records()) == []


async def test_a_request_from_before_what_sacct_takes_is_worked_off_from_there_on(tmp_path: Path) -> None:
    with Rig(tmp_path, poll={"slice": "30000d"}) as rig:
        hourly(rig, 3)
        await rig.once()
        async with rig.daemon() as daemon:
            await ask(daemon, 0)
            await daemon.backfill()
        assert len(rig.names()) == 3
        assert any("uts1000000" in call.argv for call in rig.cluster.calls("sacct"))


async def test_a_backfill_that_no_daemon_works_off_tries_again_by_itself(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        hourly(rig, 3)
        await rig.once()
        rig.cluster.add_fault("sacct", "exit", match=f"uts{START - 2 * HOUR}", code=1, count=2)
        async with rig.daemon() as daemon, anyio.create_task_group() as group:
            await ask(daemon, START - 3 * HOUR)
            await pass_time(group, rig)
            await daemon.backfill()
            group.cancel_scope.cancel()
        assert len(rig.names()) == 3


async def test_a_daemon_works_a_request_of_another_process_off_between_its_polls(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        hourly(rig, 4)
        async with rig.daemon() as daemon, anyio.create_task_group() as group:
            for watcher in daemon.watchers:
                group.start_soon(watcher.run)
            group.start_soon(daemon.errands.run)
            await waiting_for_the_next_poll(rig)
            async with open_beside(rig.store) as store:
                await backfills.ask(store, "sim", [(START - 4 * HOUR, START - HOUR)], now=START)
            # Long before the next poll: the watcher is woken.
            rig.move(2.5)
            await until(rig, "SELECT count(*) FROM jobs", 4)
            assert rig.ask_store("SELECT count(*) FROM ledger WHERE found_by = 'poll'") == [(1,)]
            group.cancel_scope.cancel()
        await rig.once()
        assert differences(rig.cluster, rig.records()) == []


async def test_a_command_beside_a_daemon_that_makes_a_new_store_does_not_wait_for_ever(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        hourly(rig, 4)
        await rig.once()
        # The process of the lock file is this one, so the daemon lives.
        seen = anyio.Event()

        async def asking() -> None:
            wish = BackfillScope(start=START - 4 * HOUR, end=START)
            with pytest.raises(
                TransientError, match=r"store\.db: is another store now .*; run the same command again$"
            ):
                await beside(rig.config, wish, lambda _: None, lambda _: seen.set())

        with anyio.fail_after(HANGS_SECONDS):
            async with anyio.create_task_group() as group:
                group.start_soon(asking)
                await seen.wait()
                assert rig.ask_store("SELECT count(*) FROM backfills") == [(1,)]
                for suffix in ("", "-wal", "-shm"):
                    store = rig.store.with_name(rig.store.name + suffix)
                    if store.exists():
                        store.rename(store.with_name(f"store.db.corrupt-20261124T060000Z{suffix}"))
                await rig.once()
        assert rig.ask_store("SELECT count(*) FROM backfills") == [(0,)]


async def test_a_poll_that_is_due_comes_before_the_rest_of_a_backfill(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        hourly(rig, 5)
        await rig.once()
        rig.move(30)
        rig.ended(5, job_name="just now")
        async with rig.daemon() as daemon:
            await ask(daemon, START - 5 * HOUR)
            await daemon.once()
        assert rig.names()[:2] == ["0 h ago", "just now"]
        assert len(rig.names()) == 6


async def test_only_what_was_never_read_is_asked_for_unless_it_is_wanted_again(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        hourly(rig, 6)
        await rig.once()
        async with rig.daemon() as daemon:
            await ask(daemon, START - 4 * HOUR, START - 3 * HOUR)
            # The same again, and more around it, while it is not done yet.
            requests = await ask(daemon, START - 5 * HOUR)
            assert [(r.start - START, r.end - START) for r in requests] == [
                (-4 * HOUR, -3 * HOUR), (-5 * HOUR, -4 * HOUR), (-3 * HOUR, -HOUR),
            ]  # fmt: skip
            await daemon.backfill()
            await ask(daemon, START - 2 * HOUR, START + HOUR, again=True)
            await daemon.backfill()
        assert asked(rig) == [(2, 1), (3, 2), (4, 3), (5, 4), (1, 0), (2, 1)]
        assert len(rig.records()) == 5


async def test_a_cancelled_backfill_keeps_what_it_has_and_reads_no_more(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        hourly(rig, 4)
        await rig.once()
        async with rig.daemon() as daemon:
            await ask(daemon, START - 4 * HOUR)
            assert await backfills.cancel(daemon.database, "sim") == 1
            await daemon.backfill()
            assert await backfills.cancel(daemon.database, "sim") == 0
        assert rig.names() == ["0 h ago"]


async def test_sinks_get_it_or_not_as_they_are_configured_and_their_cursors_move_on(tmp_path: Path) -> None:
    sinks: dict[str, Any] = {
        "jobs": {"type": "jsonl", "path": str(tmp_path / "jobs.jsonl")},
        "new": {"type": "jsonl", "path": str(tmp_path / "new.jsonl"), "backfill": False},
    }
    with Rig(tmp_path, sinks=sinks) as rig:
        hourly(rig, 3)
        await rig.once()
        async with rig.daemon() as daemon:
            await ask(daemon, START - 3 * HOUR)
            await daemon.backfill()
            # The prometheus sink, which cannot place the past, is among them by default.
            total = daemon.metrics.registry.get_sample_value(
                "slurmwatchd_jobs_ended_total",
                {"slurm_cluster": "sim", "partition": "main", "state": "COMPLETED"},
            )
        assert len(rig.records()) == 3
        assert len(rig.records("new.jsonl")) == 1
        assert total == 1
        assert rig.ask_store("SELECT DISTINCT seq FROM cursors") == [(3,)]


async def test_a_row_that_never_was_completed_is_taken_though_it_is_old(tmp_path: Path) -> None:
    """Its start message was lost: the row has no partition, and nobody will read its second again."""
    with Rig(tmp_path) as rig:
        await rig.once()
        rig.ended(3 * HOUR, job_name="allocation", partition="")
        async with rig.daemon() as daemon:
            await ask(daemon, START - 4 * HOUR, START - 2 * HOUR)
            await daemon.backfill()
        assert rig.names() == ["allocation"]


async def pass_time(group: TaskGroup, rig: Rig) -> None:
    """Let the clock run, for what waits on it."""

    async def run() -> None:
        while True:
            await anyio.sleep(0.01)
            rig.clock.move(1)

    group.start_soon(run)


async def until(rig: Rig, sql: str, number: int) -> None:
    """Wait for a count in the store."""
    with anyio.fail_after(HANGS_SECONDS):
        while rig.ask_store(sql) != [(number,)]:
            await anyio.lowlevel.checkpoint()
            await anyio.sleep(0.01)


async def waiting_for_the_next_poll(rig: Rig) -> None:
    """Wait until the watcher has nothing to do for most of an interval."""
    with anyio.fail_after(HANGS_SECONDS):
        while True:
            if any(wait > 25 for wait in rig.clock.asked):
                return
            await anyio.sleep(0.01)
