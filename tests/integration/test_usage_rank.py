"""Usage has the lowest rank: it is asked for between polls, in lists that end before the next one."""

from pathlib import Path
from typing import Any

from slurmwatchd.errors import SacctTimeoutError
from slurmwatchd.model.records import FoundBy, JobUsage
from slurmwatchd.model.usage import UsageAnswer
from slurmwatchd.store import usage_queue
from slurmwatchd.store.database import Database, open_database
from slurmwatchd.store.intake import Intake
from slurmwatchd.telemetry.metrics import Metrics
from slurmwatchd.watcher.usage_collector import UsageCollector, UsageCollectorParts
from tests.integration.rig import START, FakeClock, Rig
from tests.unit.attempts import NOW, attempt, batch, rows

SECONDS_A_JOB = 0.01


class Source:
    """Answers every list, and takes a hundredth of a second for each job of it."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.lists: list[list[int]] = []
        self.fails = False

    async def usage_of(self, attempts: Any, *, now: int, timeout_seconds: float) -> dict[Any, UsageAnswer]:  # noqa: ANN401
        self.lists.append([each.job_id_raw for each in attempts])
        self.clock.move(len(attempts) * SECONDS_A_JOB)
        if self.fails:
            raise SacctTimeoutError("no answer")
        return {(each.job_id_raw, each.submit): UsageAnswer(usage=JobUsage(steps=1)) for each in attempts}


async def collector_of(database: Database, jobs: range, **fields: Any) -> tuple[UsageCollector, Source]:  # noqa: ANN401
    intake = await Intake.load(database, usage=True)
    await intake.commit(batch(*((attempt(number, submit_line="sbatch x"), 1) for number in jobs), **fields))
    source = Source(FakeClock(NOW))
    parts: dict[str, Any] = {"source": source}
    collector = UsageCollector(
        "sim",
        UsageCollectorParts(
            database=database,
            intake=intake,
            clock=source.clock,
            metrics=Metrics(),
            committed=lambda: None,
            **parts,
        ),
    )
    return collector, source


async def test_a_list_is_as_long_as_ends_before_the_next_poll(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        collector, source = await collector_of(database, range(1, 2000))
        for _ in range(3):
            assert await collector.work(10)
        # The first is a guess; then half of ten seconds, at a hundredth of a second for each.
        assert [len(asked) for asked in source.lists] == [300, 500, 500]
        assert await collector.work(1)
        assert len(source.lists[-1]) == 50
        assert await collector.work(0)
        assert len(source.lists[-1]) == 20


async def test_lists_grow_no_faster_than_they_prove_cheap_and_end_at_the_longest(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        collector, source = await collector_of(database, range(1, 10_000))
        for _ in range(6):
            await collector.work(100_000)
        assert [len(asked) for asked in source.lists] == [300, 600, 1200, 2400, 3000, 2499]
        assert not await collector.work(100_000)


async def test_what_ends_now_goes_before_what_a_backfill_found(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        collector, source = await collector_of(database, range(1, 500), found_by=FoundBy.BACKFILL)
        intake = collector._parts.intake
        await intake.commit(batch((attempt(900), 1), (attempt(901), 1), observed=NOW + 50))
        source.clock.move(60)
        await collector.work(1000)
        assert source.lists[0][:2] == [900, 901]
        assert len(source.lists[0]) == 300


async def test_lists_that_fail_are_shorter_and_rarer_and_lose_nobody(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        collector, source = await collector_of(database, range(1, 400))
        source.fails = True
        assert not await collector.work(1000)
        assert not await collector.work(1000)
        assert len(source.lists) == 1
        source.fails = False
        source.clock.move(31)
        assert await collector.work(1000)
        assert [len(asked) for asked in source.lists] == [300, 150]
        await collector.drain()
        assert await usage_queue.count(database, "sim") == 0
        assert await rows(
            database, "SELECT count(*), count(DISTINCT job) FROM events WHERE kind = 'job_usage'"
        ) == [(399, 399)]


async def test_no_list_is_asked_for_while_a_window_is_due(tmp_path: Path) -> None:
    with Rig(tmp_path, steps={"mode": "summary"}, poll={"since": "10h"}) as rig:
        for hour in range(10):
            rig.cluster.add_step(rig.ended(hour * 3600 + 30, submit_line="sbatch x"), "batch", max_rss=1)
        await rig.once()
        kinds = [
            "list" if "-j" in call.argv else "window" for call in rig.cluster.calls("sacct") if "-D" in call.argv
        ]
        assert kinds.count("list") == 1
        assert kinds[-1] == "list"
        assert kinds.count("window") >= 10
        assert rig.now == START
