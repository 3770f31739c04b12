"""An archive of ten million attempts: how large it is, what writing it costs, and what questions to it take.

    python -m tests.bench.bench_archive FOLDER [--jobs 10000000] [--days 400] [--stored 500000]

The newest `--stored` attempts go through a store, written by the daemon's own intake, and from there into the
archive by the own process of the daemon, which is timed. The days before are made of those files, with times and
numbers moved: to a reader they are as good, and take minutes instead of hours. Prints a table. Questions are put
in turn, five times each, and the best counts: CPU time of all threads, then time of the clock.
"""

import json
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path

import anyio
import click
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from slurmwatchd.model.reports import Rates
from slurmwatchd.store.archive import arrow, layout
from slurmwatchd.store.archive.layout import DAY_SECONDS
from slurmwatchd.store.archive.reader import ArchivedReader
from slurmwatchd.store.archive.writer import GROUP_ROWS
from slurmwatchd.store.read.reader import StoreReader
from slurmwatchd.store.read.report import Wish, report
from tests.bench import archive_duckdb
from tests.bench.archive_questions import QUESTIONS
from tests.bench.million import DAY, NEWEST, fill

TIMES = ("submit", "eligible", "start", "end")
TRIES = 5


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--jobs", default=10_000_000, show_default=True)
@click.option("--days", default=400, show_default=True)
@click.option("--stored", default=500_000, show_default=True)
def main(folder: Path, jobs: int, days: int, stored: int) -> None:
    """Make what is not there yet, and measure."""
    store, dataset = folder / "store.db", folder / "archive"
    span = days * stored // jobs
    if not store.exists():
        folder.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        anyio.run(fill, store, stored, span)
        _line(f"store of {stored:,} attempts, {span} days", _size([store]), time.monotonic() - began)
        with closing(sqlite3.connect(store)) as connection:
            # As a daemon that retains so much has it.
            horizon = NEWEST - span * DAY
            connection.execute("INSERT OR REPLACE INTO horizons VALUES ('tux', ?, ?)", (horizon, NEWEST))
            # All its events were looked at for the archive; without that each question would do so.
            connection.execute("INSERT INTO meta SELECT 'archive seq', value FROM meta WHERE key = 'last seq'")
            connection.commit()
        _write(store, dataset, stored)
        began = time.monotonic()
        _multiply(dataset, span, days)
        _line("days before that, made of these", "", time.monotonic() - began)
    files = layout.files(dataset)
    count = sum(pq.read_metadata(file.path).num_rows for file in files)
    size = sum(file.path.stat().st_size for file in files)
    _line(
        f"archive of {count:,} attempts, {len(files)} files",
        f"{size / 1e6:,.0f} MB, {size / count:.0f} B each",
        None,
    )
    _ask(folder)


def _write(store: Path, dataset: Path, stored: int) -> None:
    """Have the daemon's process write every day of the store, and say what that took."""
    with StoreReader(store) as reader:
        days = [row[0] for row in reader.rows('SELECT DISTINCT "end" / 86400 FROM jobs ORDER BY 1')]
    order = {
        "store": str(store), "dataset": str(dataset), "days": [("tux", day, 0) for day in days], "rest": False,
    }  # fmt: skip
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "slurmwatchd.store.archive"],
        input=json.dumps(order).encode(), stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    took = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime
    _line(f"written from the store, {len(days)} files", f"{cpu / stored * 1e6:.0f} us of CPU each", took)
    _line("  peak memory of the process", f"{used.ru_maxrss / 1024:.0f} MB", None)


