"""The web server in the daemon's process: it holds up neither event loop nor end, nor touches signals."""

import signal
import socket
import threading
import urllib.request
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from importlib.metadata import version

import anyio
import anyio.to_thread
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from slurmwatchd.daemon.web.app import make_app
from slurmwatchd.daemon.web.server import WebServer, bind
from slurmwatchd.model.clock import SystemClock
from slurmwatchd.telemetry.health import Health
from tests.patience import HANGS_SECONDS


class Noting:
    """A collector that notes which threads ask it."""

    def __init__(self) -> None:
        self.threads: list[int] = []

    def collect(self) -> Iterable[GaugeMetricFamily]:
        self.threads.append(threading.get_ident())
        return [GaugeMetricFamily("noted", "That it was asked.", value=1)]


@asynccontextmanager
async def serving(app: Starlette) -> AsyncIterator[tuple[WebServer, int]]:
    """A server, and the free port it has; it must end soon after the block."""
    listener = bind("127.0.0.1:0")
    server = WebServer(app, listener)
    with listener, anyio.fail_after(HANGS_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(server.run_until_stopped)
            yield server, listener.getsockname()[1]
            server.stop()


async def get(port: int, path: str) -> str:
    """Ask for a page, in a thread, and so that nothing is left open."""

    def ask() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=HANGS_SECONDS) as answer:
            return str(answer.read().decode())

    return await anyio.to_thread.run_sync(ask)


async def test_metrics_are_written_in_another_thread_than_that_of_the_event_loop() -> None:
    registry, noting = CollectorRegistry(), Noting()
    registry.register(noting)
    noting.threads.clear()
    async with serving(make_app(Health(SystemClock()), registry)) as (_, port):
        assert "noted 1.0" in await get(port, "/metrics")
    assert noting.threads
    assert threading.get_ident() not in noting.threads


async def test_page_says_which_version_this_is() -> None:
    async with serving(make_app(Health(SystemClock()), CollectorRegistry())) as (_, port):
        assert f"<h1>slurmwatchd {version('slurmwatchd')}</h1>" in await get(port, "/")


async def test_an_answer_does_not_wait_for_the_clients_acknowledgement() -> None:
    async with serving(make_app(Health(SystemClock()), CollectorRegistry())) as (server, port):
        client = await anyio.connect_tcp("127.0.0.1", port)
        await client.send(b"GET /-/healthy HTTP/1.1\r\nHost: here\r\n\r\n")
        assert (await client.receive()).startswith(b"HTTP/1.1 200")
        (connection,) = server.server_state.connections
        sock = connection.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        await client.aclose()


async def test_signals_stay_with_whom_they_belong_to_while_the_server_runs() -> None:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    async with serving(make_app(Health(SystemClock()), CollectorRegistry())) as (_, port):
        await get(port, "/-/healthy")
        assert [signal.getsignal(number) for number in numbers] == before


@pytest.mark.heavy
async def test_request_that_is_never_answered_does_not_keep_the_server_from_ending() -> None:
    asked = anyio.Event()

    async def never(_: Request) -> Response:
        asked.set()
        await anyio.sleep_forever()
        raise AssertionError

    async with serving(Starlette(routes=[Route("/", never)])) as (server, port):
        client = await anyio.connect_tcp("127.0.0.1", port)
        await client.send(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        await asked.wait()
        server.stop()
    await client.aclose()
