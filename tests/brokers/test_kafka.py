"""The kafka sink on librdkafka's mock cluster: real connections and a real protocol.

The mock takes transactions and keeps none of their promises, so what those add is tested on a topic in memory
(tests/unit/test_kafka_sink.py) and claimed of no broker here.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson
import pytest

from slurmwatchd.errors import SinkError
from slurmwatchd.sinks.base import Sink
from slurmwatchd.sinks.conformance import CHECKS, Check, SinkUnderTest, make_event, make_events
from slurmwatchd.sinks.kafka import KIND
from slurmwatchd.sinks.kafka.answers import answers
from slurmwatchd.sinks.kafka.options import KafkaOptions
from slurmwatchd.sinks.kafka.sink import KafkaSink
from slurmwatchd.telemetry.metrics import Metrics
from tests.brokers.nats_server import free_port
from tests.integration.rig import Rig
from tests.unit.subjects import delivery_to

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def bootstrap() -> Iterator[str]:
    """Where a mock cluster with nothing in it listens."""
    if find_spec("confluent_kafka") is None:
        pytest.skip("confluent-kafka is not installed: make test-brokers does that")
    from confluent_kafka import Producer  # noqa: PLC0415 - may not be there

    # The cluster lives as long as this client.
    cluster = Producer({"bootstrap.servers": "unused", "test.mock.num.brokers": 1, "log_level": 0})
    (broker,) = cluster.list_topics(timeout=10).brokers.values()
    yield f"{broker.host}:{broker.port}"
    del cluster


def options(bootstrap: str, **given: Any) -> KafkaOptions:  # noqa: ANN401 - any option
    return KafkaOptions.model_validate({"type": "kafka", "bootstrap": bootstrap, "timeout": "5s", **given})


def consumed(bootstrap: str) -> list[Any]:
    """Every message, by a consumer that owes nothing to the sink's code."""
    from confluent_kafka import Consumer, TopicPartition  # noqa: PLC0415 - may not be there

    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test", "enable.partition.eof": True})
    partitions = consumer.list_topics("slurm-jobs", timeout=10).topics["slurm-jobs"].partitions
    consumer.assign([TopicPartition("slurm-jobs", number, 0) for number in partitions])
    found, ends = [], 0
    while ends < len(partitions):
        for message in consumer.consume(500, timeout=0.5):
            if message.error() is None:
                found.append(message)
            else:
                ends += 1
    consumer.close()
    return found


class Kafka(SinkUnderTest):
    """A topic of a mock cluster; its partitions tell no common order."""

    ordered = False

    def __init__(self, bootstrap: str, **given: Any) -> None:  # noqa: ANN401 - any option
        self.bootstrap = bootstrap
        self.options = options(bootstrap, **given)

    def make(self, metrics: Metrics) -> Sink:
        return KafkaSink("bus", self.options, metrics)

    async def delivered(self, sink: Sink) -> list[int]:
        return [orjson.loads(message.value())["job_id_raw"] for message in consumed(self.bootstrap)]


@pytest.mark.parametrize("transactions", [True, False], ids=["transactions", "idempotent"])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_kafka_conforms(check: Check, transactions: bool, bootstrap: str) -> None:
    await check(Kafka(bootstrap, transactions=transactions))


async def test_a_message_has_its_key_headers_and_body(bootstrap: str) -> None:
    delivery = await delivery_to(Kafka(bootstrap))
    await delivery.deliver([make_event(7)])
    await delivery.sink.close()
    (message,) = consumed(bootstrap)
    assert message.key() == b"sim/7"
    headers = dict(message.headers())
    assert headers["ce_id"] == b"941577fc-f651-5a1b-9c40-33d97360bfcf"
    assert headers["ce_type"] == b"org.slurmwatchd.job.ended.v1"
    assert orjson.loads(message.value())["id"] == "941577fc-f651-5a1b-9c40-33d97360bfcf"


