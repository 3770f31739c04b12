"""What it costs that each answer must show an attempt that is known, beside what another commit cost.

    python -m tests.bench.bench_anchor [--against COMMIT] [--slurm-version 22.05]

A busy day and a quiet one are polled every 30 seconds with the default re-reads, by a clock that the benchmark
moves. Without a release the cluster is simulated: a job ends every ten seconds, or every 48 minutes. With one, a
real slurmdbd gets 100,000 jobs that ended in the busy day, and 30 that ended in a quiet day before it. Checkouts
take turns. Calls and rows are the same on every machine; seconds depend on it, so ratios are medians over pairs.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tests.bench.programs import REPOSITORY, checkout
from tests.real_slurm import bringup, jobs, untidy
from tests.real_slurm.releases import RELEASES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.real_slurm.cluster import RealCluster

DAY_SECONDS = 86400
MARGIN_SECONDS = 3600
SIMULATED = {"busy": 10, "quiet": 2880}
"""Seconds between two ends."""

TARGET_RATIO = 1.10

Cost = dict[str, float]


@contextmanager
def simulated_days() -> Iterator[dict[str, list[str]]]:
    """Give what a checkout must be asked for each day."""
    yield {name: ["--seconds-between", str(seconds)] for name, seconds in SIMULATED.items()}


@contextmanager
def real_days(version: str, count: int, hours: int) -> Iterator[dict[str, list[str]]]:
    """Give the same of a real cluster, on which the jobs are loaded for a while."""
    # A commit from before complaints were warnings reads nothing where every command complains.
    os.environ[untidy.TIDY_VARIABLE] = "1"
    was_up = bringup.is_up(version)
    cluster = bringup.up(version, fresh=True)
    # One that slurmctld knows: the numbers of the loaded ones it never gave out.
    began = jobs.new_second(cluster)
    jobs.batch(cluster, "--job-name=own")
    jobs.settle(cluster, began)
    busy = int(time.time()) - MARGIN_SECONDS - DAY_SECONDS
    # A daemon looks back an hour at its first start, and a little ahead.
    quiet = busy - 2 * MARGIN_SECONDS - DAY_SECONDS
    try:
        with (
            _loaded(cluster, count, busy),
            _loaded(cluster, DAY_SECONDS // SIMULATED["quiet"], quiet),
        ):
            where = ["--bin-dir", str(cluster.bin_dir), "--conf", str(cluster.conf), "--start"]
            starts = {"busy": busy, "quiet": quiet}
            yield {name: [*where, str(start + DAY_SECONDS - hours * 3600)] for name, start in starts.items()}
    finally:
        if not was_up:
            bringup.down(version)


@contextmanager
def _loaded(cluster: RealCluster, count: int, start: int) -> Iterator[None]:
    """Load jobs that ended in a day, for a while."""
    first = cluster.load_jobs(count, start, start + DAY_SECONDS)
    try:
        yield
    finally:
        cluster.remove_jobs(first, count)


def polled(tree: Path, arguments: Sequence[str]) -> Cost:
    """Have the daemon of a checkout poll through a day."""
    script = Path(__file__).with_name("anchor_day.py")
    argv = [sys.executable, "-P", str(script), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run(argv, check=True, cwd=tree, env=environment, stdout=subprocess.PIPE)
    told: Cost = json.loads(done.stdout)
    return told


@click.command()
@click.option("--slurm-version", type=click.Choice(sorted(RELEASES)), help="A real cluster of this release; root.")
@click.option("--against", help="The commit to compare with.")
@click.option("--jobs", "count", default=100_000, show_default=True, help="How many jobs ended on its busy day.")
@click.option(
    "--hours", type=click.IntRange(1, 24), default=24, show_default=True,
    help="How much of each day is polled, up to its end.",
)  # fmt: skip
@click.option(
    "--day",
    "only",
    multiple=True,
    type=click.Choice(sorted(SIMULATED)),
    help="Only this one; repeatable.",
)
@click.option("--pairs", default=1, show_default=True, help="How many pairs of runs for each day.")
def main(
    slurm_version: str | None, against: str | None, count: int, hours: int, only: tuple[str, ...], pairs: int
) -> None:
    """Measure the daemon's questions in a busy and in a quiet day."""
    with ExitStack() as stack:
        trees = {"this": REPOSITORY}
        if against:
            trees[against] = stack.enter_context(checkout(against))
        days = real_days(slurm_version, count, hours) if slurm_version else simulated_days()
        for name, arguments in stack.enter_context(days).items():
            if only and name not in only:
                continue
            costs: dict[str, list[Cost]] = {tree: [] for tree in trees}
            for _ in range(pairs):
                for tree, path in trees.items():
                    costs[tree].append(polled(path, ["--hours", str(hours), *arguments]))
                    click.echo(_line(f"{name}, {tree}", costs[tree][-1]))
            if against:
                click.echo(f"{name}, this / {against}: {_ratios(costs['this'], costs[against])}")
    where = f"Slurm {slurm_version}, {count} jobs in the busy day" if slurm_version else "simulated"
    click.echo(f"{where}, {hours} h polled; target of each ratio {TARGET_RATIO:g}")


def _line(name: str, cost: Cost) -> str:
    return (
        f"{name:16} {cost['attempts']:.0f} attempts, {cost['calls']:.0f} calls of sacct, {cost['rows']:.0f} rows, "
        f"{cost['bytes']:.0f} bytes, {cost['seconds']:.1f} s of sacct, "
        f"{cost['cpu_seconds']:.1f} s of CPU of all commands"
    )


def _ratios(ours: Sequence[Cost], theirs: Sequence[Cost]) -> str:
    # A simulated sacct has no process whose time could be taken.
    return ", ".join(
        f"{name} {statistics.median(a[name] / b[name] for a, b in zip(ours, theirs, strict=True)):.3f}"
        for name in ("calls", "rows", "bytes", "seconds", "cpu_seconds")
        if all(cost[name] for cost in theirs)
    )


if __name__ == "__main__":
    main()
