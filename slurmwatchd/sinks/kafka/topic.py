"""What the sink needs of a topic: `cluster.py` is the real one, tests bring their own. All of it blocks."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol


class OutgoingMessage(NamedTuple):
    """What is sent.

    Attributes:
        key: Messages with the same key keep their order.
        headers: Names and values, in order.
    """

    key: bytes
    body: bytes
    headers: dict[str, bytes]


class TopicMessage(NamedTuple):
    """A message that is in the topic.

    Attributes:
        id: Its `ce_id`; empty where it has none.
    """

    partition: int
    offset: int
    id: str
    body: bytes = b""


@dataclass(slots=True)
class BatchResult:
    """What became of a batch.

    Attributes:
        written: How many messages, from the first, are stored.
        offsets: Partition to the offset behind the newest of them.
        error: Why not all are; empty where they are.
    """

    written: int = 0
    offsets: dict[int, int] = field(default_factory=dict)
    error: str = ""


class Topic(Protocol):
    """Connections to one topic; once anything failed they are of no use any more.

    Attributes:
        ends: Partition to its oldest offset and the one behind its newest, when the connections were made.
    """

    ends: Mapping[int, tuple[int, int]]

    def send(self, messages: Collection[OutgoingMessage]) -> BatchResult:
        """Have messages stored, as one transaction where those are asked for.

        Raises:
            SinkError: None of them is, or no one knows.
        """
        ...

    def messages(self, offsets: Mapping[int, int]) -> Iterator[list[TopicMessage]]:
        """Give what is stored, and committed, from offsets on, up to the ends.

        Raises:
            SinkError: It cannot be read.
        """
        ...

    def close(self) -> None:
        """Hang up; what is not stored is given up."""
        ...
