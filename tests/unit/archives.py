"""An archive for the tests: attempts of some days, and what of them is archived, without a daemon."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from slurmwatchd.store.archive import days
from slurmwatchd.store.archive.__main__ import WriteOrder, carry_out
from slurmwatchd.store.archive.layout import DayFile, files
from slurmwatchd.store.archive.publish import workshop
from slurmwatchd.store.archive.writer import DayWriter
from slurmwatchd.store.database import Database, open_database
from slurmwatchd.store.intake import Intake
from slurmwatchd.store.read.reader import StoreReader
from tests.unit.attempts import NOW, Reading, batch, reading

DAY = 86_400
MIDNIGHT = NOW - NOW % DAY
"""The first second of the day in which the attempts' NOW lies."""

TODAY = NOW // DAY


def ended(number: int, days_ago: int, digest: int = 1, **fields: Any) -> Reading:  # noqa: ANN401 - any field
    """An attempt of ten seconds that ended at three in the morning, some days ago."""
    end = MIDNIGHT - days_ago * DAY + 3 * 3600 + number
    times = {"submit": end - 100, "eligible": end - 100, "start": end - 10, "end": end}
    record, digest = reading(number, digest, **times)
    return record._replace(**fields), digest


async def fill(path: Path, *batches: Iterable[Reading], **fields: Any) -> None:  # noqa: ANN401 - of a batch
    """Put attempts into a store, a transaction a batch."""
    async with open_database(path) as database:
        intake = await Intake.load(database)
        for some in batches:
            await intake.commit(batch(*some, **fields))


async def archive(database: Database, dataset: Path, *, now: int = NOW + 30 * DAY) -> list[tuple[str, int]]:
    """Do what the daemon does in a round, in this process; return what was written."""
    await days.adopt(database, dataset, files(dataset))
    await days.note(database)
    due = await days.due(database, now=now, finished_after=0, limit=1000)
    with workshop(dataset) as folder, StoreReader(database.path) as store:
        writer = DayWriter(dataset, folder, store)
        for cluster, day, number in due:
            await days.done(database, writer.write(cluster, day, number=number))
    return [(cluster, day) for cluster, day, _ in due]


async def archived(path: Path, dataset: Path) -> list[tuple[str, int]]:
    """The same for a store that nobody has open, until nothing is due."""
    written = []
    async with open_database(path) as database:
        while some := await archive(database, dataset):
            written += some
    return written


async def lose(path: Path, dataset: Path, left: Iterable[Reading], horizon: int) -> None:
    """Have a store begin anew, as after a loss, with the attempts that it reads from a moment on."""
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    await fill(path, left)
    async with open_database(path) as database:
        await database.write(
            lambda connection: connection.execute("INSERT INTO horizons VALUES ('sim', ?, ?)", (horizon, NOW))
        )
        there = files(dataset)
        await days.adopt(database, dataset, there)
        sizes = [(pq.read_metadata(file.path).num_rows, file.path.stat().st_size) for file in there]
        await days.take_stock(
            database,
            [(file.cluster, file.day, file.number, *size) for file, size in zip(there, sizes, strict=True)],
        )
    await archived(path, dataset)


def prune(path: Path, where: str, horizon: int) -> None:
    """Take attempts out of a store as retention does, and let its clusters be read from a moment on."""
    with closing(sqlite3.connect(path)) as store:
        store.execute(f"DELETE FROM events WHERE job IN (SELECT id FROM jobs WHERE {where})")  # noqa: S608 - ours
        store.execute(f"DELETE FROM jobs WHERE {where}")  # noqa: S608 - ours
        for (cluster,) in store.execute("SELECT DISTINCT cluster FROM archive_days").fetchall():
            store.execute("INSERT OR REPLACE INTO horizons VALUES (?, ?, ?)", (cluster, horizon, horizon))
        store.commit()


def order(path: Path, dataset: Path, *wanted: tuple[str, int]) -> WriteOrder:
    """What the daemon would order."""
    return WriteOrder(
        store=str(path), dataset=str(dataset), days=[(*key, 0) for key in wanted], rest=False, survey=False
    )


def names(dataset: Path) -> list[str]:
    """The files of a dataset, whatever they are."""
    return sorted(str(path.relative_to(dataset)) for path in dataset.rglob("*") if not path.is_dir())


def rows(dataset: Path, *columns: str) -> list[tuple[Any, ...]]:
    """Columns of all files, ordered; read one file after the other, by no code of ours."""
    tables = [
        pq.ParquetFile(file).read(list(columns), use_threads=False) for file in sorted(dataset.rglob("*.parquet"))
    ]
    table = pa.concat_tables(tables) if tables else pa.table({name: [] for name in columns})
    return sorted(zip(*(table[name].to_pylist() for name in columns), strict=True), key=repr)


__all__ = ["DayFile", "carry_out"]
