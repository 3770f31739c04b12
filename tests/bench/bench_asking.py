"""How long the commands take on a large store, and how fast `export` is beside a copy of the same bytes.

python -m tests.bench.bench_asking STORE

STORE is what tests.bench.million makes. A command's time is that of the whole process, Python's start
included: the median of several, their spread, and CPU seconds, which a machine with other work shows more truly.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click

from slurmwatchd.store.read.reader import StoreReader
from slurmwatchd.store.read.status import attempts
from tests.bench.million import DAY, NEWEST

ROUNDS = 9


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process took: wall and CPU seconds, and its peak of memory in MB."""

    wall: float
    cpu: float
    peak: float


@click.command()
@click.argument("store", type=click.Path(path_type=Path, exists=True))
def main(store: Path) -> None:
    """Measure and print."""
    moment = f"@{NEWEST - 45 * DAY}"
    asked = {
        "jobs --user (busy)": ["jobs", "--user", "user000", "--since", f"@{NEWEST - 7 * DAY}"],
        "jobs --user (rare)": ["jobs", "--user", "user350", "--since", f"@{NEWEST - 7 * DAY}"],
        "nodes --at": ["nodes", "n0500", "--at", moment],
        "running": ["running", "--from", moment, "--to", f"@{NEWEST - 45 * DAY + 3600}"],
        "running, all rows": ["running", "--from", moment, "--to", moment, "--limit", "0"],
        "show": ["show", "500000"],
    }
    for name, words in asked.items():
        found = [cost(argv(store, *words)) for _ in range(ROUNDS)]
        walls, cpu = sorted(one.wall * 1000 for one in found), min(one.cpu for one in found) * 1000
        median = statistics.median(walls)
        click.echo(f"{name:<22} {median:5.0f} ms ({walls[0]:.0f} to {walls[-1]:.0f}), {cpu:.0f} ms of CPU")
    with StoreReader(store) as reader:
        count = attempts(reader)
    with tempfile.TemporaryDirectory(dir=store.parent) as folder:
        for form in ("jsonl", "csv", "parquet"):
            file = Path(folder) / f"jobs.{form}"
            spent = cost(argv(store, "export", "--format", form, "-o", str(file)))
            begun = time.process_time()
            shutil.copyfile(file, Path(folder) / "copy")
            copied = time.process_time() - begun
            click.echo(
                f"export {form:<8} {count / spent.wall:8.0f} jobs/s, {count / spent.cpu:8.0f} a CPU second, "
                f"{spent.cpu / copied:6.1f} times a copy of its {file.stat().st_size / 1e6:.0f} MB, "
                f"peak {spent.peak:.0f} MB"
            )
            file.unlink()


def argv(store: Path, command: str, *words: str) -> list[str]:
    return [sys.executable, "-m", "slurmwatchd", command, "--store", str(store), *words]


def cost(words: list[str]) -> Cost:
    """Run a process to its end."""
    begun = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise click.ClickException(f"exit status {process.returncode}: {' '.join(words)}")
    return Cost(time.perf_counter() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


if __name__ == "__main__":
    main()
