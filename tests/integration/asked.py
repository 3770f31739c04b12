"""A store filled by the real pipeline over a simulated cluster, and the command line to ask it with."""

import gc
import io
import logging
import os
import pty
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGHUP, getsignal, signal
from unittest.mock import patch

import anyio

from slurmwatchd.cli import main
from tests.integration.rig import START, Rig
from tests.patience import HANGS_SECONDS

HOSTILE = "\x1b[31mred\x07\n999|root\u202e\x9b2J\ttab"
HOSTILE_SHOWN = r"\x1b[31mred\x07\n999|root\u202e\x9b2J\ttab"

HOUR = 3600


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that ended."""

    code: int
    out: str
    err: str

    def table(self) -> list[dict[str, str]]:
        """The rows of a table in a pipe."""
        head, *lines = self.out.splitlines()
        return [dict(zip(head.split("\t"), line.split("\t"), strict=True)) for line in lines]

    def column(self, title: str) -> list[str]:
        return [row[title] for row in self.table()]


class _Stream(io.TextIOWrapper):
    """Standard output as a pipe is."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)

    def text(self) -> str:
        self.flush()
        buffer = self.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue().decode()


def run(*arguments: object, stdin: str = "") -> Ran:
    """Run a command in this process, into pipes."""
    out = _Stream()
    code, err = _main(arguments, out, stdin)
    return Ran(code, out.text(), err)


def _main(arguments: Iterable[object], out: io.TextIOWrapper, stdin: str = "") -> tuple[int, str]:
    """Run a command in this process; return its exit status and what it wrote to standard error."""
    err = _Stream()
    given = io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8")
    code = 0
    with _process_as_before(), patch.object(sys, "stdin", given), redirect_stdout(out), redirect_stderr(err):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = int(end.code or 0)
    return code, err.text()


@contextmanager
def _process_as_before() -> Iterator[None]:
    """Take back what a command changes in a process of its own: the log's handlers, SIGHUP, the collector."""
    root = logging.getLogger()
    handlers, level, hangup, thresholds = list(root.handlers), root.level, getsignal(SIGHUP), gc.get_threshold()
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        signal(SIGHUP, hangup)
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(capture=False)


def run_process(*arguments: object, reader: str = "", stdin: str = "", **environ: str) -> Ran:
    """Run a command as a process; `reader` is what its output is piped into."""
    argv = [sys.executable, "-m", "slurmwatchd", *map(str, arguments)]
    if reader:
        argv = ["bash", "-c", f'"$@" | {reader}; exit ${{PIPESTATUS[0]}}', "bash", *argv]
    done = subprocess.run(
        argv,
        check=False,
        capture_output=True,
        text=True,
        input=stdin,
        timeout=HANGS_SECONDS,
        env=environment(**environ),
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def run_on_terminal(*arguments: object, columns: int = 80, **environ: str) -> Ran:
    """Run a command in this process, with a terminal as its standard output."""
    ours, theirs = pty.openpty()
    shown = bytearray()

    def watch() -> None:
        # Reading a terminal that its last writer has closed is an error.
        with suppress(OSError):
            while piece := os.read(ours, 65536):
                shown.extend(piece)

    watcher = threading.Thread(target=watch)
    watcher.start()
    variables = environment(**{"COLUMNS": str(columns), "TERM": "xterm-256color", **environ})
    try:
        with patch.dict(os.environ, variables, clear=True), os.fdopen(theirs, "w", encoding="utf-8") as terminal:
            code, err = _main(arguments, terminal)
    finally:
        watcher.join(HANGS_SECONDS)
        os.close(ours)
    return Ran(code, shown.decode().replace("\r\n", "\n"), err)


def environment(**more: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SLURMWATCHD_", "NOTIFY_")) and name not in {"NO_COLOR", "COLUMNS", "FORCE_COLOR"}
    }
    return kept | {"TZ": "UTC"} | more


@contextmanager
def zone(name: str) -> Iterator[None]:
    """Be in another zone for a while."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = name
    time.tzset()
    try:
        yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()


def fill(folder: Path) -> Rig:
    """Fill a store; the jobs end from two hours before 2026-11-24 06:00 UTC on.

    A few of four users on n1 to n4: ordinary ones, a task of an array, a component, a requeued one, one that ran
    for three days, one that never started, one with a hostile name.
    """
    rig = Rig(folder, poll={"since": "3h"})
    rig.ended(7000, id_job=11, job_name="early", user="ann", nodelist="n1", time_start=START - 7060, nodes_alloc=1)
    rig.ended(
        6000, id_job=12, job_name="train-1", user="bob", account="physics", partition="gpu", state="FAILED",
        nodelist="n[1-2]", nodes_alloc=2, time_start=START - 6600, qos="high", exit_code=256,
        tres_alloc="1=8,4=2",
    )  # fmt: skip
    rig.ended(
        5000, id_job=13, job_name="train-2", user="bob", account="physics", partition="gpu", state="TIMEOUT",
        nodelist="n2", nodes_alloc=1, time_start=START - 5100,
    )  # fmt: skip
    rig.ended(
        4000,
        id_job=15,
        id_array_job=14,
        id_array_task=3,
        job_name="array",
        user="eve",
        nodelist="n3",
        nodes_alloc=1,
    )
    rig.ended(
        3900, id_job=17, het_job_id=16, het_job_offset=1, job_name="het", user="eve", nodelist="n3", nodes_alloc=1
    )
    first = rig.ended(
        3800, id_job=18, job_name="again", user="eve", nodelist="n4", nodes_alloc=1, state="REQUEUED"
    )
    rig.ended(
        3000,
        id_job=18,
        time_submit=first.time_submit + 500,
        job_name="again",
        user="eve",
        nodelist="n4",
        nodes_alloc=1,
    )
    rig.ended(
        2000,
        id_job=19,
        job_name="long",
        user="ann",
        nodelist="n1",
        nodes_alloc=1,
        time_start=START - 2000 - 3 * 86400,
    )
    rig.ended(
        1000,
        id_job=20,
        job_name="never",
        user="ann",
        state="CANCELLED",
        nodelist=None,
        nodes_alloc=0,
        time_start=0,
    )
    rig.ended(500, id_job=21, job_name=HOSTILE, user="mal", nodelist="n4", nodes_alloc=1)
    anyio.run(rig.once)
    return rig


def many(rig: Rig, folder: Path, copies: int) -> Path:
    """Copy a filled store with so many attempts more."""
    store = folder / f"{copies}.db"
    with closing(sqlite3.connect(rig.store)) as source, closing(sqlite3.connect(store)) as copy:
        source.backup(copy)
        copy.execute(
            "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < ?) INSERT INTO jobs "
            '(id, cluster, job_id_raw, submit, job_id, state_code, "user", account, "partition", start, "end", '
            "nodelist, digest, revision, seq) "
            'SELECT 100 + x, cluster, 1000 + x, submit, 1000 + x, state_code, "user", account, "partition", '
            "start, \"end\" + x, nodelist, digest, revision, seq FROM jobs, n WHERE job_id = '12'",
            (copies,),
        )
        copy.commit()
    return store
