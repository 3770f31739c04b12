"""Every line a start can end with, as docs/operations.md has it: text, status, priority, tried again or not."""

import fcntl
import os
import re
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.process import DaemonProcess, free_port
from tests.patience import HANGS_SECONDS
from tests.sink_package import ONLY_ONCE, install

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "packaging" / "systemd" / "slurmwatchd.service"
MARK = "<!-- start errors -->"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: words in capitals stand for what differs."""

    text: str
    status: int
    again: str

    @property
    def pattern(self) -> str:
        return re.sub(r"[A-Z]{3,}(?:_[A-Z]+)*", ".+", re.escape(self.text))


def rows() -> list[Row]:
    page = (ROOT / "docs" / "operations.md").read_text()
    table = page.partition(MARK)[2].partition("\n\n")[0]
    found = re.findall(r"^\| `(.+?)` \| (\d+) \| (yes|no) \|", table, re.MULTILINE)
    return [Row(text.replace("\\|", "|"), int(status), again) for text, status, again in found]


@dataclass(slots=True)
class Start:
    """A site on which the service cannot start, and how it is started there."""

    daemon: DaemonProcess
    flags: tuple[str, ...] = ()
    environ: tuple[tuple[str, str], ...] = ()
    prepare: Callable[[], None] | None = None

    def lines(self) -> tuple[int, list[str]]:
        """Start it as systemd does, its stderr being the journal's; return its status and what it said."""
        log = self.daemon.folder / "journal"
        with log.open("wb") as stderr:
            found = os.fstat(stderr.fileno())
            kept = {name: text for name, text in os.environ.items() if not name.startswith("SLURMWATCHD_")}
            ran = subprocess.run(
                [sys.executable, "-m", "slurmwatchd", "run", "--config", str(self.daemon.config), *self.flags],
                check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr,
                timeout=HANGS_SECONDS,
                env={**kept, "JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}", **dict(self.environ)},
                preexec_fn=self.prepare,
            )  # fmt: skip
        return ran.returncode, log.read_text().splitlines()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with DaemonProcess(tmp_path) as daemon:
        yield Start(daemon)


def missing_configuration(start: Start) -> None:
    start.daemon.config.unlink()


def no_toml(start: Start) -> None:
    start.daemon.config.write_text("[[")


def a_key_that_is_none(start: Start) -> None:
    start.daemon.change_config('since = "1h"', 'since = "1h"\nintervall = "5s"')


def a_variable_that_is_none(start: Start) -> None:
    start.environ = (("SLURMWATCHD_NONSENSE", "1"),)


def a_flag_that_is_none(start: Start) -> None:
    start.flags = ("--nonsense",)


def a_sink_that_cannot_be_loaded(start: Start) -> None:
    _add_sinks(start, "import no_such_library", 1)


def a_sink_that_cannot_be_made(start: Start) -> None:
    _add_sinks(start, ONLY_ONCE, 2)


def _add_sinks(start: Start, module: str, count: int) -> None:
    start.environ = (("PYTHONPATH", str(install(start.daemon.folder / "packages", module))),)
    with start.daemon.config.open("a") as file:
        file.writelines(f'\n[sinks.mine{number}]\ntype = "mine"\n' for number in range(count))


def a_port_that_is_taken(start: Start) -> None:
    # Of no interface of this machine.
    start.flags = ("--listen", f"192.0.2.1:{free_port()}")
    start.environ = (("SLURMWATCHD_WEB__INSECURE", "true"),)


def no_sacct(start: Start) -> None:
    (start.daemon.folder / "bin" / "sacct").unlink()


def no_sacct_on_path(start: Start) -> None:
    start.daemon.change_config(f'bin_dir = "{start.daemon.folder}/bin"', "")
    start.environ = (("PATH", "/nothing/here"),)


def a_store_of_another_program(start: Start) -> None:
    start.daemon.store.parent.mkdir()
    with closing(sqlite3.connect(start.daemon.store)) as foreign:
        foreign.execute("CREATE TABLE photos (id INTEGER)")


def a_store_that_is_no_database(start: Start) -> None:
    start.daemon.store.parent.mkdir()
    start.daemon.store.write_text("a letter to somebody\n" * 100)


