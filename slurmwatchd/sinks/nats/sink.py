"""Events to a stream of NATS JetStream: many on their way at once, each stored once.

The server knows the id of a message again for a while (its duplicate window). An outage may be longer, so the sink
does not rely on it: it remembers the stream's position of the last event behind the cursor, and whenever it
connects it looks at what stands in the stream behind that. Events found there are not sent again.

Where acknowledgements are missing, the cursor still moves over what was acknowledged before the first of those.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import anyio
import anyio.to_thread
import orjson

from slurmwatchd.errors import SinkError
from slurmwatchd.model.records import Event
from slurmwatchd.sinks.base import Sink
from slurmwatchd.sinks.forms.form import EventForm, WrittenEvent
from slurmwatchd.sinks.nats.options import NatsOptions
from slurmwatchd.sinks.nats.stream import Stream, too_large
from slurmwatchd.sinks.nats.subjects import Subjects
from slurmwatchd.telemetry.log import get_logger
from slurmwatchd.telemetry.metrics import Metrics

ConnectStream = Callable[[NatsOptions], Awaitable[Stream]]

MAX_TAIL = 50_000
"""So many messages behind the last known position are looked at; more are there only where others publish, too."""

UNKNOWN_TAIL = 5_000
"""So many where no position is known: more than one delivery can have sent."""

_STATE_KEY = "stream"
_FRAME_BYTES = len(b"NATS/1.0\r\n\r\n")

_log = get_logger(__name__)


async def _connect(options: NatsOptions) -> Stream:
    # Only who has such a sink needs the library.
    from slurmwatchd.sinks.nats.jetstream import connect  # noqa: PLC0415

    return await connect(options)


class NatsSink(Sink):
    """One stream."""

    def __init__(
        self, name: str, options: NatsOptions, metrics: Metrics, *, connect: ConnectStream = _connect
    ) -> None:
        """Prepare; nothing is connected."""
        del metrics
        self._name = name
        self._options = options
        self._connect = connect
        self._form = EventForm(name, options)
        self._subjects = Subjects(options.subject)
        self._stream: Stream | None = None
        self._warned = ""
        self._created = ""
        # Where in the stream the last event behind the cursor is, and the last that was acknowledged.
        self._behind: int | None = None
        self._reached: int | None = None
        # Events that are stored already although the cursor is not past them, and those of the last write.
        self._stored: set[str] = set()
        self._last: Sequence[Event] = ()

    async def open(self, state: Mapping[str, bytes]) -> None:
        """Remember where in the stream the last event behind the cursor is."""
        await anyio.to_thread.run_sync(self._form.prepare)
        if _STATE_KEY in state:
            kept = orjson.loads(state[_STATE_KEY])
            self._created, self._behind = kept["created"], kept["seq"]
            self._reached = self._behind

    async def write(self, events: Sequence[Event]) -> Mapping[str, bytes]:
        """Have the stream store what it has not stored yet."""
        if self._stream is None:
            self._stream = await self._connected()
        try:
            await self._send(self._stream, events)
        except BaseException:
            # What is on its way may be stored or not: a new connection looks.
            with anyio.CancelScope(shield=True):
                await self.close()
            raise
        self._last = events
        return {_STATE_KEY: orjson.dumps({"created": self._created, "seq": self._reached})}

    def committed(self) -> None:
        """Forget what will not come again."""
        self._behind = self._reached
        self._stored.difference_update(event.id for event in self._last)
        self._last = ()

    async def reopen(self) -> None:
        """Connect again at the next write, with certificates and credentials as they are then."""
        await self.close()

    async def close(self) -> None:
        """Hang up."""
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.close()

    async def _connected(self) -> Stream:
        """Connect, and learn which events are in the stream that the cursor does not know of."""
        stream = await self._connect(self._options)
        try:
            if stream.warning != self._warned:
                self._warned = stream.warning
                _log.warning("stream may not be fit", sink=self._name, reason=stream.warning or "it is now")
            if self._created and stream.created != self._created:
                _log.warning("stream is another one than before", sink=self._name, stream=self._options.stream)
            if stream.created != self._created or (self._behind or 0) > stream.last_seq:
                self._created, self._behind, self._reached = stream.created, None, None
            behind = stream.last_seq - UNKNOWN_TAIL if self._behind is None else self._behind
            first = max(behind + 1, stream.last_seq - MAX_TAIL + 1, stream.first_seq, 1)
            self._stored = set()
            if first <= stream.last_seq:
                async for messages in stream.messages(first):
                    self._stored.update(message.id for message in messages)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await stream.close()
            raise
        return stream

    async def _send(self, stream: Stream, events: Sequence[Event]) -> None:
        """Send events, at most a window of them ahead of the acknowledgements.

        Raises:
            SinkError: Not all are stored; `written` says how many are, from the first.
        """
        waiting: deque[tuple[int, asyncio.Future[Any]]] = deque()
        number = 0
        try:
            for number, written in enumerate(await self._written(stream, events)):
                if written is None:
                    continue
                if len(waiting) >= self._options.window:
                    # Half of it at once: what is sent in one go costs one write to the socket.
                    while len(waiting) > self._options.window // 2:
                        await self._oldest(stream, waiting, events)
                headers = {"Nats-Msg-Id": written.id}
                body = written.line[:-1]
                size = len(body) + _header_bytes(headers)
                if size > stream.max_bytes:
                    raise too_large(size, stream.max_bytes)
                future = await stream.publish(
                    self._subjects.of_tokens(written.tokens(self._subjects.fields)), body, headers
                )
                waiting.append((number, future))
            while waiting:
                await self._oldest(stream, waiting, events)
        except SinkError as error:
            # What was skipped stands in the stream already.
            error.written = waiting[0][0] if waiting else number
            raise
        finally:
            for _, future in waiting:
                future.cancel()

    async def _oldest(
        self, stream: Stream, waiting: deque[tuple[int, asyncio.Future[Any]]], events: Sequence[Event]
    ) -> None:
        """Wait for the oldest message on its way; where it fails it stays the oldest."""
        number, future = waiting[0]
        self._reached = max(self._reached or 0, await stream.acknowledged(future))
        self._stored.add(events[number].id)
        waiting.popleft()

    async def _written(self, stream: Stream, events: Sequence[Event]) -> list[WrittenEvent | None]:
        """Return what is to be sent; None for what is in the stream already."""
        room = stream.max_bytes - _header_bytes({"Nats-Msg-Id": events[0].id}) + 1
        fresh = [event for event in events if event.id not in self._stored]
        written = iter(await anyio.to_thread.run_sync(lambda: self._form.written(fresh, max_bytes=room)))
        result = [None if event.id in self._stored else next(written) for event in events]
        if len(fresh) < len(events):
            self.already_there += len(events) - len(fresh)
            _log.info("events stand in the stream already", sink=self._name, events=len(events) - len(fresh))
        return result


def _header_bytes(headers: Mapping[str, str]) -> int:
    return _FRAME_BYTES + sum(len(f"{name}: {value}\r\n".encode()) for name, value in headers.items())
