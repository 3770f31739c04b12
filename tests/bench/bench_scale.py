"""Fifty clusters and ten million jobs a day: what an hour of that costs the daemon's own parts.

python -m tests.bench.bench_scale [--clusters 50] [--jobs-a-day 10000000] [--minutes 60] [--poll 30]

Each poll of each cluster commits what ended since, as the watcher does, and a file and a NATS stream get it. sacct
and its parsing are not in it: `make bench` measures those. It prints how much of each poll's time the daemon was
busy, with what, and what store, file and stream weigh in the end.
"""

import resource
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import click

from slurmwatchd.cli import tuning
from slurmwatchd.daemon.delivery import Delivery, DeliveryParts
from slurmwatchd.model.clock import SystemClock
from slurmwatchd.model.records import FoundBy, JobRecord
from slurmwatchd.sinks.jsonl import JsonlOptions, JsonlSink
from slurmwatchd.sinks.nats.options import NatsOptions
from slurmwatchd.sinks.nats.sink import NatsSink
from slurmwatchd.store.batch import Batch
from slurmwatchd.store.database import open_database
from slurmwatchd.store.intake import Intake
from slurmwatchd.telemetry.health import Health
from slurmwatchd.telemetry.metrics import Metrics
from tests.bench.million import attempts
from tests.brokers.nats_server import NatsServer
from tests.row_by_row import taken_apart

if TYPE_CHECKING:
    from slurmwatchd.sinks.base import Sink

DAY = 86_400


@click.command()
@click.option("--clusters", default=50, show_default=True)
@click.option("--jobs-a-day", default=10_000_000, show_default=True)
@click.option("--minutes", default=60, show_default=True)
@click.option("--poll", default=30, show_default=True, help="Seconds between two polls of a cluster.")
def main(clusters: int, jobs_a_day: int, minutes: int, poll: int) -> None:
    """Measure."""
    anyio.run(simulated, clusters, jobs_a_day, minutes, poll)


async def simulated(clusters: int, jobs_a_day: int, minutes: int, poll: int) -> None:
    """Live through the time as quickly as it goes."""
    polls = minutes * 60 // poll
    each = jobs_a_day * poll // DAY // clusters
    total = polls * clusters * each
    source = attempts(total, 1)
    spent = dict.fromkeys(("store", "file", "stream", "CPU"), 0.0)
    busiest = 0.0
    with tempfile.TemporaryDirectory() as name, NatsServer(Path(name), sync="2m") as server:
        folder = Path(name)
        file, store = folder / "jobs.jsonl", folder / "store.db"
        async with open_database(store) as database:
            parts = DeliveryParts(
                database=database, clock=SystemClock(), metrics=Metrics(), health=Health(SystemClock())
            )
            stream = NatsOptions.model_validate({"type": "nats", "servers": [server.url]})
            sinks: dict[str, Sink] = {
                "file": JsonlSink("file", JsonlOptions(type="jsonl", path=file), Metrics()),
                "stream": NatsSink("stream", stream, Metrics()),
            }
            deliveries = {sink: Delivery(sink, made, parts) for sink, made in sinks.items()}
            for delivery in deliveries.values():
                await delivery.enter()
            intake = await Intake.load(database)
            tuning.tune()
            met: set[str] = set()
            for number in range(polls):
                began = time.perf_counter()
                cpu = time.process_time()
                for cluster in range(clusters):
                    made = time.perf_counter()
                    batch = _batch(f"c{cluster:02d}", list(islice(source, each)), met, number * poll)
                    # What the parser does in a daemon is not counted here.
                    began += time.perf_counter() - made
                    commit = time.perf_counter()
                    await intake.commit(batch)
                    spent["store"] += time.perf_counter() - commit
                for sink, delivery in deliveries.items():
                    start = time.perf_counter()
                    await delivery.drain()
                    spent[sink] += time.perf_counter() - start
                spent["CPU"] += time.process_time() - cpu
                busiest = max(busiest, time.perf_counter() - began)
            for sink, delivery in deliveries.items():
                assert delivery._health.delivered == total, sink
                await delivery.close()
        seconds = minutes * 60
        click.echo(
            f"{clusters} clusters, {jobs_a_day:,} jobs a day, {minutes} minutes: {total:,} attempts in "
            f"{polls * clusters:,} polls of {each} each"
        )
        for what, took in sorted(spent.items()):
            click.echo(f"{what}: {took:.1f} s, {100 * took / seconds:.2f} % of the time")
        click.echo(f"busiest round of polls: {busiest:.2f} s of {poll} s")
        weights = {"store": store, "file": file, "stream": folder / "data"}
        each_weighs = [f"{what} {_weight(path) / total:.0f} bytes" for what, path in weights.items()]
        click.echo(f"an attempt: {', '.join(each_weighs)}")
        click.echo(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


def _batch(cluster: str, rows: list[tuple[JobRecord, tuple[str, ...]]], met: set[str], moment: int) -> Batch:
    records = [(record._replace(cluster=cluster), record.job_id_raw) for record, _ in rows]
    fresh = {record.node_list: nodes for record, nodes in rows if record.node_list and record.node_list not in met}
    met.update(fresh)
    return Batch(
        cluster=cluster,
        readings=taken_apart(records),
        slots=frozenset(JobRecord._fields),
        observed=1_795_500_000 + moment,
        found_by=FoundBy.POLL,
        expanded=fresh,
    )


def _weight(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else path.parent.glob(f"{path.name}*")
    return sum(file.stat().st_size for file in files if file.is_file())


if __name__ == "__main__":
    main()
