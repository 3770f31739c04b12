"""A stream in memory, as the nats sink sees it: what it stores stays, and it can be made to fail in many ways."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import orjson

from slurmwatchd.errors import SinkError, SinkFullError
from slurmwatchd.sinks.nats.options import NatsOptions
from slurmwatchd.sinks.nats.stream import StreamMessage


@dataclass
class Server:
    """What outlives the connections.

    Attributes:
        knows_ids: Whether an id is known again, as within a stream's duplicate window.
        takes: How many messages it still takes; None for any number.
        answers: How many it still acknowledges; what it takes beyond those is stored, and nobody learns of it.
        most: How many were on their way at once.
    """

    messages: list[tuple[str, str, bytes]] = field(default_factory=list)
    created: str = "today"
    knows_ids: bool = True
    takes: int | None = None
    answers: int | None = None
    is_down: bool = False
    max_bytes: int = 1 << 20
    open_count: int = 0
    most: int = 0
    on_their_way: int = 0

    async def connect(self, options: NatsOptions) -> "FakeStream":
        if self.is_down:
            raise SinkError("nobody there")
        self.open_count += 1
        return FakeStream(self, options.window)

    def bodies(self) -> list[dict[str, object]]:
        return [orjson.loads(body) for _, _, body in self.messages]


class FakeStream:
    """One connection."""

    def __init__(self, server: Server, window: int) -> None:
        self._server = server
        self._window = window
        self.warning = ""
        self.created = server.created
        self.first_seq = 1
        self.last_seq = len(server.messages)
        self.max_bytes = server.max_bytes

    async def publish(self, subject: str, body: bytes, headers: Mapping[str, str]) -> "asyncio.Future[int]":
        server = self._server
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        server.on_their_way += 1
        server.most = max(server.most, server.on_their_way)
        identity = headers["Nats-Msg-Id"]
        known = [number for number, (_, id_, _) in enumerate(server.messages, 1) if id_ == identity]
        if known and server.knows_ids:
            future.set_result(known[0])
        elif server.takes == 0:
            future.set_exception(SinkFullError("stream SLURM: maximum messages exceeded (10077)"))
        else:
            server.messages.append((subject, identity, body))
            server.takes = None if server.takes is None else server.takes - 1
            if server.answers is None or server.answers > 0:
                future.set_result(len(server.messages))
            server.answers = None if server.answers is None else max(0, server.answers - 1)
        return future

    async def acknowledged(self, future: "asyncio.Future[int]") -> int:
        self._server.on_their_way -= 1
        if not future.done():
            raise SinkError("no acknowledgement within 10 s")
        return future.result()

    async def messages(self, first_seq: int, *, bodies: bool = False) -> AsyncIterator[list[StreamMessage]]:
        stored = self._server.messages[first_seq - 1 : self.last_seq]
        yield [StreamMessage(seq=seq, id=id_) for seq, (_, id_, _) in enumerate(stored, first_seq)]

    async def close(self) -> None:
        self._server.on_their_way = 0
        self._server.open_count -= 1
