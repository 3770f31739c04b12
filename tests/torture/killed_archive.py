"""The process that writes the archive, killed before each line that it runs: what the archive is like then.

    python -m tests.torture.killed_archive FOLDER exchange|in-turn

A child is forked for each line and kills itself there (lines of loops: the first two times). After each death the
archive must be whole (see `_look`); then the same order is carried out in full, and nothing may remember it.
Prints one JSON object: how many times it died, and what was wrong.
"""

import json
import os
import shutil
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import closing, redirect_stdout
from pathlib import Path
from types import FrameType
from typing import Any

import anyio
import pyarrow as pa
import pyarrow.parquet as pq

import slurmwatchd.store.archive
from slurmwatchd.store.archive import arrow, layout, publish
from slurmwatchd.store.archive.__main__ import carry_out
from slurmwatchd.store.database import open_database
from slurmwatchd.store.intake import Intake
from tests.unit.archives import DAY, MIDNIGHT, TODAY, archived, ended, order, prune
from tests.unit.attempts import batch

_CODE = str(Path(slurmwatchd.store.archive.__file__).parent)
_OLD, _NEW = TODAY - 3, TODAY - 2
_MOVED = 5
BEFORE = {1: 1, 2: 1, 3: 1, 5: 1, 9: 1, 20: 1, 21: 1}
"""Job to revision, in the archive as it was."""
AFTER = {1: 1, 2: 2, 3: 1, 4: 1, 5: 2, 9: 1, 20: 1, 21: 1}
"""The same, as it is to be: 2 was revised, 4 came late, 5 ended a day later; 1 the store has pruned."""


async def make(folder: Path) -> None:
    """Make a store and an archive in which two days have become old."""
    store, dataset = folder / "store.db", folder / "archive"
    others = [ended(9, 3, cluster="other")]
    async with open_database(store) as database:
        intake = await Intake.load(database)
        await intake.commit(batch(*(ended(number, 3) for number in (1, 2, 3, 5)), ended(20, 2), ended(21, 2)))
        await intake.commit(batch(*others, cluster="other"))
    await archived(store, dataset)
    async with open_database(store) as database:
        intake = await Intake.load(database)
        first = ended(5, 3)[0]
        moved = ended(5, 2, 2, submit=first.submit)
        await intake.commit(batch(ended(2, 3, 2, state="FAILED"), ended(4, 3), moved))
    with closing(sqlite3.connect(store)) as connection:
        # As `days.note` has it: no other day gets the attempt before the day that it leaves.
        job = connection.execute("SELECT id FROM jobs WHERE job_id_raw = ?", (_MOVED,)).fetchone()[0]
        connection.execute("INSERT INTO archive_moves VALUES (?, 'sim', ?)", (job, _OLD))
        connection.commit()
    prune(store, "job_id_raw = 1", MIDNIGHT - 30 * DAY)


def finish(folder: Path) -> None:
    """Do what the daemon does once it is started again: both days, each noted when done."""
    for day in (_OLD, _NEW):
        carry_out(order(folder / "store.db", folder / "archive", ("sim", day)))
        with closing(sqlite3.connect(folder / "store.db")) as connection:
            connection.execute("DELETE FROM archive_moves WHERE day = ?", (day,))
            connection.commit()


def _look(dataset: Path, *, gaps: bool) -> list[str]:
    """Return what is wrong with the archive."""
    faults: list[str] = []
    seen, keys = dict[int, int](), set[tuple[str, int]]()
    known = {file.path for file in layout.files(dataset)}
    strangers = [path for path in dataset.rglob("*") if path.is_file() and path not in known]
    faults += [f"not a file of the archive: {path.name}" for path in strangers]
    for file in layout.files(dataset):
        if (file.cluster, file.day) in keys:
            faults.append(f"two files of {file.cluster}, {file.day}")
        keys.add((file.cluster, file.day))
        try:
            with pq.ParquetFile(file.path) as opened:
                table = opened.read(use_threads=False)
        except (pa.ArrowInvalid, OSError) as error:
            faults.append(f"{file.path.name}: {error}")
            continue
        if table.schema != arrow.schema(pa):
            faults.append(f"{file.path.name}: another schema")
        for job, revision in zip(table["job_id_raw"].to_pylist(), table["revision"].to_pylist(), strict=True):
            if job in seen:
                faults.append(f"job {job} twice")
            seen[job] = revision
    lost = [] if gaps else [job for job in BEFORE if job not in seen and job != _MOVED]
    faults += [f"job {job} lost" for job in lost]
    faults += [
        f"job {job} in revision {revision}"
        for job, revision in seen.items()
        if revision not in {BEFORE.get(job), AFTER.get(job)}
    ]
    return faults


