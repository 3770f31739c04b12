"""Stores that older versions left: opened, migrated, and read as if this version had written them."""

import sqlite3
from pathlib import Path

import orjson

from slurmwatchd.model.formats import flat
from slurmwatchd.model.records import EventKind, FoundBy
from slurmwatchd.store import outbox, usage_queue
from slurmwatchd.store.database import open_database
from slurmwatchd.store.intake import Intake
from slurmwatchd.store.read.query import Question
from slurmwatchd.store.read.reader import StoreReader
from tests.event_schema import conforming
from tests.unit.attempts import attempt, batch, rows

STORES = Path(__file__).parents[1] / "stores"
NOW = 1_795_000_000


def store_of(folder: Path, name: str) -> Path:
    """A store file made from its SQL."""
    path = folder / "slurmwatchd.db"
    with sqlite3.connect(path) as made:
        made.executescript((STORES / name).read_text(encoding="utf-8"))
    made.close()
    return path


async def test_records_of_the_first_schema_are_read_in_the_present_form(tmp_path: Path) -> None:
    async with open_database(store_of(tmp_path, "schema_0001.sql")) as database:
        events = await outbox.after(database, 0, 100)
        lines = conforming(flat(event, max_line_bytes=30_000).rstrip(b"\n") for event in events)
        first, second, third, revised = lines
        assert first["flags"] == ["SchedBackfill", "StartReceived"]
        assert first["constraints"] == ["intel", "[rack1|rack2]"]
        assert first["licenses"] == {"matlab@flex": 2, "ansys": 1}
        assert second["alloc_tres"] == {
            "cpu": 4,
            "mem_bytes": 4_194_304_000,
            "node": 2,
            "energy_joules": 5120,
            "gres/gpumem_bytes": 85_899_345_920,
        }
        assert second["req_tres"] == {"cpu": 4, "bb/datawarp_bytes": 1_099_511_627_776}
        assert (third["array_tasks"], third["array_task_count"]) == ("0-99:3%4", 34)
        assert third["raw"] == {"Licenses": "a:1|b:2"}
        assert revised["event"] == "job_revised"
        assert revised["changed"] == {"comment": ["first", "second"]}
        assert [line["id"] for line in lines[:2]] == [
            "d27718e0-c7e1-5096-ab22-48cc944a6c6b",
            "7a3b6a19-cce9-52c5-9ef1-4e025ef7ebf1",
        ]


async def test_what_was_stored_without_an_outcome_has_one_when_it_is_looked_up(tmp_path: Path) -> None:
    path = store_of(tmp_path, "schema_0001.sql")

    def found(*outcomes: str) -> dict[int, str]:
        with StoreReader(path) as reader:
            records = list(reader.records(Question(outcomes=outcomes)))
        return {record["job_id_raw"]: record["outcome"] for record in records}

    # As the old daemon has it, and migrated.
    for _ in range(2):
        assert found() == {1: "completed", 2: "completed", 3: "cancelled_before_start"}
        assert found("cancelled_before_start", "failed") == {3: "cancelled_before_start"}
        with StoreReader(path) as reader:
            lines = reader.lines(reader.ids(Question()), nodes=True, usage=True)
        assert all(line.endswith(b"}\n") for line in lines)
        told = {record["job_id_raw"]: record["outcome"] for record in map(orjson.loads, lines)}
        assert told == {1: "completed", 2: "completed", 3: "cancelled_before_start"}
        async with open_database(path) as database:
            events = await outbox.after(database, 0, 100)
            # A line that an older version wrote, or half of it, is the same still.
            assert not any(b"outcome" in flat(event, max_line_bytes=30_000) for event in events)


async def test_an_old_attempt_that_changes_has_its_outcome_then(tmp_path: Path) -> None:
    path = store_of(tmp_path, "schema_0001.sql")
    async with open_database(path) as database:
        intake = await Intake.load(database)
        await intake.commit(batch((attempt(2, submit=NOW - 300, state="FAILED", outcome="failed"), 9)))
        await intake.commit(batch((attempt(9, state="TIMEOUT", outcome="time_limit"), 1)))
        stored = await rows(database, "SELECT job_id_raw, outcome FROM jobs ORDER BY id")
        assert stored == [(1, None), (2, "failed"), (3, None), (9, "time_limit")]
    with StoreReader(path) as reader:
        (record,) = reader.records(Question(outcomes=("failed",)))
        assert (record["job_id_raw"], record["outcome"]) == (2, "failed")


async def test_what_an_old_store_had_delivered_is_behind_its_cursor_still(tmp_path: Path) -> None:
    async with open_database(store_of(tmp_path, "schema_0001.sql")) as database:
        position = await outbox.position(database, "jobs", now=NOW)
        assert position.seq == 1
        assert [event.seq for event in await outbox.after(database, position.seq, 10)] == [2, 3, 4]


async def test_another_form_is_no_change_of_the_attempt(tmp_path: Path) -> None:
    async with open_database(store_of(tmp_path, "schema_0001.sql")) as database:
        intake = await Intake.load(database)
        again = attempt(
            2,
            submit=NOW - 300,
            eligible=NOW - 300,
            start=NOW - 200,
            end=NOW - 98,
            elapsed_seconds=102,
            node_count=2,
            cpus=4,
            node_list="n[1-2]",
            comment="new",
            alloc_tres={
                "cpu": 4,
                "mem_bytes": 4_194_304_000,
                "node": 2,
                "energy_joules": 5120,
                "gres/gpumem_bytes": 85_899_345_920,
            },
        )
        await intake.commit(batch((again, 9), observed=NOW + 900, expanded={}))
        (event,) = await outbox.after(database, 4, 10)
        assert event.kind is EventKind.JOB_REVISED
        assert orjson.loads(event.changed or b"") == {"comment": [None, "new"]}


async def test_attempts_of_before_do_not_wait_for_usage_and_new_ones_do(tmp_path: Path) -> None:
    async with open_database(store_of(tmp_path, "schema_0001.sql")) as database:
        intake = await Intake.load(database, usage=True)
        assert await usage_queue.due(database, "sim", now=NOW + 10**9, limit=10) == []
        await intake.commit(batch((attempt(9), 1), found_by=FoundBy.POLL))
        (entry,) = await usage_queue.due(database, "sim", now=NOW + 10**9, limit=10)
        assert (entry.seq, orjson.loads(entry.body)["job_id_raw"]) == (5, 9)
        assert await rows(database, "SELECT form, first_seq FROM body_forms ORDER BY form") == [(1, 0), (2, 5)]
