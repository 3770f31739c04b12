"""What steps cost slurmdbd: 100,000 jobs with 300,000 steps, asked for by lists and with their windows.

    python -m tests.bench.bench_steps --slurm-version 22.05

Three ways to the same numbers are timed: `-j` lists of several lengths, as the daemon asks; a window without `-X`,
which brings the steps of the jobs in it as far as they lie in the window; and the window with `-X` alone, which is
asked in any case. Then the daemon itself reads all of it, once without usage and once with.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from slurmwatchd.sources.sacct.arguments import TERMINAL_STATES
from slurmwatchd.sources.sacct.fields import Layout
from slurmwatchd.sources.sacct.step_fields import FIELDS
from slurmwatchd.watcher.usage_collector import LIST_JOBS
from tests.bench.bench_ingest import Source, run_daemon
from tests.bench.programs import THIS
from tests.real_slurm import bringup
from tests.real_slurm.releases import RELEASES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.real_slurm.cluster import RealCluster

LENGTHS = (50, 300, 1000, 3000, 6000)
SLICES = (600, 3600)
MARGIN_SECONDS = 600
TARGET_SECONDS_PER_THOUSAND = 1.5
ENVIRONMENT = {"TZ": "UTC", "LC_ALL": "C", "SLURM_TIME_FORMAT": "%s", "SLURM_BITSTR_LEN": "0"}


def timed(cluster: RealCluster, *arguments: str) -> tuple[float, int]:
    """Run sacct into a file; return its seconds and how many lines it printed.

    Raises:
        RuntimeError: It failed.
    """
    argv = [str(cluster.bin_dir / "sacct"), "-a", "-D", "--local", "--noconvert", "-P", "-n", *arguments]
    with tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        done = subprocess.run(
            argv,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=output,
            env={**ENVIRONMENT, "PATH": os.environ["PATH"]},
        )
        seconds = time.perf_counter() - began
        if done.returncode != 0:
            raise RuntimeError(f"sacct ended with {done.returncode}")
        output.seek(0)
        return seconds, sum(chunk.count(b"\n") for chunk in iter(lambda: output.read(1 << 20), b""))


def lists(cluster: RealCluster, first: int, jobs: int, since: int, repeats: int) -> dict[int, float]:
    """Time lists of each length; return milliseconds a job, the median of several lists."""
    found = {}
    for length in LENGTHS:
        costs = []
        for turn in range(repeats):
            begin = first + turn * jobs // repeats
            ids = ",".join(map(str, range(begin, min(begin + length, first + jobs))))
            seconds, lines = timed(
                cluster, "-j", ids, "-S", f"uts{since}", "-E", "now+1hour", "-o", ",".join(FIELDS)
            )
            if lines < 4 * length:
                raise RuntimeError(f"{lines} lines for {length} jobs of three steps")
            costs.append(seconds / length * 1000)
        found[length] = statistics.median(costs)
        click.echo(f"-j lists of {length:5}: {found[length]:6.3f} ms a job")
    return found


def windows(cluster: RealCluster, start: int, end: int, repeats: int) -> None:
    """Time windows without and with their steps, and say how many jobs have all of theirs in the window."""
    record = Layout(cluster.run("sacct", "--helpformat").stdout.split()).fields
    both = [*record, *(name for name in FIELDS if name not in record)]
    for width in SLICES:
        alone, with_steps, inside = [], [], []
        for turn in range(repeats):
            begin = start + turn * (end - start - width) // max(1, repeats)
            window = ("-s", TERMINAL_STATES, "-S", f"uts{begin}", "-E", f"uts{begin + width - 1}")
            seconds, rows = timed(cluster, "-X", *window, "-o", ",".join(record))
            alone.append(seconds / rows * 1000)
            seconds, _ = timed(cluster, *window, "-o", ",".join(both))
            with_steps.append(seconds / rows * 1000)
            inside.append(_started_inside(cluster, begin, width))
        extra = statistics.median(b - a for a, b in zip(alone, with_steps, strict=True))
        share = statistics.median(inside)
        click.echo(
            f"windows of {width:5} s: {statistics.median(alone):6.3f} ms a job, {extra:6.3f} more with steps; "
            f"{share:.0%} of the jobs started inside, so {extra / share:6.3f} ms for each with all its steps"
        )


def _started_inside(cluster: RealCluster, begin: int, width: int) -> float:
    (row,) = cluster.sql(
        "select avg(time_start >= %s) as share from {job_table} where time_end >= %s and time_end < %s",
        (begin, begin, begin + width),
    )
    return float(row["share"] or 0)


def daemons(cluster: RealCluster, folder: Path, began: int, jobs: int, modes: Sequence[str]) -> None:
    """Run `slurmwatchd once` without and with usage, and compare."""
    source = Source(bin_dir=cluster.bin_dir, conf=str(cluster.conf), jobs=jobs, began=began)
    for mode in modes:
        run = run_daemon(THIS, source, folder / mode, cluster.bin_dir, mode)
        own = run.cpu_seconds / jobs * 1e6
        click.echo(
            f"slurmwatchd once, mode {mode:8}: {run.wall_seconds:6.1f} s, own CPU {own:5.1f} us a job, children "
            f"{run.children_cpu_seconds:.1f} s of CPU, peak {run.peak_bytes / 1e6:.0f} MB"
        )


@click.command()
@click.option("--slurm-version", type=click.Choice(sorted(RELEASES)), default="22.05", show_default=True)
@click.option("--jobs", default=100_000, show_default=True, help="How many jobs to load.")
@click.option("--hours", default=8, show_default=True, help="The hours their ends are spread over.")
@click.option("--daemon/--no-daemon", default=True, show_default=True, help="Also let the daemon read all of it.")
@click.option("--repeats", default=3, show_default=True, help="How many lists of each length.")
@click.option("--check", is_flag=True, help="Exit with 1 where the target is missed.")
def main(slurm_version: str, jobs: int, hours: int, repeats: int, *, daemon: bool, check: bool) -> None:
    """Measure what the steps of many jobs cost on a real cluster."""
    was_up = bringup.is_up(slurm_version)
    cluster = bringup.up(slurm_version, fresh=True)
    now = int(time.time())
    start, end = now - hours * 3600 + MARGIN_SECONDS, now - MARGIN_SECONDS
    first = cluster.load_jobs(jobs, start, end)
    cluster.load_steps(first, jobs)
    try:
        click.echo(
            f"{jobs} jobs, {3 * jobs} steps, {hours} h, Slurm {slurm_version}, load {os.getloadavg()[0]:.1f}"
        )
        costs = lists(cluster, first, jobs, start - 2 * 3600, repeats)
        windows(cluster, start, end, repeats)
        with tempfile.TemporaryDirectory() as name:
            modes = ("off", "summary") if daemon else ()
            daemons(cluster, Path(name), start, jobs, modes)
    finally:
        cluster.remove_jobs(first, jobs)
        if not was_up:
            bringup.down(slurm_version)
    cost = costs[LIST_JOBS]
    missed = cost > TARGET_SECONDS_PER_THOUSAND
    verdict = f"target {TARGET_SECONDS_PER_THOUSAND:g}: {'MISSED' if missed else 'ok'}"
    click.echo(f"sacct seconds spent on steps, for 1,000 jobs: {cost:.2f}  ({verdict})")
    if check and missed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
