"""Reports that reach into the archive: the numbers of a store that was never lost and never pruned."""

import random
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from slurmwatchd.connector import Store
from slurmwatchd.model.reports import Rates
from slurmwatchd.store.archive.horizon import lacks
from slurmwatchd.store.archive.reader import ArchivedReader
from slurmwatchd.store.database import open_database
from slurmwatchd.store.intake import Intake
from slurmwatchd.store.read.reader import StoreReader
from slurmwatchd.store.read.report import CHOICES, Wish, report
from slurmwatchd.store.usage import UsageResults, tell
from tests.unit.archives import DAY, MIDNIGHT, archived, lose, prune
from tests.unit.attempts import Reading, batch, reading
from tests.unit.expiry import expire_events

HOUR = 3600
FIRST = MIDNIGHT - 12 * DAY
SEAM = MIDNIGHT - 6 * DAY + 5 * HOUR + 1234
"""Where the store that came after the loss began to read: within an hour, and within a day."""

RATES = Rates(prices={"cpu": 0.1, "gres/gpu:a100": 2.0, "gres/gpu": 1.0}, grams_per_kwh=350.0)


def attempts(count: int = 400) -> list[Reading]:
    """Attempts of all kinds of twelve days, most of them around the seam."""
    chance = random.Random(7)  # noqa: S311 - the same each time
    made = []
    for number in range(1, count + 1):
        end = chance.choice(
            (
                FIRST + chance.randrange(12 * DAY),
                SEAM + chance.randrange(-2 * HOUR, 2 * HOUR),
            )
        )
        run = chance.choice((0, 10, 700, 3600, 7300, 3 * DAY, end % HOUR))
        fields: dict[str, Any] = {
            "submit": end - run - 5000, "eligible": end - run - 4000, "start": end - run, "end": end,
            "elapsed_seconds": run, "wait_seconds": chance.choice((0, 31, 32, 47, 4000, 123_456)),
            "user": chance.choice(("ann", "bob", "o'hara")), "account": chance.choice(("physics", None, "bio")),
            "partition": chance.choice(("main", "gpu", None)), "qos": chance.choice(("normal", None)),
            "cpus": chance.choice((1, 7, 48)), "node_count": 2, "outcome": chance.choice(("completed", "failed")),
        }  # fmt: skip
        kind = number % 8
        if kind == 1:
            fields["alloc_tres"] = {"cpu": 3, "mem_bytes": 5 << 30, "node": 1, "billing": 9, "gres/gpu:a100": 2}
        elif kind == 2:
            fields["alloc_tres"] = {"energy_joules": 1_000_003 * number, "cpu": 4, "license/matlab": 1}
        elif kind == 3:
            fields["alloc_tres"] = {"cpu": 4, "gres/gpu": 4, "gres/gpu:a100": 1, "energy_joules": 77 * number}
        elif kind == 4:
            fields["elapsed_seconds"] = run * 2 // 3
        elif kind == 5:
            cancelled = {"outcome": "cancelled_before_start", "state": "CANCELLED", "partition": "main,gpu"}
            fields |= {"start": None, "elapsed_seconds": 0, "alloc_tres": None, **cancelled}
        made.append(reading(number, 1, **fields))
    return made


async def fill(path: Path, readings: Iterable[Reading], *, observed: int = MIDNIGHT) -> None:
    """Put attempts into a store, with the usage of every other one."""
    async with open_database(path) as database:
        intake = await Intake.load(database, usage=True)
        await intake.commit(batch(*readings, observed=observed))
        told = {}
        for row in await database.read(
            "SELECT usage_queue.job, jobs.seq, jobs.job_id_raw FROM usage_queue "
            "JOIN jobs ON jobs.id = usage_queue.job"
        ):
            used = {
                "cpu_seconds": row["job_id_raw"] * 1.2345, "memory_bytes": row["job_id_raw"] << 22,
                "gpu_ave_utilization_percent": row["job_id_raw"] % 100, "steps": 1,
                "complete": row["job_id_raw"] % 3 > 0,
            }  # fmt: skip
            if row["job_id_raw"] % 2:
                told[row["job"]] = row["seq"], b',"usage":' + orjson.dumps(used)
        await tell(intake, UsageResults(told=told, later={}, observed=observed))


async def expire(path: Path, before: int) -> int:
    """Remove what was observed before a moment, as retention does; return how many attempts are left."""
    async with open_database(path) as database:
        last = (await database.read("SELECT max(seq) FROM events"))[0][0]
        await expire_events(database, before=before, up_to=last)
        return int((await database.read("SELECT count(*) FROM jobs"))[0][0])


def horizon(path: Path, moment: int) -> None:
    """Have a store's reading begin at a moment."""
    with closing(sqlite3.connect(path)) as store:
        store.execute("INSERT OR REPLACE INTO horizons VALUES ('sim', ?, ?)", (moment, MIDNIGHT))
        store.commit()