def a_store_of_a_newer_program(start: Start) -> None:
    start.daemon.store.parent.mkdir()
    with closing(sqlite3.connect(start.daemon.store)) as newer:
        newer.execute("PRAGMA application_id = 1397512004")
        newer.execute("PRAGMA user_version = 9999")
        newer.execute("CREATE TABLE t (x)")


def a_folder_in_the_stores_place(start: Start) -> None:
    start.daemon.store.mkdir(parents=True)


def a_file_in_the_place_of_the_stores_folder(start: Start) -> None:
    start.daemon.store.parent.write_text("")


def a_store_that_a_daemon_has(start: Start) -> None:
    assert start.daemon.run("once").returncode == 0
    lock = os.open(f"{start.daemon.store}.lock", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)


def a_store_that_another_program_keeps(start: Start) -> None:
    assert start.daemon.run("once").returncode == 0
    other = sqlite3.connect(start.daemon.store, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    KEPT.append(other)


def no_room(start: Start) -> None:
    # The lock file and the log have room, the database has not.
    start.prepare = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))


def a_file_of_an_earlier_store_that_cannot_be_read(start: Start) -> None:
    # Nothing is mapped where this file begins: root cannot read it either.
    start.daemon.file.parent.mkdir()
    start.daemon.file.with_name("jobs.jsonl.1").symlink_to("/proc/self/mem")


KEPT: list[sqlite3.Connection] = []

CASES: dict[str, Callable[[Start], None]] = {
    "FILE: cannot be read: REASON": missing_configuration,
    "FILE: is not valid TOML: REASON": no_toml,
    "FILE: SECTION.KEY: REASON": a_key_that_is_none,
    "FILE: sinks.NAME.type: TYPE (MODULE) cannot be loaded: REASON": a_sink_that_cannot_be_loaded,
    "sinks.NAME: this sink of type TYPE cannot be made: REASON": a_sink_that_cannot_be_made,
    "environment: NAME: REASON": a_variable_that_is_none,
    "REASON (see slurmwatchd run --help)": a_flag_that_is_none,
    "web.listen: cannot listen on ADDRESS: REASON": a_port_that_is_taken,
    "sacct is not in slurm.bin_dir (FOLDER)": no_sacct,
    "sacct is not on PATH (PATH)": no_sacct_on_path,
    "STORE: is an SQLite database, but not a store of slurmwatchd": a_store_of_another_program,
    "STORE: cannot be used as a store: REASON": a_store_that_is_no_database,
    "STORE: is not a file": a_folder_in_the_stores_place,
    "FILE: cannot be opened: REASON": a_file_in_the_place_of_the_stores_folder,
    "STORE: is in use by another slurmwatchd, pid PID": a_store_that_a_daemon_has,
    "STORE: REASON: another program (not slurmwatchd) has it open": a_store_that_another_program_keeps,
    "STORE: has schema NUMBER, and this slurmwatchd knows up to NUMBER: use a newer slurmwatchd": (
        a_store_of_a_newer_program
    ),
    "STORE: disk I/O error": no_room,
    "sinks.NAME: FILE: cannot be read: REASON": a_file_of_an_earlier_store_that_cannot_be_read,
}


def test_the_table_has_every_case_and_no_other() -> None:
    assert sorted(row.text for row in rows()) == sorted(CASES)


# SQLite waits for half a minute before it gives up.
SLOW = "STORE: REASON: another program (not slurmwatchd) has it open"


@pytest.mark.parametrize(
    "text", [pytest.param(text, marks=pytest.mark.heavy) if text == SLOW else text for text in CASES]
)
def test_a_start_ends_as_the_table_says(text: str, start: Start) -> None:
    (row,) = [row for row in rows() if row.text == text]
    CASES[text](start)
    try:
        status, lines = start.lines()
    finally:
        while KEPT:
            KEPT.pop().close()
    said = [line for line in lines if "slurmwatchd: " in line]
    assert said, lines
    assert re.fullmatch(f"<3>slurmwatchd: {row.pattern}", said[-1]), said
    assert status == row.status, lines
    assert not any("Traceback" in line for line in lines)
    prevented = re.search(r"^RestartPreventExitStatus=(.*)$", UNIT.read_text(), re.MULTILINE)
    assert prevented is not None
    assert row.again == ("no" if str(status) in prevented[1].split() else "yes")