def _multiply(dataset: Path, span: int, days: int) -> None:
    """Make the days before of those that there are, each moved by whole spans."""
    there = layout.files(dataset)
    schema = arrow.schema(pa)
    for turn in range(1, days // span):
        for file in there:
            table = pq.read_table(file.path, schema=schema, partitioning=None)
            for name in TIMES:
                moved = pc.subtract(table[name].cast(pa.int64()), turn * span * DAY * 1000)
                table = table.set_column(table.column_names.index(name), name, moved.cast(schema.field(name).type))
            numbers = pc.add(table["job_id_raw"], turn * 10_000_000)
            for name, values in (("job_id_raw", numbers), ("job_id", numbers.cast(pa.string()))):
                table = table.set_column(table.column_names.index(name), name, values)
            path = dataset / layout.folder_name(file.day - turn * span) / layout.file_name("tux", 1)
            path.parent.mkdir(exist_ok=True)
            pq.write_table(
                table.cast(schema), path, compression="zstd", write_page_checksum=True, row_group_size=GROUP_ROWS
            )


def _ask(folder: Path) -> None:
    """Put questions to archive, store and duckdb."""
    store, dataset = folder / "store.db", folder / "archive"
    files = layout.files(dataset)
    # A whole day: those at the seams of the copies have a part of one.
    quarter = files[len(files) // 4 :][: len(files) // 20 + 2]
    old = max(quarter, key=lambda file: file.path.stat().st_size).day
    newest = files[-2].day
    with ArchivedReader(store, dataset) as reader, StoreReader(store) as alone:
        for name in ("count", "every", "hours1", "newest", "hours30"):
            asked = QUESTIONS[name]
            title = f"{'a day' if asked.days == 1 else 'a month'} of the archive: {asked.text}"
            ours = partial(asked.ours, reader, old)
            _compare(
                title, {"slurmwatchd": ours, "duckdb": partial(archive_duckdb.answer, asked.sql(dataset, old))}
            )
        for name in ("count", "every", "hours1", "hours15"):
            asked = QUESTIONS[name]
            title = f"{'a day' if asked.days == 1 else '15 days'} that the store has: {asked.text}"
            day = newest + 1 - asked.days
            ways: dict[str, Callable[[], object]] = {"slurmwatchd": partial(asked.ours, reader, day)}
            ways |= {"store alone": partial(asked.ours, alone, day)}
            _compare(title, {**ways, "duckdb": partial(archive_duckdb.answer, asked.sql(dataset, day))})
        whole = files[-1].day - files[0].day + 1
        for what, day, count in (("a month", old, 30), ("all", files[0].day, whole)):
            # The sums have the newest days only, as those of a store that was lost.
            reported = {"slurmwatchd": partial(_report, day, count, reader)}
            _compare(f"{what} of the archive: report by account", reported)
    for name, day, title in (
        ("every", old, "a day of the archive: every record"),
        ("hours1", old, "a day of the archive: node hours by account"),
        ("hours30", old, "a month of the archive: node hours by account"),
        ("hours1", newest, "a day that the store has: node hours by account"),
    ):
        _compare_processes(f"{title}, in a new process", folder, name, day)


def _report(day: int, days: int, reader: StoreReader) -> object:
    start = day * DAY_SECONDS
    return report(reader, Wish(by="account", since=start, until=start + days * DAY_SECONDS), Rates())


def _compare(title: str, ways: Mapping[str, Callable[[], object]]) -> None:
    """Ask each way in turn, and say what the best of some tries took, of the processor and of the clock.

    All threads count: a machine with other work shows the processor's time more truly than the clock's.
    """
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(TRIES):
        for name, way in ways.items():
            cpu, wall = time.process_time(), time.monotonic()
            way()
            taken[name].append((time.process_time() - cpu, time.monotonic() - wall))
    best = {name: [min(times) * 1000 for times in zip(*tries, strict=True)] for name, tries in taken.items()}
    text = "; ".join(f"{name} {cpu:,.0f} ms, {wall:,.0f} ms of time" for name, (cpu, wall) in best.items())
    _line(title, text + _ratio({name: cpu for name, (cpu, _) in best.items()}), None)


def _compare_processes(title: str, folder: Path, name: str, day: int) -> None:
    """Have new processes ask, in turn: what that takes with the imports, and how much memory."""
    ways = {
        "slurmwatchd": ["tests.bench.archive_questions", str(folder), name, str(day)],
        "duckdb": ["tests.bench.archive_duckdb", QUESTIONS[name].sql(folder / "archive", day)],
    }
    taken: dict[str, list[tuple[float, float]]] = {program: [] for program in ways}
    for _ in range(TRIES):
        for program, arguments in ways.items():
            argv = [sys.executable, "-m", *arguments]
            cpu, peak = map(float, subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout.split())
            taken[program].append((cpu, peak))
    best = {program: [min(values) for values in zip(*tries, strict=True)] for program, tries in taken.items()}
    text = "; ".join(f"{program} {cpu * 1000:,.0f} ms, {peak:.0f} MB" for program, (cpu, peak) in best.items())
    _line(title, text + _ratio({program: cpu for program, (cpu, _) in best.items()}), None)


def _ratio(times: Mapping[str, float]) -> str:
    both = {"slurmwatchd", "duckdb"} <= times.keys()
    return f", {times['slurmwatchd'] / times['duckdb']:.2f} of duckdb" if both else ""


def _size(paths: list[Path]) -> str:
    return f"{sum(path.stat().st_size for path in paths) / 1e6:,.0f} MB"


def _line(what: str, text: str, seconds: float | None) -> None:
    took = "" if seconds is None else f" {seconds:,.1f} s"
    print(f"{what:<60}{text}{took}", flush=True)  # noqa: T201 - what it is for


if __name__ == "__main__":
    main()
