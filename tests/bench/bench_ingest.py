"""How much slurmwatchd adds to sacct: 100,000 real rows, read by sacct alone and by `slurmwatchd once`.

    python -m tests.bench.bench_ingest --slurm-version 22.05

The jobs are loaded into slurmdbd's tables by SQL. A first run of the daemon, not timed, notes which sacct
calls it makes; "sacct alone" is those same calls, one after the other, into /dev/null. Then pairs of runs
alternate, and the medians are compared, so that what else the machine does falls on both alike.

What is compared is fetching, parsing, expanding, storing and writing: the command from its first call for jobs to
its end. What comes before, Python's start and what a daemon asks once in its life (which release, which fields,
which clusters), is not the cost of a job; it is shown beside it, with the figures of the whole command.
"""

from __future__ import annotations

import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tests.real_slurm import bringup
from tests.real_slurm.releases import RELEASES

if TYPE_CHECKING:
    from tests.real_slurm.cluster import RealCluster

REPOSITORY = Path(__file__).parents[2]
MARGIN_SECONDS = 600
SAMPLE_SECONDS = 0.01
TARGET_RATIO = 1.20
TARGET_CPU_MICROSECONDS = 50.0
TARGET_PEAK_MB = 120.0
CONFIG = """
[slurm]
bin_dir = "{bin_dir}"
conf = "{conf}"

[poll]
since = "{hours}h"
slice = "1h"

[steps]
mode = "off"

[store]
path = "{folder}/slurmwatchd.db"

[sinks.jobs]
type = "jsonl"
path = "{folder}/jobs.jsonl"

[web]
listen = ""
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one process cost.

    Attributes:
        wall_seconds: From its start to its end.
        cpu_seconds: Its own, without its children's.
        start_seconds: Of the wall time, what passed before its first call for jobs; 0 where none was looked for.
        start_cpu_seconds: Of its own CPU time, what it had used by then.
        children_cpu_seconds: Its children's.
        peak_bytes: The most memory it had.
    """

    wall_seconds: float
    cpu_seconds: float
    start_seconds: float
    start_cpu_seconds: float
    children_cpu_seconds: float
    peak_bytes: int


def measured(argv: list[str], environment: dict[str, str], *, calls_sacct: bool = False) -> Run:
    """Run a program to its end and measure it, its children apart.

    Args:
        argv: The program.
        environment: Its environment.
        calls_sacct: Whether to note when it first asks sacct for jobs.

    Raises:
        RuntimeError: It failed, or never called sacct though it should.
    """
    started = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=output, env=environment
        )
        peak = 0
        start: tuple[float, float] | None = None if calls_sacct else (0.0, 0.0)
        while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            peak = max(peak, _peak_bytes(process.pid))
            if start is None and any(map(_asks_for_jobs, _children(process.pid))):
                start = time.perf_counter() - started, _cpu_seconds(process.pid)[0]
            time.sleep(SAMPLE_SECONDS)
        wall = time.perf_counter() - started
        # A process not yet waited for still tells its times.
        own, children = _cpu_seconds(process.pid)
        if process.wait() != 0:
            output.seek(0)
            raise RuntimeError(f"{shlex.join(argv)}: {output.read().decode(errors='replace')[-2000:]}")
    if start is None:
        raise RuntimeError(f"{shlex.join(argv)}: was not seen to ask sacct for jobs")
    return Run(
        wall_seconds=wall,
        cpu_seconds=own,
        start_seconds=start[0],
        start_cpu_seconds=start[1],
        children_cpu_seconds=children,
        peak_bytes=peak,
    )


