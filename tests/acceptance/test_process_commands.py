"""verify, backfill and quarantine as their user runs them: beside the service and without it."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.acceptance.process import DaemonProcess
from tests.integration import asked
from tests.patience import HANGS_SECONDS
from tests.sim_truth import differences

SCRIPT = shutil.which("script") or ""
LOCAL = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"

COMMANDS = ("verify", "backfill --since 1d", "quarantine list", "quarantine retry --all")


def watching(folder: Path) -> DaemonProcess:
    """A service whose next poll looks back a second only, so that verify holds it to nearly everything."""
    daemon = DaemonProcess(folder)
    daemon.change_config('since = "1h"', 'since = "1h"\noverlap = "1s"\nslice = "6h"')
    return daemon


def ask(daemon: DaemonProcess, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"file:{daemon.store}?mode=ro", uri=True)) as store:
        return store.execute(sql).fetchall()


def change(daemon: DaemonProcess, sql: str) -> None:
    with closing(sqlite3.connect(daemon.store)) as store, store:
        store.execute(sql)


def test_verify_exits_0_beside_the_service_and_1_with_the_name_of_what_was_taken_away(tmp_path: Path) -> None:
    with watching(tmp_path) as daemon:
        for number in range(6):
            daemon.ended(60 + 100 * number)
        daemon.start_ready()
        daemon.wait_until(lambda: len(daemon.records()) == 6, "six events")
        cursor = "SELECT seq FROM cursors WHERE sink = 'jobs'"
        daemon.wait_until(lambda: ask(daemon, cursor) == [(6,)], "the cursor to know of them")

        good = daemon.ask("verify", "--sink", "jobs")
        assert (good.returncode, good.stderr) == (0, "")
        assert "6 rows of sacct compared" in good.stdout
        assert "sink jobs: 6 events must be there, 6 lines in 1 file: 0 differences" in good.stdout

        assert daemon.stop() == 0
        for sql in (
            "DELETE FROM events WHERE job = (SELECT id FROM jobs WHERE job_id = '4')",
            "DELETE FROM jobs WHERE job_id = '4'",
        ):
            change(daemon, sql)
        lines = [
            line for line in daemon.file.read_bytes().splitlines(keepends=True) if b'"job_id":"4"' not in line
        ]
        gone = json.loads(lines.pop(2))
        daemon.file.write_bytes(b"".join(lines))

        bad = daemon.ask("verify", "--sink", "jobs")
        assert bad.returncode == 1
        table = [line.split("\t") for line in bad.stdout.splitlines()]
        assert ["CLUSTER", "JOB", "SUBMIT", "WHAT", "STORE", "SACCT"] in table
        assert [line[3:5] for line in table if line[:2] == ["sim", "4"]] == [["not in store", ""]]
        assert ["WHAT", "ID", "SEQ", "KIND", "JOB", "WHERE"] in table
        assert ["missing", gone["id"], str(gone["seq"]), "job_ended", gone["job_id"], ""] in table

        found = json.loads(daemon.ask("verify", "--sink", "jobs", "--json").stdout)
        assert [(d["job_id"], d["what"]) for d in found["accounting"]["differences"]] == [("4", "not in store")]
        assert [(d["id"], d["what"]) for d in found["sinks"][0]["differences"]] == [(gone["id"], "missing")]
        assert (found["accounting"]["count"], found["sinks"][0]["count"]) == (1, 1)


def test_verify_names_a_stretch_that_is_in_no_file_in_one_line(tmp_path: Path) -> None:
    with watching(tmp_path) as daemon:
        for number in range(12):
            daemon.ended(60 + 100 * number)
        daemon.start_ready()
        daemon.wait_until(lambda: len(daemon.records()) == 12, "twelve events")
        daemon.wait_until(
            lambda: ask(daemon, "SELECT seq FROM cursors WHERE sink = 'jobs'") == [(12,)], "the cursor"
        )
        assert daemon.stop() == 0
        daemon.file.unlink()

        bad = daemon.ask("verify", "--sink", "jobs")
        assert bad.returncode == 1
        (elsewhere,) = [line for line in bad.stdout.splitlines() if "12 events in a row are in none" in line]
        assert "seq 1 to 12, first seen" in elsewhere
        assert not [line for line in bad.stdout.splitlines() if line.startswith(("CLUSTER", "WHAT", "and "))]

        found = json.loads(daemon.ask("verify", "--sink", "jobs", "--json").stdout)
        assert (found["accounting"]["count"], found["sinks"][0]["count"]) == (0, 1)
        (stretch,) = found["sinks"][0]["differences"]
        assert [stretch[name] for name in ("what", "seq", "last_seq", "events")] == ["stretch missing", 1, 12, 12]
        assert stretch["since"].endswith("Z")


def test_verify_says_what_it_cannot_prove_with_another_status_than_a_difference(tmp_path: Path) -> None:
    with watching(tmp_path) as daemon:
        nothing = daemon.ask("verify")
        assert (nothing.returncode, nothing.stderr) == (
            74,
            f"slurmwatchd: {daemon.store}: there is no store yet; `slurmwatchd run` creates it\n",
        )
        assert daemon.ask("once").returncode == 0
        unread = daemon.ask("verify", "--since", "3d", "--until", "2d")
        assert unread.returncode == 75
        assert "never read: " in unread.stdout
        assert unread.stderr.endswith("nothing in that stretch has been read yet: nothing is proved\n")
        daemon.cluster.add_fault("sacct", "exit", code=1, stderr="sacct: error: Connection refused")
        down = daemon.ask("verify")
        assert (down.returncode, down.stderr) == (
            75,
            "slurmwatchd: sacct failed (exit status 1): sacct: error: Connection refused\n",
        )


def test_a_report_of_verify_that_cannot_be_written_is_no_difference(tmp_path: Path) -> None:
    with watching(tmp_path) as daemon:
        assert daemon.run("once").returncode == 0
        into_full = ["bash", "-c", '"$@" >/dev/full', "bash", *argv(daemon, "verify")]
        full = subprocess.run(into_full, check=False, capture_output=True, text=True, timeout=HANGS_SECONDS)
        assert (full.returncode, full.stderr) == (74, "slurmwatchd: standard output: No space left on device\n")


def test_a_user_of_the_commands_gets_one_line_for_a_mistake(tmp_path: Path) -> None:
    with watching(tmp_path) as daemon:
        daemon.ask("once")
        mistakes = {
            ("verify", "--since", "soon"): "'soon' is not a moment such as 24h,",
            ("verify", "--since", "1h", "--until", "2h"): "the stretch is empty: it begins '1h' and ends '2h'",
            ("verify", "--sink", "nope"): "--sink: there is no sink 'nope'; there are jobs, prometheus",
            (
                "verify",
                "--sink",
                "prometheus",
            ): "--sink: 'prometheus' is of type 'prometheus': it has no JSON lines",
            ("verify", "--no-sacct"): "--no-sacct leaves nothing to verify without --sink",
            ("verify", "--cluster", "x"): "--cluster: 'x' is not watched",
            (
                "verify",
                "--since",
                "99999d",
            ): "--since: '99999d' is too long ago: sacct accepts no time before @1000000",
            ("backfill", "--since", "@999999"): "--since: '@999999' is too long ago: sacct accepts no time before",
            ("backfill",): "Missing option '--since'.",
            ("backfill", "--since", "1d", "--cluster", "x"): "--cluster: 'x' is not watched; watched: sim",
            ("backfill", "--since", "1d", "--dry-run", "--cluster", "x"): "--cluster: 'x' is not watched",
        }
        for (command, *arguments), message in mistakes.items():
            # In this process: what starting another costs shows nothing more of a mistake in the arguments.
            ran = asked.run(command, "--config", daemon.config, *arguments)
            assert ran.code == 2, (command, arguments, ran)
            assert message in ran.err
            assert "Traceback" not in ran.err
        assert daemon.ask("quarantine list").returncode == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_a_store_that_is_none_is_one_line(tmp_path: Path, command: str) -> None:
    with watching(tmp_path) as daemon:
        daemon.store.parent.mkdir()
        daemon.store.write_bytes(b"this is no database" * 1000)
        done = daemon.ask(command)
        assert done.returncode == (74 if command == "verify" else 1)
        assert done.stderr.startswith(f"slurmwatchd: {daemon.store}: ")
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.heavy
def test_a_backfill_beside_the_service_is_done_by_it_and_shown(tmp_path: Path) -> None:
    with watching(tmp_path) as daemon:
        for number in range(1, 30):
            # None of them on the edge of two days, which moves meanwhile.
            daemon.ended(7200 * number + 600)
        daemon.start_ready()
        count = daemon.ask("backfill", "--since", "2d", "--dry-run", "--json")
        assert count.returncode == 0, count.stderr
        assert {name: json.loads(count.stdout)[name] for name in ("dry_run", "rows", "new")} == {
            "dry_run": True, "rows": 23, "new": 23,
        }  # fmt: skip
        assert ask(daemon, "SELECT count(*) FROM backfills") == [(0,)]

        done = daemon.ask("backfill", "--since", "2d")
        assert done.returncode == 0, done.stderr
        assert "the daemon reads it between its polls" in done.stderr
        assert done.stdout.splitlines()[-1] == "23 rows read, 23 of them new to the store"
        daemon.wait_until(lambda: len(daemon.records()) == 23, "all events")
        assert {record["found_by"] for record in daemon.records()} == {"backfill"}
        assert daemon.counted("slurmwatchd_jobs_ended_total") == {}
        assert re.fullmatch(rf"cluster sim: ended {LOCAL} to {LOCAL}", done.stdout.splitlines()[0])
        again = daemon.ask("backfill", "--since", "2d", "--until", "1d")
        assert (again.returncode, again.stdout.split(":")[0]) == (0, "nothing to read")
        assert daemon.ask("verify", "--since", "47h", "--sink", "jobs").returncode == 0
        cancelled = daemon.ask("backfill", "--cancel")
        assert (cancelled.returncode, cancelled.stdout) == (0, "there is no backfill\n")


@pytest.mark.heavy
def test_a_backfill_without_the_service_that_is_killed_goes_on_and_delivers_everything_once(
    tmp_path: Path,
) -> None:
    with watching(tmp_path) as daemon:
        for number in range(1, 30):
            daemon.ended(7200 * number)
        assert daemon.run("once").returncode == 0
        # Each call takes a while, so that there is something to kill.
        daemon.cluster.add_fault("sacct", "slow", match="--local", count=20, seconds=0.3)
        for kills in (1, 2):
            process = subprocess.Popen(
                [*argv(daemon, "backfill"), "--since", "3d"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
            deadline = time.monotonic() + HANGS_SECONDS
            while len(ask(daemon, "SELECT 1 FROM ledger WHERE found_by = 'backfill'")) < 2 * kills:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        done = daemon.run("backfill", "--since", "3d")
        assert done.returncode == 0, done.stderr
        assert "reading, and delivering at the end" in done.stderr
        windows = ask(daemon, "SELECT start, \"end\" FROM ledger WHERE found_by = 'backfill' ORDER BY id")
        assert len(windows) == len(set(windows))
        assert differences(daemon.cluster, daemon.records()) == []
        assert daemon.run("verify", "--since", "71h", "--sink", "jobs").returncode == 0


def test_backfill_makes_a_store_where_there_is_none(tmp_path: Path) -> None:
    with watching(tmp_path) as daemon:
        daemon.ended(60, job_name="now")
        daemon.ended(7000, job_name="before")
        ran = daemon.ask("backfill", "--since", "4h")
        assert ran.returncode == 0, ran
        assert sorted(daemon.names()) == ["before", "now"]


@pytest.mark.heavy
def test_quarantined_rows_are_listed_and_read_again_beside_the_service_and_without_it(tmp_path: Path) -> None:
    with watching(tmp_path) as daemon:
        key = daemon.ended(60, time_submit=0, job_name="no submit")
        daemon.start_ready()
        listed = daemon.ask("quarantine list")
        assert listed.returncode == 0
        assert listed.stdout.splitlines()[1].split("\t")[-1] == "Submit is b'Unknown', not a time"
        row = json.loads(daemon.ask("quarantine list", "--json").stdout)
        assert (row["row"]["JobName"], row["row"]["Submit"], row["id"]) == ("no submit", "Unknown", 1)

        still = daemon.ask("quarantine retry", "--all")
        assert (still.returncode, still.stdout) == (1, "0 of 1 rows are out of the quarantine\n")
        nobody = daemon.ask("quarantine retry", "7")
        assert nobody.returncode == 2
        assert "there is no row 7 in the quarantine" in nobody.stderr
        assert daemon.ask("quarantine retry").returncode == 2

        # As if today's program could read what an older one could not; no poll brings the row again.
        daemon.cluster.delete_job(key)
        change(daemon, "UPDATE quarantine SET row = CAST(replace(row, 'Unknown', '1795000000') AS BLOB)")
        released = daemon.ask("quarantine retry", "1", "--json")
        assert (released.returncode, json.loads(released.stdout)) == (0, {"asked": 1, "released": 1, "left": 0})
        daemon.wait_until(lambda: daemon.names() == ["no submit"], "its event")
        assert daemon.ask("quarantine list").stdout == "the quarantine is empty\n"

        assert daemon.stop() == 0
        empty = daemon.ask("quarantine retry", "--all")
        assert (empty.returncode, empty.stdout) == (0, "the quarantine is empty\n")
        change(daemon, "INSERT INTO quarantine VALUES (9, 'sim', 1, 'old', 'Cluster', CAST('sim' AS BLOB), NULL)")
        alone = daemon.ask("quarantine retry", "--all")
        assert (alone.returncode, alone.stdout) == (1, "0 of 1 rows are out of the quarantine\n")


def test_a_reader_of_the_quarantine_who_goes_is_141_without_a_traceback(tmp_path: Path) -> None:
    with watching(tmp_path) as daemon:
        assert daemon.ask("once").returncode == 0
        with closing(sqlite3.connect(daemon.store)) as store, store:
            store.executemany(
                "INSERT INTO quarantine VALUES (?1, 'sim', 1, 'old', 'Cluster', CAST(?1 AS BLOB), NULL)",
                [(number,) for number in range(1, 5001)],
            )
        ran = asked.run_process("quarantine", "list", "--config", daemon.config, reader="true")
        assert (ran.code, ran.err) == (141, "")


@pytest.mark.heavy
def test_the_commands_leave_a_running_service_its_store(tmp_path: Path) -> None:
    """Opening it for reading or for a request takes nothing from the daemon, and it is still the only writer."""
    with watching(tmp_path) as daemon:
        # A busy machine may take longer than a second to write an end.
        daemon.change_config('overlap = "1s"', 'overlap = "1m"')
        daemon.start_ready()
        pid = (daemon.store.parent / "slurmwatchd.db.lock").read_text()
        for command in COMMANDS:
            assert daemon.ask(command).returncode in {0, 75}
        assert (daemon.store.parent / "slurmwatchd.db.lock").read_text() == pid
        daemon.ended(1, job_name="afterwards")
        daemon.wait_until(lambda: daemon.names() == ["afterwards"], "an event")
        assert daemon.stop() == 0


@pytest.mark.skipif(not SCRIPT, reason="needs script(1) for a terminal")
def test_a_person_at_a_terminal_sees_a_bar(tmp_path: Path) -> None:
    with watching(tmp_path) as daemon:
        daemon.ended(7200)
        command = " ".join([*argv(daemon, "backfill"), "--since", "2d"])
        shown = subprocess.run(
            [SCRIPT, "-qec", command, "/dev/null"], check=False, capture_output=True, text=True,
            timeout=HANGS_SECONDS, env=os.environ | {"TERM": "xterm", "COLUMNS": "120"}, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert shown.returncode == 0, shown.stdout
        assert "\u2501" in shown.stdout
        assert "100%" in shown.stdout
        assert "1 rows read, 1 of them new to the store" in shown.stdout


def argv(daemon: DaemonProcess, command: str) -> list[str]:
    return [sys.executable, "-m", "slurmwatchd", command, "--config", str(daemon.config)]


def test_a_backfill_without_a_daemon_tells_usage_too(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, steps="summary") as daemon:
        whole = daemon.ended(3 * 3600, job_name="whole", submit_line="sbatch whole.sh")
        daemon.cluster.add_step(whole, "batch", max_rss=10_000_000)
        daemon.cluster.add_fault("sacct", "exit", count=1, match="-j", stderr="sacct: error: no steps now")
        failed = daemon.ask("backfill", "--since", "4h")
        assert failed.returncode == 75, failed.stderr
        assert [record["event"] for record in daemon.records()] == ["job_ended"]
        # Nothing is left to read, and usage is.
        done = daemon.ask("backfill", "--since", "4h")
        assert done.returncode == 0, done.stderr
        assert "usage: 1 attempts left to query\n" in done.stderr
        assert done.stdout.startswith("nothing to read: ")
        assert "is still missing" not in done.stdout
        _, usage = daemon.records()
        assert (usage["event"], usage["name"]) == ("job_usage", "whole")
        assert usage["usage"]["max_rss_bytes"] == 10_000_000
        assert ask(daemon, "SELECT count(*) FROM usage_queue") == [(0,)]


@pytest.mark.heavy
def test_a_backfill_says_whose_usage_is_not_whole_yet(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, steps="summary") as daemon:
        part = daemon.ended(30, job_name="part", submit_line="sbatch part.sh")
        daemon.cluster.add_step(part, "batch", end_visible_at=int(time.time()) + 1000)
        assert daemon.ask("once").returncode == 0
        done = daemon.ask("backfill", "--since", "4h", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["usage_waiting"] == 1
        done = daemon.ask("backfill", "--since", "4h")
        assert "the usage of 1 attempts is still missing: a daemon adds it; if none runs" in done.stdout
