"""The HTTP server as a task among others: bound before anything starts, and never touching signals."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from slurmwatchd.config.units import split_address
from slurmwatchd.errors import ListenError

_GRACE_SECONDS = 2

REQUEST_SECONDS = 10.0
"""A client that has not sent a whole request by then is cut off: it would keep a descriptor for ever."""


def bind(address: str) -> socket.socket:
    """Bind a listening socket.

    Args:
        address: `host:port`; port 0 takes a free one.

    Raises:
        ListenError: The address is in use, or not ours to bind.
    """
    host, port = split_address(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise ListenError(f"web.listen: cannot listen on {address}: {error.strerror}") from error
    listener.setblocking(False)
    return listener


def url(listener: socket.socket) -> str:
    """Return the address a person can open, such as `http://127.0.0.1:10025`."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Connection(H11Protocol):
    """A connection that waits for its first request for a while only; uvicorn limits the pauses after it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait."""
        super().connection_made(transport)
        self._patience = self.loop.call_later(REQUEST_SECONDS, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._patience.cancel()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        if not self.cycle:
            self.transport.close()


class WebServer(uvicorn.Server):
    """Uvicorn without its signal handlers: SIGTERM and SIGINT are the supervisor's."""

    def __init__(self, app: Starlette, listener: socket.socket) -> None:
        """Prepare to serve on a socket that is already bound."""
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

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    async def run_until_stopped(self) -> None:
        """Serve until `stop`; when this is cancelled instead, the address is free again all the same."""
        try:
            await self.serve(sockets=[self._listener])
        finally:
            for server in getattr(self, "servers", ()):
                server.close()

    def stop(self) -> None:
        """Stop taking requests, finish those under way."""
        self.should_exit = True
