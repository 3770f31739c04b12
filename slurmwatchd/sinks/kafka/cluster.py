"""Connections to a topic, by confluent-kafka: the only module that imports it. It blocks: worker threads run it.

Its plain producer is used, not the asynchronous one: that one takes no headers.
"""

import logging
import time
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from itertools import islice, repeat
from typing import Any
from zlib import crc32

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from slurmwatchd.errors import SinkError
from slurmwatchd.sinks.credentials import credential_path, read_credential
from slurmwatchd.sinks.kafka.options import KafkaOptions
from slurmwatchd.sinks.kafka.topic import BatchResult, OutgoingMessage, TopicMessage

_BATCH = 500
_LAST = 200
"""Among so many of a larger transaction's last messages the last of each partition is reported back. A report of
all would cost as much as sending them, and each waits for Python's lock while the next messages are formed."""

_POLL_EVERY = 500
"""After so many messages what became of earlier ones is noted: doing so after each costs as much as sending it."""

_ANY_PARTITION, _NOW = -1, 0
"""What `produce` takes where nothing is said. It is called by position: by name it takes half as long again. Of
its two places for a callback the first counts, also where it is None."""

_SILENT = logging.getLogger(f"{__name__}.library")
_SILENT.disabled = True

_FENCED = (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED)  # noqa: SLF001 - public, in spite of its name

_FILES = {
    "tls_ca_file": "ssl.ca.location",
    "tls_certificate_file": "ssl.certificate.location",
    "tls_key_file": "ssl.key.location",
}


