"""verify and backfill on a real Slurm: no difference after a mix, each one named that is made by hand."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.watch import COMMAND_SECONDS
from tests.real_slurm import jobs, truth
from tests.real_slurm.daemons import wait_until

if TYPE_CHECKING:
    from tests.acceptance.watch import Watch
    from tests.real_slurm.cluster import RealCluster

pytestmark = [pytest.mark.real_slurm, pytest.mark.one_release, pytest.mark.timeout(900)]


def command(watch: Watch, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command; with so short an overlap that verify holds the store to what ended just now as well."""
    return subprocess.run(
        [*watch._argv(arguments[0]), *arguments[1:]],
        check=False,
        capture_output=True,
        text=True,
        env={**watch._environment(), "SLURMWATCHD_POLL__OVERLAP": "1s"},
        timeout=COMMAND_SECONDS,
    )


def verify(watch: Watch, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = command(watch, "verify", "--sink", "jobs", "--json", *arguments)
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


def test_verify_finds_nothing_after_a_mix_and_names_what_is_taken_away_by_hand(
    cluster: RealCluster, watch: Watch, mix: int
) -> None:
    watch.start()
    watch.wait_until(lambda: watch.get("/-/ready")[0] == 200, "ready")
    ended = truth.ended(cluster, mix)
    watch.wait_until(lambda: set(ended) <= watch.keys(), "every job to be in the file")
    # A row that slurmdbd fills in after the fact comes right by a revision.
    watch.wait_until(lambda: verify(watch)[0] == 0, "no difference")
    status, report = verify(watch, "--since", "50m")
    assert (status, report["accounting"]["count"], report["sinks"][0]["count"]) == (0, 0, 0)
    # sacct shows as many rows of the stretch as slurmdbd's own table holds.
    (compared,) = report["accounting"]["clusters"]
    assert compared["rows"] >= len(ended) >= 50

    assert watch.stop() == 0
    store = watch.config.parent / "slurmwatchd.db"
    with closing(sqlite3.connect(store)) as opened, opened:
        job = opened.execute("SELECT job_id FROM jobs WHERE state = 'FAILED' ORDER BY id LIMIT 1").fetchone()[0]
        opened.execute("DELETE FROM events WHERE job IN (SELECT id FROM jobs WHERE job_id = ?)", (job,))
        opened.execute("DELETE FROM jobs WHERE job_id = ?", (job,))
    lines = [
        line for line in watch.file.read_bytes().splitlines(keepends=True) if json.loads(line)["job_id"] != job
    ]
    gone = json.loads(lines.pop(len(lines) // 2))
    watch.file.write_bytes(b"".join(lines))
    status, report = verify(watch)
    assert status == 1
    assert [(d["job_id"], d["what"]) for d in report["accounting"]["differences"]] == [(job, "not in store")]
    assert [(d["id"], d["what"], d["job_id"]) for d in report["sinks"][0]["differences"]] == [
        (gone["id"], "missing", gone["job_id"])
    ]


def test_a_backfill_reads_what_ended_before_the_first_poll(cluster: RealCluster, watch: Watch) -> None:
    text = watch.config.read_text(encoding="utf-8")
    watch.config.write_text(text.replace('since = "1h"', 'since = "1s"'), encoding="utf-8")
    started = jobs.new_second(cluster)
    jobs.batch(cluster, "--array=0-4", "--job-name=before")
    jobs.settle(cluster, started)
    ended = truth.ended(cluster, started)
    assert len(ended) == 5
    # The first poll begins a second before its start: what is to be backfilled must have ended before that.
    newest = max(int(str(attempt.values["end"])) for attempt in ended.values())
    wait_until(lambda: time.time() > newest + 3, "the ends to be past")
    watch.start()
    watch.wait_until(lambda: watch.get("/-/ready")[0] == 200, "ready")
    assert not watch.keys() & set(ended)

    since = f"@{started - 1}"
    dry = command(watch, "backfill", "--since", since, "--dry-run", "--json")
    assert json.loads(dry.stdout)["new"] >= 5
    done = command(watch, "backfill", "--since", since)
    assert done.returncode == 0, done.stderr
    watch.wait_until(lambda: set(ended) <= watch.keys(), "every job to be in the file")
    assert not truth.compare(ended, watch.records(), truth.ended(cluster))
    assert {record["found_by"] for record in watch.records() if truth.key_of(record) in ended} == {"backfill"}
