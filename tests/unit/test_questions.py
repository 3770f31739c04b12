"""Questions to the store: the index that answers each, and answers against a plain walk over all rows."""

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurmwatchd.store.read import events, status
from slurmwatchd.store.read.query import LONG_SECONDS, Order, Question
from slurmwatchd.store.read.reader import StoreReader
from slurmwatchd.store.schema import APPLICATION_ID, migrations

DAY = 86_400
NOW = 1_795_400_000

Job = tuple[int, str, int, str, int | None, int | None, int | None]
"""Row id, cluster, job id, user, start, end, node list."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[tuple[StoreReader, list[Job]]]:
    """Two clusters' jobs: some of seconds, some of days, one of exactly a day, some that never started."""
    chance = random.Random(6)  # noqa: S311 - the same jobs each time
    jobs: list[Job] = []
    for number in range(1, 801):
        end: int | None = NOW - chance.randrange(20 * DAY)
        ran = chance.choice([0, 1, 3600, LONG_SECONDS - 1, LONG_SECONDS, LONG_SECONDS + 1, 5 * DAY, 12 * DAY])
        start = None if chance.random() < 0.1 or end is None else end - ran
        node = None if start is None else chance.randrange(1, 6)
        cluster = chance.choice(["east", "west"])
        jobs.append((number, cluster, number, f"user{chance.randrange(5)}", start, end, node))
    path = tmp_path / "store.db"
    connection = sqlite3.connect(path)
    for _, sql in migrations():
        connection.executescript(sql)
    connection.executemany(
        'INSERT INTO jobs (id, cluster, job_id_raw, "user", start, "end", nodelist, submit, job_id, state_code, '
        "digest, revision, seq) VALUES (?, ?, ?, ?, ?, ?, ?, 0, 'j', 'COMPLETED', 0, 1, 0)",
        jobs,
    )
    # List 5 is n1 and n2; the others are one node each.
    connection.executemany("INSERT INTO nodes VALUES (?, ?)", [(n, f"n{n}") for n in range(1, 5)])
    connection.executemany(
        "INSERT INTO nodelist_nodes VALUES (?, ?)", [(1, 1), (2, 2), (3, 3), (4, 4), (1, 5), (2, 5)]
    )
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {migrations()[-1][0]}")
    connection.commit()
    connection.close()
    with StoreReader(path) as reader:
        yield reader, jobs


def plan(reader: StoreReader, question: Question) -> list[str]:
    asked = reader.statement(question)
    return [row["detail"] for row in reader.rows(f"EXPLAIN QUERY PLAN {asked.sql}", asked.parameters)]


def test_what_was_running_is_what_a_walk_over_all_rows_finds(store: tuple[StoreReader, list[Job]]) -> None:
    reader, jobs = store
    chance = random.Random(7)  # noqa: S311 - the same questions each time
    for _ in range(200):
        begin = NOW - chance.randrange(25 * DAY)
        end = begin + chance.choice([0, 1, 3600, 3 * DAY])
        clusters = chance.choice([(), ("east",)])
        node = chance.choice([None, 1, 3])
        users = chance.choice([(), ("user1",)])
        lists = {None: None, 1: {1, 5}, 3: {3}}[node]
        wanted = {
            job[0]
            for job in jobs
            if job[4] is not None
            and job[5] is not None
            and job[4] <= end
            and job[5] >= begin
            and (not clusters or job[1] in clusters)
            and (not users or job[3] in users)
            and (lists is None or job[6] in lists)
        }
        question = Question(
            running_from=begin,
            running_until=end,
            clusters=clusters,
            users=users,
            node=None if node is None else f"n{node}",
        )
        found = reader.ids(question)
        assert (set(found), len(found)) == (wanted, len(wanted)), question


def test_one_end_of_an_interval_may_be_open(store: tuple[StoreReader, list[Job]]) -> None:
    reader, jobs = store
    moment = NOW - 5 * DAY
    started = {job[0] for job in jobs if job[4] is not None}
    after = {job[0] for job in jobs if job[0] in started and job[5] is not None and job[5] >= moment}
    before = {job[0] for job in jobs if job[4] is not None and job[4] <= moment}
    assert set(reader.ids(Question(running_from=moment))) == after
    assert set(reader.ids(Question(running_until=moment))) == before


def test_a_users_newest_are_read_off_an_index_in_order(store: tuple[StoreReader, list[Job]]) -> None:
    question = Question(users=("user1",), ended_from=NOW - 7 * DAY, descending=True, limit=50)
    assert plan(store[0], question) == ["SEARCH jobs USING COVERING INDEX jobs_by_user (user=? AND end>?)"]


def test_a_node_at_a_moment_is_answered_by_its_lists(store: tuple[StoreReader, list[Job]]) -> None:
    steps = plan(store[0], Question(node="n1", running_from=NOW, running_until=NOW, descending=True))
    assert steps[0] == "SEARCH jobs USING INTEGER PRIMARY KEY (rowid=?)"
    assert "SEARCH jobs USING COVERING INDEX jobs_by_nodelist (nodelist=? AND end>?)" in steps
    assert not [step for step in steps if step.startswith("SCAN jobs") or "jobs_by_end" in step]


def test_running_between_reads_a_day_of_ends_and_the_long_ones(store: tuple[StoreReader, list[Job]]) -> None:
    steps = plan(store[0], Question(running_from=NOW - 60, running_until=NOW, clusters=("east",)))
    assert steps[0] == "SEARCH jobs USING INTEGER PRIMARY KEY (rowid=?)"
    assert "SEARCH jobs USING COVERING INDEX jobs_by_end (cluster=? AND end>? AND end<?)" in steps
    assert "SEARCH jobs USING COVERING INDEX jobs_long (cluster=? AND end>?)" in steps
    assert not [step for step in steps if step.startswith("SCAN jobs")]


def test_a_job_is_found_by_number_and_by_task(store: tuple[StoreReader, list[Job]]) -> None:
    steps = plan(store[0], Question(job_ids=("12",), order=Order.SUBMIT))
    assert "SEARCH jobs USING COVERING INDEX sqlite_autoindex_jobs_1 (cluster=? AND job_id_raw=?)" in steps
    assert steps.count("SEARCH jobs USING COVERING INDEX jobs_by_task (job_id>? AND job_id<?)") == 2
    assert not [step for step in steps if step.startswith("SCAN jobs")]


def test_an_attempts_history_is_read_off_an_index(store: tuple[StoreReader, list[Job]]) -> None:
    asked = status._HISTORY.format(its=status._ITS)
    steps = [row["detail"] for row in store[0].rows(f"EXPLAIN QUERY PLAN {asked}", (1,))]
    assert "SEARCH events USING INTEGER PRIMARY KEY (rowid=?)" in steps
    assert "SEARCH earlier_events USING PRIMARY KEY (job=?)" in steps
    assert not [step for step in steps if step.startswith("SCAN") and "SUBQUERY" not in step]


def test_the_events_of_a_user_are_read_off_an_index(store: tuple[StoreReader, list[Job]]) -> None:
    rows = store[0].rows(f"EXPLAIN QUERY PLAN {events._OF_USER}", (0, 9, "user1", 5))
    steps = [row["detail"] for row in rows]
    assert "SEARCH jobs USING INDEX jobs_by_user (user=?)" in steps
    assert "SEARCH earlier_events USING PRIMARY KEY (job=? AND seq>? AND seq<?)" in steps
    assert not [step for step in steps if "SCAN jobs" in step or "SCAN e" in step]
