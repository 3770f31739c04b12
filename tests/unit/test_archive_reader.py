"""Questions that reach behind the store's horizon: the answers of a store that never pruned anything."""

import os
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from slurmwatchd.connector import Store
from slurmwatchd.errors import StoreBusyError, StoreError
from slurmwatchd.model.records import JobRecord
from slurmwatchd.store.archive.conditions import regex_of
from slurmwatchd.store.archive.reader import ArchivedReader
from slurmwatchd.store.database import open_database
from slurmwatchd.store.intake import Intake
from slurmwatchd.store.read.query import Order, Question
from slurmwatchd.store.read.reader import Record, StoreReader
from slurmwatchd.store.usage import UsageResults, tell
from tests.unit.archives import DAY, MIDNIGHT, archived, ended, fill, prune
from tests.unit.attempts import batch

HOUR = 3600
EXPANDED = {"n1": ("n1",), "n[1-3]": ("n1", "n2", "n3")}
HOSTILE = 'x"\n,\x1b[31m \u2028 é'

# Number: how many days ago it ended, and what is special about it.
ATTEMPTS: dict[int, tuple[int, dict[str, Any]]] = {
    1: (9, {"user": "ann", "account": "physics", "qos": "normal"}),
    2: (9, {"user": "bob", "account": "chemistry", "partition": "gpu", "state": "FAILED", "name": "x_1"}),
    3: (8, {"job_id": "30_1", "array_job_id": 30, "array_task_id": 1, "flags": ("a", "b")}),
    4: (
        8,
        {"job_id": "30_2", "array_job_id": 30, "node_list": "n[1-3]", "node_count": 3, "raw": {"ExitCode": "?"}},
    ),
    5: (8, {"job_id": "5+0", "het_job_id": 5, "het_job_offset": 0, "name": HOSTILE}),
    6: (7, {"job_id": "5+1", "het_job_id": 5, "het_job_offset": 1, "name": "X_1"}),
    7: (7, {"state": "CANCELLED", "start": None, "node_list": None, "node_count": 1}),
    8: (6, {"start": MIDNIGHT - 9 * DAY, "elapsed_seconds": 3 * DAY}),
    9: (
        2,
        {"job_id": "30_9", "array_job_id": 30, "qos": "high", "alloc_tres": {"cpu": 2, "gres/gpu:a100_1g.5gb": 1}},
    ),
    10: (1, {"user": "bob", "state": "FAILED"}),
    300: (1, {"db_index": str((1 << 63) + 5)}),
}
_PRUNED = 6
"""What ended so many days ago, or earlier, the store has pruned, but for two attempts that a backfill found."""
_FOUND_BY_BACKFILL = (2, 6)

QUESTIONS: list[Question] = [
    Question(**asked)
    for asked in (
        {},
        {"users": ("bob",)},
        {"users": ("ann", "bob"), "ended_until": MIDNIGHT - 7 * DAY + 12 * HOUR},
        {"accounts": ("chemistry", "none")},
        {"partitions": ("gpu",)},
        {"states": ("FAILED", "CANCELLED")},
        {"qos": ("normal", "high")},
        {"outcomes": ("failed",)},
        {"outcomes": ("completed", "cancelled_before_start")},
        {"clusters": ("sim",), "states": ("FAILED",)},
        {"clusters": ("other",)},
        {"name": "x_*"},
        {"name": "?_1"},
        {"name": "[^X]_1"},
        {"name": "*\n*"},
        {"node": "n2"},
        {"node": "n1", "states": ("FAILED",)},
        {"node": "n"},
        {"ended_from": MIDNIGHT - 8 * DAY, "ended_until": MIDNIGHT - 7 * DAY},
        {"ended_from": MIDNIGHT - 8 * DAY + 3 * HOUR + 3, "ended_until": MIDNIGHT - 8 * DAY + 3 * HOUR + 4},
        {"ended_from": MIDNIGHT - 2 * DAY},
        {"job_ids": ("3",)},
        {"job_ids": ("30",)},
        {"job_ids": ("30_2", "5+1")},
        {"job_ids": ("5", "300", "9999999999999999999999")},
        {"job_ids": ("30_", "x' OR 1", "")},
        {"running_from": MIDNIGHT - 9 * DAY, "running_until": MIDNIGHT - 7 * DAY},
        {"running_from": MIDNIGHT - 7 * DAY + HOUR, "running_until": MIDNIGHT - 7 * DAY + HOUR},
        {"running_until": MIDNIGHT - 8 * DAY},
        {"running_from": MIDNIGHT - 7 * DAY},
    )
]  # fmt: skip


@pytest.fixture
async def whole(tmp_path: Path) -> Path:
    """A store that has everything."""
    path = tmp_path / "whole.db"
    await _fill(path)
    return path


