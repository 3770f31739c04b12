"""What many series hold in memory: a store, a file and counters that took the same attempts, with few and many.

    python -m tests.bench.bench_label_memory [--jobs 20000] [--limit 500]

Each figure is of a process of its own that has all of the daemon's modules. Attempts are made as they are stored,
so no list of them counts. A scrape is rendered before the look: its lines stay in memory, as in a daemon.
"""

import multiprocessing
import random
import re
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import anyio
import click

import slurmwatchd.daemon.assembly  # noqa: F401 - what a daemon loads counts
from slurmwatchd.cli.tuning import tune
from slurmwatchd.daemon.delivery import Delivery, DeliveryParts
from slurmwatchd.model.clock import SystemClock
from slurmwatchd.model.job_metrics import CHOICE, LabelChoice
from slurmwatchd.sinks.jsonl import JsonlOptions, JsonlSink
from slurmwatchd.sinks.prometheus import PrometheusOptions, PrometheusSink
from slurmwatchd.store.batch import Batch
from slurmwatchd.store.database import open_database
from slurmwatchd.store.intake import Intake
from slurmwatchd.telemetry.exposition import exposition
from slurmwatchd.telemetry.health import Health
from slurmwatchd.telemetry.metrics import Metrics
from tests.bench.bench_labels import answer_of, batch_of, with_user
from tests.bench.million import attempts

TARGET_RATIO = 1.3
_BATCH = 500
_USERS = 10_000


@click.command()
@click.option("--jobs", default=20_000, show_default=True)
@click.option("--limit", default=500, show_default=True, help="max_label_sets.")
def main(jobs: int, limit: int) -> None:
    """Measure."""
    found: dict[str, list[int]] = {"after all attempts": [], "after a start": []}
    for labels in ((), CHOICE):
        with tempfile.TemporaryDirectory() as folder:
            for when, count in zip(found, (jobs, 0), strict=True):
                with multiprocessing.get_context("spawn").Pool(1) as process:
                    series, rss, pss = process.apply(held, (Path(folder), labels, count, limit))
                found[when].append(rss)
                click.echo(f"{series} series, {when}: {rss / 1024:.0f} MB resident, {pss / 1024:.0f} MB its share")
    for when, (few, many) in found.items():
        click.echo(f"{when}: ratio {many / few:.2f} (target {TARGET_RATIO})")


def held(folder: Path, labels: tuple[str, ...], jobs: int, limit: int) -> tuple[int, int, int]:
    """Take attempts, or none; return the series, and the resident and the proportional set in KiB."""
    tune()
    return anyio.run(_held, folder, labels, jobs, limit)


async def _held(folder: Path, labels: tuple[str, ...], jobs: int, limit: int) -> tuple[int, int, int]:
    async with open_database(folder / "store.db") as database:
        metrics = Metrics()
        metrics.label_choice = LabelChoice(labels=labels, families={}, limits={})
        parts = DeliveryParts(
            database=database, clock=SystemClock(), metrics=metrics, health=Health(SystemClock())
        )
        options = PrometheusOptions(type="prometheus", max_label_sets=limit)
        file = JsonlSink("file", JsonlOptions(type="jsonl", path=folder / "jobs.jsonl"), Metrics())
        deliveries = [
            Delivery("metrics", PrometheusSink("metrics", options, metrics), parts),
            Delivery("file", file, parts),
        ]
        for delivery in deliveries:
            await delivery.enter()
            await delivery.drain()
        intake = await Intake.load(database)
        for batch in _batches(jobs):
            await intake.commit(batch)
            for delivery in deliveries:
                await delivery.drain()
        text = exposition(metrics.registry, "")[0]
        series = sum(not line.startswith(b"#") for line in text.splitlines())
        del text
        rollup = Path("/proc/self/smaps_rollup").read_text(encoding="ascii")
        rss, pss = (int(re.findall(rf"^{what}: *(\d+) kB", rollup, re.MULTILINE)[0]) for what in ("Rss", "Pss"))
        for delivery in deliveries:
            await delivery.close()
    return series, rss, pss


def _batches(jobs: int) -> Iterator[Batch]:
    """Give the attempts of many users, a few of whom have most of them, as they are asked for."""
    chance = random.Random(2)  # noqa: S311 - the same each time
    weights = [1 / (number + 1) for number in range(_USERS)]
    rest, met = attempts(jobs, 1), set[str]()
    while some := list(islice(rest, _BATCH)):
        users = chance.choices(range(_USERS), weights, k=len(some))
        named = [(with_user(record, user), nodes) for (record, nodes), user in zip(some, users, strict=True)]
        yield batch_of(answer_of(named, met))


if __name__ == "__main__":
    main()
