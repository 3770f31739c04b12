"""What the daemon adds to a client library: its delivery against the library sending the same bytes.

python -m tests.bench.bench_brokers [nats kafka kafka-5ms tansu http file] [--events 40000] [--pairs 5]

Both sides of a pair send the same bytes to the same broker on the loopback, with the same window, transactions
or requests: the library from memory, the daemon with formatting, acknowledgements and cursor. The daemon does it
twice: as events are stored, 2,000 at a time (they are still in memory then), and from the store, as after an
outage. `file` writes a file alone and beside a sink whose broker is away. A ratio above 1 says that the daemon was
faster.

A busy machine measures its scheduler: `chrt --rr 1` in front gives the numbers of a quiet one.
"""

import shutil
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import click

from slurmwatchd.cli import tuning
from slurmwatchd.daemon.delivery import Delivery, DeliveryParts
from slurmwatchd.model.clock import SystemClock
from slurmwatchd.sinks.base import BATCH_EVENTS, Sink
from slurmwatchd.sinks.forms.form import EventForm, WrittenEvent
from slurmwatchd.sinks.jsonl import JsonlOptions, JsonlSink
from slurmwatchd.sinks.kafka.sink import KafkaSink
from slurmwatchd.sinks.nats.options import NatsOptions
from slurmwatchd.sinks.nats.sink import NatsSink
from slurmwatchd.sinks.webhook.options import HttpOptions
from slurmwatchd.sinks.webhook.sink import HttpSink
from slurmwatchd.store import outbox
from slurmwatchd.store.database import open_database
from slurmwatchd.telemetry.health import Health
from slurmwatchd.telemetry.metrics import Metrics
from tests.bench.broker_kinds import Bench, DistantKafka, Http, Kafka, Nats, RealKafka
from tests.bench.million import fill, filling
from tests.brokers.nats_server import free_port

KINDS = ("nats", "kafka", "kafka-5ms", "tansu", "http", "file")


@asynccontextmanager
async def delivering(
    folder: Path, store: Path, sinks: Sequence[tuple[str, Sink, int]]
) -> AsyncIterator[list[Delivery]]:
    """Deliveries of a copy of a store, from its beginning."""
    path = folder / "copy.db"
    shutil.copy(store, path)
    async with open_database(path) as database:
        parts = DeliveryParts(
            database=database, clock=SystemClock(), metrics=Metrics(), health=Health(SystemClock())
        )
        deliveries = [Delivery(name, sink, parts, batch_events=batch) for name, sink, batch in sinks]
        for delivery in deliveries:
            await delivery.enter()

        async def rewind(connection: Any) -> None:  # noqa: ANN401 - aiosqlite's
            await connection.execute("UPDATE cursors SET seq = 0")

        await database.write(rewind)
        yield deliveries
    for file in folder.glob("copy.db*"):
        file.unlink()


async def by_daemon(bench: Bench, store: Path) -> float:
    """Deliver everything by the daemon's delivery; return how long it took, without connecting."""
    sink = bench.sink()
    async with delivering(bench.folder, store, [("bench", sink, BATCH_EVENTS)]) as (delivery,):
        await connect(sink)
        began = time.perf_counter()
        await delivery.drain()
        took = time.perf_counter() - began
        assert delivery._health.delivered == len(bench.written)
        await delivery.close()
    return took


async def as_they_come(bench: Bench) -> float:
    """Deliver events just stored, 2,000 at a time; return how long the delivery took, without connecting."""
    sink = bench.sink()
    path = bench.folder / "live.db"
    async with open_database(path) as database:
        parts = DeliveryParts(
            database=database, clock=SystemClock(), metrics=Metrics(), health=Health(SystemClock())
        )
        delivery = Delivery("bench", sink, parts)
        await delivery.enter()
        await connect(sink)
        took = 0.0
        async for _ in filling(database, len(bench.written), 1, BATCH_EVENTS):
            began = time.perf_counter()
            await delivery.drain()
            took += time.perf_counter() - began
        assert delivery._health.delivered == len(bench.written)
        await delivery.close()
    for file in bench.folder.glob("live.db*"):
        file.unlink()
    return took