def run_daemon(cluster: RealCluster, folder: Path, hours: int, jobs: int, bin_dir: Path) -> Run:
    """Run `slurmwatchd once` on an empty store, and check that it wrote every job.

    Raises:
        RuntimeError: It failed, or the file does not hold the jobs.
    """
    folder.mkdir()
    config = folder / "slurmwatchd.toml"
    values = {"bin_dir": bin_dir, "conf": cluster.conf, "folder": folder, "hours": hours}
    config.write_text(CONFIG.format(**values), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURMWATCHD_")}
    environment["PYTHONPATH"] = str(REPOSITORY)
    argv = [sys.executable, "-m", "slurmwatchd", "once", "--config", str(config)]
    run = measured(argv, environment, calls_sacct=True)
    with (folder / "jobs.jsonl").open("rb") as file:
        lines = sum(1 for _ in file)
    if lines < jobs:
        raise RuntimeError(f"the daemon wrote {lines} lines for {jobs} jobs")
    return run


def noted_calls(cluster: RealCluster, folder: Path, hours: int, jobs: int) -> list[list[str]]:
    """Run the daemon once with a sacct that notes its arguments, and return those that ask for windows."""
    noting = folder / "noting"
    noting.mkdir()
    notes = folder / "calls"
    for command in cluster.bin_dir.iterdir():
        script = f'#!/bin/sh\nprintf "%s\\n" "$0" "$@" "" >>{notes}\nexec {command} "$@"\n'
        (noting / command.name).write_text(script, encoding="utf-8")
        (noting / command.name).chmod(0o755)
    run_daemon(cluster, folder / "noted", hours, jobs, noting)
    calls = [call.split("\n") for call in notes.read_text(encoding="utf-8").split("\n\n") if call]
    return [
        [str(cluster.bin_dir / "sacct"), *call[1:]]
        for call in calls
        if call[0].endswith("/sacct") and _asks_for_rows(call)
    ]


def run_sacct(calls: list[list[str]]) -> float:
    """Make the noted calls, as the daemon's children would be, and return the seconds they took."""
    environment = {"PATH": os.environ["PATH"], "TZ": "UTC", "LC_ALL": "C", "SLURM_TIME_FORMAT": "%s"}
    environment["SLURM_BITSTR_LEN"] = "0"
    return sum(measured(call, environment).wall_seconds for call in calls)


@click.command()
@click.option("--slurm-version", type=click.Choice(sorted(RELEASES)), default="22.05", show_default=True)
@click.option("--jobs", default=100_000, show_default=True, help="How many jobs to load.")
@click.option("--hours", default=8, show_default=True, help="The hours their ends are spread over.")
@click.option("--pairs", default=5, show_default=True, help="How many pairs of runs.")
@click.option("--check", is_flag=True, help="Exit with 1 where a target is missed.")
def main(slurm_version: str, jobs: int, hours: int, pairs: int, *, check: bool) -> None:
    """Measure `slurmwatchd once` against sacct alone on a real cluster."""
    was_up = bringup.is_up(slurm_version)
    cluster = bringup.up(slurm_version, fresh=True)
    now = int(time.time())
    first = cluster.load_jobs(jobs, now - hours * 3600 + MARGIN_SECONDS, now - MARGIN_SECONDS)
    load = os.getloadavg()[0]
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            calls = noted_calls(cluster, folder, hours, jobs)
            alone: list[float] = []
            runs: list[Run] = []
            for turn in range(pairs):
                alone.append(run_sacct(calls))
                runs.append(run_daemon(cluster, folder / str(turn), hours, jobs, cluster.bin_dir))
    finally:
        cluster.remove_jobs(first, jobs)
        if not was_up:
            bringup.down(slurm_version)
    click.echo(
        f"{jobs} jobs over {hours} h, Slurm {slurm_version}, {len(calls)} sacct calls, {pairs} pairs; ",
        nl=False,
    )
    click.echo(f"{os.cpu_count()} cores, load {load:.1f} before and {os.getloadavg()[0]:.1f} after")
    missed = report(jobs, alone, runs)
    if check and missed:
        sys.exit(1)


def report(jobs: int, alone: list[float], runs: list[Run]) -> list[str]:
    """Print the medians with their targets; return the names of the targets missed."""
    whole = [run.wall_seconds for run in runs]
    work = [run.wall_seconds - run.start_seconds for run in runs]
    for name, seconds in (("sacct alone", alone), ("slurmwatchd", work), ("with its start", whole)):
        low, median, high = min(seconds), statistics.median(seconds), max(seconds)
        click.echo(f"{name:15} {median:7.2f} s  ({low:.2f} to {high:.2f})")
    children = statistics.median(run.children_cpu_seconds for run in runs)
    click.echo(f"its children    {children:7.2f} s of CPU")
    work_cpu = statistics.median(run.cpu_seconds - run.start_cpu_seconds for run in runs) / jobs * 1e6
    whole_cpu = statistics.median(run.cpu_seconds for run in runs) / jobs * 1e6
    results = (
        ("ratio", _ratio(work, alone), TARGET_RATIO, "", f"; {_ratio(whole, alone):.2f} with its start"),
        ("own CPU", work_cpu, TARGET_CPU_MICROSECONDS, " us a job", f"; {whole_cpu:.2f} with its start"),
        ("peak memory", max(run.peak_bytes for run in runs) / 1e6, TARGET_PEAK_MB, " MB", ""),
    )
    missed = []
    for name, value, target, unit, besides in results:
        verdict = "ok" if value <= target else "MISSED"
        if value > target:
            missed.append(name)
        click.echo(f"{name:15} {value:7.2f}{unit}  (target {target:g}{unit}: {verdict}{besides})")
    return missed


def _ratio(seconds: list[float], alone: list[float]) -> float:
    return statistics.median(daemon / sacct for daemon, sacct in zip(seconds, alone, strict=True))


def _asks_for_rows(arguments: list[str]) -> bool:
    """Return whether sacct is asked for a window, and for more of it than how many rows it has."""
    return "-S" in arguments and "-o" in arguments and "," in arguments[arguments.index("-o") + 1]


def _asks_for_jobs(pid: int) -> bool:
    """Return whether a process is such a call of sacct."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").split("\0")
    except OSError:
        return False
    return arguments[0].endswith("sacct") and _asks_for_rows(arguments)


def _children(pid: int) -> list[int]:
    found = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            found += (thread / "children").read_text(encoding="utf-8").split()
        except OSError:
            continue
    return [int(child) for child in found]


def _cpu_seconds(pid: int) -> tuple[float, float]:
    """Return what a process and the children it waited for have used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    own, own_system, children, children_system = (int(ticks) for ticks in fields[11:15])
    tick = os.sysconf("SC_CLK_TCK")
    return (own + own_system) / tick, (children + children_system) / tick


def _peak_bytes(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    for line in text.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    main()
