"""The jobs last seen open: who is missing, whom to ask for and when, who is struck off."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from slurmwatchd.model.ledger import Ledger
from slurmwatchd.model.policy import ReadPolicy
from slurmwatchd.store import open_jobs
from slurmwatchd.store.database import Database, open_database
from slurmwatchd.store.intake import Intake
from slurmwatchd.store.known_attempts import KnownAttempt
from slurmwatchd.store.open_jobs import ListedJob, OpenJobsState
from slurmwatchd.telemetry.metrics import Metrics
from slurmwatchd.watcher.fetcher import GatheredRows
from slurmwatchd.watcher.open_jobs import OpenJobs
from tests.unit.attempts import NOW, batch, reading, rows

SUBMIT = NOW - 100


def known(number: int) -> KnownAttempt:
    return KnownAttempt(number, SUBMIT, str(number))


async def listing(database: Database, now: int, *numbers: int, unknown_end: int = 0) -> None:
    """A listing of these, and perhaps of one that has ended at a time nobody knows."""
    listed = [ListedJob(number, SUBMIT, str(number), open=number != unknown_end) for number in numbers]
    await open_jobs.gather(database, "sim", listed, first=True)
    await open_jobs.conclude(database, "sim", now)


async def missing(database: Database, now: int, *, grace: int = 35, limit: int = 9) -> list[int]:
    found = await open_jobs.missing(database, "sim", now, grace=grace, again=3600, limit=limit)
    assert found == [known(job.job_id_raw) for job in found]
    return [job.job_id_raw for job in found]


@asynccontextmanager
async def store(folder: Path) -> AsyncIterator[Database]:
    async with open_database(folder / "store.db") as database:
        yield database


async def test_job_that_vanished_is_asked_for_after_its_grace_and_again_an_hour_later(tmp_path: Path) -> None:
    async with store(tmp_path) as database:
        await listing(database, NOW, 1, 2, 3)
        assert await open_jobs.stand(database, "sim", grace=35, again=3600) == OpenJobsState(3, 0, None)
        await listing(database, NOW + 300, 1)
        assert await open_jobs.stand(database, "sim", grace=35, again=3600) == OpenJobsState(1, 2, NOW + 335)
        assert await missing(database, NOW + 334) == []
        assert await missing(database, NOW + 335) == [2, 3]
        await open_jobs.mark_asked(database, "sim", [(2, SUBMIT)], NOW + 335)
        assert await missing(database, NOW + 335) == [3]
        await open_jobs.mark_asked(database, "sim", [(3, SUBMIT)], NOW + 400)
        assert await open_jobs.stand(database, "sim", grace=35, again=3600) == OpenJobsState(1, 2, NOW + 3935)
        assert await missing(database, NOW + 3934) == []
        assert await missing(database, NOW + 4000, limit=1) == [2]


async def test_job_that_is_listed_again_begins_anew(tmp_path: Path) -> None:
    async with store(tmp_path) as database:
        await listing(database, NOW, 1)
        await listing(database, NOW + 300)
        await listing(database, NOW + 600, 1)
        # The answer to the question is in only now, while the job is listed.
        await open_jobs.mark_asked(database, "sim", [(1, SUBMIT)], NOW + 600)
        await listing(database, NOW + 900)
        assert await missing(database, NOW + 935) == [1]


async def test_job_whose_end_the_store_has_is_struck_off(tmp_path: Path) -> None:
    async with store(tmp_path) as database:
        await listing(database, NOW, 1, 2)
        await (await Intake.load(database)).commit(batch(reading(1)))
        await listing(database, NOW + 300)
        assert await rows(database, "SELECT job_id_raw FROM open_jobs") == [(2,)]


async def test_job_that_ended_at_a_time_nobody_knows_is_missing_at_once_and_only_until_it_is_stored(
    tmp_path: Path,
) -> None:
    async with store(tmp_path) as database:
        await listing(database, NOW, 1, unknown_end=1)
        assert await missing(database, NOW + 35) == [1]
        await (await Intake.load(database)).commit(batch(reading(1, end=None)))
        await listing(database, NOW + 300, 1, unknown_end=1)
        assert await open_jobs.stand(database, "sim", grace=35, again=3600) == OpenJobsState(0, 0, None)
        assert await missing(database, NOW + 9000) == []


async def test_job_that_ended_at_a_time_nobody_knows_is_not_missing_again_once_the_store_has_pruned_it(
    tmp_path: Path,
) -> None:
    async with store(tmp_path) as database:
        await (await Intake.load(database)).commit(batch(reading(1, end=None)))
        await listing(database, NOW, 1, unknown_end=1)
        await database.write(lambda connection: connection.execute("DELETE FROM jobs"))
        await open_jobs.mark_asked(database, "sim", [], NOW + 100)
        for days in (1, 9, 18):
            await listing(database, NOW + days * 86400, 1, unknown_end=1)
            assert await missing(database, NOW + days * 86400 + 9000) == []
            assert await open_jobs.stand(database, "sim", grace=35, again=3600) == OpenJobsState(0, 0, None)
        await listing(database, NOW + 19 * 86400)
        assert await rows(database, "SELECT * FROM open_jobs") == []


async def test_job_that_is_missing_for_over_eight_days_is_forgotten(tmp_path: Path) -> None:
    async with store(tmp_path) as database:
        await listing(database, NOW, 1)
        await listing(database, NOW + 300)
        await listing(database, NOW + 300 + 691_200)
        assert await rows(database, "SELECT count(*) FROM open_jobs") == [(1,)]
        await listing(database, NOW + 301 + 691_200)
        assert await rows(database, "SELECT count(*) FROM open_jobs") == [(0,)]


async def test_other_clusters_are_left_alone(tmp_path: Path) -> None:
    async with store(tmp_path) as database:
        await listing(database, NOW, 1)
        await open_jobs.gather(database, "other", [], first=True)
        await open_jobs.conclude(database, "other", NOW + 300)
        assert await open_jobs.stand(database, "sim", grace=35, again=3600) == OpenJobsState(1, 0, None)


async def test_listings_of_two_clusters_that_are_gathered_at_once_are_kept_apart(tmp_path: Path) -> None:
    async with store(tmp_path) as database:
        await open_jobs.gather(database, "sim", [ListedJob(1, SUBMIT, "1", open=True)], first=True)
        await open_jobs.gather(database, "other", [ListedJob(1, SUBMIT, "1", open=False)], first=True)
        await open_jobs.gather(database, "sim", [ListedJob(2, SUBMIT, "2", open=True)], first=False)
        await open_jobs.gather(database, "other", [ListedJob(9, SUBMIT, "9", open=True)], first=False)
        await open_jobs.conclude(database, "sim", NOW)
        await open_jobs.conclude(database, "other", NOW + 1)
        assert await rows(database, "SELECT cluster, job_id_raw, absent FROM open_jobs ORDER BY 1, 2") == [
            ("other", 1, NOW + 1), ("other", 9, 0), ("sim", 1, 0), ("sim", 2, 0),
        ]  # fmt: skip


async def test_grace_is_one_poll_and_five_seconds(tmp_path: Path) -> None:
    async with store(tmp_path) as database:
        await listing(database, NOW, 1)
        await listing(database, NOW + 300)
        roll_call = OpenJobs("sim", database, Metrics())
        await roll_call.begin(ReadPolicy(interval=29.5, overlap=60, slice_seconds=3600, open_set=300), NOW + 300)
        assert roll_call.mark(Ledger(NOW)).ask_at == NOW + 335


async def test_missing_whose_ends_were_found_meanwhile_are_not_asked_for_nor_looked_at_all_the_time(
    tmp_path: Path,
) -> None:
    async with store(tmp_path) as database:
        await listing(database, NOW, 1)
        await listing(database, NOW + 300)
        roll_call = OpenJobs("sim", database, Metrics())
        await roll_call.begin(ReadPolicy(interval=30, overlap=60, slice_seconds=3600, open_set=300), NOW + 300)
        await (await Intake.load(database)).commit(batch(reading(1)))
        roll_call.begun(NOW + 335, absent=True)
        assert await roll_call.missing(NOW + 335) == []
        assert roll_call.mark(Ledger(NOW)).ask_at == math.inf
        assert await rows(database, "SELECT * FROM open_jobs") == []


async def test_who_is_being_asked_for_is_not_asked_for_again_by_a_listing_in_between(tmp_path: Path) -> None:
    async with store(tmp_path) as database:
        await listing(database, NOW, 1)
        await listing(database, NOW + 300)
        roll_call = OpenJobs("sim", database, Metrics())
        await roll_call.begin(ReadPolicy(interval=30, overlap=60, slice_seconds=3600, open_set=300), NOW + 300)
        roll_call.begun(NOW + 335, absent=True)
        jobs = await roll_call.missing(NOW + 335)
        await roll_call.listed(GatheredRows(0.1, frozenset()), NOW + 335, anchor=None)
        assert roll_call.mark(Ledger(NOW)).ask_at == math.inf
        await roll_call.asked(jobs, NOW + 335)
        assert roll_call.mark(Ledger(NOW)).ask_at == NOW + 3935


async def test_after_asking_failed_fewer_are_asked_for_a_poll_later_and_one_that_fails_alone_waits(
    tmp_path: Path,
) -> None:
    policy = ReadPolicy(interval=30, overlap=60, slice_seconds=3600, open_set=300)
    async with store(tmp_path) as database:
        await listing(database, NOW, 1, 2, 3)
        await listing(database, NOW + 300)
        roll_call = OpenJobs("sim", database, Metrics())
        await roll_call.begin(policy, NOW + 300)
        asked = []
        for now in (NOW + 335, NOW + 400, NOW + 500, NOW + 600):
            roll_call.begun(now, absent=True)
            asked.append([job.job_id_raw for job in await roll_call.missing(now)])
            # It failed: a new round begins.
            await roll_call.begin(policy, now)
            assert roll_call.mark(Ledger(NOW)).ask_at >= now + 35
        assert asked == [[1, 2, 3], [1], [2], [3]]


async def test_what_was_dated_while_the_clock_was_ahead_is_dated_back_by_the_next_listing(tmp_path: Path) -> None:
    async with store(tmp_path) as database:
        await listing(database, NOW, 1)
        await listing(database, NOW + 10_000_000)
        await listing(database, NOW + 300)
        assert await rows(database, "SELECT job_id_raw, absent FROM open_jobs") == [(1, NOW + 300)]
