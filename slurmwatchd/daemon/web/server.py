"""The HTTP server as a task among others: bound before anything starts, and never touching signals."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import anyio.to_thread
import uvicorn
from starlette.types import ASGIApp

from slurmwatchd.config.units import split_address
from slurmwatchd.daemon.web.connection import connection_class
from slurmwatchd.daemon.web.tls import WebConfigFile
from slurmwatchd.errors import ListenError

_GRACE_SECONDS = 2

HANDSHAKE_SECONDS = 5.0
"""A client that has not finished its TLS handshake by then is cut off."""

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
        self._connection = connection_class()
        super().__init__(
            uvicorn.Config(
                app,
                http=self._connection,
                # With a library for them, such as Debian installs beside uvicorn, uvicorn would hand connections
                # to what keeps none of their limits.
                ws="none",
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                # Who asks is who connects. By default uvicorn believes an address that somebody on this machine
                # writes into a header, and that could be a trusted proxy's.
                proxy_headers=False,
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

        def connection() -> asyncio.Protocol:
            made: asyncio.Protocol = self._connection(
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            )
            return made

        secured: dict[str, Any] = {}
        if file.context is not None:
            secured = {"ssl": file.context, "ssl_handshake_timeout": HANDSHAKE_SECONDS}
        new = await asyncio.get_running_loop().create_server(
            connection, sock=self._listener.dup(), backlog=_BACKLOG, **secured
        )
        for old in self.servers:
            old.close()
        self.servers = [new]
