"""A broker that was away while 100,000 events came: they arrive in order, and the daemon's memory stays flat."""

import os
import signal
import subprocess
import sys
import threading
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest

from slurmwatchd.daemon.delivery import Delivery, DeliveryParts
from slurmwatchd.errors import SinkError
from slurmwatchd.model.clock import SystemClock
from slurmwatchd.model.records import Event
from slurmwatchd.sinks.base import BATCH_EVENTS, Sink
from slurmwatchd.sinks.kafka.options import KafkaOptions
from slurmwatchd.sinks.kafka.sink import KafkaSink
from slurmwatchd.sinks.nats.options import NatsOptions
from slurmwatchd.sinks.nats.sink import NatsSink
from slurmwatchd.sinks.webhook.options import HttpOptions
from slurmwatchd.sinks.webhook.sink import HttpSink
from slurmwatchd.store.database import open_database
from slurmwatchd.telemetry.health import Health
from slurmwatchd.telemetry.metrics import Metrics
from tests.bench.million import fill
from tests.brokers.conftest import need_nats
from tests.brokers.nats_server import NatsServer, free_port
from tests.patience import Patience

pytestmark = pytest.mark.timeout(600)

EVENTS = 100_000
GROWTH_BYTES = 48 << 20
"""Two batches of four megabytes, read, written and sent, and what an allocator keeps of them; all events are ten
times as much."""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("store") / "store.db"
    anyio.run(fill, store, EVENTS, 1)
    return store


class NatsBroker:
    """A server that is not there yet."""

    def __init__(self, folder: Path) -> None:
        need_nats()
        self._server = NatsServer(folder, sync="2m")

    def sink(self) -> Sink:
        options = {"type": "nats", "servers": [self._server.url], "timeout": "10s"}
        return NatsSink("away", NatsOptions.model_validate(options), Metrics())

    @contextmanager
    def there(self) -> Iterator[None]:
        with self._server:
            yield

    async def seqs(self) -> list[int]:
        import nats  # noqa: PLC0415 - may not be there
        from nats.js import api  # noqa: PLC0415

        client = await nats.connect(self._server.url)
        js = client.jetstream()
        config = api.ConsumerConfig(ack_policy=api.AckPolicy.NONE)
        subscription = await js.pull_subscribe("slurm.>", stream="SLURM", config=config)
        left = (await js.stream_info("SLURM")).state.messages
        found: list[int] = []
        while len(found) < left:
            messages = await subscription.fetch(min(1000, left - len(found)), timeout=30)
            found += [orjson.loads(message.data)["seq"] for message in messages]
        await client.close()
        return found


