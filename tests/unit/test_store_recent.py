"""The newest events in memory: the same as the store has them, and nothing where that is not sure."""

from pathlib import Path
from typing import Any

import aiosqlite
import pytest

from slurmwatchd.model.event_columns import EventColumns, Events
from slurmwatchd.model.job_metrics import CATALOGUE
from slurmwatchd.model.records import Event, EventKind
from slurmwatchd.store import nodelists, outbox, placements, recent_events, recent_nodelists
from slurmwatchd.store.bulk_insert import BulkRows
from slurmwatchd.store.database import Database, open_database
from slurmwatchd.store.intake import Intake
from slurmwatchd.store.recent_events import RecentEvents
from slurmwatchd.store.recent_nodelists import RecentNodelists
from tests.unit.attempts import NOW, batch, reading


def _rows(first: int, count: int, *, body: bytes = b"{}") -> BulkRows:
    return BulkRows({"seq": range(first, first + count), "body": [body] * count})


def _seqs(found: list[BulkRows] | None) -> list[object] | None:
    return None if found is None else [seq for rows in found for seq in rows.columns["seq"]]


def test_a_position_within_is_given_what_is_behind_it_over_several_transactions() -> None:
    kept = RecentEvents()
    kept.put(_rows(5, 3))
    kept.put(_rows(8, 2))
    assert _seqs(kept.after(4, 100)) == [5, 6, 7, 8, 9]
    assert _seqs(kept.after(6, 2)) == [7, 8]
    assert _seqs(kept.after(8, 100)) == [9]
    assert _seqs(kept.after(9, 100)) == []


def test_what_is_not_there_is_to_be_read_from_the_store() -> None:
    kept = RecentEvents()
    assert kept.after(0, 100) is None
    kept.put(_rows(5, 3))
    assert kept.after(3, 100) is None
    assert kept.after(8, 100) is None
    kept.clear()
    assert kept.after(7, 100) is None


def test_a_gap_forgets_what_is_before_it() -> None:
    kept = RecentEvents()
    kept.put(_rows(1, 3))
    kept.put(_rows(6, 2))
    assert kept.after(2, 100) is None
    assert kept.after(3, 100) is None
    assert _seqs(kept.after(5, 100)) == [6, 7]


