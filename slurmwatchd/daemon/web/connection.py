"""One client's connection: it must make progress, and neither wait nor send without end.

uvicorn parses with llhttp where httptools is installed, and otherwise with h11, in Python, which takes longer to
read a request than the store takes to answer it.
"""

import asyncio
from typing import Any

from slurmwatchd.daemon.web.tls import is_named

REQUEST_SECONDS = 10.0
"""A client that has not sent a whole request by then is cut off: it would keep a descriptor for ever."""

READING_SECONDS = 30.0
"""A client that takes nothing of its answer for so long is cut off: the answer would stay in memory for ever."""

MAX_CONNECTIONS = 256
"""More are not kept: the one that has waited longest without a request gives way, so that a scrape gets in."""

MAX_HEAD_BYTES = 16_384
"""A request whose head is not whole by then is refused: it would stay in memory for ever. h11's own limit."""

MAX_AHEAD = 32
"""A client that sends more requests before the first is answered is refused: with llhttp, uvicorn takes each of
them apart at once; with h11 it leaves them where they are."""

_LOOK_SECONDS = 1.0


class Connection(asyncio.Protocol):
    """What each connection does beside what uvicorn's does, which limits the pauses between requests.

    Attributes:
        cycle: uvicorn's: the request under way, or the last one.
    """

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    connections: set[Any]
    cycle: Any

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request; where there are too many connections, end the one that waits longest."""
        super().connection_made(transport)
        if not is_named(transport):
            transport.abort()
        self._waiting_since: float | None = self.loop.time()
        self._heard_at = self._waiting_since
        self._unsent, self._stalled_since = 0, 0.0
        self._look_later = self.loop.call_later(_LOOK_SECONDS, self._look)
        self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop looking."""
        self._look_later.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Note when a request begins: it must be whole soon, also if it is not the first."""
        super().data_received(data)
        self._heard_at = self.loop.time()
        if not self._is_waiting():
            self._waiting_since = None
        elif self._waiting_since is None:
            self._waiting_since = self._heard_at

    def _is_waiting(self) -> bool:
        """Tell whether there is no whole request that is not answered yet."""
        return self.cycle is None or self.cycle.response_complete

    def _look(self) -> None:
        now = self.loop.time()
        unsent = self.transport.get_write_buffer_size()
        if not unsent or unsent < self._unsent:
            self._stalled_since = now
        self._unsent = unsent
        is_late = self._waiting_since is not None and now - self._waiting_since > REQUEST_SECONDS
        if (is_late and self._is_waiting()) or (unsent and now - self._stalled_since > READING_SECONDS):
            self.transport.abort()
        else:
            self._look_later = self.loop.call_later(_LOOK_SECONDS, self._look)

    def _make_room(self) -> None:
        there = [other for other in self.connections if not other.transport.is_closing()]
        if len(there) <= MAX_CONNECTIONS:
            return
        others = [
            other
            for other in there
            if isinstance(other, Connection) and other is not self and other._is_waiting()  # noqa: SLF001 - its own class
        ]
        # Those that were answered have a half at most, so that who comes has sent its request before it must go.
        answered = [other for other in others if other._waiting_since is None]  # noqa: SLF001 - its own class
        waiting = [other for other in others if other._waiting_since is not None]  # noqa: SLF001 - its own class
        some = answered if len(answered) > MAX_CONNECTIONS // 2 or not waiting else waiting
        stalled = [other for other in there if isinstance(other, Connection) and other._unsent]  # noqa: SLF001 - its own class
        if some or not stalled:
            min(some, key=Connection._silent_since, default=self).transport.abort()
        else:
            min(stalled, key=lambda other: other._stalled_since).transport.abort()  # noqa: SLF001 - its own class

    def _silent_since(self) -> float:
        """Return when it began to wait for a request, or last sent one that was answered."""
        return self._waiting_since or self._heard_at


def connection_class() -> type[Any]:
    """Return the class of connections with the best parser that is installed."""
    try:
        import httptools  # noqa: PLC0415 - may be missing
    except ImportError:
        return with_h11()
    # Older ones, such as that of Debian 13, have the parser before llhttp, which is not maintained any more.
    return with_llhttp() if hasattr(httptools.HttpRequestParser, "set_dangerous_leniencies") else with_h11()


def with_llhttp() -> type[Any]:
    """Return the class that parses with llhttp.

    Raises:
        ImportError: httptools is not installed.
    """
    from slurmwatchd.daemon.web.llhttp import LlhttpConnection  # noqa: PLC0415 - its parser may be missing

    return LlhttpConnection


def with_h11() -> type[Any]:
    """Return the class that parses with h11, which refuses a head that is too large by itself."""
    from uvicorn.protocols.http.h11_impl import H11Protocol  # noqa: PLC0415 - not loaded where it is not used

    class H11Connection(Connection, H11Protocol):
        """A connection."""

    return H11Connection
