"""The kafka sink on a topic in memory that keeps its transactions; on librdkafka's mock see tests/brokers."""

import importlib.util
import socket
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from slurmwatchd.errors import SinkError
from slurmwatchd.model.records import Event
from slurmwatchd.sinks.base import Sink
from slurmwatchd.sinks.conformance import CHECKS, Check, SinkUnderTest, make_event, make_events
from slurmwatchd.sinks.kafka.options import KafkaOptions
from slurmwatchd.sinks.kafka.sink import KafkaSink
from slurmwatchd.sinks.kafka.topic import OutgoingMessage
from slurmwatchd.telemetry.metrics import Metrics
from tests.unit.fake_topic import Broker
from tests.unit.subjects import delivery_to


class Kafka(SinkUnderTest):
    """A topic in memory. Its two partitions tell no common order; each is looked at by itself."""

    ordered = False

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - any option
        # As they are once the library was found.
        self.options = KafkaOptions.model_construct(type="kafka", **options)
        self.broker = Broker()

    def make(self, metrics: Metrics) -> Sink:
        return KafkaSink("bus", self.options, metrics, connect=self.broker.connect)

    async def delivered(self, sink: Sink) -> list[int]:
        for number, partition in enumerate(self.broker.partitions):
            numbers = [int(message.key.rpartition(b"/")[2]) for message in partition]
            assert numbers == sorted(numbers), number
        return [orjson.loads(message.body)["job_id_raw"] for message in self.broker.messages()]

    def broken(self) -> AbstractContextManager[None]:
        return self._full()

    @contextmanager
    def _full(self) -> Iterator[None]:
        self.broker.takes = 2
        yield
        self.broker.takes = None


both = pytest.mark.parametrize("transactions", [True, False], ids=["transactions", "idempotent"])


@both
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_kafka_conforms(check: Check, transactions: bool) -> None:
    await check(Kafka(transactions=transactions))


@both
async def test_a_batch_whose_end_nobody_learnt_of_does_not_come_again(transactions: bool) -> None:
    subject = Kafka(transactions=transactions)
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 4))
    subject.broker.loses_answers = True
    with pytest.raises(SinkError, match="no answer in time") as caught:
        await delivery.write(make_events(5, 9))
    assert caught.value.written == 0
    assert subject.broker.open_count == 0
    subject.broker.loses_answers = False
    await delivery.crash()
    await delivery.deliver(make_events(5, 12))
    await delivery.expect(1, 12)


async def test_ids_of_what_others_sent_fill_no_memory_and_hide_no_event() -> None:
    subject = Kafka(transactions=True)
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 4))
    subject.broker.loses_answers = True
    with pytest.raises(SinkError, match="no answer in time"):
        await delivery.write(make_events(5, 9))
    subject.broker.loses_answers = False
    own = [len(partition) for partition in subject.broker.partitions]
    for partition in subject.broker.partitions:
        partition += [OutgoingMessage(b"sim/0", b"", {"ce_id": b"%d" % number}) for number in range(60_000)]
    await delivery.crash()
    await delivery.write(make_events(5, 12))
    assert isinstance(delivery.sink, KafkaSink)
    assert len(delivery.sink._stored) < 51_000
    for partition, count in zip(subject.broker.partitions, own, strict=True):
        del partition[count : count + 60_000]
    await delivery.expect(1, 12)


@pytest.mark.parametrize(("transactions", "written"), [(True, 0), (False, 3)])
async def test_a_batch_that_failed_is_all_or_nothing_with_transactions_only(
    transactions: bool, written: int
) -> None:
    subject = Kafka(transactions=transactions)
    subject.broker.takes = 3
    delivery = await delivery_to(subject)
    with pytest.raises(SinkError, match="disk full") as caught:
        await delivery.write(make_events(1, 9))
    assert caught.value.written == written
    assert len(subject.broker.messages()) == written
    await delivery.sink.close()


async def test_a_batch_is_sent_at_once() -> None:
    subject = Kafka()
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 300))
    assert subject.broker.batches == 1
    await delivery.sink.close()


