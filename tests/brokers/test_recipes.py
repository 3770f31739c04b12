"""docs/scaling.md: its recipes take batches that overlap and come out of order, and count each attempt once."""

import importlib
import importlib.util
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest

from slurmwatchd.model import formats
from slurmwatchd.model.event_ids import event_id
from slurmwatchd.model.records import Event, EventKind, FoundBy, JobRecord
from tests.brokers.recipes import recipe
from tests.reading.test_heavy_readers import postgresql

END = 1_795_000_000

# Attempt to its revisions: what it is in each, by hand. The newest alone counts.
STATES = {
    (1, 0): ["COMPLETED"],
    (2, 0): ["COMPLETED", "FAILED"],
    (3, 0): ["FAILED", "COMPLETED", "TIMEOUT"],
    # Requeued: another attempt of the same job.
    (3, 7): ["COMPLETED"],
    (4, 0): ["NODE_FAIL"],
}
EXPECTED = [("COMPLETED", 2, 2 * 600), ("FAILED", 1, 600), ("NODE_FAIL", 1, 600), ("TIMEOUT", 1, 600)]


def lines() -> list[bytes]:
    """Every event, the oldest first; one attempt has a usage as well."""
    found = []
    for (number, later), states in STATES.items():
        for revision, state in enumerate(states, 1):
            kind = EventKind.JOB_ENDED if revision == 1 else EventKind.JOB_REVISED
            found.append(_line(number, later, kind, revision, state))
    found.append(_line(1, 0, EventKind.JOB_USAGE, 1, "COMPLETED"))
    return found


def _line(number: int, later: int, kind: EventKind, revision: int, state: str) -> bytes:
    submit = END - 500 + later
    record = JobRecord(
        cluster="007", job_id=str(number), job_id_raw=number, state=state, user="ann", account="phys",
        name='"quoted", \\back\\ and\n"nul" \x00 \x01 \u2028', submit=submit, start=END - 100, end=END,
        elapsed_seconds=100, cpus=6, alloc_tres={"cpu": 6, "gres/gpu:a100": 1},
    )  # fmt: skip
    fields = formats.wire(record)
    if kind is EventKind.JOB_USAGE:
        fields["usage"] = {"cpu_seconds": 1, "steps": 1, "complete": True}
    event = Event(
        seq=number, id=event_id("007", number, submit, kind, revision), kind=kind, revision=revision, time=END,
        observed=END + 5, found_by=FoundBy.POLL, body=formats.body(fields), nodes=None,
        changed=b'{"state":["X","Y"]}' if kind is EventKind.JOB_REVISED else None,
    )  # fmt: skip
    return formats.flat(event, max_line_bytes=30_000)


def batches() -> list[bytes]:
    """Three batches: the newest first, each with events of another, one event twice in one batch."""
    every = lines()
    return [b"".join([*every[4:], every[-1], every[2]]), b"".join(every[:6]), b"".join(reversed(every))]


Rows = list[tuple[str, int, int]]


def clickhouse(folder: Path) -> Callable[[], Rows]:
    if importlib.util.find_spec("chdb") is None:
        pytest.skip("NOT RUN: no chdb; pip install -e '.[reading]'")
    chdb: Any = importlib.import_module("chdb.session")
    session = chdb.Session(str(folder / "clickhouse"))

    def run() -> Rows:
        text = recipe("scaling.md", "clickhouse").replace("'events.ndjson'", f"'{folder / 'events.ndjson'}'")
        *statements, question = [part for part in text.split(";") if part.strip()]
        for statement in statements:
            session.query(statement)
        printed = str(session.query(question, "JSONCompactEachRow"))
        rows = [orjson.loads(line) for line in printed.splitlines()]
        return [(state, int(jobs), int(seconds)) for state, jobs, seconds in rows]

    return run


def parquet(folder: Path) -> Callable[[], Rows]:
    def run() -> Rows:
        text = recipe("scaling.md", "parquet")
        for name in ("events.ndjson", "events/"):
            text = text.replace(f"'{name}", f"'{folder / name}{'/' if name.endswith('/') else ''}")
        text = text.replace("TO 'events'", f"TO '{folder / 'events'}'")
        with duckdb.connect() as connection:
            return connection.execute(text).fetchall()

    return run


@pytest.mark.parametrize("tool", [clickhouse, parquet])
def test_each_attempt_counts_once_with_its_newest_revision(
    tool: Callable[[Path], Callable[[], Rows]], tmp_path: Path
) -> None:
    run = tool(tmp_path)
    for batch in batches():
        (tmp_path / "events.ndjson").write_bytes(batch)
        found = run()
    assert found == EXPECTED


def test_postgresql_counts_each_attempt_once_with_its_newest_revision(tmp_path: Path) -> None:
    if not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        pytest.skip("NOT RUN: no PostgreSQL; apt-get install postgresql")
    with postgresql(tmp_path) as variables:
        printed = ""
        for batch in batches():
            (tmp_path / "events.ndjson").write_bytes(batch)
            done = subprocess.run(
                ["/usr/bin/psql", "-X", "-q", "-A", "-t", "-F", ",", "-v", "ON_ERROR_STOP=1"],
                check=False,
                input=recipe("scaling.md", "postgresql"),
                capture_output=True,
                text=True,
                cwd=tmp_path,
                env={**os.environ, **variables},
                timeout=120,
            )
            assert done.returncode == 0, done.stderr
            printed = done.stdout
    rows = [line.split(",") for line in printed.splitlines()]
    assert [(state, int(jobs), int(seconds)) for state, jobs, seconds in rows] == EXPECTED
