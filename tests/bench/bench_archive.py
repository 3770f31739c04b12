"""An archive of ten million attempts: how large it is, what writing it costs, and what questions to it take.

    python -m tests.bench.bench_archive FOLDER [--jobs 10000000] [--days 400] [--stored 500000]

The newest `--stored` attempts go through a store, written by the daemon's own intake, and from there into the
archive by the own process of the daemon, which is timed. The days before are made of those files, with times and
numbers moved: to a reader they are as good, and take minutes instead of hours. Prints a table; times of
questions are CPU time, the best of five.
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
from typing import Any

import anyio
import click
import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from slurmwatchd.model.reports import Rates
from slurmwatchd.store.archive import arrow, layout
from slurmwatchd.store.archive.layout import DAY_SECONDS
from slurmwatchd.store.archive.reader import ArchivedReader
from slurmwatchd.store.archive.writer import GROUP_ROWS
from slurmwatchd.store.read.query import Order, Question
from slurmwatchd.store.read.reader import StoreReader
from slurmwatchd.store.read.report import Wish, report
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
    _ask(store, dataset)


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


def _ask(store: Path, dataset: Path) -> None:
    """Put questions to archive, store and duckdb."""
    files = layout.files(dataset)
    newest, old = files[-2].day, files[len(files) // 4].day
    duckdb.sql("SET TimeZone = 'UTC'; SET threads = 2")
    with ArchivedReader(store, dataset) as reader, StoreReader(store) as alone:
        for title, day in (("a day of the archive", old), ("a day that the store has", newest)):
            # Where the store has the day, the archive is not looked at.
            others = {"store alone": alone} if day == newest else {}
            for what, ask, sql in (
                ("count", partial(_count, day), _of_days("count(*)", dataset, day, 1)),
                ("every record", partial(_every, day), _of_days("*", dataset, day, 1)),
                ("node hours by account", partial(_hours, day, 1), _node_hours(dataset, day, 1)),
            ):
                ways = {"slurmwatchd": reader, **others}
                asked = {name: partial(ask, who) for name, who in ways.items()}
                _compare(f"{title}: {what}", {**asked, "duckdb": partial(_duckdb, sql)})
        _compare(
            "a month of the archive: node hours by account",
            {
                "slurmwatchd": partial(_hours, old, 30, reader),
                "duckdb": partial(_duckdb, _node_hours(dataset, old, 30)),
            },
        )
        of_user = _of_days("*", dataset, old, 30, 'AND "user" = \'user007\' ORDER BY "end" DESC LIMIT 50')
        _compare(
            "a month of the archive: the newest 50 jobs of a user",
            {"slurmwatchd": partial(_newest_of_user, old, reader), "duckdb": partial(_duckdb, of_user)},
        )
        whole = files[-1].day - files[0].day + 1
        for what, day, count in (("a month", old, 30), ("all", files[0].day, whole)):
            # The sums have the newest days only, as those of a store that was lost.
            reported = {"slurmwatchd": partial(_report, day, count, reader)}
            _compare(f"{what} of the archive: report by account", reported)
        few = newest - 15
        _compare(
            "15 days of the store's own: node hours by account",
            {
                "store alone": partial(_hours, few, 15, alone),
                "duckdb on the archive": partial(_duckdb, _node_hours(dataset, few, 15)),
            },
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _line("peak memory, duckdb's included", f"{peak / 1024:.0f} MB", None)


def _count(day: int, reader: StoreReader) -> int:
    return reader.count(_days(day, 1))


def _every(day: int, reader: StoreReader) -> int:
    return len(list(reader.records(_days(day, 1), nodes=True, usage=True)))


def _hours(day: int, days: int, reader: StoreReader) -> object:
    return reader.totals(_ran(day, days), by="account")


def _report(day: int, days: int, reader: StoreReader) -> object:
    start = day * DAY_SECONDS
    return report(reader, Wish(by="account", since=start, until=start + days * DAY_SECONDS), Rates())


def _newest_of_user(day: int, reader: StoreReader) -> int:
    return len(list(reader.records(_of_user(day))))


def _days(day: int, count: int) -> Question:
    start = day * DAY_SECONDS
    return Question(ended_from=start, ended_until=start + count * DAY_SECONDS - 1, order=Order.END)


def _ran(day: int, count: int) -> Question:
    start = day * DAY_SECONDS
    return Question(running_from=start, running_until=start + count * DAY_SECONDS, order=Order.FOUND)


def _of_user(day: int) -> Question:
    question = _days(day, 30)
    return Question(
        users=("user007",),
        ended_from=question.ended_from,
        ended_until=question.ended_until,
        descending=True,
        limit=50,
    )


def _source(dataset: Path) -> str:
    return f"read_parquet('{dataset}/*/*.parquet', hive_partitioning = true, hive_types = {{'day': DATE}})"


def _of_days(columns: str, dataset: Path, day: int, count: int, more: str = "") -> str:
    first, last = layout.day_text(day), layout.day_text(day + count - 1)
    return f"SELECT {columns} FROM {_source(dataset)} WHERE day BETWEEN '{first}' AND '{last}' {more}"  # noqa: S608


def _node_hours(dataset: Path, day: int, count: int) -> str:
    start, end = f"to_timestamp({day * DAY_SECONDS})", f"to_timestamp({(day + count) * DAY_SECONDS})"
    ran = f'greatest(0, epoch(least("end", {end})) - epoch(greatest(start, {start})))'
    # What ran then ended then or later.
    where = f"day >= '{layout.day_text(day)}' AND \"end\" >= {start} AND start <= {end}"
    columns = f"account, count(*), sum(len(nodes) * {ran}) / 3600"
    return f"SELECT {columns} FROM {_source(dataset)} WHERE {where} GROUP BY account"  # noqa: S608 - our own words


def _duckdb(sql: str) -> list[Any]:
    found = duckdb.sql(sql)
    return [] if found is None else found.fetchall()


def _compare(title: str, ways: Mapping[str, Callable[[], Any]]) -> None:
    times = {}
    for name, way in ways.items():
        taken = []
        for _ in range(TRIES):
            # Of the processor, all threads together: a machine with other work shows that more truly.
            began = time.process_time()
            way()
            taken.append(time.process_time() - began)
        times[name] = min(taken)
    ratio = (
        f", {times['slurmwatchd'] / times['duckdb']:.2f} of duckdb"
        if {"slurmwatchd", "duckdb"} <= times.keys()
        else ""
    )
    _line(title, "; ".join(f"{name} {took * 1000:,.0f} ms" for name, took in times.items()) + ratio, None)


def _size(paths: list[Path]) -> str:
    return f"{sum(path.stat().st_size for path in paths) / 1e6:,.0f} MB"


def _line(what: str, text: str, seconds: float | None) -> None:
    took = "" if seconds is None else f" {seconds:,.1f} s"
    print(f"{what:<60}{text}{took}", flush=True)  # noqa: T201 - what it is for


if __name__ == "__main__":
    main()
