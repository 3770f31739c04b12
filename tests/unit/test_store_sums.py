"""The hourly sums in the store: what SQL adds up over the attempts themselves, whatever happened to those."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from slurmwatchd.model.records import FoundBy
from slurmwatchd.model.reports import Rates
from slurmwatchd.store import sums, usage
from slurmwatchd.store.bodies import RECORD, added
from slurmwatchd.store.database import Database, open_database
from slurmwatchd.store.intake import Intake
from slurmwatchd.store.read.reader import StoreReader
from slurmwatchd.store.read.report import Wish, report
from slurmwatchd.store.usage import UsageResults
from tests.unit.attempts import NOW, Reading, batch, reading, rows
from tests.unit.expiry import expire_events
from tests.unit.set_back import set_back

FROM_SUMS = (
    'SELECT hour, "user", outcome, sum(attempts), sum(cpu_seconds), sum(node_seconds), sum(used_cpu_milliseconds) '
    "FROM hourly_amounts JOIN sum_groups ON sum_groups.id = grp GROUP BY 1, 2, 3 "
    "HAVING sum(attempts) OR sum(cpu_seconds) OR sum(used_cpu_milliseconds) ORDER BY 1, 2, 3"
)

FROM_ATTEMPTS = f"""
WITH RECURSIVE told AS (
    SELECT jobs.id, jobs."user", jobs.start, jobs."end",
        json_extract(CAST({RECORD} AS TEXT), '$.outcome') AS outcome,
        json_extract(CAST({RECORD} AS TEXT), '$.cpus') AS cpus,
        json_extract(CAST({RECORD} AS TEXT), '$.node_count') AS nodes,
        coalesce(json_extract(CAST({added("used")} AS TEXT), '$.usage.cpu_seconds'), 0) AS used
    FROM jobs JOIN events ON events.seq = jobs.seq LEFT JOIN events AS used ON used.seq = jobs.usage_seq
), hours (id, hour) AS (
    SELECT id, coalesce(start, "end") / 3600 * 3600 FROM told
    UNION ALL SELECT hours.id, hour + 3600 FROM hours JOIN told USING (id) WHERE hour + 3600 <= "end"
), parts AS (
    SELECT hour, "user", outcome, "end" / 3600 * 3600 = hour AS ended,
        CASE WHEN start IS NULL THEN 0 ELSE max(0, min("end", hour + 3600) - max(start, hour)) END AS seconds,
        CASE WHEN start IS NULL THEN 0 ELSE "end" - start END AS run, cpus, nodes, used
    FROM told JOIN hours USING (id)
)
SELECT hour, "user", outcome, total(ended), total(cpus * seconds), total(nodes * seconds),
    total(CASE WHEN run THEN used * 1000 * seconds / run ELSE 0 END)
