"""Each kind of broker: how its client library sends everything, and the sink that does the same."""

import subprocess
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from slurmwatchd.sinks.base import BATCH_EVENTS, Sink
from slurmwatchd.sinks.forms.cloudevents import attributes
from slurmwatchd.sinks.forms.form import WrittenEvent
from slurmwatchd.sinks.kafka.options import KafkaOptions
from slurmwatchd.sinks.kafka.sink import KafkaSink
from slurmwatchd.sinks.nats.options import NatsOptions
from slurmwatchd.sinks.nats.sink import NatsSink
from slurmwatchd.sinks.nats.subjects import Subjects
from slurmwatchd.sinks.webhook.options import HttpOptions
from slurmwatchd.sinks.webhook.sink import HttpSink
from slurmwatchd.telemetry.metrics import Metrics
from tests.brokers.nats_server import NatsServer
from tests.brokers.tansu import tansu

if TYPE_CHECKING:
    import asyncio


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


class RealKafka(Kafka):
    """Tansu, a broker that talks Kafka's protocol and keeps its topics in memory."""

    @contextmanager
    def broker(self) -> Iterator[None]:
        with tansu() as self._bootstrap:
            yield


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
