"""A broker that was away while 100,000 events came: they arrive in order, and the daemon's memory stays flat."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest

from slurmwatchd.daemon.delivery import Delivery, DeliveryParts
from slurmwatchd.errors import SinkError
from slurmwatchd.model.clock import SystemClock
from slurmwatchd.sinks.base import Sink
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


@pytest.mark.parametrize("kind", [NatsBroker, HttpBroker], ids=["nats", "http"])
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
