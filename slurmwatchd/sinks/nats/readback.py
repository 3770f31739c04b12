"""What a stream has from an earlier store, for one that was lost or is new."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Iterator
from pathlib import Path

from slurmwatchd.errors import SinkError
from slurmwatchd.sinks.jsonl_files import EventLine, line_of
from slurmwatchd.sinks.nats.options import NatsOptions
from slurmwatchd.sinks.nats.stream import StreamMessage

MAX_MESSAGES = 1_000_000
"""So many of the newest messages are read; what is older was sent long before reading begins again."""


def read_back(options: NatsOptions, others: Collection[Path]) -> Iterator[EventLine]:
    """Give the events that are in the stream, oldest first.

    Raises:
        ConnectionError: The stream cannot be read.
    """
    del others
    # This runs in a worker thread, a batch at a time: it has a loop of its own.
    loop = asyncio.new_event_loop()
    batches = _batches(options)
    try:
        while (messages := loop.run_until_complete(anext(batches, None))) is not None:
            for message in messages:
                if (line := line_of(message.body)) is not None:
                    yield line
    except SinkError as error:
        raise ConnectionError(None, str(error), options.stream) from error
    finally:
        loop.run_until_complete(batches.aclose())
        loop.close()


async def _batches(options: NatsOptions) -> AsyncGenerator[list[StreamMessage], None]:
    from slurmwatchd.sinks.nats.jetstream import connect  # noqa: PLC0415 - only who has such a sink needs the library

    stream = await connect(options)
    try:
        first = max(stream.first_seq, stream.last_seq - MAX_MESSAGES + 1, 1)
        if first <= stream.last_seq:
            async for messages in stream.messages(first, bodies=True):
                yield messages
    finally:
        await stream.close()
