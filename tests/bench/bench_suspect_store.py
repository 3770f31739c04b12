"""The search for suspect nodes in a store with a day of attempts: with copies of where they ran, and from `jobs`.

python -m tests.bench.bench_suspect_store [--jobs 1000000] [--rounds 3] [--arrays]

With --arrays nine of ten users have one to nine arrays at a time, of 200 tasks each, and 17 % of all attempts
failed, more of one user's than of another's.
"""

import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path

import anyio
import click

from slurmwatchd.cli.tuning import tune
from slurmwatchd.store import placements
from slurmwatchd.store.database import open_database
from slurmwatchd.store.read.reader import StoreReader
from slurmwatchd.store.read.suspects import suspects
from tests.bench.million import DAY, NEWEST, fill

_READ = "INSERT INTO horizons VALUES ('tux', 0, ?)"
_OUTCOMES = (
    "UPDATE jobs SET outcome_code = CASE state WHEN 'COMPLETED' THEN 'completed' WHEN 'FAILED' THEN 'failed' "
    "WHEN 'TIMEOUT' THEN 'time_limit' ELSE 'cancelled_by_user' END"
)
_ARRAYS = """
    UPDATE jobs SET
        job_id = iif(u % 10, (u * 100000 + nth / (200 * (u % 10)) * 10 + id % (u % 10)) || '_' || id, job_id),
        "partition" = CASE u % 3 WHEN 0 THEN 'main' WHEN 1 THEN 'gpu' ELSE 'long' END,
        outcome_code = iif(id * 7919 % 1000 < u * 37 % 350, 'failed', 'completed')
    FROM (
        SELECT id AS i, CAST(substr("user", 5) AS INTEGER) AS u, row_number() OVER (PARTITION BY "user") AS nth
        FROM jobs
    ) WHERE i = id
"""


@click.command()
@click.option("--jobs", default=1_000_000, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--arrays", is_flag=True)
def main(jobs: int, rounds: int, *, arrays: bool) -> None:
    """Measure."""
    tune()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store.db"
        anyio.run(fill, store, jobs, 1)
        with closing(sqlite3.connect(store)) as file, file:
            file.execute(_ARRAYS if arrays else _OUTCOMES)
        searched("from `jobs`", store, 1)
        anyio.run(packed, store)
        searched("from copies", store, rounds)


async def packed(store: Path) -> None:
    """Make the copies, as the daemon does beside its retention."""
    async with open_database(store) as database:
        await database.write(lambda connection: connection.execute(_READ, (NEWEST + 3600,)))
        attempts, began = 0, time.process_time()
        while count := await placements.pack(database):
            attempts += count
        each = (time.process_time() - began) / attempts
        ((size,),) = await database.read("SELECT sum(length(packed)) FROM placements")
        click.echo(f"packed {attempts:,} attempts: {each * 1e6:.1f} us and {size / attempts:.2f} bytes each")


def searched(what: str, store: Path, rounds: int) -> None:
    """Search all of the day."""
    with StoreReader(store) as reader:
        for _ in range(rounds):
            began = time.process_time()
            suspects(reader, "tux", NEWEST - DAY, NEWEST)
            click.echo(f"{what}: {time.process_time() - began:.2f} s of CPU")


if __name__ == "__main__":
    main()
