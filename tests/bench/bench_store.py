"""The size of a store and the cost of filling it, beside another commit's: A, B, A, B on one simulated cluster.

    python -m tests.bench.bench_store --jobs 100000 --against 10edf5e

Both programs are installed with pip into folders of their own, out of a worktree that is removed afterwards, and
read the same realistic jobs (`site.py`) with `once` into an empty store. Bytes are those of the store's file after
a checkpoint; CPU seconds are the program's own, without its children's.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import chdir, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from simslurm import SimCluster, install_commands
from tests.bench.bench_ingest import Run, measured
from tests.bench.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]
HOURS = 8
MARGIN_SECONDS = 600
TARGETS = {"off": 0.35, "summary": 0.25}
"""Of the other program's bytes."""

CONFIG = """
[slurm]
bin_dir = "{site}/bin"

[poll]
since = "{hours}h"

[steps]
mode = "{mode}"

[store]
path = "{folder}/store.db"

[sinks.jobs]
type = "jsonl"
path = "{folder}/jobs.jsonl"

[web]
listen = ""
"""


@dataclass(frozen=True, slots=True)
class Filled:
    """What one program made: bytes an attempt, and what that took."""

    bytes: float
    run: Run


@click.command()
@click.option("--jobs", default=100_000, show_default=True, help="How many attempts.")
@click.option("--pairs", default=5, show_default=True, help="How many pairs of runs.")
@click.option("--against", default="10edf5e", show_default=True, help="The commit to compare with.")
@click.option(
    "--mode", "modes", multiple=True, default=("off", "summary"), show_default=True, help="[steps] mode."
)
@click.option("--check", is_flag=True, help="Exit with 1 where a target is missed.")
def main(jobs: int, pairs: int, against: str, modes: tuple[str, ...], *, check: bool) -> None:
    """Compare the stores of two programs."""
    missed = []
    with tempfile.TemporaryDirectory() as name, other_tree(against, Path(name)) as other:
        site = Path(name) / "site"
        site.mkdir()
        now = int(time.time())
        with SimCluster.create(site / "slurm.db") as cluster:
            steps = Site(cluster).load(jobs, now - HOURS * 3600, now - MARGIN_SECONDS)
        install_commands(site / "bin", site / "slurm.db")
        programs = {
            against: installed(other, Path(name) / "a"),
            "this tree": installed(REPOSITORY, Path(name) / "b"),
        }
        click.echo(
            f"{jobs} attempts, {steps} steps, {pairs} pairs, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
        )
        for mode in modes:
            found: dict[str, list[Filled]] = {program: [] for program in programs}
            for _ in range(pairs):
                for program, library in programs.items():
                    found[program].append(fill(library, site, mode, jobs))
            ratio = report(mode, jobs, found)
            missed += [mode] if ratio > TARGETS[mode] else []
    if check and missed:
        sys.exit(1)


@contextmanager
def other_tree(commit: str, folder: Path) -> Iterator[Path]:
    """Check a commit out beside this one, for a while."""
    tree = folder / "tree"
    git = ["git", "-C", str(REPOSITORY), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(tree), commit], check=True)
    try:
        yield tree
    finally:
        subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def installed(tree: Path, library: Path) -> Path:
    """Install a program without what it needs, which is here."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps"]
    subprocess.run([*pip, "--target", str(library), str(tree)], check=True)
    return library


def fill(library: Path, site: Path, mode: str, jobs: int) -> Filled:
    """Run `once` on an empty store, and check that it has every job.

    Raises:
        RuntimeError: It has not.
    """
    with tempfile.TemporaryDirectory(dir=site) as name:
        folder = Path(name)
        config = folder / "slurmwatchd.toml"
        config.write_text(CONFIG.format(site=site, hours=HOURS + 1, mode=mode, folder=folder), encoding="utf-8")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURMWATCHD_")}
        argv = [sys.executable, "-m", "slurmwatchd", "once", "--config", str(config)]
        # Python looks for modules where it is started, too.
        with chdir(folder):
            run = measured(argv, environment | {"PYTHONPATH": str(library)})
        store = folder / "store.db"
        with closing(sqlite3.connect(store)) as opened:
            (count,) = opened.execute("SELECT count(*) FROM jobs").fetchone()
            opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if count != jobs:
            raise RuntimeError(f"{count} attempts stored of {jobs}")
        return Filled(store.stat().st_size / jobs, run)


def report(mode: str, jobs: int, found: dict[str, list[Filled]]) -> float:
    """Print medians and ratios; return the ratio of bytes."""
    first, second = found.values()
    rows = {
        "bytes an attempt": [[one.bytes for one in runs] for runs in (first, second)],
        "own CPU, us an attempt": [[one.run.cpu_seconds / jobs * 1e6 for one in runs] for runs in (first, second)],
        "wall seconds": [[one.run.wall_seconds for one in runs] for runs in (first, second)],
        "peak memory, MB": [[one.run.peak_bytes / 1e6 for one in runs] for runs in (first, second)],
    }
    for name, (before, after) in rows.items():
        then, now = statistics.median(before), statistics.median(after)
        ratio = statistics.median(b / a for a, b in zip(before, after, strict=True))
        click.echo(f"steps {mode:8} {name:24} {then:10.1f} {now:10.1f}  ratio {ratio:.3f}")
    return statistics.median(second[0].bytes / one.bytes for one in first)


if __name__ == "__main__":
    main()
