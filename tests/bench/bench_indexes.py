"""What each index costs the daemon: CPU and write-ahead log per attempt stored, on a store that is full already.

python -m tests.bench.bench_indexes STORE [--rows 100000]

STORE is a filled store (tests.bench.million makes one); a copy is used. Each index is taken away in turn and the
same rows are inserted as the daemon inserts them, 2000 a transaction; what is saved is what it costs.
"""

from __future__ import annotations

import shutil
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

import click

BATCH = 2000


@click.command()
@click.argument("store", type=click.Path(path_type=Path, exists=True))
@click.option("--rows", default=20_000, show_default=True)
@click.option("--rounds", default=5, show_default=True)
def main(store: Path, rows: int, rounds: int) -> None:
    """Measure and print one line an index."""
    with tempfile.TemporaryDirectory(dir=store.parent) as folder:
        copy = Path(folder) / "copy.db"
        shutil.copyfile(store, copy)
        with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA cache_size = -8192")
            indexes = connection.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL "
                "AND tbl_name IN ('jobs', 'events') ORDER BY name"
            ).fetchall()
            sizes = _sizes(connection)
            baseline = _cost(connection, rows, rounds)
            click.echo(f"{'all indexes':<24} {baseline[0]:6.2f} us an attempt, {baseline[1]:6.0f} bytes of log")
            for name, sql in indexes:
                connection.execute(f"DROP INDEX {name}")
                without = _cost(connection, rows, rounds)
                connection.execute(sql)
                click.echo(
                    f"{name:<24} {baseline[0] - without[0]:+6.2f} us an attempt, "
                    f"{baseline[1] - without[1]:+6.0f} bytes of log, {sizes.get(name, 0) / 1e6:6.1f} MB on disk"
                )


def _sizes(connection: sqlite3.Connection) -> dict[str, int]:
    try:
        return dict(connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name"))
    except sqlite3.OperationalError:
        return {}


def _cost(connection: sqlite3.Connection, rows: int, rounds: int) -> tuple[float, float]:
    """Insert the newest rows again under new keys, and undo it; return CPU microseconds and log bytes a row."""
    kept = [
        ", ".join(f'"{row[1]}"' for row in connection.execute(f"PRAGMA table_info({table})"))
        for table in ("jobs", "events")
    ]
    jobs, events = (
        connection.execute(f"SELECT {names} FROM {table} ORDER BY 1 DESC LIMIT ?", (rows,)).fetchall()[::-1]  # noqa: S608
        for table, names in zip(("jobs", "events"), kept, strict=True)
    )
    last_job = connection.execute("SELECT max(id), max(job_id_raw) FROM jobs").fetchone()
    last_seq = connection.execute("SELECT max(seq) FROM events").fetchone()[0]
    later = max(row[10] for row in jobs) - min(row[10] for row in jobs) + 1
    new_jobs = [
        (last_job[0] + n, row[1], last_job[1] + n, *row[3:10], row[10] + later, *row[11:])
        for n, row in enumerate(jobs, 1)
    ]
    new_events = [(last_seq + n, row[1], last_job[0] + n, *row[3:]) for n, row in enumerate(events, 1)]
    marks = [",".join("?" * len(table[0])) for table in (new_jobs, new_events)]
    spent: list[float] = []
    written: list[float] = []
    for _ in range(rounds):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        begun = time.process_time()
        for at in range(0, len(new_jobs), BATCH):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(f"INSERT INTO jobs VALUES ({marks[0]})", new_jobs[at : at + BATCH])  # noqa: S608
            connection.executemany(f"INSERT INTO events VALUES ({marks[1]})", new_events[at : at + BATCH])  # noqa: S608
            connection.execute("COMMIT")
        spent.append(time.process_time() - begun)
        frames = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1]
        written.append(frames * 4120)
        connection.execute("DELETE FROM jobs WHERE id > ?", (last_job[0],))
        connection.execute("DELETE FROM events WHERE seq > ?", (last_seq,))
    return min(spent) / rows * 1e6, statistics.median(written) / rows


if __name__ == "__main__":
    main()
