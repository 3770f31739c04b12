"""How long a question takes on a large store, and how fast `export` is.

Each program has a store of its own, made by its own intake (`million.py`). A command's time is that of the whole
process, Python's start included. Exports are counted in rows a CPU second, which a machine with other work shows
more truly than rows a second.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

from tests.bench.measuring import Run, measured
from tests.bench.million import DAY, NEWEST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.bench.programs import Program
    from tests.bench.results import Result
    from tests.bench.setting import Setting

USER = "user000"
"""One with many jobs."""


def measure(setting: Setting) -> Iterator[Result]:
    """Ask both stores in turn."""
    stores = [made(program, setting.folder, setting.jobs) for program in setting.programs]

    def runs(*words: str) -> tuple[list[Run], list[Run]]:
        found: tuple[list[Run], list[Run]] = ([], [])
        for _ in range(setting.pairs):
            for program, store, its in zip(setting.programs, stores, found, strict=True):
                argv = program.argv(words[0], "--store", str(store), *words[1:])
                its.append(measured(argv, program.environment(), folder=setting.folder))
        return found

    against, jobs = setting.then.name, setting.jobs
    watch = setting.stopwatch("")
    asked = runs("jobs", "--user", USER, "--since", f"@{NEWEST - 7 * DAY}")
    yield watch.result(
        "jobs-user", jobs, *[[run.wall_seconds * 1000 for run in its] for its in asked], against=against
    )
    yield watch.result(
        "jobs-user-cpu", jobs, *[[run.cpu_seconds * 1000 for run in its] for its in asked], against=against
    )
    with tempfile.TemporaryDirectory(dir=setting.folder) as name:
        for form in ("parquet", "jsonl"):
            watch = setting.stopwatch("")
            found = runs("export", "--format", form, "--output", f"{name}/jobs.{form}", "--overwrite")
            rates = [[jobs / run.cpu_seconds for run in its] for its in found]
            yield watch.result(f"{form}-rate", jobs, *rates, against=against)
            if form == "parquet":
                peaks = [[run.peak_bytes / 1e6 for run in its] for its in found]
                yield watch.result("parquet-peak", jobs, *peaks, against=against)


def made(program: Program, folder: Path, jobs: int) -> Path:
    """Return a store with so many attempts, made by a program's own intake."""
    store = folder / f"asked-{program.name}-{jobs}.db"
    if not store.exists():
        making = folder / "making.db"
        argv = [sys.executable, "-m", "tests.bench.million", str(making), "--jobs", str(jobs)]
        environment = {**os.environ, "PYTHONPATH": str(program.tree), "PYTHONSAFEPATH": "1"}
        subprocess.run(argv, check=True, env=environment, cwd=program.tree)
        making.rename(store)
    return store