async def _fill(path: Path) -> None:
    readings = []
    for number, (ago, special) in ATTEMPTS.items():
        # No two ran for as long: equal ones stand in no order that survives pruning.
        record, digest = ended(number, ago)
        readings.append((record._replace(**{"start": (record.end or 0) - 10 - number, **special}), digest))
    async with open_database(path) as database:
        intake = await Intake.load(database, usage=True)
        await intake.commit(batch(*readings, expanded=EXPANDED))
        waiting = await database.read(
            "SELECT usage_queue.job, jobs.seq, jobs.job_id_raw FROM usage_queue "
            "JOIN jobs ON jobs.id = usage_queue.job"
        )
        told = {}
        for job, seq, number in waiting:
            usage = {"cpu_seconds": 5.0 * number, "cpu_efficiency": number / 400, "steps": 1, "complete": True}
            steps = [{"id": "batch", "state": "COMPLETED"}]
            told[job] = seq, b',"usage":' + orjson.dumps(usage) + b',"steps":' + orjson.dumps(steps)
        del told[min(told)]
        await tell(intake, UsageResults(told=told, later={}, observed=MIDNIGHT))


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[ArchivedReader]:
    """A store that has pruned most, with its archive."""
    path, dataset = tmp_path / "store.db", tmp_path / "archive"
    await _fill(path)
    await archived(path, dataset)
    end = MIDNIGHT - (_PRUNED - 1) * DAY
    prune(path, f'"end" < {end} AND job_id_raw NOT IN {_FOUND_BY_BACKFILL}', end)
    with ArchivedReader(path, dataset) as reader:
        yield reader


@pytest.fixture
def full(whole: Path) -> Iterator[StoreReader]:
    with StoreReader(whole) as reader:
        yield reader


def answer(reader: StoreReader, question: Question) -> list[Record]:
    records = list(reader.records(question, nodes=True, usage=True))
    assert reader.count(question) == len(records)
    return records


def numbers(reader: StoreReader, question: Question) -> list[int]:
    return [record["job_id_raw"] for record in reader.records(question)]


def test_the_store_has_pruned_what_it_is_meant_to_have(both: ArchivedReader, tmp_path: Path) -> None:
    with StoreReader(tmp_path / "store.db") as alone:
        assert numbers(alone, Question(order=Order.FOUND)) == [2, 6, 9, 10, 300]


@pytest.mark.parametrize("question", QUESTIONS)
def test_answers_are_those_of_a_store_that_never_pruned(
    both: ArchivedReader, full: StoreReader, question: Question
) -> None:
    assert answer(both, question) == answer(full, question)


@pytest.mark.parametrize("order", [Order.SUBMIT, Order.START, Order.END, Order.ELAPSED, Order.EFFICIENCY])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("limit", [None, 1, 4, 100])
def test_order_and_limit_are_too(
    both: ArchivedReader, full: StoreReader, order: Order, descending: bool, limit: int | None
) -> None:
    question = Question(order=order, descending=descending, limit=limit)
    assert numbers(both, question) == numbers(full, question)


@pytest.mark.parametrize("by", [None, "cluster", "user", "account", "partition", "state"])
@pytest.mark.parametrize(("begin", "end"), [(10, 0), (9, 7), (8, 8)])
def test_totals_are_too(both: ArchivedReader, full: StoreReader, by: str | None, begin: int, end: int) -> None:
    question = Question(
        running_from=MIDNIGHT - begin * DAY, running_until=MIDNIGHT - end * DAY + 3 * HOUR + 3, order=Order.FOUND
    )
    found, expected = both.totals(question, by=by), full.totals(question, by=by)
    assert list(found) == list(expected)
    for group, total in expected.items():
        assert (found[group].ran, found[group].ended) == (total.ran, total.ended)
        assert found[group].node_hours == pytest.approx(total.node_hours)


@pytest.mark.parametrize(
    "question", [Question(), Question(node="n2"), Question(outcomes=("failed",)), Question(job_ids=("30_1",))]
)
def test_arrays_are_too(both: ArchivedReader, full: StoreReader, question: Question) -> None:
    def known(reader: StoreReader) -> list[dict[str, Any]]:
        arrays = reader.arrays(question)
        newest = [record["job_id"] for record in reader.fetched([array.newest for array in arrays])]
        return [{**array._asdict(), "newest": job} for array, job in zip(arrays, newest, strict=True)]

    assert known(both) == known(full)