def end_of(reading: Reading) -> int:
    end = reading[0].end
    assert end is not None
    return end


@pytest.fixture
async def whole(tmp_path: Path) -> Path:
    """A store that has everything."""
    path = tmp_path / "whole.db"
    await fill(path, attempts())
    return path


@pytest.fixture
async def lost(tmp_path: Path) -> tuple[Path, Path]:
    """A store that began anew at the seam, with the archive of the one before, which had all."""
    old, path, dataset = tmp_path / "old.db", tmp_path / "store.db", tmp_path / "archive"
    await fill(old, attempts())
    await archived(old, dataset)
    await fill(path, [reading for reading in attempts() if end_of(reading) >= SEAM])
    horizon(path, SEAM)
    return path, dataset


WISHES = [
    Wish(since=FIRST - 5 * DAY, until=MIDNIGHT + DAY, by=by) for by in CHOICES
] + [
    Wish(since=since, until=until, by=by, **only)
    for since, until, by, only in (
        (SEAM - HOUR, SEAM + HOUR, "hour", {}),
        (SEAM, SEAM + 1, "outcome", {}),
        (SEAM - DAY, SEAM - DAY + 1, "user", {}),
        (FIRST, SEAM - DAY, "day", {"zone": ZoneInfo("America/St_Johns")}),
        (FIRST, MIDNIGHT, "day", {"zone": ZoneInfo("Europe/Berlin"), "users": ("ann", "o'hara")}),
        (FIRST, MIDNIGHT, "account", {"accounts": ("physics", "none"), "outcomes": ("failed",)}),
        (FIRST, MIDNIGHT, "partition", {"partitions": ("(several)", "gpu")}),
        (FIRST, MIDNIGHT, "qos", {"qos": ("normal",), "top": 1}),
        (FIRST, MIDNIGHT, "cluster", {"clusters": ("sim", "other")}),
        (FIRST, MIDNIGHT, "cluster", {"clusters": ("other",)}),
    )
]  # fmt: skip


def lines(reader: StoreReader, wish: Wish) -> list[dict[str, Any]]:
    found = [asdict(line) for line in report(reader, wish, RATES)]
    for line in found:
        # Parts are added up in another order.
        for name, value in line.items():
            if isinstance(value, float):
                line[name] = pytest.approx(value, rel=1e-12)
        line["tres_hours"] = {name: pytest.approx(hours, rel=1e-12) for name, hours in line["tres_hours"].items()}
    return found


def assert_equal(path: Path, dataset: Path, whole: Path, wishes: Iterable[Wish] = WISHES) -> None:
    with ArchivedReader(path, dataset) as both, StoreReader(whole) as full:
        for wish in wishes:
            expected = [asdict(line) for line in report(full, wish, RATES)]
            assert expected == lines(both, wish), wish


async def test_a_store_that_was_lost_reports_what_only_the_archive_has(
    lost: tuple[Path, Path], whole: Path
) -> None:
    path, dataset = lost
    with StoreReader(path) as alone, ArchivedReader(path, dataset) as both:
        wish = Wish(since=FIRST - 5 * DAY, until=MIDNIGHT + DAY, by="account")
        assert report(alone, wish, RATES)[-1].attempts == len([1 for some in attempts() if end_of(some) >= SEAM])
        assert report(both, wish, RATES)[-1].attempts == 400
        assert len({end_of(some) < SEAM for some in attempts()}) == 2
    assert_equal(path, dataset, whole)


@pytest.mark.heavy
async def test_nothing_is_counted_twice_or_left_out_when_the_attempts_of_the_seam_expire(
    lost: tuple[Path, Path], whole: Path
) -> None:
    path, dataset = lost
    await archived(path, dataset)
    later = [
        reading(1000, 1, submit=MIDNIGHT - 60, eligible=MIDNIGHT - 60, start=MIDNIGHT - 50, end=MIDNIGHT - 40)
    ]
    for each in (path, whole):
        await fill(each, later, observed=MIDNIGHT + DAY)
    assert_equal(path, dataset, whole)
    # All that the new store had read of the seam has gone; the archive is as it was.
    assert await expire(path, MIDNIGHT + 1) == 1
    horizon(path, MIDNIGHT - 100)
    assert_equal(path, dataset, whole)


@pytest.mark.heavy
async def test_half_of_an_hour_read_again_by_a_backfill_counts_once(lost: tuple[Path, Path], whole: Path) -> None:
    path, dataset = lost
    await archived(path, dataset)
    await fill(path, [reading(1000, 1, end=MIDNIGHT - 40)], observed=MIDNIGHT + DAY)
    await fill(whole, [reading(1000, 1, end=MIDNIGHT - 40)], observed=MIDNIGHT + DAY)
    assert await expire(path, MIDNIGHT + 1) == 1
    again = [some for some in attempts() if end_of(some) >= SEAM - 1800]
    assert len([some for some in again if end_of(some) < SEAM]) > 10
    await fill(path, again, observed=MIDNIGHT + DAY)
    horizon(path, SEAM - 1800)
    assert_equal(path, dataset, whole)