class Cluster:
    """See `topic.Topic`."""

    def __init__(self, options: KafkaOptions, transactional_id: str) -> None:
        """Connect; without a name for transactions nothing can be sent.

        Raises:
            SinkError: No broker answers, there is no such topic, or it may not be used.
        """
        self._options = options
        self._name = transactional_id
        self._said = ""
        self._consumer = _consumer(
            options,
            {
                **_connection(options, self._note),
                # A name is asked for; nothing is ever committed under it.
                "group.id": "slurmwatchd",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "allow.auto.create.topics": True,
                "isolation.level": "read_committed",
            },
        )
        self._producer: Producer | None = None
        try:
            if transactional_id:
                self._producer = self._make_producer()
            # Only now: a transaction of which no one knows how it ended has ended.
            self.ends: Mapping[int, tuple[int, int]] = self._find_ends()
        except KafkaException as error:
            self.close()
            raise self._told(error) from error
        except BaseException:
            self.close()
            raise

    def _note(self, error: KafkaError) -> None:
        # The first says why; that all brokers are down follows from it.
        if not self._said or self._said == "all brokers are down":
            self._said = error.str()

    def _find_ends(self) -> dict[int, tuple[int, int]]:
        topic, timeout = self._options.topic, self._options.timeout
        found = self._consumer.list_topics(topic, timeout=timeout).topics[topic]
        if found.error is not None:
            raise SinkError(f"topic {topic}: {found.error.str()}")
        return {
            partition: self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=timeout)
            for partition in found.partitions
        }

    def _make_producer(self) -> Producer:
        options = self._options
        settings = {
            **_connection(options, self._note),
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 5,
            "message.max.bytes": options.max_message_bytes,
            "message.timeout.ms": int(options.timeout * 1000),
        }
        if not options.transactions:
            return Producer(settings)
        producer = Producer(
            {**settings, "transactional.id": self._name, "transaction.timeout.ms": int(options.timeout * 2000)}
        )
        # Shuts out, or ends, whatever an earlier one has open.
        producer.init_transactions(options.timeout)
        return producer

    def send(self, messages: Collection[OutgoingMessage]) -> BatchResult:
        """Have messages stored."""
        assert self._producer is not None  # noqa: S101 - for the type checker
        try:
            if not self._options.transactions:
                return self._send(self._producer, messages)
            self._producer.begin_transaction()
            outcome = self._send_as_one(self._producer, messages)
            if outcome.error:
                # What was stored of it is no part of the topic for who reads what is committed.
                self._producer.abort_transaction(self._options.timeout)
                return outcome
            self._producer.commit_transaction(self._options.timeout)
        except KafkaException as error:
            raise self._told(error) from error
        except SystemError as error:
            raise self._told(self._reason_of(error)) from error
        return outcome

    def _reason_of(self, error: SystemError) -> KafkaException:
        """Return why the library failed so, or raise it again.

        Once the producer is shut out the library calls back with its error already raised: the first thing that a
        callback does then fails like this, with the error as its cause. A callback that does not fail loses it.
        """
        if isinstance(error.__cause__, KafkaException):
            return error.__cause__
        assert self._producer is not None  # noqa: S101 - for the type checker
        try:
            # A producer that is shut out stays so, and says it again.
            self._producer.abort_transaction(self._options.timeout)
        except KafkaException as again:
            return again
        raise error

    def _send_as_one(self, producer: Producer, messages: Collection[OutgoingMessage]) -> BatchResult:
        """Send the messages of a transaction: its commit fails if one of them did.

        Where in their partitions they are is noted of the last ones only: `offsets` says from where on to look
        for messages.
        """
        outcome = BatchResult(written=len(messages))

        def note(error: KafkaError | None, message: Any) -> None:  # noqa: ANN401 - the library's
            if error is None:
                outcome.offsets[message.partition()] = message.offset() + 1
            else:
                outcome.error = outcome.error or f"topic {self._options.topic}: {error.str()}"

        deadline = time.monotonic() + self._options.timeout
        produce, topic = producer.produce, self._options.topic
        try:
            for message, is_reported in self._with_reports(messages):
                key, body, headers = message
                report = note if is_reported else None
                try:
                    produce(topic, body, key, _ANY_PARTITION, report, None, _NOW, headers)
                except BufferError:
                    self._produce(producer, message, report, deadline)
        except KafkaException as error:
            return BatchResult(error=f"topic {topic}: {error.args[0].str()}")
        if producer.flush(max(0.1, deadline - time.monotonic())):
            outcome.error = outcome.error or f"topic {self._options.topic}: {self._said or 'no answer in time'}"
        return BatchResult(error=outcome.error) if outcome.error else outcome

    def _with_reports(self, messages: Collection[OutgoingMessage]) -> Iterator[tuple[OutgoingMessage, bool]]:
        """Give messages, and whether what becomes of each is to be reported: that of a few always is.

        The library finds the partition of a key like this. Were it another one, less would be noted.
        """
        if len(messages) <= _LAST:
            yield from zip(messages, repeat(True))
            return
        rest = iter(messages)
        yield from zip(islice(rest, len(messages) - _LAST), repeat(False))
        last = list(rest)
        ends = {crc32(message.key) % len(self.ends): number for number, message in enumerate(last)}.values()
        for number, message in enumerate(last):
            yield message, number in ends

    def _send(self, producer: Producer, messages: Collection[OutgoingMessage]) -> BatchResult:
        """Send messages and wait for each; those behind the first that failed do not count."""
        results: list[tuple[int, int] | str | None] = [None] * len(messages)

        def note(number: int, error: KafkaError | None, message: Any) -> None:  # noqa: ANN401 - the library's
            results[number] = (message.partition(), message.offset()) if error is None else error.str()

        deadline = time.monotonic() + self._options.timeout
        for number, message in enumerate(messages):
            try:
                self._produce(producer, message, partial(note, number), deadline)
            except KafkaException as error:
                results[number] = error.args[0].str()
                break
            if number % _POLL_EVERY == 0:
                producer.poll(0)
        producer.flush(max(0.1, deadline - time.monotonic()))
        outcome = BatchResult()
        for number, result in enumerate(results):
            if not isinstance(result, tuple):
                outcome.written = number
                outcome.error = f"topic {self._options.topic}: {result or self._said or 'no answer in time'}"
                return outcome
            partition, offset = result
            outcome.offsets[partition] = max(offset + 1, outcome.offsets.get(partition, 0))
        outcome.written = len(messages)
        return outcome

    def _produce(self, producer: Producer, message: OutgoingMessage, report: Any, deadline: float) -> None:  # noqa: ANN401 - a callback
        key, body, headers = message
        while True:
            try:
                producer.produce(self._options.topic, body, key, _ANY_PARTITION, report, None, _NOW, headers)
            except BufferError:
                if time.monotonic() > deadline:
                    raise SinkError(f"topic {self._options.topic}: {self._said or 'no answer in time'}") from None
                producer.poll(0.1)
            else:
                return

    def messages(self, offsets: Mapping[int, int]) -> Iterator[list[TopicMessage]]:
        """Read from offsets on."""
        topic = self._options.topic
        open_ = {partition for partition, offset in offsets.items() if offset < self.ends[partition][1]}
        self._consumer.assign([TopicPartition(topic, partition, offsets[partition]) for partition in open_])
        deadline = time.monotonic() + self._options.timeout
        while open_:
            found: list[TopicMessage] = []
            for message in self._consumer.consume(_BATCH, timeout=0.2):
                error = message.error()
                if error is not None:
                    if error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - as above
                        raise SinkError(f"topic {topic}: {error.str()}")
                    open_.discard(message.partition())
                    continue
                headers = dict(message.headers() or ())
                identity = (headers.get("ce_id") or b"").decode(errors="replace")
                found.append(TopicMessage(message.partition(), message.offset(), identity, message.value() or b""))
                if message.offset() + 1 >= self.ends[message.partition()][1]:
                    open_.discard(message.partition())
            if found:
                deadline = time.monotonic() + self._options.timeout
                yield found
            elif time.monotonic() > deadline:
                raise SinkError(f"topic {topic}: cannot be read: {self._said or 'no answer in time'}")
        self._consumer.unassign()

    def close(self) -> None:
        """Hang up; what is not stored is given up."""
        if self._producer is not None:
            self._producer.purge()
            self._producer.flush(0.1)
        self._consumer.close()

    def _told(self, error: KafkaException) -> SinkError:
        reason: KafkaError = error.args[0]
        if reason.code() in _FENCED:
            return SinkError(
                f"a newer producer sends as {self._name}; if that is another daemon, each needs a "
                "transactional_id of its own"
            )
        text = reason.str()
        if self._said and self._said not in text:
            text += f": {self._said}"
        return SinkError(f"{self._options.bootstrap}: {text}")


