"""The HTTP server as a task among others: bound before anything starts, and never touching signals."""

import asyncio
import contextlib
import math
import socket
from collections.abc import Callable, Iterator
from typing import Any

import anyio.to_thread
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from slurmwatchd.config.units import split_address
from slurmwatchd.daemon.web.tls import WebConfigFile, is_named
from slurmwatchd.errors import ListenError

_GRACE_SECONDS = 2

REQUEST_SECONDS = 10.0
"""A client that has not sent a whole request by then is cut off: it would keep a descriptor for ever."""

READING_SECONDS = 30.0
"""A client that takes nothing of its answer for so long is cut off: the answer would stay in memory for ever."""

MAX_CONNECTIONS = 256
"""More are not kept: the one that has waited longest without a request gives way, so that a scrape gets in."""

HANDSHAKE_SECONDS = 5.0
"""A client that has not finished its TLS handshake by then is cut off."""

_LOOK_SECONDS = 1.0
_FILE_SECONDS = 2.0
_BACKLOG = 128


def bind(address: str) -> socket.socket:
    """Bind a listening socket.

    Args:
        address: `host:port`; port 0 takes a free one.

    Raises:
        ListenError: The address is in use, or not ours to bind.
    """
    host, port = split_address(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where it sees that it is TCP. With it on, an answer of two parts
    # waits 40 ms for the client's acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ListenError(f"web.listen: cannot listen on {address}: {error.strerror}") from error
    listener.setblocking(False)
    return listener


def url(listener: socket.socket, *, tls: bool = False) -> str:
    """Return the address a person can open, such as `http://127.0.0.1:10025`."""
    host, port = listener.getsockname()[:2]
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


class _Connection(H11Protocol):
    """A connection that must make progress; uvicorn limits the pauses between two requests."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request; where there are too many connections, end the one that waits longest."""
        super().connection_made(transport)
        if not is_named(transport):
            transport.abort()
        self._waiting_since: float | None = self.loop.time()
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
        if not self._is_waiting():
            self._waiting_since = None
        elif self._waiting_since is None:
            self._waiting_since = self.loop.time()

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
        waiting = [other for other in there if isinstance(other, _Connection) and other._is_waiting()]  # noqa: SLF001 - its own class
        # Whoever sends a request at once has sent it before two hundred others come.
        min(waiting, key=_Connection._rank, default=self).transport.abort()

    def _rank(self) -> float:
        """Return when it began to wait for a request; one that pauses between two goes last."""
        return math.inf if self._waiting_since is None else self._waiting_since


class WebServer(uvicorn.Server):
    """Uvicorn without its signal handlers: SIGTERM and SIGINT are the supervisor's."""

    def __init__(
        self,
        app: ASGIApp,
        listener: socket.socket,
        *,
        file: WebConfigFile | None = None,
        stopping: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare to serve on a socket that is already bound.

        Args:
            app: What answers.
            listener: The socket.
            file: Exporter-toolkit's `web.yml`, for TLS.
            stopping: Called when no more requests are taken, to end those that wait.
        """
        super().__init__(
            uvicorn.Config(
                app,
                http=_Connection,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )
        self._listener = listener
        self._file = file
        self._stopping = stopping
        self._looked = 0.0

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    async def run_until_stopped(self) -> None:
        """Serve until `stop`; when this is cancelled instead, the address is free again all the same."""
        try:
            # What serves is closed whenever the file changes; the socket itself stays.
            await self.serve(sockets=[self._listener.dup()])
        finally:
            for server in getattr(self, "servers", ()):
                server.close()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, with TLS where the file says so."""
        await super().startup(sockets)
        if self._file is not None and self._file.context is not None:
            await self._follow(self._file)

    async def on_tick(self, counter: int) -> bool:
        """Look now and then whether the file has changed; tell whether to end."""
        now = asyncio.get_running_loop().time()
        if self._file is not None and now - self._looked >= _FILE_SECONDS:
            self._looked = now
            if await anyio.to_thread.run_sync(self._file.refresh):
                await self._follow(self._file)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End; whoever comes now is refused, and does not wait."""
        self._listener.close()
        await super().shutdown(sockets)

    def stop(self) -> None:
        """Stop taking requests, finish those under way."""
        self.should_exit = True
        self._stopping()

    async def _follow(self, file: WebConfigFile) -> None:
        """Take new connections as the file says now; those that are there go on as they began."""

        def connection() -> _Connection:
            return _Connection(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

        secured: dict[str, Any] = {}
        if file.context is not None:
            secured = {"ssl": file.context, "ssl_handshake_timeout": HANDSHAKE_SECONDS}
        new = await asyncio.get_running_loop().create_server(
            connection, sock=self._listener.dup(), backlog=_BACKLOG, **secured
        )
        for old in self.servers:
            old.close()
        self.servers = [new]