async def connect(sink: Sink) -> None:
    """Connect, as the library is before its time is taken."""
    if isinstance(sink, NatsSink):
        sink._stream = await sink._connected()
    elif isinstance(sink, KafkaSink):
        sink._topic = await anyio.to_thread.run_sync(sink._connected, ())
    elif isinstance(sink, HttpSink):
        # The library, and the system's certificates, take a tenth of a second.
        sink._client = sink._make_client(sink._options)


async def beside_dead(folder: Path, store: Path, *, dead: bool) -> float:
    """Write a file, alone or beside a NATS sink whose server is away."""
    path = folder / "jobs.jsonl"
    path.unlink(missing_ok=True)
    sinks: list[tuple[str, Sink, int]] = [
        ("jobs", JsonlSink("jobs", JsonlOptions(type="jsonl", path=path), Metrics()), BATCH_EVENTS)
    ]
    if dead:
        options = NatsOptions.model_validate({"type": "nats", "servers": [f"nats://127.0.0.1:{free_port()}"]})
        sinks.append(("dead", NatsSink("dead", options, Metrics()), BATCH_EVENTS))
    async with delivering(folder, store, sinks) as (file, *others), anyio.create_task_group() as group:
        for other in others:
            group.start_soon(other.run)
            while not other._health.error:  # noqa: ASYNC110 - nothing tells when
                await anyio.sleep(0.01)
        began = time.perf_counter()
        await file.drain()
        took = time.perf_counter() - began
        group.cancel_scope.cancel()
    await file.close()
    return took


async def written_of(store: Path) -> list[WrittenEvent]:
    """Return all events as they are sent."""
    form = EventForm("bench", HttpOptions.model_validate({"type": "http", "url": "http://localhost/"}))
    written: list[WrittenEvent] = []
    async with open_database(store) as database:
        seq = 0
        while events := await outbox.after(database, seq, BATCH_EVENTS):
            written += form.written(events)
            seq = events[-1].seq
    return written


def shown(what: str, ratios: Sequence[float], first: Sequence[float], second: Sequence[float], events: int) -> str:
    """Say it in a line."""
    rates = f"{events / statistics.median(first):,.0f} and {events / statistics.median(second):,.0f} events/s"
    each = " ".join(f"{ratio:.2f}" for ratio in ratios)
    return f"{what}: ratio {statistics.median(ratios):.2f} (pairs: {each}); {rates}"


async def measured(kinds: Sequence[str], events: int, pairs: int, folder: Path) -> None:
    """Measure pairs of each kind."""
    store = folder / "store.db"
    await fill(store, events, 1)
    written = await written_of(store)
    assert len(written) == events
    size = sum(len(event.line) for event in written) // events
    click.echo(f"{events:,} events of {size} bytes, {pairs} pairs")
    # As the daemon does.
    tuning.tune()
    classes: dict[str, type[Bench]] = {
        "nats": Nats, "kafka": Kafka, "kafka-5ms": DistantKafka, "tansu": RealKafka, "http": Http,
    }  # fmt: skip
    for kind in kinds:
        raw, own, live = [], [], []
        if kind == "file":
            for _ in range(pairs):
                raw.append(await beside_dead(folder, store, dead=False))
                own.append(await beside_dead(folder, store, dead=True))
            costs = [with_dead / alone for with_dead, alone in zip(own, raw, strict=True)]
            click.echo(shown("file beside a dead broker, time against alone", costs, raw, own, events))
            continue
        bench = classes[kind](folder, written)
        with bench.broker():
            for _ in range(pairs):
                raw.append(await bench.library())
                live.append(await as_they_come(bench))
                own.append(await by_daemon(bench, store))
        for what, times in (("as events come", live), ("from the store", own)):
            ratios = [library / daemon for library, daemon in zip(raw, times, strict=True)]
            click.echo(shown(f"{kind}, {what}, speed against the library", ratios, raw, times, events))


@click.command()
@click.argument("kinds", nargs=-1, type=click.Choice(KINDS))
@click.option("--events", default=40_000, show_default=True)
@click.option("--pairs", default=5, show_default=True)
def main(kinds: tuple[str, ...], events: int, pairs: int) -> None:
    """Measure."""
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(measured, kinds or KINDS, events, pairs, Path(folder))


if __name__ == "__main__":
    main()