def connect(options: KafkaOptions, transactional_id: str) -> Cluster:
    """Connect to a topic.

    Args:
        options: Which, and how.
        transactional_id: The name to send under; empty: it is only read.

    Raises:
        SinkError: That is not possible.
    """
    return Cluster(options, transactional_id)


def look(options: KafkaOptions) -> str:
    """Ask a broker about the topic, without making one; return what is there, in some words.

    Raises:
        SinkError: No broker answers, or the topic may not be used.
    """
    said: list[KafkaError] = []
    consumer = _consumer(
        options,
        {**_connection(options, said.append), "group.id": "slurmwatchd", "allow.auto.create.topics": False},
    )
    try:
        topic = consumer.list_topics(options.topic, timeout=options.timeout).topics[options.topic]
    except KafkaException as error:
        raise SinkError(f"{options.bootstrap}: {(said or error.args)[0].str()}") from error
    finally:
        consumer.close()
    if topic.error is None:
        return f"the brokers answer; topic {options.topic} has {len(topic.partitions)} partitions"
    if topic.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
        return (
            f"the brokers answer; there is no topic {options.topic} yet: make it, unless they do so by themselves"
        )
    raise SinkError(f"topic {options.topic}: {topic.error.str()}")


def _consumer(options: KafkaOptions, settings: Mapping[str, Any]) -> Consumer:
    """Make a consumer, which reads the files of certificates at once.

    Raises:
        SinkError: One cannot be used.
    """
    try:
        return Consumer(dict(settings))
    except KafkaException as error:
        text = error.args[0].str()
        blamed = [option for option, setting in _FILES.items() if setting in text]
        where = "".join(f"{option}: {getattr(options, option)}: " for option in blamed)
        raise SinkError(f"{where or f'{options.bootstrap}: '}{text}") from error


def _connection(options: KafkaOptions, note: Any) -> dict[str, Any]:  # noqa: ANN401 - a callback
    """Return what every connection needs, secrets read again."""
    found: dict[str, Any] = {
        "bootstrap.servers": options.bootstrap,
        "client.id": "slurmwatchd",
        "security.protocol": options.security,
        "socket.timeout.ms": int(options.timeout * 1000),
        "error_cb": note,
        # It would write to stderr by itself, what is fatal at any level; what it says of errors comes as errors.
        "log_level": 0,
        "logger": _SILENT,
    }
    if options.security.startswith("sasl"):
        found["sasl.mechanism"] = options.sasl_mechanism
        found["sasl.username"] = options.sasl_username
        found["sasl.password"] = read_credential("sasl_password_file", options.sasl_password_file).decode()
    for option, setting in _FILES.items():
        if text := getattr(options, option):
            found[setting] = str(credential_path(text))
    return found
