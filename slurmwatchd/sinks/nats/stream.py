"""What the sink needs of a stream: `jetstream.py` is the real one, tests bring their own."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from slurmwatchd.errors import SinkError

if TYPE_CHECKING:
    import asyncio


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamMessage:
    """A message that is in the stream.

    Attributes:
        seq: Its position in the stream.
        id: Its `Nats-Msg-Id`; empty where it has none.
        body: What it holds; empty where only its head was asked for.
    """

    seq: int
    id: str
    body: bytes = b""


class Stream(Protocol):
    """A connection to one stream; once anything failed it is of no use any more.

    Attributes:
        warning: What is not as it should be with the stream; empty where all is.
        created: When the stream was made: another text is another stream.
        first_seq: The position of the oldest message that is in it.
        last_seq: That of the newest, when the connection was made.
        max_bytes: How much a message may have, headers included.
    """

    warning: str
    created: str
    first_seq: int
    last_seq: int
    max_bytes: int

    async def publish(self, subject: str, body: bytes, headers: Mapping[str, str]) -> "asyncio.Future[Any]":
        """Send a message; the future is done once the server has answered: `acknowledged` reads it.

        Raises:
            SinkError: There is no connection any more.
        """
        ...

    async def acknowledged(self, future: "asyncio.Future[Any]") -> int:
        """Wait for a message to be stored.

        Raises:
            SinkError: It is not, or no one knows.
        """
        ...

    def messages(self, first_seq: int, *, bodies: bool = False) -> AsyncIterator[list[StreamMessage]]:
        """Give what is in the stream from a position on, up to where it ended when the connection was made.

        Raises:
            SinkError: It cannot be read.
        """
        ...

    async def close(self) -> None:
        """Hang up."""
        ...


def too_large(length: int, limit: int) -> SinkError:
    """Return the error for an event that the server would cut the connection for."""
    return SinkError(
        f"an event of {length} bytes, headers included, is more than the {limit} that the server takes"
    )
