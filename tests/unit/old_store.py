"""A store as the programs up to schema 7 left it: whole bodies, ids in full, a `job_usage` with all of its record.

Everything is written here by hand, with nothing of the program but the SQL of its first migrations.
"""

import json
import random
import sqlite3
import uuid
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from slurmwatchd.model.event_ids import NAMESPACE
from slurmwatchd.store.schema import APPLICATION_ID, migrations

SCHEMA = 7
NOW = 1_795_400_000
SLOTS = "cluster comment job_id job_id_raw name state submit user"


class Written(NamedTuple):
    """An event as it must be read for ever."""

    seq: int
    id: str
    kind: str
    revision: int
    body: bytes


def make(path: Path, attempts: int, *, words: str = "train sweep relax fold", seed: int = 1) -> list[Written]:
    """Make a store: each attempt has ended, every other has its usage, every tenth was revised after that.

    Returns:
        Its events, in order.
    """
    chance = random.Random(seed)  # noqa: S311 - the same store each time
    events: list[tuple[Written, int, bytes | None]] = []
    usage_seqs: dict[int, int] = {}
    newest: dict[int, int] = {}

    def add(kind: str, number: int, revision: int, body: bytes, changed: bytes | None = None) -> int:
        submit = NOW - 10_000 + number
        name = f"sim/{number}/{submit}/{kind}/{revision}"
        events.append(
            (Written(len(events) + 1, str(uuid.uuid5(NAMESPACE, name)), kind, revision, body), number, changed)
        )
        return len(events)

    for number in range(1, attempts + 1):
        record = {
            "cluster": "sim",
            "job_id": str(number),
            "job_id_raw": number,
            "name": f"{chance.choice(words.split())}-{chance.randrange(999)}",
            "user": f"user{chance.randrange(50)}",
            "state": chance.choice(("COMPLETED", "COMPLETED", "FAILED")),
            "submit": number,
            "comment": None if number % 3 else f"é \n {chance.random()}",
        }
        body = _json(record)
        newest[number] = add("job_ended", number, 1, body)
        if number % 2 == 0:
            seconds = chance.randrange(99_999)
            usage = _json({"cpu_seconds": seconds / 7, "steps": chance.randrange(9), "complete": True})
            usage_seqs[number] = add("job_usage", number, 1, body[:-1] + b',"usage":' + usage + b"}")
        if number % 10 == 0:
            changed = _json(record | {"comment": "changed"})
            newest[number] = add("job_revised", number, 2, changed, b'{"comment":[null,"changed"]}')
    with closing(sqlite3.connect(path)) as store:
        for version, sql in migrations():
            if version <= SCHEMA:
                store.executescript(sql)
        store.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        store.execute(f"PRAGMA user_version = {SCHEMA}")
        store.execute("PRAGMA journal_mode = WAL")
        store.execute("INSERT INTO layouts VALUES (1, ?)", (SLOTS,))
        store.executemany(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, 'poll', 1, NULL, ?, ?)",
            [(e.seq, e.id, job, e.kind, e.revision, NOW, NOW, changed, e.body) for e, job, changed in events],
        )
        store.executemany(
            'INSERT INTO jobs (id, cluster, job_id_raw, submit, job_id, state, "user", "end", digest, revision, '
            "seq, usage_seq) VALUES (?1, 'sim', ?1, ?2, ?1, 'COMPLETED', 'ann', ?3, 1, ?4, ?5, ?6)",
            [
                (
                    number,
                    NOW - 10_000 + number,
                    NOW,
                    2 if number % 10 == 0 else 1,
                    newest[number],
                    usage_seqs.get(number),
                )
                for number in newest
            ],
        )
        store.execute("INSERT INTO meta VALUES ('last seq', ?)", (str(len(events)),))
        store.commit()
    return [event for event, _, _ in events]


def _json(fields: dict[str, object]) -> bytes:
    text = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(text, ensure_ascii=False, separators=(",", ":")).encode()