@pytest.mark.parametrize("transactions", [True, False])
async def test_a_queue_of_the_library_that_is_full_is_waited_for(
    transactions: bool, bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = await delivery_to(Kafka(bootstrap, transactions=transactions))
    # Connects.
    await delivery.deliver([make_event(1)])
    assert isinstance(delivery.sink, KafkaSink)
    topic: Any = delivery.sink._topic
    producer = _OftenFull(topic._producer)
    monkeypatch.setattr(topic, "_producer", producer)
    await delivery.deliver(make_events(2, 1000))
    assert producer.refused > 0
    # Where they are was reported. The mock also counts what ends a transaction.
    offsets = orjson.loads(delivery.state["offsets"])
    assert len(offsets) == 4
    assert sum(offsets.values()) >= 1000
    found = consumed(bootstrap)
    assert sorted(orjson.loads(message.value())["job_id_raw"] for message in found) == list(range(1, 1001))
    for message in found:
        headers = dict(message.headers())
        assert (headers["ce_id"].decode(), headers["content-type"]) == (
            orjson.loads(message.value())["id"], b"application/json",
        )  # fmt: skip
    await delivery.sink.close()


async def test_of_many_messages_the_last_of_each_partition_is_reported(
    bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each report waits for Python's lock; these say all that is kept."""
    delivery = await delivery_to(Kafka(bootstrap))
    # Connects.
    await delivery.deliver([make_event(1)])
    assert isinstance(delivery.sink, KafkaSink)
    topic: Any = delivery.sink._topic
    producer = _Counting(topic._producer)
    monkeypatch.setattr(topic, "_producer", producer)
    await delivery.deliver(make_events(2, 1001))
    assert producer.reported == 4
    ends: dict[str, int] = {}
    for message in consumed(bootstrap):
        ends[str(message.partition())] = max(message.offset() + 1, ends.get(str(message.partition()), 0))
    assert orjson.loads(delivery.state["offsets"]) == ends
    await delivery.deliver(make_events(1002, 1201))
    assert producer.reported == 204
    await delivery.sink.close()


class _Counting:
    """A producer that counts of how many messages it is asked for a report."""

    def __init__(self, producer: Any) -> None:  # noqa: ANN401 - the library's
        self._producer = producer
        self.reported = 0

    def produce(self, *given: object) -> None:
        self.reported += given[4] is not None
        self._producer.produce(*given)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as above
        return getattr(self._producer, name)


class _OftenFull:
    """A producer whose queue is full at every seventh message, until it is polled."""

    def __init__(self, producer: Any) -> None:  # noqa: ANN401 - the library's
        self._producer = producer
        self._calls = self.refused = 0
        self._is_full = False

    def produce(self, *given: object) -> None:
        self._calls += 1
        self._is_full |= self._calls % 7 == 0
        if self._is_full:
            self.refused += 1
            raise BufferError("Local: Queue full")
        self._producer.produce(*given)

    def poll(self, seconds: float) -> int:
        self._is_full = False
        return int(self._producer.poll(min(seconds, 0.001)))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the library's
        return getattr(self._producer, name)


async def test_the_largest_event_that_is_sent_is_one_that_the_client_takes(bootstrap: str) -> None:
    delivery = await delivery_to(Kafka(bootstrap, max_message_bytes=8000))
    await delivery.deliver([make_event(number, text="ü" * 9000 * number) for number in range(1, 4)])
    await delivery.expect(1, 3)


@pytest.mark.parametrize("transactions", [True, False])
async def test_brokers_that_are_away_are_said_in_time(transactions: bool, bootstrap: str) -> None:
    away = f"127.0.0.1:{free_port()}"
    subject = Kafka(away, transactions=transactions, timeout="1s")
    delivery = await delivery_to(subject)
    texts = set()
    for _ in range(2):
        with pytest.raises(SinkError, match=r"(?i)refused|timed out|transport") as caught:
            await delivery.write(make_events(1, 2))
        texts.add(str(caught.value).partition(" (after")[0])
    assert all(text.startswith(away) for text in texts)


async def test_what_the_topic_has_is_read_back_where_the_store_was_lost(bootstrap: str, tmp_path: Path) -> None:
    sinks = {"bus": {"type": "kafka", "bootstrap": bootstrap, "timeout": "5s"}}
    with Rig(tmp_path, sinks=sinks) as rig:
        for number in range(3):
            rig.ended(5, job_name=f"before {number}")
            await rig.once()
            rig.move(30)
        for suffix in ("", "-wal", "-shm", ".lock"):
            rig.store.with_name(rig.store.name + suffix).unlink(missing_ok=True)
        rig.ended(5, job_name="meanwhile")
        rig.move(30)
        await rig.once()
        names = sorted(orjson.loads(message.value())["name"] for message in consumed(bootstrap))
        assert names == ["before 0", "before 1", "before 2", "meanwhile"]
        assert rig.ask_store("SELECT min(seq) FROM events") == [(4,)]


def test_a_topic_that_cannot_be_read_back_is_an_error_that_says_so(bootstrap: str) -> None:
    away = options(f"127.0.0.1:{free_port()}", timeout="1s")
    with pytest.raises(ConnectionError, match=r"127\.0\.0\.1"):
        list(KIND.read_back(away, []))  # type: ignore[misc]


def test_a_second_daemon_of_the_same_name_is_said_as_such(bootstrap: str) -> None:
    """The mock shuts nobody out: the broker's answer is made here."""
    from confluent_kafka import KafkaError, KafkaException  # noqa: PLC0415 - may not be there

    from slurmwatchd.sinks.kafka.cluster import connect  # noqa: PLC0415 - needs it

    cluster = connect(options(bootstrap), "twin")
    for code in (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH):
        told = cluster._told(KafkaException(KafkaError(code)))
        assert str(told) == (
            "a newer producer sends as twin; if that is another daemon, each needs a transactional_id of its own"
        )
    cluster.close()


@pytest.mark.parametrize(
    ("option", "given"),
    [("tls_ca_file", ("tls_ca_file",)), ("tls_certificate_file", ("tls_certificate_file", "tls_key_file"))],
)
async def test_a_certificate_that_cannot_be_used_is_named(
    bootstrap: str, tmp_path: Path, option: str, given: tuple[str, ...]
) -> None:
    file = tmp_path / "none.pem"
    file.write_text("no certificate")
    broken = options(bootstrap, security="ssl", **dict.fromkeys(given, str(file)))
    for ask in (answers, read_through):
        with pytest.raises(SinkError, match=f"^{option}: {file}: .*failed"):
            await ask(broken)


async def read_through(broken: KafkaOptions) -> None:
    """Connect as the sink does."""
    from slurmwatchd.sinks.kafka.cluster import connect  # noqa: PLC0415 - its library may not be there

    connect(broken, "")
