"""What labels cost: the same attempts stored, written to a file and counted, without labels and with all of them.

    python -m tests.bench.bench_labels [--jobs 40000] [--users 10000] [--limit 1000] [--pairs 3]

sacct and its parsing are not in it, so the whole of a daemon shows a smaller ratio. The first half of the attempts
is not timed: then the label sets have found their places, as in a daemon that has run for a day. Rounds without
and with labels alternate, and the medians are compared, so that what else the machine does falls on both alike.
"""

import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import click
from prometheus_client import generate_latest

from slurmwatchd.cli.tuning import tune
from slurmwatchd.daemon.delivery import Delivery, DeliveryParts
from slurmwatchd.model.clock import SystemClock
from slurmwatchd.model.job_metrics import CHOICE, LabelChoice
from slurmwatchd.model.outcomes import outcome_of
from slurmwatchd.model.records import FoundBy, JobRecord
from slurmwatchd.sinks.jsonl import JsonlOptions, JsonlSink
from slurmwatchd.sinks.prometheus import PrometheusOptions, PrometheusSink
from slurmwatchd.store.batch import Batch
from slurmwatchd.store.database import open_database
from slurmwatchd.store.intake import Intake
from slurmwatchd.telemetry.exposition import exposition
from slurmwatchd.telemetry.health import Health
from slurmwatchd.telemetry.metrics import Metrics
from tests.bench.million import attempts
from tests.row_by_row import taken_apart

BATCH = 2000
TARGET_RATIO = 1.10


@click.command()
@click.option("--jobs", default=40_000, show_default=True)
@click.option("--users", default=10_000, show_default=True)
@click.option("--limit", default=1000, show_default=True, help="max_label_sets.")
@click.option("--pairs", default=3, show_default=True)
def main(jobs: int, users: int, limit: int, pairs: int) -> None:
    """Measure."""
    tune()
    source = batches(jobs, users)
    took: dict[str, list[float]] = {"none": [], "all": []}
    cpu: dict[str, list[float]] = {"none": [], "all": []}
    for _ in range(pairs):
        for name, labels in (("none", ()), ("all", CHOICE)):
            wall, own = anyio.run(round_of, source, LabelChoice(labels=labels, families={}, limits={}), limit)
            took[name].append(wall)
            cpu[name].append(own)
    for what, seconds in (("wall", took), ("CPU", cpu)):
        none, whole = (statistics.median(seconds[name]) for name in ("none", "all"))
        each = 2e6 / jobs
        click.echo(
            f"{what}: none {none * each:.1f} us a job, all {whole * each:.1f} us a job, ratio {whole / none:.3f} "
            f"(target {TARGET_RATIO})"
        )
    click.echo(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


def batches(jobs: int, users: int) -> list[Batch]:
    """Return the attempts of many users, a few of whom have most of them."""
    chance = random.Random(2)  # noqa: S311 - the same each time
    names = chance.choices(range(users), [1 / (number + 1) for number in range(users)], k=jobs)
    made, rows, met = [], list[tuple[JobRecord, int]](), set[str]()
    expanded: dict[str, tuple[str, ...]] = {}
    lists: dict[int, Any] = {}
    for number, ((record, nodes), user) in enumerate(zip(attempts(jobs, 1), names, strict=True), 1):
        # As they come from sacct's reader: with an outcome, and one object for lists of TRES that are alike.
        tres = lists.setdefault(len(nodes), record.alloc_tres)
        told: dict[str, Any] = {"outcome": outcome_of(record._asdict()), "alloc_tres": tres, "req_tres": tres}
        rows.append(
            (record._replace(user=f"user{user:05d}", account=f"account{user % 200}", **told), record.job_id_raw)
        )
        if record.node_list and record.node_list not in met:
            met.add(record.node_list)
            expanded[record.node_list] = nodes
        if len(rows) == BATCH or number == jobs:
            made.append(batch_of(rows, expanded))
            rows, expanded = [], {}
    return made


def batch_of(rows: Sequence[tuple[JobRecord, int]], expanded: dict[str, tuple[str, ...]]) -> Batch:
    return Batch(
        cluster="tux",
        readings=taken_apart(rows),
        slots=frozenset(JobRecord._fields),
        observed=1_795_500_000,
        found_by=FoundBy.POLL,
        expanded=expanded,
    )


async def round_of(source: Sequence[Batch], choice: LabelChoice, limit: int) -> tuple[float, float]:
    """Store, write and count all of it; return wall and CPU seconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with open_database(folder / "store.db") as database:
            metrics = Metrics()
            metrics.label_choice = choice
            health = Health(SystemClock())
            parts = DeliveryParts(database=database, clock=SystemClock(), metrics=metrics, health=health)
            options = PrometheusOptions(type="prometheus", max_label_sets=limit)
            counters = PrometheusSink("metrics", options, metrics)
            file = JsonlSink("file", JsonlOptions(type="jsonl", path=folder / "jobs.jsonl"), Metrics())
            deliveries = [Delivery("metrics", counters, parts), Delivery("file", file, parts)]
            for delivery in deliveries:
                await delivery.enter()
            intake = await Intake.load(database)
            began, own = time.perf_counter(), time.process_time()
            for number, batch in enumerate(source):
                if number == len(source) // 2:
                    began, own = time.perf_counter(), time.process_time()
                await intake.commit(batch)
                for delivery in deliveries:
                    await delivery.drain()
            wall, own = time.perf_counter() - began, time.process_time() - own
            for delivery in deliveries:
                await delivery.close()
            text = exposition(metrics.registry, "")[0]
            lines = sum(not line.startswith(b"#") for line in text.splitlines())
            ended = text.count(b"\nslurmwatchd_jobs_ended_total{")
            click.echo(
                f"labels {','.join(choice.labels) or 'none'}: {wall:.2f} s, jobs_ended has {ended} label sets"
            )
            click.echo(f"  {lines} series, CPU of a scrape: {_scrapes(metrics, counters)}")
    return wall, own


def _scrapes(metrics: Metrics, counters: PrometheusSink) -> str:
    """Render what stands there by prometheus-client and by our own hand, and say what each took."""

    def timed(render: Callable[[], object]) -> float:
        began = time.process_time()
        render()
        return (time.process_time() - began) * 1000

    theirs = statistics.median(timed(lambda: generate_latest(metrics.registry)) for _ in range(5))
    counters._written = {}
    first = timed(lambda: exposition(metrics.registry, ""))
    later = []
    for _ in range(5):
        # A tenth of the label sets changed since the last scrape.
        for key in list(counters._written)[::10]:
            counters._written.pop(key)
        later.append(timed(lambda: exposition(metrics.registry, "")))
    ours = statistics.median(later)
    return (
        f"prometheus-client {theirs:.0f} ms; ours {first:.0f} ms at first, {ours:.0f} ms where a tenth changed, "
        f"ratio {ours / theirs:.2f} (target 0.5)"
    )


if __name__ == "__main__":
    main()
