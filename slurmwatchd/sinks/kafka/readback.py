"""What a topic has from an earlier store, for one that was lost or is new."""

from collections.abc import Collection, Iterator
from pathlib import Path

from slurmwatchd.errors import SinkError
from slurmwatchd.sinks.jsonl_files import EventLine, line_of
from slurmwatchd.sinks.kafka.options import KafkaOptions

MAX_MESSAGES = 1_000_000
"""So many of each partition's newest messages are read; what is older was sent long before."""


def read_back(options: KafkaOptions, others: Collection[Path]) -> Iterator[EventLine]:
    """Give the events that are in the topic, partition by partition as they come.

    Raises:
        ConnectionError: The topic cannot be read.
    """
    del others
    from slurmwatchd.sinks.kafka.cluster import connect  # noqa: PLC0415 - only who has such a sink needs the library

    try:
        topic = connect(options, "")
        try:
            offsets = {partition: max(low, high - MAX_MESSAGES) for partition, (low, high) in topic.ends.items()}
            for messages in topic.messages(offsets):
                for message in messages:
                    if (line := line_of(message.body)) is not None:
                        yield line
        finally:
            topic.close()
    except SinkError as error:
        raise ConnectionError(None, str(error), options.topic) from error