def _trace(note: Callable[[str, int], None]) -> None:
    """Have this process call `note` before each line of the archive's code that it runs."""

    def trace(frame: FrameType, event: str, _: object) -> Any:  # noqa: ANN401 - itself
        if not frame.f_code.co_filename.startswith(_CODE):
            return None
        if event == "line":
            note(Path(frame.f_code.co_filename).name, frame.f_lineno)
        return trace

    sys.settrace(trace)


def _steps(folder: Path, modules: Collection[str]) -> list[int]:
    """Return at which of the lines it is worth dying.

    That is each line of some modules, the first two times; of what brings files in place, each time.
    """
    lines: list[tuple[str, int]] = []
    _trace(lambda module, line: lines.append((module, line)))
    finish(folder)
    sys.settrace(None)
    met: Counter[tuple[str, int]] = Counter()
    steps = []
    for number, (module, line) in enumerate(lines, 1):
        met[module, line] += 1
        if module == "publish.py" or (module in modules and met[module, line] <= 2):
            steps.append(number)
    return steps


def _child(folder: Path, step: int) -> None:
    """Carry on until the line, and die."""
    left = step

    def note(_: str, __: int) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    _trace(note)
    finish(folder)
    os._exit(0)


def main(folder: Path, mode: str) -> dict[str, Any]:
    """Kill, look, carry on; for each line."""
    exchange = mode == "exchange"
    if not exchange:
        publish._libc = lambda: None
    template, trial = folder / "template", folder / "trial"
    template.mkdir()
    anyio.run(make, template)
    pa.set_cpu_count(1)
    faults: list[str] = [f"before: {fault}" for fault in _look(template / "archive", gaps=False)]
    shutil.copytree(template, trial)
    steps = _steps(trial, {"writer.py", "__main__.py"} if exchange else ())
    faults += [f"alive: {fault}" for fault in _unlike_the_end(trial)]
    for step in steps:
        shutil.rmtree(trial)
        shutil.copytree(template, trial)
        if (pid := os.fork()) == 0:
            _child(trial, step)
        status = os.waitpid(pid, 0)[1]
        if not os.WIFSIGNALED(status):
            faults.append(f"step {step}: did not die")
        faults += [f"step {step}: {fault}" for fault in _look(trial / "archive", gaps=not exchange)]
        finish(trial)
        faults += [f"step {step}, carried on: {fault}" for fault in _look(trial / "archive", gaps=False)]
        faults += [f"step {step}, carried on: {fault}" for fault in _unlike_the_end(trial)]
    return {"deaths": len(steps), "faults": faults}


def _unlike_the_end(trial: Path) -> list[str]:
    faults = []
    found: dict[int, int] = {}
    for file in layout.files(trial / "archive"):
        with pq.ParquetFile(file.path) as opened:
            table = opened.read(["job_id_raw", "revision"], use_threads=False)
        found |= dict(zip(table["job_id_raw"].to_pylist(), table["revision"].to_pylist(), strict=True))
    if found != AFTER:
        faults.append(f"holds {found}")
    if left := [
        path.name
        for path in (trial / "archive.tmp").iterdir()
        if path.name not in {publish.LOCK, publish.REPLACED}
    ]:
        faults.append(f"left over: {left}")
    return faults


if __name__ == "__main__":
    out = sys.stdout
    with Path(os.devnull).open("w", encoding="utf-8") as nothing, redirect_stdout(nothing):
        print(json.dumps(main(Path(sys.argv[1]), sys.argv[2])), file=out)
