"""The file under the running daemon: rotated by it, truncated, replaced or deleted by others, made read-only."""

import gzip
import json
import os
import shutil
import signal
import sqlite3
import subprocess
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.process import DaemonProcess
from tests.acceptance.test_process_disk_full import mount, root, small_disk
from tests.event_schema import conforming


def warnings(daemon: DaemonProcess) -> list[str]:
    return [line["event"] for line in daemon.logged() if line["level"] == "warning"]


def is_delivered(daemon: DaemonProcess, seq: int) -> bool:
    """Tell whether the sink's cursor in the store has come to an event."""
    with closing(sqlite3.connect(f"file:{daemon.store}?mode=ro", uri=True)) as store:
        return store.execute("SELECT seq FROM cursors WHERE sink = 'jobs'").fetchall() == [(seq,)]


def end(daemon: DaemonProcess, *names: str) -> None:
    """End jobs, and wait until the file has them all."""
    with daemon.cluster.batch():
        for name in names:
            daemon.ended(job_name=name)
    daemon.wait_until(lambda: set(names) <= set(daemon.names()), f"{names} in the file")


@pytest.mark.heavy
def test_the_daemon_rotates_by_size_and_keeps_as_many_as_it_is_asked_to(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.change_config('jobs.jsonl"\n', 'jobs.jsonl"\nrotate_size = "1kB"\nrotate_keep = 3\n')
        daemon.ended(job_name="first")
        daemon.start_ready()
        # Each reading makes the file longer than a kilobyte; the next one begins a new file.
        for number in range(6):
            end(daemon, *(f"{number}-{job}" for job in range(3)))
        daemon.wait_until((tmp_path / "log" / "jobs.jsonl.3.gz").exists, "three rotated files")
        assert daemon.stop() == 0
    names = sorted(path.name for path in (tmp_path / "log").iterdir())
    assert names == ["jobs.jsonl", "jobs.jsonl.1", "jobs.jsonl.2.gz", "jobs.jsonl.3.gz"]
    texts = [gzip.decompress((tmp_path / "log" / name).read_bytes()) for name in reversed(names[2:])]
    texts += [(tmp_path / "log" / name).read_bytes() for name in ("jobs.jsonl.1", "jobs.jsonl")]
    found = conforming(b"".join(texts).splitlines())
    seqs = [record["seq"] for record in found]
    assert seqs == [*range(seqs[0], 20)]
    assert {record["name"] for record in found} >= {f"{number}-{job}" for number in (4, 5) for job in range(3)}
    assert warnings(daemon) == []


@pytest.mark.heavy
def test_what_others_do_to_the_file_costs_no_event(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        saved: list[bytes] = []
        daemon.ended(job_name="first")
        daemon.start_ready()
        daemon.wait_until(lambda: daemon.names() == ["first"], "what ended before the start")
        end(daemon, "a")
        daemon.wait_until(lambda: is_delivered(daemon, 2), "the sink to know where the file ends")

        # logrotate with copytruncate: a copy, then nothing in the file.
        shutil.copy(daemon.file, daemon.file.with_name("jobs.jsonl.1"))
        saved.append(daemon.file.read_bytes())
        os.truncate(daemon.file, 0)
        end(daemon, "b")
        (told,) = warnings(daemon)
        assert told.startswith("file was truncated by another program, which had copied all of it")

        # An editor: another file under the same name.
        edited = daemon.file.with_name("edited")
        edited.write_bytes(b'{"id":"by hand"}\n')
        saved.append(daemon.file.read_bytes())
        edited.rename(daemon.file)
        daemon.ended(job_name="c")
        daemon.wait_until(lambda: b'"name":"c"' in daemon.file.read_bytes(), "c behind what was edited")
        assert daemon.file.read_bytes().startswith(b'{"id":"by hand"}\n')
        saved.append(daemon.file.read_bytes().removeprefix(b'{"id":"by hand"}\n'))

        daemon.wait_until(lambda: is_delivered(daemon, 4), "the sink to know where the edited file ends")
        daemon.file.unlink()
        end(daemon, "d")
        daemon.wait_until(lambda: is_delivered(daemon, 5), "the sink to know its new file")
        assert warnings(daemon)[1:] == ["last file written not found"] * 2

        # A power loss: the file system kept the file's length, and not what was in it.
        daemon.kill()
        whole = daemon.file.read_bytes()
        os.truncate(daemon.file, len(whole) + 5000)
        daemon.ended(job_name="e")
        daemon.start()
        daemon.wait_until(lambda: b'"name":"e"' in daemon.file.read_bytes(), "e behind the zeros")
        assert daemon.stop() == 0
        assert warnings(daemon)[3:] == ["unexpected bytes at the end of the file"]
        text = daemon.file.read_bytes()
        assert text.startswith(whole + bytes(5000) + b"\n")
        saved.append(text.replace(bytes(5000) + b"\n", b""))
    every: list[dict[str, Any]] = [json.loads(line) for line in b"".join(saved).splitlines()]
    assert Counter(record["name"] for record in every) == dict.fromkeys(("first", "a", "b", "c", "d", "e"), 1)


@pytest.mark.heavy
@root
def test_a_file_on_a_disk_that_became_read_only_waits_and_gets_each_event_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with small_disk(log, "1m"), DaemonProcess(tmp_path) as daemon:
        daemon.ended(job_name="a")
        daemon.start_ready()
        end(daemon, "b")
        # Whoever has a file open for writing keeps a file system from becoming read-only: a mount on top does not.
        mount("--bind", str(log), str(log))
        mount("-o", "remount,bind,ro", str(log))
        try:
            # What is open stays so; after a SIGHUP the daemon opens it by its name.
            daemon.signal(signal.SIGHUP)
            daemon.wait_until(lambda: "reloaded" in str(daemon.logged()), "the reload")
            daemon.ended(job_name="c")
            daemon.wait_until(lambda: "delivery failed" in warnings(daemon), "that it cannot be written")
            (told,) = (line for line in daemon.logged() if line["event"] == "delivery failed")
            assert told["sink"] == "jobs"
            assert str(daemon.file) in told["error"]
            assert "read-only" in told["error"].lower()
        finally:
            subprocess.run(["/usr/bin/umount", str(log)], check=True)
        daemon.wait_until(lambda: "c" in daemon.names(), "c in the file")
        assert Counter(daemon.names()) == {"a": 1, "b": 1, "c": 1}
        assert daemon.stop() == 0
