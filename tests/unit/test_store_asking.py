"""Looking things up in a store: the right attempts, in the right order, beside a daemon that writes."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from slurmwatchd.errors import StoreBusyError, StoreError
from slurmwatchd.store import opening
from slurmwatchd.store.database import Database, open_database
from slurmwatchd.store.intake import Intake
from slurmwatchd.store.read import status
from slurmwatchd.store.read.query import Order, Question, adding_up
from slurmwatchd.store.read.reader import StoreReader, Totals
from tests.unit.attempts import NOW, batch, reading

HOUR = 3600

# Number: what is special about it. All ended at NOW - 60 on n1 unless it says so.
ATTEMPTS: dict[int, dict[str, Any]] = {
    1: {"user": "ann", "account": "physics", "qos": "normal", "start": NOW - 600, "end": NOW - 500},
    2: {
        "user": "bob",
        "account": "chemistry",
        "partition": "gpu",
        "state": "FAILED",
        "qos": "high",
        "name": "x_1",
        "outcome": "failed",
    },
    3: {"job_id": "30_1", "array_job_id": 30, "array_task_id": 1, "start": NOW - 400, "end": NOW - 300},
    4: {"job_id": "30_2", "array_job_id": 30, "array_task_id": 2, "node_list": "n[1-3]", "node_count": 3},
    5: {"job_id": "5+0", "het_job_id": 5, "het_job_offset": 0},
    6: {"job_id": "5+1", "het_job_id": 5, "het_job_offset": 1, "name": "X_1"},
    7: {"state": "CANCELLED", "start": None, "node_list": None, "node_count": 1, "end": NOW - 50},
    8: {"state": "RUNNING", "start": NOW - 550, "end": None},
    9: {"state": "COMPLETED", "start": NOW - 540, "end": None},
    300: {"end": NOW - 10, "start": NOW - 20},
    305: {"end": NOW - 9, "start": NOW - 20, "outcome": "completed"},
}
EXPANDED = {"n1": ("n1",), "n[1-3]": ("n1", "n2", "n3")}


@pytest.fixture
async def path(tmp_path: Path) -> AsyncIterator[Path]:
    """A store that a daemon has open."""
    file = tmp_path / "a store?.db"
    async with open_database(file) as database:
        await _fill(database)
        yield file


@pytest.fixture
def store(path: Path) -> Iterator[StoreReader]:
    with StoreReader(path) as reader:
        yield reader


async def _fill(database: Database) -> None:
    intake = await Intake.load(database)
    await intake.commit(
        batch(*(reading(number, **given) for number, given in ATTEMPTS.items()), expanded=EXPANDED)
    )


def found(store: StoreReader, **asked: Any) -> list[int]:  # noqa: ANN401 - any field of a question
    question = Question(**{"order": Order.FOUND, **asked})
    numbers = [record["job_id_raw"] for record in store.records(question)]
    assert store.count(question) == len(numbers)
    return numbers


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, [1, 2, 3, 4, 5, 6, 7, 8, 9, 300, 305]),
        ({"users": ("bob",)}, [2]),
        ({"users": ("ann", "bob"), "ended_until": NOW - 60, "limit": 2}, [1, 2]),
        ({"accounts": ("chemistry", "none")}, [2]),
        ({"partitions": ("gpu",)}, [2]),
        ({"states": ("FAILED", "CANCELLED")}, [2, 7]),
        ({"states": ("F", "ca")}, [2, 7]),
        ({"states": ["failed"]}, [2]),
        ({"states": ("R", "SUSPENDED", "PD")}, [8]),
        ({"outcomes": ("failed",)}, [2]),
        ({"outcomes": ("cancelled_before_start", "failed")}, [2, 7]),
        ({"outcomes": ("out_of_memory", "cancelled_by_user")}, []),
        ({"outcomes": ("completed",), "ended_from": NOW - 10}, [300, 305]),
        ({"outcomes": ("unknown",)}, [8]),
        ({"outcomes": ("unknown", "failed")}, [2, 8]),
        ({"qos": ("normal",)}, [1]),
        ({"qos": ("normal", "high")}, [1, 2]),
        ({"clusters": ("sim",), "states": ("FAILED",)}, [2]),
        ({"clusters": ("other",)}, []),
        ({"name": "x_*"}, [2]),
        ({"name": "?_1"}, [2, 6]),
        ({"name": "job [13]"}, [1, 3]),
        ({"node": "n2"}, [4]),
        ({"node": "n1", "states": ("FAILED",)}, [2]),
        ({"node": "n"}, []),
        ({"ended_from": NOW - 60, "ended_until": NOW - 50}, [2, 4, 5, 6, 7]),
        ({"ended_from": NOW - 59, "ended_until": NOW - 51}, []),
        ({"job_ids": ("3",)}, [3]),
        ({"job_ids": ("30",)}, [3, 4]),
        ({"job_ids": ("30_2", "5+1")}, [4, 6]),
        ({"job_ids": ("5",)}, [5, 6]),
        ({"job_ids": ("305", "2")}, [2, 305]),
        ({"job_ids": ("30_", "x' OR 1", "")}, []),
        ({"job_ids": ("30",), "users": ("bob",)}, []),
    ],
)
def test_filters(store: StoreReader, asked: dict[str, Any], expected: list[int]) -> None:
    assert found(store, **asked) == expected


def test_an_array_counts_the_attempts_of_its_tasks_that_are_asked_for(store: StoreReader) -> None:
    (array,) = store.arrays(Question())
    assert (array.cluster, array.job_id, array.outcomes) == ("sim", "30", {"completed": 2})
    assert (array.start, array.end) == (NOW - 400, NOW - 60)
    (part,) = store.arrays(Question(node="n2"))
    assert (part.outcomes, part.start) == ({"completed": 1}, NOW - 70)
    assert store.arrays(Question(outcomes=("failed",))) == []


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        (NOW - 600, NOW - 560, [1]),
        (NOW - 500, NOW - 500, [1, 8]),
        (NOW - 499, NOW - 401, [8]),
        (NOW - 450, NOW - 400, [3, 8]),
        (NOW - 300, NOW - 300, [3, 8]),
        (NOW - 299, NOW - 71, [8]),
        (NOW - 60, NOW - 21, [2, 4, 5, 6, 8]),
        (NOW + 9000, NOW + 9001, [8]),
        (None, NOW - 551, [1]),
        (NOW - 9, None, [8, 305]),
        (NOW - 10_000, NOW - 601, []),
    ],
)
def test_running_between_has_both_ends_in_it_and_what_never_started_in_none(
    store: StoreReader, begin: int | None, end: int | None, expected: list[int]
) -> None:
    assert found(store, running_from=begin, running_until=end) == expected


def test_a_limit_takes_the_first_of_the_order_asked_for(store: StoreReader) -> None:
    assert found(store, order=Order.END, descending=True, limit=3) == [305, 300, 7]
    assert found(store, order=Order.ELAPSED, descending=True, limit=2) == [3, 1]
    assert found(store, order=Order.START, ended_from=0, users=("bob",)) == [2]
    assert found(store, order=Order.SUBMIT, descending=True, limit=1) == [305]


def test_a_record_is_what_the_newest_event_tells_with_its_nodes_when_asked(store: StoreReader) -> None:
    (record,) = store.records(Question(job_ids=("30_2",)), nodes=True)
    assert record["nodes"] == ["n1", "n2", "n3"]
    assert (record["node_list"], record["cluster"], record["end"]) == ("n[1-3]", "sim", "2026-11-23T02:12:20Z")
    (record,) = store.records(Question(job_ids=("30_2",)))
    assert "nodes" not in record
    (record,) = store.records(Question(job_ids=("7",)), nodes=True)
    assert "nodes" not in record


async def test_a_revision_is_read_as_soon_as_it_is_committed(tmp_path: Path) -> None:
    async with open_database(tmp_path / "s.db") as database:
        intake = await Intake.load(database)
        await intake.commit(batch(reading(1)))
        with StoreReader(tmp_path / "s.db") as store:
            assert [record["state"] for record in store.records(Question())] == ["COMPLETED"]
            await intake.commit(batch(reading(1, digest=2, state="FAILED")))
            assert [record["state"] for record in store.records(Question())] == ["FAILED"]


async def test_a_slow_reader_gets_each_attempt_once_and_holds_no_log_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StoreReader, "page", 2)
    async with open_database(tmp_path / "s.db") as database:
        intake = await Intake.load(database)
        await intake.commit(batch(*(reading(number) for number in (1, 2, 3, 4, 5))))
        with StoreReader(tmp_path / "s.db") as store:
            records = store.records(Question(order=Order.END))
            first = next(records)
            # Moved behind what is still to come, and a new one: neither is given twice, nor too much.
            await intake.commit(batch(reading(1, digest=2, end=NOW), reading(9, end=NOW)))
            busy, in_log, moved = (await database.read("PRAGMA wal_checkpoint(TRUNCATE)"))[0]
            assert (busy, in_log, moved) == (0, 0, 0)
            assert [record["job_id_raw"] for record in (first, *records)] == [1, 2, 3, 4, 5]


def test_totals_count_only_what_lies_inside_the_interval(store: StoreReader) -> None:
    # 1: 100 s before its end; 3: all of its 100 s; 8 runs through; the others are later. Each on one node.
    question = Question(running_from=NOW - 550, running_until=NOW - 300)
    assert store.totals(question) == {None: Totals(ran=3, ended=2, node_hours=(50 + 100 + 250) / HOUR)}
    # 4 has three nodes for ten seconds, 2 and 5 and 6 one.
    question = Question(running_from=NOW - 75, running_until=NOW - 65)
    assert store.totals(question, by="user") == {
        "ann": Totals(ran=4, ended=0, node_hours=(15 + 5 + 5 + 10) / HOUR),
        "bob": Totals(ran=1, ended=0, node_hours=5 / HOUR),
    }
    assert store.totals(Question(running_from=1, running_until=2)) == {}


def test_totals_look_up_the_record_of_an_attempt_only_where_nobody_counted_its_nodes(store: StoreReader) -> None:
    asked = adding_up(Question(running_from=NOW - 550, running_until=NOW - 300), store.clusters(), by="user")
    plan = [row["detail"] for row in store.rows(f"EXPLAIN QUERY PLAN {asked.sql}", asked.parameters)]
    (events,) = (place for place, step in enumerate(plan) if "events" in step)
    assert plan[events - 1].startswith("CORRELATED SCALAR SUBQUERY")


def test_totals_need_an_interval_and_a_grouping_that_exists(store: StoreReader) -> None:
    with pytest.raises(ValueError, match="need an interval"):
        store.totals(Question(running_from=1))
    with pytest.raises(ValueError, match="cannot group by 'name': only by cluster, user,"):
        store.totals(Question(running_from=1, running_until=2), by="name")


def test_nothing_can_be_written_through_it(store: StoreReader) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        store._connection.execute("DELETE FROM jobs")


def test_clusters(store: StoreReader) -> None:
    assert store.clusters() == ["sim"]


def _not_a_database(path: Path) -> None:
    path.write_bytes(b"x" * 5000)


def _another_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE t (a)")


def _a_newer_store(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.executescript("PRAGMA application_id = 1397512004; PRAGMA user_version = 9999;")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "there is no store yet"),
        (_not_a_database, "file is not a database"),
        (_another_database, "not a store of slurmwatchd"),
        (_a_newer_store, "has schema 9999"),
        (Path.mkdir, "is not a file"),
    ],
)
def test_what_is_no_store_of_ours_is_refused_in_one_line_that_names_it(
    tmp_path: Path, make: Callable[[Path], object], words: str
) -> None:
    make(tmp_path / "s.db")
    with pytest.raises(StoreError, match=words) as caught:
        StoreReader(tmp_path / "s.db")
    assert str(tmp_path / "s.db") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_store_that_is_locked_is_busy_and_may_be_asked_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(opening.BUSY_SECONDS, opening.Mode.READ, 0.01)
    with closing(sqlite3.connect(path.with_name("other.db"))) as other, StoreReader(path) as store:
        other.execute("CREATE TABLE t (a)")
        store._connection.execute(f"ATTACH '{path.with_name('other.db')}' AS other")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreBusyError, match="locked"), store._reading() as connection:
            connection.execute("SELECT * FROM other.t")


def test_what_is_kept_of_a_store_is_read_again_once_another_program_has_written(
    path: Path, store: StoreReader
) -> None:
    def known() -> tuple[list[str], list[str]]:
        return store.clusters(), [reading.cluster for reading in status.readings(store)]

    clusters, read = known()
    assert clusters == ["sim"]
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("UPDATE jobs SET cluster = 'beta' WHERE id = 1")
        writer.execute("INSERT INTO horizons VALUES ('beta', 1, 2)")
        assert known() == (clusters, read)
        writer.commit()
        assert known() == (["beta", "sim"], ["beta", *read])
        writer.execute("DELETE FROM horizons WHERE cluster = 'beta'")
        writer.execute("UPDATE jobs SET cluster = 'sim'")
        writer.commit()
    assert known() == (clusters, read)


def test_what_is_kept_of_a_store_is_not_read_again_before(store: StoreReader) -> None:
    seen: list[str] = []
    store._connection.set_trace_callback(seen.append)
    for _ in range(3):
        store.clusters()
    assert [sql.split()[0] for sql in seen] == ["PRAGMA", "WITH", "PRAGMA", "PRAGMA"]
