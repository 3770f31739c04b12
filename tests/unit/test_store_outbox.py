"""Events going out: in order behind a cursor that moves together with what its sink remembers."""

from pathlib import Path

import aiosqlite
import pytest

from slurmwatchd.store import outbox
from slurmwatchd.store.database import Database, open_database
from slurmwatchd.store.intake import Intake
from tests.unit.attempts import NOW, batch, reading, rows


async def _filled(database: Database, count: int, submit_line: str | None = None) -> Intake:
    intake = await Intake.load(database)
    await intake.commit(batch(*(reading(number, submit_line=submit_line) for number in range(1, count + 1))))
    return intake


async def test_events_come_in_order_behind_a_position_up_to_a_limit(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        await _filled(database, 10)
        assert [event.seq for event in await outbox.after(database, 0, 4)] == [1, 2, 3, 4]
        assert [event.seq for event in await outbox.after(database, 4, 100)] == [5, 6, 7, 8, 9, 10]
        assert await outbox.after(database, 10, 100) == []


async def test_event_carries_its_record_and_its_nodes(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        await intake.commit(batch(reading(1, node_list="n[1-3]"), expanded={"n[1-3]": ("n1", "n2", "n3")}))
        (event,) = await outbox.after(database, 0, 10)
        assert (event.kind, event.revision, event.time, event.observed) == ("job_ended", 1, NOW - 60, NOW)
        assert event.nodes == b'["n1","n2","n3"]'
        assert b'"job_id":"1","job_id_raw":1,' in event.body
        assert event.changed is None


async def test_batches_are_bounded_by_bytes_but_never_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "MAX_BYTES", 500_000)
    async with open_database(tmp_path / "store.db") as database:
        await _filled(database, 2000, submit_line="x" * 2000)
        sizes, seq = [], 0
        while events := await outbox.after(database, seq, 2000):
            sizes.append(len(events))
            assert [event.seq for event in events] == list(range(seq + 1, seq + 1 + len(events)))
            seq = events[-1].seq
        assert sum(sizes) == 2000
        # Over 2,000 bytes each: 250 weigh enough, and the store is read some hundreds of rows at a time.
        assert max(sizes) <= 500


async def test_single_event_larger_than_the_bound_still_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "MAX_BYTES", 1000)
    async with open_database(tmp_path / "store.db") as database:
        await _filled(database, 1, submit_line="x" * 50_000)
        assert [event.seq for event in await outbox.after(database, 0, 2000)] == [1]


async def test_new_sink_begins_at_the_present_and_not_with_the_past(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await _filled(database, 5)
        assert (await outbox.position(database, "late", now=NOW)).seq == 5
        await intake.commit(batch(reading(6)))
        position = await outbox.position(database, "late", now=NOW + 10)
        assert (position.seq, position.state) == (5, {})
        assert [event.seq for event in await outbox.after(database, position.seq, 10)] == [6]


async def test_sink_of_an_empty_store_gets_everything(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        assert (await outbox.position(database, "first", now=NOW)).seq == 0
        await _filled(database, 3)
        assert (await outbox.position(database, "first", now=NOW)).seq == 0


async def test_new_sink_begins_at_the_present_also_when_the_past_was_pruned(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await _filled(database, 3)
        await database.write(lambda connection: connection.execute("DELETE FROM events"))
        assert (await outbox.position(database, "late", now=NOW)).seq == 3
        await intake.commit(batch(reading(4)))
        assert [event.seq for event in await outbox.after(database, 3, 10)] == [4]


async def test_cursor_and_state_move_together(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        await _filled(database, 3)
        await outbox.position(database, "jobs", now=NOW)
        await outbox.advance(database, "jobs", 2, {"file": b"here", "other": b"kept"}, now=NOW)
        await outbox.advance(database, "jobs", 3, {"file": b"there"}, now=NOW + 1)
        position = await outbox.position(database, "jobs", now=NOW + 2)
        assert (position.seq, position.state) == (3, {"file": b"there", "other": b"kept"})
        assert await rows(database, "SELECT moved FROM cursors") == [(NOW + 1,)]


async def test_state_that_cannot_be_kept_leaves_the_cursor_where_it_is(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        await outbox.position(database, "jobs", now=NOW)
        await outbox.advance(database, "jobs", 2, {"file": b"here"}, now=NOW)
        with pytest.raises(aiosqlite.IntegrityError):
            # A state that is not bytes is refused by the table, behind the cursor's own statement.
            await outbox.advance(database, "jobs", 3, {"file": "text"}, now=NOW)  # type: ignore[dict-item]
        position = await outbox.position(database, "jobs", now=NOW)
        assert (position.seq, position.state) == (2, {"file": b"here"})


async def test_sinks_have_cursors_of_their_own(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        for sink in ("a", "b"):
            await outbox.position(database, sink, now=NOW)
        await outbox.advance(database, "a", 7, {"k": b"a"}, now=NOW)
        assert (await outbox.position(database, "b", now=NOW)).seq == 0
        assert (await outbox.position(database, "b", now=NOW)).state == {}
