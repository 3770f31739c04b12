"""What the daemon adds to a client library: its delivery against the library sending the same bytes.

python -m tests.bench.bench_brokers [nats kafka kafka-5ms http file] [--events 40000] [--pairs 5]

Both sides of a pair send the same bytes to the same broker on the loopback, with the same window, transactions
or requests: the library from memory, the daemon with formatting, acknowledgements and cursor. The daemon does it
twice: as events are stored, 2,000 at a time (they are still in memory then), and from the store, as after an
outage. `file` writes a file alone and beside a sink whose broker is away. A ratio above 1 says that the daemon was
faster.

A busy machine measures its scheduler: `chrt --rr 1` in front gives the numbers of a quiet one.
"""

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import click

from slurmwatchd.cli import memory_tuning
from slurmwatchd.daemon.delivery import Delivery, DeliveryParts
from slurmwatchd.model.clock import SystemClock
from slurmwatchd.sinks.base import BATCH_EVENTS, Sink
from slurmwatchd.sinks.forms.cloudevents import attributes
from slurmwatchd.sinks.forms.form import EventForm, WrittenEvent
from slurmwatchd.sinks.jsonl import JsonlOptions, JsonlSink
from slurmwatchd.sinks.kafka.options import KafkaOptions
from slurmwatchd.sinks.kafka.sink import KafkaSink
from slurmwatchd.sinks.nats.options import NatsOptions
from slurmwatchd.sinks.nats.sink import NatsSink
from slurmwatchd.sinks.nats.subjects import Subjects
from slurmwatchd.sinks.webhook.options import HttpOptions
from slurmwatchd.sinks.webhook.sink import HttpSink
from slurmwatchd.store import outbox
from slurmwatchd.store.database import open_database
from slurmwatchd.telemetry.health import Health
from slurmwatchd.telemetry.metrics import Metrics
from tests.bench.million import fill, filling
from tests.brokers.nats_server import NatsServer, free_port

if TYPE_CHECKING:
    import asyncio

KINDS = ("nats", "kafka", "kafka-5ms", "http", "file")

Send = Callable[[], Awaitable[None]]


class Bench:
    """One kind of broker: how the library sends, and the sink that does the same."""

    def __init__(self, folder: Path, written: Sequence[WrittenEvent]) -> None:
        self.folder = folder
        self.written = written
        self.round = 0

    def broker(self) -> AbstractContextManager[None]:
        """Run the broker."""
        raise NotImplementedError

    async def library(self) -> float:
        """Send everything by the library alone; return how long it took, without connecting."""
        raise NotImplementedError

    def sink(self) -> Sink:
        """Return a sink that has received nothing."""
        raise NotImplementedError


class Nats(Bench):
    """A stream on files, a new one each time."""

    @contextmanager
    def broker(self) -> Iterator[None]:
        folder = self.folder / "nats"
        folder.mkdir()
        with NatsServer(folder, sync="2m") as server:
            self._url = server.url
            yield

    def _options(self) -> NatsOptions:
        self.round += 1
        return NatsOptions.model_validate(
            {
                "type": "nats", "servers": [self._url], "stream": f"S{self.round}",
                "subject": f"s{self.round}.{{cluster}}.{{event}}.{{partition}}",
            }
        )  # fmt: skip

    async def library(self) -> float:
        import nats  # noqa: PLC0415 - may not be there

        options = self._options()
        subjects = Subjects(options.subject)
        messages = [(subjects.of(event.fields), event.line[:-1], event.id) for event in self.written]
        client = await nats.connect(self._url)
        js = client.jetstream()
        await js.add_stream(name=options.stream, subjects=[subjects.filter], duplicate_window=7200)
        began = time.perf_counter()
        waiting: deque[asyncio.Future[Any]] = deque()
        for subject, body, identity in messages:
            if len(waiting) >= options.window:
                while len(waiting) > options.window // 2:
                    await waiting.popleft()
            headers = {"Nats-Msg-Id": identity}
            waiting.append(await js.publish_async(subject, body, stream=options.stream, headers=headers))
        while waiting:
            await waiting.popleft()
        took = time.perf_counter() - began
        await js.delete_stream(options.stream)
        await client.close()
        return took

    def sink(self) -> Sink:
        return NatsSink("bench", self._options(), Metrics())


