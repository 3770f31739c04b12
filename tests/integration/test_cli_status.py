"""`status`: what the store and a running daemon say, and the exit codes that tell them apart."""

import json
import re
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from slurmwatchd.cli import daemon_http
from slurmwatchd.store.lockfile import LockFile, holder
from tests.acceptance.process import DaemonProcess
from tests.integration.asked import run
from tests.integration.rig import Rig

pytestmark = pytest.mark.usefixtures("utc")


def copied(rig: Rig, folder: Path, *statements: str) -> Path:
    store = folder / "store.db"
    with closing(sqlite3.connect(rig.store)) as source, closing(sqlite3.connect(store)) as copy:
        source.backup(copy)
        for statement in statements:
            copy.execute(statement)
        copy.commit()
    return store


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration that names the sink `jobs` and a port where nobody listens."""
    file = tmp_path / "slurmwatchd.toml"
    file.write_text(f'[sinks.jobs]\ntype = "jsonl"\npath = "{tmp_path}/jobs.jsonl"\n[web]\nlisten = ""\n')
    return file


def test_a_store_without_a_daemon_is_exit_3(filled: Rig, config: Path) -> None:
    ran = run("status", "--config", config, "--store", filled.store)
    assert (ran.code, ran.err) == (3, "")
    assert ran.out.startswith(f"not running\nstore       {filled.store}: 10 attempts, ")
    assert "\nquarantine  0 rows\n" in ran.out
    told = json.loads(run("status", "--config", config, "--store", filled.store, "--json").out)
    assert (told["running"], told["pid"], told["wrong"]) == (False, None, [])
    assert told["store"]["attempts"] == 10
    (cluster,) = told["clusters"]
    assert (cluster["cluster"], cluster["horizon"], cluster["read_up_to"], cluster["holes"]) == (
        "sim",
        "2026-11-24T03:00:00Z",
        "2026-11-24T06:00:00Z",
        [],
    )
    assert cluster["last_reading"]["found_by"] in {"poll", "reread"}
    assert {row["sink"]: (row["position"], row["waiting"], row["configured"]) for row in told["sinks"]} == {
        "jobs": (10, 0, True),
        "prometheus": (10, 0, False),
    }


def test_holes_sinks_that_are_behind_quarantine_and_backfills_are_told(
    filled: Rig, config: Path, tmp_path: Path
) -> None:
    store = copied(
        filled,
        tmp_path,
        "DELETE FROM coverage",
        "INSERT INTO coverage VALUES ('sim', 1795489200, 1795492800, 1795500000)",
        "INSERT INTO coverage VALUES ('sim', 1795496400, 1795500000, 1795500000)",
        "UPDATE cursors SET seq = 7 WHERE sink = 'jobs'",
        "INSERT INTO quarantine (id, cluster, observed, reason, fields, row) "
        "VALUES (1, 'sim', 1795500000, '', '', x'00')",
        "INSERT INTO backfills VALUES (1, 'sim', 1795000000, 1795400000, 1795300000, 0, 0, 5, 5)",
        "INSERT INTO backfills VALUES (2, 'sim', 1795000000, 1795400000, 1795000000, 0, 0, 5, 5)",
    )
    told = json.loads(run("status", "--config", config, "--store", store, "--json").out)
    assert told["clusters"][0]["holes"] == [{"start": "2026-11-24T04:00:00Z", "end": "2026-11-24T05:00:00Z"}]
    assert told["clusters"][0]["read_up_to"] == "2026-11-24T04:00:00Z"
    jobs = next(row for row in told["sinks"] if row["sink"] == "jobs")
    assert (jobs["position"], jobs["waiting"]) == (7, 3)
    assert told["quarantine"] == {"rows": 1, "newest": "2026-11-24T06:00:00Z"}
    assert [(row["id"], row["done"]) for row in told["backfills"]] == [(1, 0.25)]
    text = run("status", "--config", config, "--store", store).out
    assert "hole        sim: never read: 2026-11-24 04:00:00 to 2026-11-24 05:00:00\n" in text
    assert "quarantine  1 row, the newest of 2026-11-24 06:00:00\n" in text
    assert "backfill    sim: 2026-11-18 11:06:40 to 2026-11-23 02:13:20, 25% read\n" in text


def test_a_daemon_that_neither_reads_nor_delivers_is_exit_4_though_it_does_not_say_so(
    filled: Rig, config: Path, tmp_path: Path
) -> None:
    store = copied(filled, tmp_path, "UPDATE cursors SET seq = 7")
    with LockFile(store):
        ran = run("status", "--config", config, "--store", store)
    assert ran.code == 4
    days = r"\d+d\d+h"
    assert re.search(f"^wrong       cluster sim: no complete answer from sacct for {days}$", ran.out, re.MULTILINE)
    assert re.search(f"^wrong       sink jobs: an event waits for {days}$", ran.out, re.MULTILINE)
    assert ran.out.count("\nwrong ") == 2
    assert [line.split("\t")[-1] for line in ran.out.splitlines() if line.startswith(("sim", "jobs"))] == [
        "failing",
        "failing",
    ]


@pytest.mark.heavy
def test_a_daemon_that_hangs_is_exit_4(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.start_ready()
        daemon.signal(signal.SIGSTOP)
        ran = daemon.run("status")
        assert (ran.returncode, ran.stdout.splitlines()[-1]) == (
            4,
            f"wrong       the daemon does not answer at http://127.0.0.1:{daemon.port}",
        )


def test_a_cluster_that_was_never_read_is_listed(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.cluster.set_slurmdbd_down()
        daemon.start()
        daemon.wait_until(lambda: "sacct failed" in daemon.get("/-/ready")[1], "the first failure")
        ran = daemon.run("status")
        assert ran.returncode == 4
        assert "\nsim\t\t\t0\t\tfailing\n" in ran.stdout
        assert ran.stdout.count("\nwrong ") == 1


@pytest.mark.heavy
def test_a_daemon_that_runs_is_exit_0_and_one_in_trouble_exit_4(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.ended(job_name="one")
        daemon.start_ready()
        daemon.wait_until(lambda: daemon.names() == ["one"], "the event")
        assert daemon.process is not None
        ran = daemon.run("status", "--json")
        told = json.loads(ran.stdout)
        assert (ran.returncode, ran.stderr, told["wrong"]) == (0, "", [])
        assert (told["running"], told["pid"]) == (True, daemon.process.pid)
        assert told["url"] == f"http://127.0.0.1:{daemon.port}"
        assert told["clusters"][0]["daemon"]["new"] == 1
        daemon.cluster.set_slurmdbd_down()
        daemon.wait_until(lambda: daemon.run("status").returncode == 4, "trouble")
        text = daemon.run("status").stdout
        assert f"running     pid {daemon.process.pid}, http://127.0.0.1:{daemon.port}, version " in text
        assert "\nwrong       cluster sim: " in text
        # Another store than that daemon's: it has no word in this.
        other = daemon.run("status", "--store", str(tmp_path / "other.db"))
        assert other.returncode == 1
        daemon.kill()
        gone = daemon.run("status")
        assert (gone.returncode, gone.stdout.splitlines()[0]) == (3, "not running")


def test_a_daemon_is_known_by_its_lock_and_not_by_what_the_file_says(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    lock = tmp_path / "store.db.lock"
    assert holder(store) is None
    lock.write_text("1\n")
    assert holder(store) is None
    lock.write_text("")
    assert holder(store) is None


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        ("127.0.0.1:10025", "http://127.0.0.1:10025"),
        ("localhost:1", "http://127.0.0.1:1"),
        ("0.0.0.0:10025", "http://127.0.0.1:10025"),
        ("[::]:10025", "http://[::1]:10025"),
        ("[::1]:10025", "http://[::1]:10025"),
        ("10.1.2.3:10025", None),
        ("127.0.0.1:0", None),
        ("", None),
    ],
)
def test_only_a_loopback_is_asked(listen: str, url: str | None) -> None:
    assert daemon_http.loopback_url(listen) == url
