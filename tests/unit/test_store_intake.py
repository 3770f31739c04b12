"""Attempts going in: once each, an event only for a new one or a real change, positions never used twice."""

from pathlib import Path
from typing import Any

import orjson

from slurmwatchd.model.records import FoundBy, Rejected
from slurmwatchd.store import outbox
from slurmwatchd.store.database import Database, open_database
from slurmwatchd.store.intake import Intake
from tests.unit.attempts import NOW, SLOTS, batch, counts, reading, rows

BAD_ROW = Rejected(reason="JobIDRaw is b'x', not a number", fields=("Cluster", "JobIDRaw"), row=(b"sim", b"x\xff"))


async def _ids(database: Database) -> list[str]:
    return [event.id for event in await outbox.after(database, 0, 100)]


async def _events(database: Database) -> list[tuple[Any, ...]]:
    return await rows(database, "SELECT seq, kind, revision, job FROM events ORDER BY seq")


async def test_reading_the_same_attempts_again_makes_nothing(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        first = await intake.commit(batch(reading(1), reading(2)))
        before = await counts(database)
        again = await intake.commit(batch(reading(2), reading(1), observed=NOW + 300, found_by=FoundBy.REREAD))
        assert (first.new, first.seq) == (2, 2)
        assert (again.new, again.revised, again.seq) == (0, 0, 2)
        assert await counts(database) == before
        assert await rows(database, "SELECT DISTINCT observed, found_by FROM events") == [(NOW, "poll")]


async def test_event_of_a_new_attempt_has_the_id_any_daemon_would_give_it(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        await intake.commit(batch(reading(7, submit=1_795_399_900)))
        # What uuid5 makes of the namespace in model/event_ids.py and "sim/7/1795399900/job_ended/1".
        assert await _ids(database) == ["e10c9bd1-7239-58b8-ab64-b7ea4e5e7961"]
        database.recent.clear()
        assert await _ids(database) == ["e10c9bd1-7239-58b8-ab64-b7ea4e5e7961"]


async def test_requeued_job_has_an_attempt_for_each_submission(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        committed = await intake.commit(
            batch(reading(5, submit=NOW - 500, state="REQUEUED"), reading(5, submit=NOW - 400))
        )
        assert committed.new == 2
        assert await rows(database, "SELECT submit, state, revision FROM jobs ORDER BY submit") == [
            (NOW - 500, "REQUEUED", 1),
            (NOW - 400, "COMPLETED", 1),
        ]


async def test_real_change_makes_one_revision_that_says_what_changed(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        await intake.commit(batch(reading(1), reading(2)))
        committed = await intake.commit(
            batch(reading(1, digest=2, state="FAILED", exit_code=9, user="bob"), reading(2))
        )
        assert (committed.new, committed.revised, committed.seq) == (0, 1, 3)
        assert await _events(database) == [
            (1, "job_ended", 1, 1),
            (2, "job_ended", 1, 2),
            (3, "job_revised", 2, 1),
        ]
        changed = await rows(database, "SELECT changed FROM events WHERE seq = 3")
        assert orjson.loads(changed[0][0]) == {"state": ["COMPLETED", "FAILED"], "exit_code": [None, 9]}
        assert await rows(database, 'SELECT state, "user", revision, seq FROM jobs WHERE id = 1') == [
            ("FAILED", "bob", 2, 3)
        ]
        assert (await intake.commit(batch(reading(1, digest=2, state="FAILED", exit_code=9)))).revised == 0


async def test_change_back_is_another_revision_against_the_newest(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        await intake.commit(batch(reading(1)))
        await intake.commit(batch(reading(1, digest=2, comment="looked at")))
        await intake.commit(batch(reading(1)))
        found = await rows(
            database, "SELECT revision, changed FROM events WHERE kind = 'job_revised' ORDER BY seq"
        )
        assert [(revision, orjson.loads(changed)) for revision, changed in found] == [
            (2, {"comment": [None, "looked at"]}),
            (3, {"comment": ["looked at", None]}),
        ]


async def test_digest_that_an_upgrade_changed_makes_no_event_and_is_learnt(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        before = SLOTS - {"extra", "restarts"}
        await intake.commit(batch(reading(1, digest=10), slots=before))
        # The new sacct prints two fields more: what they hold now says nothing about what they held then.
        committed = await intake.commit(batch(reading(1, digest=20, extra="was always there", restarts=0)))
        assert (committed.new, committed.revised) == (0, 0)
        assert await rows(database, "SELECT digest FROM jobs") == [(20,)]
        assert await _events(database) == [(1, "job_ended", 1, 1)]


async def test_change_behind_an_upgrade_is_told_without_what_was_never_asked(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        await intake.commit(batch(reading(1, digest=10), slots=SLOTS - {"extra"}))
        committed = await intake.commit(batch(reading(1, digest=20, extra="new", admin_comment="fixed")))
        assert committed.revised == 1
        changed = await rows(database, "SELECT changed FROM events WHERE kind = 'job_revised'")
        assert orjson.loads(changed[0][0]) == {"admin_comment": [None, "fixed"]}


async def test_row_that_one_answer_repeats_is_one_attempt(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        first = await intake.commit(batch(reading(1), reading(1), reading(2), reading(1)))
        assert (first.new, first.seq) == (2, 2)
        revised = await intake.commit(batch(*[reading(1, digest=2, state="TIMEOUT")] * 3))
        assert (revised.revised, revised.seq) == (1, 3)
        assert [seq for seq, *_ in await _events(database)] == [1, 2, 3]


async def test_row_without_a_key_is_quarantined_once_with_its_raw_bytes(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        for _ in range(3):
            await intake.commit(batch(reading(1), rejected=(BAD_ROW,)))
        await intake.commit(batch(rejected=(BAD_ROW,)))
        assert await rows(database, "SELECT cluster, observed, reason, fields, row FROM quarantine") == [
            ("sim", NOW, "JobIDRaw is b'x', not a number", "Cluster JobIDRaw", b"sim\x00x\xff")
        ]
        assert await rows(database, "SELECT count(*) FROM jobs") == [(1,)]


async def test_same_key_in_two_clusters_is_two_attempts(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        await intake.commit(batch(reading(1)))
        record, digest = reading(1)
        committed = await intake.commit(batch((record._replace(cluster="other"), digest), cluster="other"))
        assert committed.new == 1
        database.recent.clear()
        assert len(set(await _ids(database))) == 2


async def test_positions_are_never_used_twice_even_when_the_newest_were_pruned(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        await (await Intake.load(database)).commit(batch(reading(1), reading(2), reading(3)))
        await database.write(lambda connection: connection.execute("DELETE FROM events"))
        await database.write(lambda connection: connection.execute("DELETE FROM jobs"))
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        assert intake.last_seq == 3
        await intake.commit(batch(reading(4)))
        assert [seq for seq, *_ in await _events(database)] == [4]


async def test_attempt_whose_events_were_pruned_is_not_sent_again(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        await intake.commit(batch(reading(1)))
        await database.write(lambda connection: connection.execute("DELETE FROM events"))
        committed = await intake.commit(batch(reading(1, digest=2, state="FAILED")))
        assert (committed.new, committed.revised) == (0, 0)
        assert await _events(database) == []