def test_an_array_is_one_row_whether_its_tasks_are_in_the_store_or_in_the_archive(both: ArchivedReader) -> None:
    (array,) = both.arrays(Question())
    assert (array.job_id, array.outcomes) == ("30", {"completed": 3})
    # Its first task was in the archive, and its last one is in the store.
    first, last = ended(3, 8)[0].end, ended(9, 2)[0].end
    assert (array.start, array.end) == ((first or 0) - 13, last)
    (record,) = both.fetch([array.newest])
    assert record["job_id"] == "30_9"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The SQL of every question to the store."""
    asked: list[str] = []
    ask = ArchivedReader.rows

    def rows(reader: ArchivedReader, sql: str, parameters: Sequence[object] = ()) -> list[sqlite3.Row]:
        asked.append(sql)
        return ask(reader, sql, parameters)

    monkeypatch.setattr(ArchivedReader, "rows", rows)
    return asked


def test_what_any_file_may_still_have_is_looked_up_once_a_question(both: ArchivedReader, asked: list[str]) -> None:
    both.totals(Question(running_from=MIDNIGHT - 10 * DAY, running_until=MIDNIGHT, order=Order.FOUND))
    # There are four files, and one cluster.
    assert len([sql for sql in asked if '"end" >= ' in sql]) == 4
    (anywhere,) = (sql for sql in asked if "archive_moves" in sql)
    plan = " ".join(row["detail"] for row in both.rows(f"EXPLAIN QUERY PLAN {anywhere}", ("sim",)))
    assert "SEARCH events USING INTEGER PRIMARY KEY (rowid>?)" in plan, "every event of the store is looked at"


def test_what_the_store_has_of_a_day_is_looked_up_only_where_rows_of_its_file_answer(
    both: ArchivedReader, asked: list[str]
) -> None:
    begin = MIDNIGHT - 9 * DAY + 2 * HOUR
    # Of the four files from then on only the one with attempt 8, which ran for days.
    found = both.totals(Question(running_from=begin, running_until=begin + 60, order=Order.FOUND))
    assert found[None].ran == 1
    assert len([sql for sql in asked if '"end" >= ' in sql]) == 1


def test_a_count_of_whole_days_reads_no_rows(both: ArchivedReader, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("rows were read")

    monkeypatch.setattr("slurmwatchd.store.archive.files.Dataset._answering", fail)
    assert both.count(Question(ended_from=MIDNIGHT - 8 * DAY, ended_until=MIDNIGHT - 7 * DAY - 1)) == 3
    # Of the next day the store has attempt 6 again.
    with pytest.raises(AssertionError, match="rows were read"):
        both.count(Question(ended_from=MIDNIGHT - 7 * DAY, ended_until=MIDNIGHT - 6 * DAY - 1))


def _text(record: Record) -> bytes:
    # An outcome that no body has yet is added at the end of it.
    return orjson.dumps(record, option=orjson.OPT_SORT_KEYS)


def test_records_are_those_of_the_store_byte_for_byte(both: ArchivedReader, full: StoreReader) -> None:
    question = Question(order=Order.SUBMIT)
    found = [_text(record) for record in both.records(question, nodes=True, usage=True)]
    assert found == [_text(record) for record in full.records(question, nodes=True, usage=True)]
    lines = both.lines(both.ids(question), nodes=True, usage=True)
    assert [_text(orjson.loads(line)) for line in lines] == found
    plain = [_text(record) for record in both.records(question)]
    assert plain == [_text(record) for record in full.records(question)]


def test_a_question_about_what_the_store_has_leaves_the_archive_alone(
    both: ArchivedReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("the archive was looked at")

    monkeypatch.setattr("slurmwatchd.store.archive.reader.Dataset", fail)
    newest = Question(ended_from=MIDNIGHT - 2 * DAY, descending=True)
    assert numbers(both, newest) == [300, 10, 9]
    assert numbers(both, Question(descending=True, limit=3)) == [300, 10, 9]
    with pytest.raises(AssertionError, match="was looked at"):
        both.ids(Question(descending=True, limit=4))


def test_the_folders_of_days_before_a_question_are_not_looked_into(both: ArchivedReader, tmp_path: Path) -> None:
    # A file in the place of a folder: whoever looks into it, fails.
    (tmp_path / "archive" / "day=2020-01-01").touch()
    assert numbers(both, Question(ended_from=MIDNIGHT - 2 * DAY)) == [9, 10, 300]
    with pytest.raises(StoreError, match="cannot be read"):
        both.ids(Question())


async def test_a_cluster_that_only_the_archive_has_is_found_in_what_the_store_need_not_ask_for(
    both: ArchivedReader, tmp_path: Path
) -> None:
    other = tmp_path / "other.db"
    await fill(other, [ended(7, 4, cluster="other"), ended(8, 1, cluster="other")], cluster="other")
    await archived(other, tmp_path / "others")
    for folder in (tmp_path / "others").iterdir():
        for file in folder.iterdir():
            (tmp_path / "archive" / folder.name).mkdir(exist_ok=True)
            file.rename(tmp_path / "archive" / folder.name / file.name)
    assert numbers(both, Question(ended_from=MIDNIGHT - 2 * DAY)) == [9, 8, 10, 300]
    assert numbers(both, Question(ended_from=MIDNIGHT - 2 * DAY, clusters=("sim",))) == [9, 10, 300]


async def test_an_attempt_that_was_revised_since_is_told_as_the_store_has_it(tmp_path: Path) -> None:
    path, dataset = tmp_path / "store.db", tmp_path / "archive"
    await fill(path, [ended(1, 9), ended(2, 9)])
    await archived(path, dataset)
    prune(path, "job_id_raw = 2", MIDNIGHT)
    moved = ended(1, 7, 2, submit=ended(1, 9)[0].submit)
    await fill(path, [moved])
    with ArchivedReader(path, dataset) as reader:
        # Its day was not written again yet, and the archive still has the end of before.
        assert [(record["job_id_raw"], record["end"]) for record in reader.records(Question())] == [
            (2, "2026-11-14T03:00:02Z"),
            (1, "2026-11-16T03:00:01Z"),
        ]


async def test_a_day_written_again_between_question_and_answer_is_said(
    both: ArchivedReader, tmp_path: Path
) -> None:
    ids = both.ids(Question(job_ids=("1",)))
    (file,) = [file for file in both._files.files if file.day == (MIDNIGHT - 9 * DAY) // DAY]
    os.rename(file.path, file.path.with_name("sim-2.parquet"))  # noqa: PTH104 - as it stands
    with pytest.raises(StoreBusyError, match="has just written this day of the archive again; try again"):
        both.fetch(ids)
    # A new question is answered.
    assert numbers(both, Question(job_ids=("1",))) == [1]


async def test_a_reader_that_stays_open_finds_what_was_archived_and_pruned_since(tmp_path: Path) -> None:
    path, dataset = tmp_path / "store.db", tmp_path / "archive"
    await fill(path, [ended(1, 9)])
    await archived(path, dataset)
    prune(path, "job_id_raw = 1", MIDNIGHT - 8 * DAY)
    with ArchivedReader(path, dataset) as reader:
        question = Question(order=Order.SUBMIT)
        first = reader.ids(question)
        assert numbers(reader, question) == [1]
        await fill(path, [ended(2, 10), ended(3, 6)])
        await archived(path, dataset)
        prune(path, "1", MIDNIGHT - 5 * DAY)
        assert numbers(reader, question) == [2, 1, 3]
        assert reader.count(question) == 3
        # Ids of before still are those of the same attempts.
        assert [record["job_id_raw"] for record in reader.fetch(first)] == [1]


def test_the_connector_reaches_into_the_archive(both: ArchivedReader, tmp_path: Path) -> None:
    with Store(tmp_path / "store.db", archive=tmp_path / "archive") as store:
        assert [record["job_id"] for record in store.jobs(30)] == ["30_1", "30_2", "30_9"]
        assert store.nodes_of("30_2") == {"n1", "n2", "n3"}
    with Store(tmp_path / "store.db") as store:
        assert [record["job_id"] for record in store.jobs(30)] == ["30_9"]


@pytest.mark.parametrize(
    ("glob", "matching", "others"),
    [
        ("a*", ["a", "ab\nc"], ["ba", "A"]),
        ("a.c", ["a.c"], ["abc"]),
        ("[a-c]x", ["ax", "cx"], ["dx", "-x"]),
        ("[^a]x", ["bx", "\nx"], ["ax"]),
        ("[]]x", ["]x"], ["x"]),
        ("[a", [], ["[a", "a"]),
        ("*[.]*", ["a.b"], ["ab"]),
        ("", [""], ["a"]),
    ],
)
def test_globs_are_those_of_sqlite(full: StoreReader, glob: str, matching: list[str], others: list[str]) -> None:
    import pyarrow as pa  # noqa: PLC0415 - beside the module's reader
    import pyarrow.compute as pc  # noqa: PLC0415

    texts = [*matching, *others]
    by_sqlite = [bool(full.rows("SELECT ? GLOB ?", (text, glob))[0][0]) for text in texts]
    assert by_sqlite == [True] * len(matching) + [False] * len(others)
    assert pc.match_substring_regex(pa.array(texts), pattern=regex_of(glob)).to_pylist() == by_sqlite


def test_the_example_covers_what_a_record_may_hold() -> None:
    given = {name for _, special in ATTEMPTS.values() for name in special} | set(ended(1, 1)[0]._asdict())
    assert {"raw", "flags", "alloc_tres", "db_index"} <= given <= set(JobRecord._fields)
    assert replace(QUESTIONS[0], limit=1).limit == 1