def test_only_the_newest_stay() -> None:
    kept = RecentEvents()
    for first in range(1, 10_001, 1000):
        kept.put(_rows(first, 1000))
    assert kept.after(4999, 100) is None
    assert _seqs(kept.after(5000, 2)) == [5001, 5002]
    kept.put(_rows(10_001, 5, body=b"x" * (recent_events.MAX_BYTES // 4)))
    assert kept.after(10_000, 100) is None
    assert _seqs(kept.after(10_005, 100)) == []


async def test_events_from_memory_are_those_of_the_store(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        first = reading(1, node_list="n[1-2]"), reading(2, node_list=None)
        await intake.commit(batch(*first, expanded={"n[1-2]": ("n1", "n2")}))
        then = reading(1, 2, node_list="n3", state="FAILED"), reading(3, node_list="gone[")
        await intake.commit(batch(*then, expanded={"n3": ("n3",)}))
        assert database.recent.after(0, 100) is not None
        quick = await outbox.after(database, 0, 100)
        # New attempts come before changed ones.
        assert [(event.seq, event.kind, event.revision, event.nodes) for event in quick] == [
            (1, "job_ended", 1, b'["n1","n2"]'),
            (2, "job_ended", 1, None),
            (3, "job_ended", 1, None),
            (4, "job_revised", 2, b'["n3"]'),
        ]
        assert await _from_store(database) == quick


async def test_the_nodes_of_lists_met_before_are_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        await intake.commit(
            batch(reading(1, node_list="n[1-2]"), reading(2, node_list="gone["), expanded={"n[1-2]": ("n1", "n2")})
        )
        # Those without nodes may be given them later.
        assert await _nodes(database, 0) == [b'["n1","n2"]', None]
        await intake.commit(
            batch(reading(3, node_list="gone["), reading(4, node_list="n[1-2]"), expanded={"gone[": ("n7",)})
        )
        reads: list[str] = []
        read_until = database.read_until

        async def noting(sql: str, *given: Any, **named: Any) -> Any:  # noqa: ANN401 - what it gives
            reads.append(sql)
            return await read_until(sql, *given, **named)

        monkeypatch.setattr(database, "read_until", noting)
        assert await _nodes(database, 2) == [b'["n7"]', b'["n1","n2"]']
        assert reads == []
        database.recent_nodelists = RecentNodelists()
        await intake.commit(batch(reading(5, node_list="n[1-2]"), expanded={}))
        assert await _nodes(database, 4) == [b'["n1","n2"]']
        assert len(reads) == 1
        await intake.commit(batch(reading(6, node_list="n[1-2]"), expanded={}))
        assert await _nodes(database, 5) == [b'["n1","n2"]']
        assert len(reads) == 1


async def test_nodes_of_a_transaction_that_failed_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        monkeypatch.setattr(placements, "forget", _broken)
        with pytest.raises(ZeroDivisionError):
            await intake.commit(batch(reading(1, node_list="n3"), expanded={"n3": ("n3",)}))
        monkeypatch.undo()
        # The same row id is another list's now.
        await intake.commit(batch(reading(2, node_list="gone["), expanded={}))
        assert await _nodes(database, 0) == [None]


def test_the_oldest_lists_make_room_and_what_was_read_is_no_newer_than_what_was_committed() -> None:
    kept = RecentNodelists()
    large = b"x" * (recent_nodelists.MAX_BYTES // 4)
    kept.put((number, large) for number in range(1, 5))
    assert sorted(kept.among(range(10))) == [2, 3, 4]
    kept.put([(2, b"new")])
    kept.learn([(2, b"old"), (5, b"read")])
    assert kept.among([2, 5, 9]) == {2: b"new", 5: b"read"}
    kept.put([(6, large)])
    assert sorted(kept.among(range(10))) == [2, 3, 4, 5, 6], "what took the room of another counts once"


async def test_what_is_counted_from_memory_is_what_the_bodies_say(tmp_path: Path) -> None:
    tres = {"cpu": 4, "mem_bytes": 3 << 30, "node": 2, "billing": 7, "gres/gpu": 3, "gres/gpu:a100": 2}
    ends = (
        reading(1, outcome="completed", alloc_tres=tres, wait_seconds=3, timelimit_seconds=40, qos="high"),
        reading(2, outcome="failed", state="FAILED", eligible=NOW - 80, alloc_tres={"cpu": 8}),
        reading(3, outcome="cancelled_before_start", state="CANCELLED", start=None, elapsed_seconds=0),
        reading(4, outcome="requeued", state="REQUEUED", user=None, partition=None, elapsed_seconds=None),
        reading(5, outcome="completed", submit=NOW - 90, eligible=None, end=None, node_count=None, cpus=None),
    )
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        await intake.commit(batch(*ends[:2]))
        await intake.commit(batch(*ends[2:]))
        events = await outbox.after(database, 0, 100)
        database.recent.clear()
        bodies = EventColumns(await outbox.after(database, 0, 100))
    assert isinstance(events, Events)
    assert events.fields is not None
    memory = EventColumns(events)
    assert memory["job_id"] == ["1", "2", "3", "4", "5"]
    assert memory.ran == [10, 10, 0, 0, 10]
    for family in CATALOGUE:
        measure: Any = family.split or family.values or family.measure
        if family.event is EventKind.JOB_ENDED:
            assert measure(memory) == measure(bodies), family.name


async def test_what_one_sink_was_given_is_made_once_and_no_longer_than_it_is_the_newest(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        await intake.commit(batch(reading(1), reading(2)))
        first = await outbox.after(database, 0, 100)
        assert await outbox.after(database, 0, 100) is first
        assert [event.seq for event in await outbox.after(database, 1, 100)] == [2]
        assert [event.seq for event in await outbox.after(database, 0, 1)] == [1]
        assert await outbox.after(database, 2, 100) == []
        await intake.commit(batch(reading(3)))
        assert [event.seq for event in await outbox.after(database, 2, 100)] == [3]
        assert [event.seq for event in await outbox.after(database, 0, 100)] == [1, 2, 3]


async def test_a_transaction_that_fails_is_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        await intake.commit(batch(reading(1)))
        monkeypatch.setattr(nodelists, "keep", _broken)
        with pytest.raises(ZeroDivisionError):
            await intake.commit(batch(reading(2)))
        assert await outbox.after(database, 1, 100) == []
        monkeypatch.undo()
        await intake.commit(batch(reading(3)))
        (event,) = await outbox.after(database, 1, 100)
        assert (event.seq, b'"job_id_raw":3,' in event.body) == (2, True)


async def test_what_comes_by_another_way_is_read_from_the_store(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        await intake.commit(batch(reading(1)))

        async def other(connection: aiosqlite.Connection, seq: int) -> tuple[int, BulkRows]:
            await connection.execute(
                "INSERT INTO events SELECT ?, 'other', job, 'job_usage', 1, time, observed, found_by, layout, "
                "nodelist, NULL, body, NULL FROM events WHERE seq = 1",
                (seq,),
            )
            return 1, BulkRows()

        assert await intake.append(other) == 1
        assert [event.id for event in await outbox.after(database, 1, 100)] == ["other"]
        await intake.commit(batch(reading(2)))
        assert [event.seq for event in await outbox.after(database, 0, 100)] == [1, 2, 3]


async def _broken(*_: object) -> None:
    raise ZeroDivisionError


async def _nodes(database: Database, seq: int) -> list[bytes | None]:
    assert database.recent.after(seq, 100) is not None
    return [event.nodes for event in await outbox.after(database, seq, 100)]


async def _from_store(database: Database) -> list[Event]:
    database.recent.clear()
    return await outbox.after(database, 0, 100)
