"""Reports from a store: what SQL adds up over the attempts, and what is left when those have expired."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from slurmwatchd.errors import StoreError
from slurmwatchd.model.reports import Rates, ReportLine
from slurmwatchd.store.bodies import RECORD
from slurmwatchd.store.database import open_database
from slurmwatchd.store.intake import Intake
from slurmwatchd.store.read.reader import StoreReader
from slurmwatchd.store.read.report import CHOICES, Wish, behind, report
from tests.integration.asked import zone
from tests.unit.attempts import NOW, batch
from tests.unit.expiry import expire_events
from tests.unit.test_store_old import store_of
from tests.unit.test_store_sums import ran

HOUR = 3600
LONG_AGO = Wish(by="account", since=NOW - 40 * 86_400, until=NOW)

TWICE = {"Europe/Berlin": 1_792_882_800, "America/New_York": 1_793_505_600}
"""An hour before the one that comes twice."""

ATTEMPTS = [
    ran(
        number,
        end=NOW - number * 7000,
        seconds=number * 500,
        user=f"u{number % 3}",
        account=f"a{number % 2}" if number % 5 else None,
        partition="gpu" if number % 4 == 0 else "main",
        qos="high" if number == 3 else "normal",
        state="FAILED" if number % 7 == 0 else "COMPLETED",
        outcome="failed" if number % 7 == 0 else "completed",
        cpus=number,
        wait_seconds=number,
        alloc_tres={"cpu": number, "node": 1, "gres/gpu": 2, "gres/gpu:a100": 2},
    )
    for number in range(1, 31)
]


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    file = tmp_path / "store.db"
    async with open_database(file) as database:
        intake = await Intake.load(database)
        await intake.commit(batch(*ATTEMPTS))
    return file


@pytest.fixture
def store(path: Path) -> Iterator[StoreReader]:
    with StoreReader(path) as reader:
        yield reader


def by_key(lines: list[ReportLine]) -> dict[str, ReportLine]:
    return {line.key: line for line in lines}


@pytest.mark.parametrize(
    ("by", "column"),
    [
        ("account", "jobs.account"),
        ("user", 'jobs."user"'),
        ("partition", 'jobs."partition"'),
        ("qos", f"json_extract(CAST({RECORD} AS TEXT), '$.qos')"),
        ("outcome", "jobs.outcome"),
        ("cluster", "jobs.cluster"),
        ("hour", "strftime('%Y-%m-%dT%H', jobs.\"end\", 'unixepoch')"),
        ("day", "date(jobs.\"end\", 'unixepoch')"),
        ("month", "strftime('%Y-%m', jobs.\"end\", 'unixepoch')"),
    ],
)
def test_a_report_of_all_is_what_sql_adds_up_over_the_attempts(store: StoreReader, by: str, column: str) -> None:
    lines = report(store, Wish(by=by, since=LONG_AGO.since, until=NOW), Rates())
    found = store.rows(
        f"SELECT coalesce({column}, '(none)'), count(*), "  # noqa: S608 - constants
        f"total(json_extract(CAST({RECORD} AS TEXT), '$.cpus') * (jobs.\"end\" - start)) / 3600, "
        'total(2 * (jobs."end" - start)) / 3600 FROM jobs JOIN events ON events.seq = jobs.seq GROUP BY 1'
    )
    expected = {row[0]: tuple(row[1:]) for row in found}
    *parts, total = lines
    got = {line.key: (line.attempts, line.cpu_hours, line.gpu_hours) for line in parts}
    if by in {"hour", "day", "month"}:
        # A run over midnight has hours on both days; that it ended is on one. So it is with hours.
        got, expected = ({key: value[0] for key, value in each.items() if value[0]} for each in (got, expected))
    assert got == pytest.approx(expected) if by in {"hour", "day", "month"} else got.keys() == expected.keys()
    for key, value in expected.items():
        assert got[key] == pytest.approx(value)
    assert (total.key, total.attempts) == ("total", 30)
    assert total.cpu_hours == pytest.approx(sum(n * n * 500 for n in range(1, 31)) / HOUR)
    assert total.tres_hours == {"gres/gpu:a100": pytest.approx(total.gpu_hours)}


def test_the_largest_come_first_and_times_in_their_order(store: StoreReader) -> None:
    hours = [
        line.cpu_hours for line in report(store, Wish(by="user", since=LONG_AGO.since, until=NOW), Rates())[:-1]
    ]
    assert hours == sorted(hours, reverse=True)
    days = [line.key for line in report(store, Wish(by="day", since=LONG_AGO.since, until=NOW), Rates())[:-1]]
    assert days == ["2026-11-20", "2026-11-21", "2026-11-22", "2026-11-23"]


async def test_hour_that_comes_twice_is_two_lines(tmp_path: Path) -> None:
    """Clocks were put back on 2026-10-25 at 01:00 UTC in Berlin, and on 2026-11-01 at 06:00 UTC in New York."""
    ends = {name: [at + 1800 + HOUR * number for number in range(4)] for name, at in TWICE.items()}
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        numbers = iter(range(1, 9))
        await intake.commit(
            batch(*(ran(next(numbers), end=end, seconds=60) for each in ends.values() for end in each))
        )
    with StoreReader(tmp_path / "store.db") as store:
        for name, expected in (
            ("Europe/Berlin", ["2026-10-25T01", "2026-10-25T02+02:00", "2026-10-25T02+01:00", "2026-10-25T03"]),
            ("America/New_York", ["2026-11-01T00", "2026-11-01T01-04:00", "2026-11-01T01-05:00", "2026-11-01T02"]),
        ):
            wish = Wish(by="hour", since=TWICE[name], until=TWICE[name] + 4 * HOUR, zone=ZoneInfo(name))
            lines = report(store, wish, Rates())
            assert [(line.key, line.attempts) for line in lines] == [*((key, 1) for key in expected), ("total", 4)]
            with zone(name):
                assert report(store, replace(wish, zone=None), Rates()) == lines
        days = report(store, Wish(by="day", since=0, until=NOW, zone=ZoneInfo("Europe/Berlin")), Rates())
        assert [line.key for line in days] == ["2026-10-25", "2026-11-01", "total"]


def test_filters_and_the_hours_of_the_span(store: StoreReader) -> None:
    def one(**asked: Any) -> ReportLine:  # noqa: ANN401 - any field of a wish
        return report(store, Wish(**{"by": "account", "since": LONG_AGO.since, "until": NOW, **asked}), Rates())[
            -1
        ]

    assert one(users=("u1",)).attempts == 10
    assert one(users=("u1",), partitions=("gpu",)).attempts == 3
    assert (one(outcomes=("failed",)).attempts, one(qos=("high",)).attempts) == (4, 1)
    assert one(clusters=("other",)).attempts == 0
    # A stretch within an hour is that hour.
    assert one(since=NOW - 7000 - 60, until=NOW - 7000).attempts == 1
    # Number 30 ran 15,000 s: of a single hour of them it had 30 CPUs for an hour.
    middle = NOW - 30 * 7000 - 8000
    full = one(users=("u0",), since=middle - middle % HOUR, until=middle - middle % HOUR + 1)
    assert [full.attempts, full.cpu_hours, full.gpu_hours] == pytest.approx([0, 30.0, 2.0])


def test_days_begin_where_people_are(store: StoreReader) -> None:
    wish = Wish(by="day", since=LONG_AGO.since, until=NOW, zone=timezone(timedelta(hours=-9)))
    ends = [(NOW - number * 7000 - 9 * HOUR) // 86_400 for number in range(1, 31)]
    assert [line.attempts for line in report(store, wish, Rates()) if line.attempts] == [
        *(ends.count(day) for day in sorted(set(ends))), 30,
    ]  # fmt: skip


async def test_a_report_is_the_same_when_its_attempts_have_expired(path: Path) -> None:
    wishes = [Wish(by=by, since=LONG_AGO.since, until=NOW) for by in CHOICES]
    with StoreReader(path) as reader:
        before = [report(reader, wish, Rates(prices={"cpu": 1.0})) for wish in wishes]
    async with open_database(path) as database:
        intake = await Intake.load(database)
        await intake.commit(batch(ran(99, end=NOW + 9000, seconds=5), observed=NOW + 9000))
        await expire_events(database, before=NOW + 1, up_to=intake.last_seq)
    with StoreReader(path) as reader:
        assert len(list(reader.records(_everything()))) == 1
        assert [report(reader, wish, Rates(prices={"cpu": 1.0})) for wish in wishes] == before


def test_there_is_no_other_grouping(store: StoreReader) -> None:
    with pytest.raises(ValueError, match="cannot report by 'node': only by account, user"):
        report(store, Wish(by="node", since=0, until=NOW), Rates())


async def test_a_store_of_before_says_what_to_do_and_then_what_is_left(tmp_path: Path) -> None:
    path = store_of(tmp_path, "schema_0001.sql")
    with StoreReader(path) as reader, pytest.raises(StoreError, match="start this version's daemon on it once"):
        report(reader, LONG_AGO, Rates())
    async with open_database(path):
        with StoreReader(path) as reader:
            assert behind(reader) == 3
            assert report(reader, LONG_AGO, Rates())[-1].attempts == 0


@pytest.mark.parametrize("table", ["hourly_sums", "hourly_time", "hourly_used"])
def test_a_report_over_years_reads_hours_and_not_attempts(store: StoreReader, table: str) -> None:
    plan = store.rows(
        f"EXPLAIN QUERY PLAN SELECT account, count(hour) FROM {table} JOIN sum_groups "  # noqa: S608
        "ON sum_groups.id = grp WHERE hour >= 0 AND hour < 9 GROUP BY 1"
    )
    assert any(f"{table} USING PRIMARY KEY (hour>? AND hour<?)" in row["detail"] for row in plan)


def _everything() -> Any:  # noqa: ANN401 - a question
    from slurmwatchd.store.read.query import Question  # noqa: PLC0415 - one test's

    return Question()


def test_sqlite_can_name_what_the_sums_are_of(path: Path) -> None:
    """The tables are for people, too: no code of ours is needed to read them."""
    with sqlite3.connect(path) as connection:
        found = connection.execute(
            "SELECT account, sum(cpu_seconds) FROM hourly_amounts JOIN sum_groups ON id = grp "
            "GROUP BY 1 ORDER BY 1"
        ).fetchall()
    assert [row[0] for row in found] == ["", "a0", "a1"]