class HttpBroker:
    """A receiver that is not there yet."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()

    def sink(self) -> Sink:
        options = {"type": "http", "url": f"http://127.0.0.1:{self._port}/"}
        return HttpSink("away", HttpOptions.model_validate(options), Metrics())

    @contextmanager
    def there(self) -> Iterator[None]:
        command = [sys.executable, "-m", "tests.brokers.receiver", str(self._folder), "--port", str(self._port)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            try:
                yield
            finally:
                process.kill()

    async def seqs(self) -> list[int]:
        lines = (self._folder / "events.ndjson").read_bytes().splitlines()
        return [orjson.loads(line)["seq"] for line in lines]


class PacedKafkaSink(KafkaSink):
    """Waits behind each batch for the consumer: the mock keeps the last five megabytes of a partition only."""

    def __init__(self, options: KafkaOptions, consumed: Callable[[], int]) -> None:
        super().__init__("away", options, Metrics())
        self._consumed = consumed
        self._sent = 0

    async def write(self, events: Sequence[Event]) -> Mapping[str, bytes]:
        state = await super().write(events)
        self._sent += len(events)
        patience = Patience(self._consumed)
        while self._consumed() < self._sent - BATCH_EVENTS:
            assert not patience.is_over(), f"{self._consumed()} of {self._sent} were consumed"
            await anyio.sleep(0.01)
        return state


class KafkaBroker:
    """librdkafka's mock cluster, paused until it is there, and a consumer that reads all the time."""

    def __init__(self, _: Path) -> None:
        if find_spec("confluent_kafka") is None:
            pytest.skip("confluent-kafka is not installed: make test-brokers does that")
        command = [sys.executable, "-m", "tests.brokers.mock_kafka"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self._bootstrap = self._process.stdout.readline().decode().split()[1]
        # Partition to the `seq` of each message, in the order of the partition.
        self._found: dict[int, array[int]] = {}
        self._ended = threading.Event()
        os.kill(self._process.pid, signal.SIGSTOP)

    def sink(self) -> Sink:
        options = {"type": "kafka", "bootstrap": self._bootstrap, "timeout": "5s"}
        return PacedKafkaSink(KafkaOptions.model_validate(options), self._count)

    def _count(self) -> int:
        return sum(map(len, self._found.values()))

    @contextmanager
    def there(self) -> Iterator[None]:
        os.kill(self._process.pid, signal.SIGCONT)
        thread = threading.Thread(target=self._consume)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()
            self._process.kill()
            self._process.communicate()

    def _consume(self) -> None:
        from confluent_kafka import Consumer, TopicPartition  # noqa: PLC0415 - may not be there

        settings = {"bootstrap.servers": self._bootstrap, "group.id": "test", "auto.offset.reset": "error"}
        consumer = Consumer({**settings, "isolation.level": "read_committed", "log_level": 0})
        partitions: Mapping[int, object] = {}
        while not self._ended.is_set():
            if not partitions:
                topic = consumer.list_topics("slurm-jobs", timeout=20).topics.get("slurm-jobs")
                partitions = topic.partitions if topic is not None else {}
                consumer.assign([TopicPartition("slurm-jobs", number, 0) for number in partitions])
            for message in consumer.consume(500, timeout=0.1):
                if message.error() is None:
                    seq = orjson.loads(message.value())["seq"]
                    self._found.setdefault(message.partition(), array("q")).append(seq)
        consumer.close()

    async def seqs(self) -> list[int]:
        patience = Patience(self._count, seconds=10)
        while self._count() < EVENTS and not patience.is_over():  # noqa: ASYNC110 - nothing tells when
            await anyio.sleep(0.05)
        # The order that a topic keeps is that of a partition, where all events of a job are.
        assert all(list(found) == sorted(found) for found in self._found.values())
        assert len(self._found) > 1
        return sorted(seq for found in self._found.values() for seq in found)


@pytest.mark.parametrize("kind", [NatsBroker, HttpBroker, KafkaBroker], ids=["nats", "http", "kafka"])
async def test_a_hundred_thousand_events_that_waited_come_in_order_and_memory_stays_flat(
    kind: Any,  # noqa: ANN401 - a class
    filled: Path,
    tmp_path: Path,
) -> None:
    broker = kind(tmp_path)
    sink = broker.sink()
    async with open_database(filled) as database:
        parts = DeliveryParts(
            database=database, clock=SystemClock(), metrics=Metrics(), health=Health(SystemClock())
        )
        delivery = Delivery("away", sink, parts)
        await delivery.enter()

        async def rewind(connection: Any) -> None:  # noqa: ANN401 - aiosqlite's
            await connection.execute("UPDATE cursors SET seq = 0")

        await database.write(rewind)
        with pytest.raises(SinkError):
            await delivery.drain()
        sizes: list[tuple[int, int]] = []
        with broker.there():
            async with anyio.create_task_group() as group:
                group.start_soon(_measure, delivery, sizes)
                await delivery.drain()
                group.cancel_scope.cancel()
            await delivery.close()
            seqs = await broker.seqs()
    assert seqs == list(range(1, EVENTS + 1))
    early = max(size for done, size in sizes if done <= EVENTS // 5)
    late = max(size for done, size in sizes if done > EVENTS // 2)
    assert late - early < GROWTH_BYTES


async def _measure(delivery: Delivery, sizes: list[tuple[int, int]]) -> None:
    """Note how many events were delivered, and how large the process is."""
    while True:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        sizes.append((delivery._health.delivered, pages * 4096))
        await anyio.sleep(0.05)