class Kafka(Bench):
    """A topic of librdkafka's mock cluster, a new one each time."""

    rtt = 0

    @contextmanager
    def broker(self) -> Iterator[None]:
        command = [sys.executable, "-m", "tests.brokers.mock_kafka", str(self.rtt)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            self._bootstrap = process.stdout.readline().split()[1]
            try:
                yield
            finally:
                process.kill()

    def _options(self) -> KafkaOptions:
        self.round += 1
        return KafkaOptions.model_validate(
            {
                "type": "kafka", "bootstrap": self._bootstrap, "topic": f"t{self.round}",
                "transactional_id": f"bench{self.round}",
            }
        )  # fmt: skip

    async def library(self) -> float:
        from confluent_kafka import Producer  # noqa: PLC0415 - may not be there

        options = self._options()
        messages = [
            (
                f"{event.fields['cluster']}/{event.fields['job_id_raw']}",
                event.line[:-1],
                [(f"ce_{name}", value.encode()) for name, value in attributes(event.fields).items()]
                + [("content-type", b"application/json")],
            )
            for event in self.written
        ]
        return await anyio.to_thread.run_sync(self._produced, Producer, options, messages)

    def _produced(self, make: Any, options: KafkaOptions, messages: Sequence[Any]) -> float:  # noqa: ANN401 - a class
        producer = make(
            {
                "bootstrap.servers": self._bootstrap, "acks": "all", "enable.idempotence": True, "linger.ms": 5,
                "transactional.id": options.transactional_id, "log_level": 0,
            }
        )  # fmt: skip
        producer.list_topics(options.topic, timeout=10)
        producer.init_transactions(10)
        failures = []

        def report(error: Any, _: Any) -> None:  # noqa: ANN401 - the library's
            if error is not None:
                failures.append(error)

        began = time.perf_counter()
        for first in range(0, len(messages), BATCH_EVENTS):
            producer.begin_transaction()
            for key, body, headers in messages[first : first + BATCH_EVENTS]:
                producer.produce(options.topic, value=body, key=key, headers=headers, on_delivery=report)
                producer.poll(0)
            producer.commit_transaction(10)
        took = time.perf_counter() - began
        assert not failures
        return took

    def sink(self) -> Sink:
        return KafkaSink("bench", self._options(), Metrics())


class DistantKafka(Kafka):
    """The same with brokers that answer after 5 ms, as those that replicate do."""

    rtt = 5


class Http(Bench):
    """A receiver that has the events on its disk before it answers."""

    @contextmanager
    def broker(self) -> Iterator[None]:
        self._processes: list[subprocess.Popen[str]] = []
        try:
            yield
        finally:
            for process in self._processes:
                process.kill()
                process.wait()

    def _options(self) -> HttpOptions:
        for process in self._processes:
            process.kill()
            process.wait()
        self.round += 1
        folder = self.folder / f"http{self.round}"
        folder.mkdir()
        command = [sys.executable, "-m", "tests.brokers.receiver", str(folder)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._processes = [process]
        assert process.stdout is not None
        url = f"http://127.0.0.1:{process.stdout.readline().split()[1]}/"
        return HttpOptions.model_validate({"type": "http", "url": url})

    async def library(self) -> float:
        import httpx  # noqa: PLC0415 - may not be there

        options = self._options()
        size = options.max_events
        bodies = [
            b"".join(event.line for event in self.written[first : first + size])
            for first in range(0, len(self.written), size)
        ]
        headers = {"Content-Type": "application/x-ndjson"}
        async with httpx.AsyncClient() as client:
            began = time.perf_counter()
            for number, body in enumerate(bodies):
                key = {"Idempotency-Key": f"{number:064x}"}
                (await client.post(options.url, content=body, headers=headers | key)).raise_for_status()
            return time.perf_counter() - began

    def sink(self) -> Sink:
        return HttpSink("bench", self._options(), Metrics())


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
        sink._topic = await anyio.to_thread.run_sync(sink._connected)


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
    memory_tuning.tune()
    classes: dict[str, type[Bench]] = {"nats": Nats, "kafka": Kafka, "kafka-5ms": DistantKafka, "http": Http}
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