async def test_where_the_sums_have_all_no_row_of_the_archive_is_read(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = tmp_path / "archive"
    wish = Wish(since=FIRST - 5 * DAY, until=MIDNIGHT + DAY, by="month")
    with StoreReader(whole) as reader:
        before = report(reader, wish, RATES)
    await archived(whole, dataset)
    later = MIDNIGHT + 2 * DAY
    newest = reading(1000, 1, submit=later, eligible=later, start=later, end=later)
    await fill(whole, [newest], observed=MIDNIGHT + DAY)
    assert await expire(whole, MIDNIGHT + 1) == 1
    horizon(whole, MIDNIGHT)

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("rows were read")

    monkeypatch.setattr("slurmwatchd.store.archive.files.Dataset._answering", fail)
    with ArchivedReader(whole, dataset) as reader:
        assert report(reader, wish, RATES) == before
    with closing(sqlite3.connect(whole)) as store:
        store.execute("UPDATE hourly_sums SET attempts = attempts - 1 WHERE attempts > 0 AND hour < ?", (SEAM,))
        store.commit()
    with ArchivedReader(whole, dataset) as reader, pytest.raises(AssertionError, match="rows were read"):
        report(reader, wish, RATES)


async def test_the_store_knows_whether_a_report_needs_the_archive(
    lost: tuple[Path, Path], whole: Path, tmp_path: Path
) -> None:
    path, dataset = lost
    every = Wish(since=FIRST - 5 * DAY, until=MIDNIGHT + DAY, by="account")
    await lose(path, dataset, [reading for reading in attempts() if end_of(reading) >= SEAM], SEAM)
    with StoreReader(path) as store:
        assert lacks(store, every)
        assert lacks(store, replace(every, since=SEAM))
        assert lacks(store, replace(every, clusters=("sim",)))
        assert not lacks(store, replace(every, clusters=("other",)))
        # From the day after the seam on the sums have all.
        assert not lacks(store, replace(every, since=SEAM + DAY))
    # One that was never lost has expired in the middle of a day.
    never = tmp_path / "archive of the whole"
    await archived(whole, never)
    half = sorted(map(end_of, attempts()))[200]
    prune(whole, f'"end" < {half}', half)
    with StoreReader(whole) as store:
        assert not lacks(store, every)
    # What has come since and is not in the archive may be as much as the sums lack.
    await fill(whole, [reading(1000, 1, end=half - 1)], observed=MIDNIGHT + DAY)
    with closing(sqlite3.connect(whole)) as connection:
        connection.execute(
            "UPDATE hourly_sums SET attempts = attempts - 1 WHERE hour = ?1 AND grp = "
            "(SELECT grp FROM hourly_sums WHERE hour = ?1 AND attempts > 0 LIMIT 1)",
            ((half - 1) // HOUR * HOUR,),
        )
        connection.commit()
    with StoreReader(whole) as store:
        assert lacks(store, every)


async def test_the_connector_reports_from_both(lost: tuple[Path, Path]) -> None:
    path, dataset = lost
    span = datetime.fromtimestamp(FIRST - 5 * DAY, UTC), datetime.fromtimestamp(MIDNIGHT + DAY, UTC)
    with Store(path, archive=dataset) as store:
        assert store.report(*span, by="user").total.attempts == 400
    with Store(path) as store:
        assert store.report(*span, by="user").total.attempts < 400


async def test_by_the_hour_a_month_of_a_job_takes_no_more_memory_than_its_rows_allow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slurmwatchd.store.archive.tallies._ROWS_AT_ONCE", 100)
    old, path, dataset = tmp_path / "old.db", tmp_path / "store.db", tmp_path / "archive"
    end = MIDNIGHT - 7 * DAY
    long = [
        reading(n, 1, submit=end - 40 * DAY, start=end - 30 * DAY, end=end, elapsed_seconds=30 * DAY, cpus=n)
        for n in (1, 2, 3)
    ]
    await fill(old, long)
    await archived(old, dataset)
    await fill(path, [reading(9, 1, end=MIDNIGHT)])
    horizon(path, MIDNIGHT - HOUR)
    with ArchivedReader(path, dataset) as both:
        *hours, total = report(both, Wish(by="hour", since=end - 30 * DAY, until=end), RATES)
    assert len(hours) == 720
    assert {line.cpu_hours for line in hours} == {6.0}
    # They ended in the hour after.
    assert (total.cpu_hours, total.attempts) == (6.0 * 720, 0)