FROM parts GROUP BY 1, 2, 3 HAVING total(ended) OR total(cpus * seconds) ORDER BY 1, 2, 3
"""  # noqa: S608 - constants

RUN = 10_000
DAY = 86_400


def ran(number: int, end: int = NOW - 60, seconds: int = RUN, **fields: Any) -> Reading:  # noqa: ANN401 - any field
    """An attempt that ran for some hours on four processors."""
    digest = fields.pop("digest", 1)
    return reading(
        number,
        digest,
        **{
            "start": end - seconds, "end": end, "elapsed_seconds": seconds, "cpus": 4, "qos": "normal",
            "outcome": "completed", "wait_seconds": 30, "alloc_tres": {"cpu": 4, "node": 1, "gres/gpu:a100": 1},
            **fields,
        },
    )  # fmt: skip


async def told(database: Database, intake: Intake, *numbers: int, cpu_seconds: float = 5000.0) -> None:
    """Have the usage of some attempts told."""
    found = await rows(database, "SELECT id, seq, job_id_raw FROM jobs")
    text = b',"usage":{"cpu_seconds":%f,"steps":1,"complete":true}' % cpu_seconds
    await usage.tell(
        intake,
        UsageResults(told={job: (seq, text) for job, seq, raw in found if raw in numbers}, later={}, observed=NOW),
    )


async def assert_equal(database: Database) -> list[tuple[Any, ...]]:
    """The sums are what SQL makes of the attempts; return them."""
    kept = await rows(database, FROM_SUMS)
    assert kept == await rows(database, FROM_ATTEMPTS)
    return kept


READINGS = (
    ran(1),
    ran(2, user="bob", outcome="failed", state="FAILED"),
    ran(3, end=NOW - 5000, seconds=2000),
    ran(4, start=None, elapsed_seconds=0, state="CANCELLED", outcome="cancelled_before_start", alloc_tres=None),
    ran(5, seconds=0),
)


async def test_attempts_their_usage_and_their_revisions_are_in_the_sums(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database, usage=True)
        await intake.commit(batch(*READINGS))
        first = await assert_equal(database)
        assert sum(row[3] for row in first) == 5
        assert sum(row[4] for row in first) == 4 * (10_000 + 10_000 + 2000)
        await told(database, intake, 1, 2)
        assert sum(row[6] for row in await assert_equal(database)) == 10_000_000
        # The same again is no change; another end, another outcome and another user's name are.
        await intake.commit(batch(*READINGS, observed=NOW + 1))
        assert sum(row[3] for row in await assert_equal(database)) == 5
        await intake.commit(
            batch(
                ran(1, end=NOW - 30, seconds=20_000, digest=2, state="TIMEOUT", outcome="time_limit"),
                ran(3, end=NOW - 9000, seconds=1000, digest=2),
                ran(4, state="COMPLETED", digest=2),
            )
        )
        last = await assert_equal(database)
        assert sum(row[3] for row in last) == 5
        assert sum(row[4] for row in last) == 4 * (20_000 + 10_000 + 1000 + 10_000)
        assert {row[2] for row in last} == {"completed", "failed", "time_limit"}
        assert await rows(database, "SELECT total(value) FROM hourly_waits, json_each(buckets)") == [(5,)]
        assert await rows(
            database, "SELECT name, total(seconds) FROM hourly_tres GROUP BY 1 HAVING total(seconds)"
        ) == [("gres/gpu:a100", 41_000.0)]


async def test_what_expires_stays_in_the_sums_and_a_backfill_does_not_count_it_again(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database, usage=True)
        # The newest attempt stays whatever its age.
        await intake.commit(batch(*READINGS, observed=NOW - 100))
        await intake.commit(batch(ran(9, end=NOW + 7200, seconds=10)))
        kept = await assert_equal(database)
        await expire_events(database, before=NOW, up_to=intake.last_seq)
        assert await rows(database, "SELECT job_id_raw FROM jobs") == [(9,)]
        assert await rows(database, FROM_SUMS) == kept

        again = batch(*READINGS, ran(7, end=NOW - 90_000, seconds=60), found_by=FoundBy.BACKFILL)
        await intake.commit(again)
        assert len(await rows(database, "SELECT 1 FROM jobs")) == 7
        grown = await rows(database, FROM_SUMS)
        # Of what was read now only the attempt of an hour of which nothing has expired is new.
        assert sum(row[3] for row in grown) == sum(row[3] for row in kept) + 1
        assert sum(row[4] for row in grown) == sum(row[4] for row in kept) + 240

        # In an hour of which a part had expired, what ended before and after that part is new.
        first, last = NOW - 5000, NOW - 60
        edges = [
            ran(n, end=end, seconds=1) for n, end in ((20, first - 1), (21, first), (22, last), (23, last + 1))
        ]
        assert {end // 3600 for end in (first - 1, first)} == {first // 3600}
        assert {end // 3600 for end in (last, last + 1)} == {last // 3600}
        ends = await rows(database, "SELECT first_end, last_end FROM summed_hours ORDER BY hour")
        assert ends == [(first, first), (last, last)]
        await intake.commit(batch(*edges, found_by=FoundBy.BACKFILL))
        summed, grown = grown, await rows(database, FROM_SUMS)
        assert sum(row[3] for row in grown) == sum(row[3] for row in summed) + 2

        # Nor do its revision and its usage take out or add what they did not put in.
        await intake.commit(batch(ran(1, seconds=500, digest=2)))
        await told(database, intake, 1, 2)
        assert await rows(database, FROM_SUMS) == grown


async def test_a_store_of_before_gets_its_sums_a_little_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sums, "FILL_JOBS", 2)
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database, usage=True)
        await intake.commit(batch(*READINGS))
        await told(database, intake, 1)
        expected = await assert_equal(database)
        await _as_before(database)
        assert await sums.is_behind(database)

        assert await sums.fill(database) == 2
        # What changes meanwhile is counted once, whether it is in the sums already or not.
        await intake.commit(batch(ran(2, user="bob", seconds=20, digest=2), ran(5, seconds=30, digest=2), ran(6)))
        await told(database, intake, 3, 6)
        while await sums.fill(database):
            pass
        assert not await sums.is_behind(database)
        assert await sums.fill(database) == 0
        kept = await assert_equal(database)
        assert kept != expected
        assert sum(row[3] for row in kept) == 6
        assert await rows(database, "SELECT DISTINCT outcome FROM jobs ORDER BY 1") == [
            ("cancelled_before_start",), ("completed",),
        ]  # fmt: skip


async def test_groups_of_a_transaction_that_failed_are_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)

        async def fail(*_: object) -> None:
            raise OSError

        with monkeypatch.context() as patch:
            patch.setattr("slurmwatchd.store.intake._keep_last_seq", fail)
            with pytest.raises(OSError):
                await intake.commit(batch(ran(1), ran(2, user="bob")))
        assert await rows(database, "SELECT count(*) FROM sum_groups") == [(0,)]
        await intake.commit(batch(ran(3, user="carol")))
        await intake.commit(batch(ran(1), ran(2, user="bob"), ran(4, user="carol"), ran(5, user="dora")))
        kept = await assert_equal(database)
        assert {row[1] for row in kept} == {"ann", "bob", "carol", "dora"}
        assert await rows(database, "SELECT count(*) FROM sum_groups") == [(4,)]


async def test_groups_that_are_not_remembered_are_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sums, "MANY_GROUPS", 1)
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        for number in range(0, 12, 3):
            await intake.commit(
                batch(ran(number), ran(number + 1, user="bob"), ran(number + 2, user=f"new{number}"))
            )
            assert len(database.sum_groups) <= 4
        kept = await assert_equal(database)
        assert len({row[1] for row in kept}) == 6
        assert await rows(database, "SELECT count(*) FROM sum_groups") == [(6,)]


async def test_waits_of_one_hour_are_added_up(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        for number, wait in enumerate((30, 30, 7, 30)):
            await intake.commit(batch(ran(number, wait_seconds=wait)))
        # Below 32 seconds a bucket is a second.
        assert await rows(database, "SELECT buckets FROM hourly_waits") == [('{"30":3,"7":1}',)]
        await intake.commit(batch(ran(2, digest=2, state="TIMEOUT", wait_seconds=8)))
        assert await rows(database, "SELECT buckets FROM hourly_waits") == [('{"30":3,"8":1}',)]


async def test_an_amount_that_no_cluster_has_does_not_stop_the_daemon(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        for number in range(3):
            await intake.commit(
                batch(ran(number, seconds=50, alloc_tres={"billing": 1 << 62, "license/x": 1 << 62}))
            )
        assert await rows(database, "SELECT total(attempts), total(billing_seconds) > 1e15 FROM hourly_sums") == [
            (3.0, 1)
        ]


async def test_sums_of_before_hourly_time_stay_and_are_added_to(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with open_database(path) as database:
        await (await Intake.load(database)).commit(batch(ran(1)))
        assert await rows(database, "SELECT count(*) FROM hourly_time") == [(3,)]
    set_back(
        path,
        "CREATE TABLE hourly_time",
        "INSERT INTO hourly_sums SELECT * FROM hourly_amounts WHERE attempts = 0; "
        "DROP VIEW hourly_amounts; DROP TABLE hourly_time",
    )
    wish = Wish(by="user", since=NOW - DAY, until=NOW)
    with StoreReader(path) as reader:
        (line,) = report(reader, wish, Rates())[-1:]
        assert line.attempts == 1
        assert line.cpu_hours == pytest.approx(11.1111, abs=1e-3)
    async with open_database(path) as database:
        await (await Intake.load(database)).commit(batch(ran(2), ran(3, seconds=100)))
        assert await rows(database, FROM_SUMS) == await rows(database, FROM_ATTEMPTS)
        assert await rows(database, "SELECT count(*) FROM hourly_time") == [(3,)]
    with StoreReader(path) as reader:
        (line,) = report(reader, wish, Rates())[-1:]
        assert line.attempts == 3
        assert line.cpu_hours == pytest.approx(22.3333, abs=1e-3)


async def test_usage_of_before_hourly_used_stays_and_is_added_to(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with open_database(path) as database:
        intake = await Intake.load(database, usage=True)
        await intake.commit(batch(ran(1)))
        await told(database, intake, 1)
        assert await rows(
            database,
            "SELECT (SELECT count(*) FROM hourly_time), (SELECT count(*) FROM hourly_sums), "
            "(SELECT count(*) FROM hourly_sums WHERE used_cpu_milliseconds), (SELECT count(*) FROM hourly_used)",
        ) == [(3, 1, 0, 4)]
    with closing(sqlite3.connect(path)) as store:
        names = [row[1] for row in store.execute("PRAGMA table_info(hourly_sums)")][2:]
        added = ", ".join(f"sum({name})" for name in names)
    set_back(
        path,
        "CREATE TABLE hourly_used",
        f"CREATE TABLE before AS SELECT hour, grp, {added} FROM hourly_amounts GROUP BY hour, grp; "  # noqa: S608
        "DELETE FROM hourly_sums; INSERT INTO hourly_sums SELECT * FROM before; DROP TABLE before; "
        "DELETE FROM hourly_time; DROP VIEW hourly_amounts; DROP TABLE hourly_used; "
        "CREATE VIEW hourly_amounts AS SELECT 1",
    )
    wish = Wish(by="user", since=NOW - DAY, until=NOW)
    with StoreReader(path) as reader:
        (line,) = report(reader, wish, Rates())[-1:]
        assert line.attempts == 1
        assert line.cpu_efficiency == pytest.approx(0.125)
    async with open_database(path) as database:
        intake = await Intake.load(database, usage=True)
        await intake.commit(batch(ran(1, end=NOW - 30, seconds=20_000, digest=2), ran(2)))
        await told(database, intake, 2)
        assert await rows(database, FROM_SUMS) == await rows(database, FROM_ATTEMPTS)
    with StoreReader(path) as reader:
        (line,) = report(reader, wish, Rates())[-1:]
        assert line.attempts == 2
        assert line.cpu_efficiency == pytest.approx(1 / 12)


async def _as_before(database: Database) -> None:
    """Leave the store as a version without sums had it."""

    async def work(connection: Any) -> None:  # noqa: ANN401 - a connection
        for table in ("sum_groups", "hourly_sums", "hourly_time", "hourly_used", "hourly_tres", "hourly_waits"):
            await connection.execute(f"DELETE FROM {table}")  # noqa: S608 - constants
        await connection.execute("UPDATE jobs SET outcome_code = NULL")
        await connection.execute("INSERT INTO unsummed SELECT 0, max(id) FROM jobs")

    await database.write(work)
    # Nothing else removes groups.
    database.sum_groups.clear()
