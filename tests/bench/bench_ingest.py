"""How much the daemon adds to sacct: real rows, read by sacct alone and by each program's `once`, in turn.

The jobs are loaded into slurmdbd's tables by SQL. A first run of the daemon, not timed, notes which calls of sacct
it makes; "sacct alone" is those same calls, one after the other, into /dev/null. Without a real Slurm the calls go
to simslurm, whose sacct is a Python program and slower.

What is compared is fetching, parsing, expanding, storing and writing: the command from its first call for jobs to
its end. What comes before, Python's start and what a daemon asks once in its life (which release, which fields,
which clusters), is not the cost of a job.
"""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.configuration import written
from tests.bench.measuring import Run, children, measured
from tests.bench.setting import MARGIN_SECONDS, place
from tests.real_slurm import bringup, untidy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.programs import Program
    from tests.bench.results import Result
    from tests.bench.setting import Setting
    from tests.real_slurm.cluster import RealCluster

HOURS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the jobs are.

    Attributes:
        bin_dir: Slurm's commands.
        conf: slurm.conf; empty on simslurm.
        jobs: How many ended.
        began: They ended after this, epoch seconds.
    """

    bin_dir: Path
    conf: str
    jobs: int
    began: int


def measure(setting: Setting) -> Iterator[Result]:
    """Run sacct and both programs in turn."""
    with _source(setting) as source, tempfile.TemporaryDirectory(dir=setting.folder) as name:
        folder = Path(name)
        calls = noted_calls(setting.now, source, folder)
        watch = setting.stopwatch(f"Slurm {setting.slurm}" if setting.slurm else "simslurm")
        ratios: tuple[list[float], list[float]] = ([], [])
        costs: tuple[list[float], list[float]] = ([], [])
        for turn in range(setting.pairs):
            alone = run_sacct(calls)
            for number, program in enumerate(setting.programs):
                run = run_daemon(program, source, folder / f"{turn}-{number}", source.bin_dir)
                ratios[number].append((run.wall_seconds - run.start_seconds) / alone)
                costs[number].append((run.cpu_seconds - run.start_cpu_seconds) / source.jobs * 1e6)
        yield watch.result("wall", source.jobs, *ratios, against=setting.then.name)
        yield watch.result("cpu-work", source.jobs, *costs, against=setting.then.name)


@contextmanager
def _source(setting: Setting) -> Iterator[Source]:
    """Give a cluster with so many jobs, for a while."""
    if not setting.slurm:
        site = place(setting.folder, setting.jobs)
        began = site.made - site.hours * 3600
        yield Source(bin_dir=site.folder / "bin", conf="", jobs=site.jobs, began=began)
        return
    was_up = bringup.is_up(setting.slurm)
    cluster = tidy(setting.slurm)
    now = int(time.time())
    began = now - HOURS * 3600
    first = cluster.load_jobs(setting.jobs, began, now - MARGIN_SECONDS)
    try:
        yield Source(bin_dir=cluster.bin_dir, conf=str(cluster.conf), jobs=setting.jobs, began=began)
    finally:
        cluster.remove_jobs(first, setting.jobs)
        if not was_up:
            bringup.down(setting.slurm)


def tidy(version: str) -> RealCluster:
    """Bring a real cluster up whose commands do not complain: older commits read nothing where they do."""
    os.environ[untidy.TIDY_VARIABLE] = "1"
    return bringup.up(version, fresh=True)


def run_daemon(program: Program, source: Source, folder: Path, bin_dir: Path, mode: str = "off") -> Run:
    """Run `slurmwatchd once` on an empty store, and check that it wrote every job.

    Raises:
        RuntimeError: It failed, or the file does not hold the jobs.
    """
    folder.mkdir()
    since = int(time.time()) - source.began + MARGIN_SECONDS
    poll = f'since = "{since}s"\nslice = "1h"'
    config = written(folder, bin_dir, conf=source.conf, poll=poll, mode=mode)
    argv = program.argv("once", "--config", str(config))
    run = measured(argv, program.environment(), begins=_has_asked_for_jobs, folder=folder)
    with (folder / "jobs.jsonl").open("rb") as file:
        lines = sum(1 for _ in file)
    if lines < source.jobs:
        raise RuntimeError(f"the daemon wrote {lines} lines for {source.jobs} jobs")
    return run


def noted_calls(program: Program, source: Source, folder: Path) -> list[list[str]]:
    """Run the daemon once with a sacct that notes its arguments, and return those that ask for windows."""
    noting = folder / "noting"
    noting.mkdir()
    notes = folder / "calls"
    for command in source.bin_dir.iterdir():
        script = f'#!/bin/sh\nprintf "%s\\n" "$0" "$@" "" >>{notes}\nexec {command} "$@"\n'
        (noting / command.name).write_text(script, encoding="utf-8")
        (noting / command.name).chmod(0o755)
    run_daemon(program, source, folder / "noted", noting)
    calls = [call.split("\n") for call in notes.read_text(encoding="utf-8").split("\n\n") if call]
    return [
        [str(source.bin_dir / "sacct"), *call[1:]]
        for call in calls
        if call[0].endswith("/sacct") and _asks_for_rows(call)
    ]


def run_sacct(calls: list[list[str]]) -> float:
    """Make the noted calls, as the daemon's children would be, and return the seconds they took."""
    environment = {"PATH": os.environ["PATH"], "TZ": "UTC", "LC_ALL": "C", "SLURM_TIME_FORMAT": "%s"}
    environment["SLURM_BITSTR_LEN"] = "0"
    return sum(measured(call, environment).wall_seconds for call in calls)


def _has_asked_for_jobs(pid: int) -> bool:
    return any(map(_asks_for_jobs, children(pid)))


def _asks_for_jobs(pid: int) -> bool:
    """Return whether a process is such a call of sacct."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").split("\0")
    except OSError:
        return False
    # A stand-in's first words are its interpreter's, one of them a small program that names it.
    return any("sacct" in word for word in arguments[:6]) and _asks_for_rows(arguments)


def _asks_for_rows(arguments: list[str]) -> bool:
    """Return whether sacct is asked for a window, and for more of it than how many rows it has."""
    return "-S" in arguments and "-o" in arguments and "," in arguments[arguments.index("-o") + 1]
