"""Bodies packed in the store: read back byte for byte, whatever dies in between, and never as something else."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from slurmwatchd.errors import StoreBusyError, StoreCorruptError, StoreError
from slurmwatchd.store import outbox, packing, retention, usage, usage_queue
from slurmwatchd.store.database import Database, open_database
from slurmwatchd.store.dictionaries import DictionaryKind
from slurmwatchd.store.intake import Intake
from slurmwatchd.store.read.query import Order, Question
from slurmwatchd.store.read.reader import StoreReader
from slurmwatchd.store.usage import UsageResults
from tests.unit import old_store
from tests.unit.attempts import NOW, Reading, batch, reading, rows
from tests.unit.expiry import expire_events
from tests.unit.old_store import Written

USAGE = b',"usage":{"steps":1,"complete":true}'

PACKING = """
import sys
from pathlib import Path

import anyio

from slurmwatchd.store import packing
from slurmwatchd.store.database import open_database

async def main():
    packing.STEP_ROWS = 40
    async with open_database(Path(sys.argv[1])) as database:
        while await packing.pack(database):
            print("step", flush=True)

anyio.run(main)
"""
"""A program that packs a store in small steps, and says so after each."""


async def events_of(database: Database) -> list[Written]:
    """All events, as a sink that is behind gets them."""
    database.recent.clear()
    found: list[Written] = []
    while some := await outbox.after(database, len(found), 1000):
        found += [Written(event.seq, event.id, event.kind, event.revision, event.body) for event in some]
    return found


async def pack_all(database: Database) -> None:
    while await packing.pack(database):
        pass


def size_of_bodies(path: Path) -> int:
    with closing(sqlite3.connect(path)) as store:
        return int(store.execute("SELECT sum(length(body)) FROM events").fetchone()[0])


def varied(count: int, *, first: int = 1, words: str = "train sweep relax fold") -> list[Reading]:
    chance = random.Random(first)  # noqa: S311 - the same each time
    return [
        reading(number, name=f"{chance.choice(words.split())} {chance.randrange(9999)}", submit_line=words[::-1])
        for number in range(first, first + count)
    ]


async def test_an_old_store_is_packed_in_steps_and_every_event_reads_as_before(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    written = old_store.make(path, 2500)
    before = size_of_bodies(path)
    async with open_database(path) as database:
        assert await events_of(database) == written
        assert await packing.pack(database) == packing.STEP_ROWS
        assert await events_of(database) == written
        await pack_all(database)
        assert await events_of(database) == written
        # 2,500 ended, and 1,250 usages that hold only what they add.
        assert await rows(database, "SELECT count(*), count(base) FROM events WHERE kind <> 'job_revised'") == [
            (3750, 1250)
        ]
        assert await rows(database, "SELECT DISTINCT id FROM events") == [("",)]
        assert await packing.pack(database) == 0
    assert size_of_bodies(path) < before / 2


@pytest.mark.heavy
async def test_packing_that_is_killed_at_any_moment_has_changed_nothing_that_is_read(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    written = old_store.make(path, 2100)
    chance = random.Random(5)  # noqa: S311 - no secret
    kills = 0
    while True:
        with subprocess.Popen(
            [sys.executable, "-c", PACKING, str(path)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            steps = 0
            for steps, _ in enumerate(process.stdout, 1):
                if steps > chance.randrange(40):
                    os.kill(process.pid, signal.SIGKILL)
                    break
        if process.returncode == 0:
            break
        kills += process.returncode == -signal.SIGKILL
        async with open_database(path) as database:
            assert await events_of(database) == written
            assert await rows(database, "PRAGMA integrity_check") == [("ok",)]
    assert kills > 3
    async with open_database(path) as database:
        assert await events_of(database) == written
        assert await packing.pack(database) == 0


async def test_new_events_are_packed_as_they_come_and_read_as_they_were_given_to_the_sinks(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with open_database(path) as database:
        intake = await Intake.load(database, usage=True)
        await intake.commit(batch(*varied(1500)))
        fresh = await outbox.after(database, 0, 2000)
        assert len(fresh) == 1500
        database.recent.clear()
        assert await outbox.after(database, 0, 2000) == fresh
        waiting = await usage_queue.due(database, "sim", now=NOW, limit=1500)
        assert [entry.body for entry in waiting] == [event.body for event in fresh]
        told = {entry.job: (entry.seq, b',"usage":{"steps":%d}' % entry.job) for entry in waiting}
        assert await usage.tell(intake, UsageResults(told=told, later={}, observed=NOW)) == 1500
        used = await outbox.after(database, 1500, 2000)
        assert [event.body for event in used] == [
            event.body[:-1] + b',"usage":{"steps":%d}}' % job for job, event in enumerate(fresh, 1)
        ]
        assert await rows(database, "SELECT kind, count(*) FROM dictionaries GROUP BY kind") == [
            ("record", 1),
            ("usage", 1),
        ]
    assert size_of_bodies(path) < sum(len(event.body) for event in (*fresh, *used)) / 4
    async with open_database(path) as database:
        intake = await Intake.load(database)
        await intake.commit(batch(*varied(1, first=1501)))
        assert (await rows(database, "SELECT count(*) FROM dictionaries"))[0][0] == 2
        assert (await rows(database, "SELECT length(body) < 150 FROM events WHERE seq = 3001"))[0][0]


async def test_questions_are_answered_from_packed_bodies(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with open_database(path) as database:
        intake = await Intake.load(database, usage=True)
        await intake.commit(
            batch(*(reading(number, name=f"job {number}", qos="high") for number in range(1, 1101)))
        )
        waiting = await usage_queue.due(database, "sim", now=NOW, limit=1100)
        told = {
            entry.job: (entry.seq, b',"usage":{"cpu_efficiency":0.%04d}' % (entry.job * 7 % 1101))
            for entry in waiting
        }
        await usage.tell(intake, UsageResults(told=told, later={}, observed=NOW))
        with StoreReader(path) as store:
            named = list(store.records(Question(name="job 77?", qos=("high",)), usage=True))
            assert [record["name"] for record in named] == [f"job 77{digit}" for digit in range(10)]
            assert named[0]["usage"] == {"cpu_efficiency": 770 * 7 % 1101 / 10_000}
            best = Question(order=Order.EFFICIENCY, descending=True, limit=1)
            # 7 times a number, modulo 1,101, is 1,100 for one of them.
            (record,) = store.records(best, usage=True)
            assert record["usage"]["cpu_efficiency"] == 0.11


async def test_a_flipped_bit_is_found_wherever_it_is(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with open_database(path) as database:
        await (await Intake.load(database)).commit(batch(*varied(1200)))
    harmless = []
    with closing(sqlite3.connect(path, isolation_level=None)) as store:
        frame = store.execute("SELECT body FROM events WHERE seq = 700").fetchone()[0]
        with StoreReader(path) as reader:
            right = reader.fetch([700])
            for bit in range(8 * len(frame)):
                spoilt = bytearray(frame)
                spoilt[bit // 8] ^= 1 << bit % 8
                store.execute("UPDATE events SET body = ? WHERE seq = 700", (bytes(spoilt),))
                try:
                    assert reader.fetch([700]) == right
                    harmless.append(bit)
                except StoreError as error:
                    assert str(error).startswith(f"{path}: event 700: its body is damaged")  # noqa: PT017 - or is right
        # RFC 8878 has decoders ignore one bit of the head; what fills up a byte means nothing either.
        assert 8 * 4 + 4 in harmless
        assert len(harmless) < len(frame)
    async with open_database(path) as database:
        with pytest.raises(StoreCorruptError, match="event 700: its body is damaged"):
            await outbox.after(database, 690, 20)
    # Like all other damage: the next daemon begins a new store, and asks sacct.
    async with open_database(path) as database:
        assert database.aside is not None


async def test_a_lost_dictionary_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with open_database(path) as database:
        await (await Intake.load(database)).commit(batch(*varied(1200)))
    with closing(sqlite3.connect(path, isolation_level=None)) as store:
        store.execute("DELETE FROM dictionaries")
    with StoreReader(path) as reader, pytest.raises(StoreError, match=r"event 1: .*dictionary 1 is missing"):
        reader.fetch([1])


async def test_a_dictionary_of_a_transaction_that_failed_is_used_by_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        with monkeypatch.context() as broken:
            broken.setattr("slurmwatchd.store.intake._keep_last_seq", _busy)
            with pytest.raises(StoreBusyError):
                await intake.commit(batch(*varied(1200)))
        assert DictionaryKind.RECORD not in database.packer.newest
        await intake.commit(batch(*varied(1200)))
        database.recent.clear()
        assert len(await outbox.after(database, 0, 2000)) == 1200


async def test_a_dictionary_is_renewed_as_fields_change_and_goes_after_its_last_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "RENEWAL_EVENTS", 4000)
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        await intake.commit(batch(*varied(2000)))
        assert await packing.renew(database) == 0
        await intake.commit(batch(*varied(2500, first=2001)))
        # As good as any: the fields are the same.
        assert await packing.renew(database) == 0
        others = "matlab fluent abaqus openfoam nastran starccm radioss lsdyna " * 3
        await intake.commit(batch(*varied(4500, first=4501, words=others), observed=NOW + 500))
        assert await packing.renew(database) == 1
        await intake.commit(batch(*varied(100, first=9001, words=others), observed=NOW + 900))
        assert await rows(database, "SELECT id, since FROM dictionaries") == [(1, 1), (2, 9001)]
        before = await events_of(database)
        await retention.prune_dictionaries(database)
        assert await events_of(database) == before
        limits = retention.Limits(NOW + 600)
        while (expired := await retention.expired(database, limits, after=0, up_to=10_000)) is not None:
            await retention.prune_events(database, limits, expired)
            await retention.prune_dictionaries(database)
            oldest = (await rows(database, "SELECT min(seq) FROM events"))[0][0]
            known = [1, 2] if oldest < 9001 else [2]
            assert await rows(database, "SELECT id FROM dictionaries") == [(number,) for number in known]
        database.recent.clear()
        assert [event.body for event in await outbox.after(database, 9000, 200)] == [e.body for e in before[9000:]]


async def test_usage_that_outlives_its_record_is_made_whole_and_reads_the_same(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database, usage=True)
        await intake.commit(batch(reading(1), reading(2), reading(3)))
        entries = await usage_queue.due(database, "sim", now=NOW, limit=10)
        told = {entry.job: (entry.seq, USAGE) for entry in entries}
        await usage.tell(intake, UsageResults(told=told, later={}, observed=NOW + 5))
        await intake.commit(batch(reading(9), observed=NOW + 500))
        written = await events_of(database)
        await expire_events(database, before=NOW + 100, up_to=2)
        assert await rows(database, "SELECT seq, base FROM events") == [
            (3, None), (4, None), (5, None), (6, 3), (7, None),
        ]  # fmt: skip
        assert await rows(database, "SELECT job_id_raw FROM jobs ORDER BY id") == [(3,), (9,)]
        events = await outbox.after(database, 2, 10)
        assert [(e.seq, e.id, e.body) for e in events] == [(e.seq, e.id, e.body) for e in written[2:]]
        assert orjson.loads(events[1].body)["job_id_raw"] == 1


async def test_a_store_that_no_daemon_has_migrated_yet_can_be_asked(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    old_store.make(path, 20)
    with StoreReader(path) as store:
        found = list(store.records(Question(job_ids=("4",)), usage=True))
        assert [(record["job_id"], "usage" in record) for record in found] == [("4", True)]
    with closing(sqlite3.connect(path)) as store_file:
        assert store_file.execute("PRAGMA user_version").fetchone() == (old_store.SCHEMA,)


async def test_few_events_stay_as_they_are_until_there_are_enough_to_learn_from(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with open_database(path) as database:
        intake = await Intake.load(database)
        for first in range(1, 900, 300):
            assert await packing.pack(database) == 0
            await intake.commit(batch(*varied(300, first=first)))
        assert await rows(database, "SELECT count(*) FROM dictionaries") == [(0,)]
        await intake.commit(batch(*varied(300, first=901)))
        before = await events_of(database)
        # What came with the thousandth is packed already, and what came before it soon.
        packed = "SELECT count(*) FROM events WHERE substr(body, 1, 1) <> CAST('{' AS BLOB)"
        assert await rows(database, packed) == [(300,)]
        await pack_all(database)
        assert await rows(database, packed) == [(1200,)]
        assert await events_of(database) == before
    assert size_of_bodies(path) < sum(len(event.body) for event in before) / 4


async def test_few_events_of_a_daemon_that_died_teach_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    for first in range(1, 1001, 500):
        async with open_database(path) as database:
            await (await Intake.load(database)).commit(batch(*varied(500, first=first)))
            assert await rows(database, "SELECT count(*) FROM dictionaries") == [(0,)]
    async with open_database(path) as database:
        before = await events_of(database)
        await pack_all(database)
        assert await rows(database, "SELECT count(*) FROM dictionaries") == [(1,)]
        assert await events_of(database) == before


async def _busy(*_: object) -> None:
    raise sqlite3.OperationalError("database is locked")
