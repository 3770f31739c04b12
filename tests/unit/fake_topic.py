"""A topic in memory that keeps the rules of transactions: nobody reads what was aborted or never committed."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from slurmwatchd.errors import SinkError
from slurmwatchd.sinks.kafka.options import KafkaOptions
from slurmwatchd.sinks.kafka.topic import BatchResult, OutgoingMessage, TopicMessage


@dataclass
class Broker:
    """What outlives the connections: two partitions.

    Attributes:
        takes: How many messages it still takes; None for any number.
        loses_answers: Whether it stores, or commits, and nobody learns of it.
    """

    partitions: tuple[list[OutgoingMessage], list[OutgoingMessage]] = field(default_factory=lambda: ([], []))
    takes: int | None = None
    loses_answers: bool = False
    is_down: bool = False
    names: list[str] = field(default_factory=list)
    open_count: int = 0
    batches: int = 0

    def connect(self, options: KafkaOptions, transactional_id: str) -> "FakeTopic":
        if self.is_down:
            raise SinkError("nobody there")
        self.names.append(transactional_id)
        self.open_count += 1
        return FakeTopic(self, transactions=options.transactions)

    def messages(self) -> list[OutgoingMessage]:
        return [message for partition in self.partitions for message in partition]


class FakeTopic:
    """One producer and its consumer."""

    def __init__(self, broker: Broker, *, transactions: bool) -> None:
        self._broker = broker
        self._transactions = transactions
        self.ends: Mapping[int, tuple[int, int]] = {
            number: (0, len(partition)) for number, partition in enumerate(broker.partitions)
        }

    def send(self, messages: Collection[OutgoingMessage]) -> BatchResult:
        broker, outcome = self._broker, BatchResult()
        broker.batches += 1
        taken = len(messages) if broker.takes is None else min(broker.takes, len(messages))
        if taken < len(messages):
            outcome.error = "topic slurm-jobs: disk full"
            if self._transactions:
                return outcome
        for message in list(messages)[:taken]:
            number = int(message.key.rpartition(b"/")[2]) % 2
            broker.partitions[number].append(message)
            outcome.offsets[number] = len(broker.partitions[number])
        outcome.written = taken
        if broker.loses_answers:
            raise SinkError("no answer in time")
        return outcome

    def messages(self, offsets: Mapping[int, int]) -> Iterator[list[TopicMessage]]:
        for number, offset in offsets.items():
            stored = self._broker.partitions[number][offset : self.ends[number][1]]
            yield [
                TopicMessage(number, place, dict(message.headers)["ce_id"].decode())
                for place, message in enumerate(stored, offset)
            ]

    def close(self) -> None:
        self._broker.open_count -= 1
