"""`slurmwatchd demo` as somebody who tries it sees it: events, an address, and nothing left afterwards."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.patience import HANGS_SECONDS

DEADLINE_SECONDS = HANGS_SECONDS
EVENT = re.compile(r"\d\d-\d\d \d\d:\d\d:\d\d +\d+\S* +[A-Z_]+ +\w+")
"""A line of the table: when it ended, which job, how, whose."""


@contextmanager
def demo(folder: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A demo whose temporary files are in a folder, with its output in a file beside that."""
    (folder / "tmp").mkdir()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SLURMWATCHD_")}
    with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "slurmwatchd", "demo", "--listen", "127.0.0.1:0", "--rate", "20", *options],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=environ | {"TMPDIR": str(folder / "tmp"), "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def printed(folder: Path) -> str:
    return (folder / "stdout").read_text(encoding="utf-8")


def metrics_port(folder: Path) -> int:
    (port,) = re.findall(r"^  metrics  http://127\.0\.0\.1:(\d+)/metrics$", printed(folder), flags=re.MULTILINE)
    return int(port)


def events(folder: Path) -> list[str]:
    return [line for line in printed(folder).splitlines() if EVENT.match(line)]


def wait_for_events(folder: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not events(folder):
        assert process.poll() is None, (folder / "stderr").read_text(encoding="utf-8")
        assert time.monotonic() < deadline, f"waited in vain for an event\n{printed(folder)}"
        time.sleep(0.05)


def assert_nothing_is_left(folder: Path) -> None:
    assert printed(folder).endswith("Stopped; nothing is left behind.\n")
    assert (folder / "stderr").read_text(encoding="utf-8") == ""
    assert list((folder / "tmp").iterdir()) == []


def test_demo_ends_by_itself_having_shown_events_and_where_the_metrics_are(tmp_path: Path) -> None:
    with demo(tmp_path, "--seconds", "4") as process:
        assert process.wait(timeout=DEADLINE_SECONDS) == 0
    assert metrics_port(tmp_path) > 0
    assert events(tmp_path)
    assert_nothing_is_left(tmp_path)


def test_demo_that_is_interrupted_ends_as_one_that_ends_by_itself(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        wait_for_events(tmp_path, process)
        with urllib.request.urlopen(
            f"http://127.0.0.1:{metrics_port(tmp_path)}/metrics", timeout=HANGS_SECONDS
        ) as answer:
            assert b"slurmwatchd_build_info{" in answer.read()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=DEADLINE_SECONDS) == 0
    assert_nothing_is_left(tmp_path)
