"""The size of a store, and the processor time and memory of filling it: A, B, A, B on one simulated cluster.

Both programs read the same realistic jobs (`site.py`) with `once` into an empty store. Bytes are those of the
store's file after a checkpoint; CPU seconds are the program's own, its start among them, its children's not.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.configuration import written
from tests.bench.measuring import measured
from tests.bench.setting import Place, Setting, place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.programs import Program
    from tests.bench.results import Result


@dataclass(frozen=True, slots=True)
class Filled:
    """What one program made: bytes and CPU microseconds an attempt, and its peak of memory in MB."""

    bytes: float
    cpu: float
    peak: float


def measure(setting: Setting) -> Iterator[Result]:
    """Fill stores in turn, without steps and with their usage."""
    site = place(setting.folder, setting.jobs)
    for mode in setting.modes:
        watch = setting.stopwatch()
        found: tuple[list[Filled], list[Filled]] = ([], [])
        for _ in range(setting.pairs):
            for program, its in zip(setting.programs, found, strict=True):
                with tempfile.TemporaryDirectory(dir=setting.folder) as name:
                    its.append(fill(program, site, mode, Path(name)))
                    kept = setting.folder / _kept(program, mode, site)
                    if not kept.exists():
                        shutil.copytree(name, kept)
        for row, values in {
            f"store-{mode}": [[one.bytes for one in its] for its in found],
            f"cpu-{mode}": [[one.cpu for one in its] for its in found],
            f"peak-{mode}": [[one.peak for one in its] for its in found],
        }.items():
            yield watch.result(row, setting.jobs, *values, against=setting.then.name)


def filled(program: Program, site: Place, mode: str, folder: Path) -> Path:
    """Return a folder with what a program made of a site, `store.db` and `jobs.jsonl`; it is not to be changed."""
    kept = folder / _kept(program, mode, site)
    if not kept.exists():
        making = folder / "making"
        making.mkdir()
        fill(program, site, mode, making)
        making.rename(kept)
    return kept


def _kept(program: Program, mode: str, site: Place) -> str:
    return f"filled-{program.name}-{mode}-{site.jobs}"


def fill(program: Program, site: Place, mode: str, folder: Path) -> Filled:
    """Run `once` on an empty store in a folder, and check that it has every job.

    Raises:
        RuntimeError: It has not.
    """
    poll = f'since = "{site.since_seconds}s"'
    config = written(folder, site.folder / "bin", poll=poll, mode=mode, metrics=True)
    run = measured(program.argv("once", "--config", str(config)), program.environment(), folder=folder)
    store = folder / "store.db"
    with closing(sqlite3.connect(store)) as opened:
        (count,) = opened.execute("SELECT count(*) FROM jobs").fetchone()
        (used,) = opened.execute("SELECT count(*) FROM events WHERE kind = 'job_usage'").fetchone()
        opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    # More of them where another benchmark has let jobs end there.
    if count < site.jobs or (mode == "summary" and used != count):
        raise RuntimeError(f"{count} attempts stored of {site.jobs}, {used} with usage")
    return Filled(store.stat().st_size / count, run.cpu_seconds / count * 1e6, run.peak_bytes / 1e6)