async def test_a_message_is_a_cloudevent_in_binary_mode_keyed_by_the_job() -> None:
    subject = Kafka()
    delivery = await delivery_to(subject)
    await delivery.deliver([make_event(7)])
    await delivery.sink.close()
    (message,) = subject.broker.messages()
    assert message.key == b"sim/7"
    assert dict(message.headers) == {
        "ce_id": b"941577fc-f651-5a1b-9c40-33d97360bfcf",
        "ce_specversion": b"1.0",
        "ce_source": b"/slurm/sim",
        "ce_type": b"org.slurmwatchd.job.ended.v1",
        "ce_subject": b"job/7",
        "ce_time": b"2026-11-18T11:06:47Z",
        "content-type": b"application/json",
    }
    assert orjson.loads(message.body)["event"] == "job_ended"
    assert not message.body.endswith(b"\n")


@pytest.mark.parametrize(
    ("format_", "content"), [("cloudevents", "application/cloudevents+json"), ("jobcomp", "application/json")]
)
async def test_other_formats_have_their_id_in_a_header_too(format_: str, content: str) -> None:
    subject = Kafka(format=format_)
    delivery = await delivery_to(subject)
    await delivery.deliver([make_event(7)])
    await delivery.sink.close()
    (message,) = subject.broker.messages()
    assert dict(message.headers)["ce_id"] == b"941577fc-f651-5a1b-9c40-33d97360bfcf"
    assert dict(message.headers)["content-type"] == content.encode()


async def test_an_event_is_cut_to_what_the_brokers_take() -> None:
    subject = Kafka(max_message_bytes=6000)
    delivery = await delivery_to(subject)
    await delivery.deliver([make_event(1, text="x" * 9000)])
    await delivery.sink.close()
    (message,) = subject.broker.messages()
    assert 4300 < len(message.body) <= 4500
    assert orjson.loads(message.body)["truncated"] == ["name"]


async def test_a_topic_that_was_made_anew_is_sent_what_comes() -> None:
    subject = Kafka()
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 9))
    for partition in subject.broker.partitions:
        partition.clear()
    await delivery.crash()
    await delivery.deliver(make_events(10, 12))
    # From then on it is looked at as any other.
    await delivery.write(make_events(13, 14))
    await delivery.crash()
    await delivery.deliver(make_events(13, 15))
    await delivery.expect(10, 15)


async def test_each_daemon_has_its_own_name_unless_it_is_given_one() -> None:
    for options, name in (({}, f"slurmwatchd.{socket.gethostname()}.bus"), ({"transactional_id": "mine"}, "mine")):
        subject = Kafka(**options)
        delivery = await delivery_to(subject)
        await delivery.deliver(make_events(1, 1))
        await delivery.sink.close()
        assert subject.broker.names == [name]


@pytest.mark.skipif(importlib.util.find_spec("confluent_kafka") is None, reason="confluent-kafka is not installed")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"topic": "a b"}, "match pattern"),
        ({"security": "sasl_ssl"}, "needs sasl_username and sasl_password_file"),
        ({"tls_key_file": "a"}, "go together"),
        ({"max_message_bytes": 100}, "greater than or equal to 6000"),
    ],
)
def test_options_that_cannot_work_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        KafkaOptions.model_validate({"type": "kafka", **given})


@pytest.mark.parametrize(("is_ahead", "formed"), [(False, [200, 200, 50]), (True, [450])])
async def test_messages_are_formed_while_the_first_ones_are_sent_if_not_before(
    is_ahead: bool, formed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = Kafka(transactions=True)
    sink = KafkaSink("bus", subject.options, Metrics(), connect=subject.broker.connect)
    await sink.open({})
    seen: list[int] = []
    make = sink._made_of

    def made_of(events: Sequence[Event]) -> list[OutgoingMessage]:
        seen.append(len(events))
        return make(events)

    monkeypatch.setattr(sink, "_made_of", made_of)
    events = make_events(1, 450)
    if is_ahead:
        await sink.expect(events)
    await sink.write(events)
    assert seen == formed
    assert sorted(await subject.delivered(sink)) == list(range(1, 451))
