"""Posting to a real server on the loopback: answers, silence, and what a hostile one sends."""

import threading
import time
from collections.abc import AsyncIterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest

from slurmwatchd.errors import SinkError
from slurmwatchd.sinks.conformance import make_events
from slurmwatchd.sinks.webhook.client import HttpxClient
from slurmwatchd.sinks.webhook.options import HttpOptions
from slurmwatchd.sinks.webhook.sink import HttpSink
from slurmwatchd.telemetry.metrics import Metrics
from tests.patience import HANGS_SECONDS
from tests.unit.http_server import says, serving


def sink(url: str, **given: Any) -> HttpSink:  # noqa: ANN401 - any option
    return HttpSink("hook", HttpOptions.model_validate({"type": "http", "url": url, **given}), Metrics())


async def test_events_arrive_over_one_connection_and_again_after_reopening() -> None:
    with serving(says(204)) as (url, posted):
        hook = sink(url)
        await hook.open({})
        await hook.write(make_events(1, 3))
        await hook.reopen()
        await hook.write(make_events(4, 5))
        await hook.close()
    assert [(kind, body.count(b"\n")) for kind, body in posted] == [
        ("application/x-ndjson", 3),
        ("application/x-ndjson", 2),
    ]


async def test_what_is_to_be_done_meanwhile_is_done_before_the_answer() -> None:
    is_done = threading.Event()

    async def done() -> None:
        is_done.set()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        says(204 if is_done.wait(HANGS_SECONDS) else 500)(handler)

    with serving(answer) as (url, posted):
        client = HttpxClient(HttpOptions.model_validate({"type": "http", "url": url, "timeout": "60s"}))
        answered = await client.post(b"{}\n", {"Content-Type": "application/x-ndjson"}, done)
        await client.close()
    assert answered.status == 204
    # The body came whole: the server reads as many bytes as the request says it has.
    assert posted == [("application/x-ndjson", b"{}\n")]


async def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    with serving(says(500, b"<p>no</p> " * 1_000_000)) as (url, _):
        hook = sink(url)
        with pytest.raises(SinkError, match=r"127\.0\.0\.1:\d+: HTTP 500: <p>no</p> <p>no</p>") as caught:
            await hook.write(make_events(1, 1))
        await hook.close()
    assert len(str(caught.value)) < 300


async def test_a_server_that_is_asked_whether_it_is_there_may_say_much() -> None:
    async def words() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1000
            await anyio.lowlevel.checkpoint()

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(405, content=words())

    options = HttpOptions.model_validate({"type": "http", "url": "http://127.0.0.1:1/", "timeout": "1s"})
    client = HttpxClient(options, httpx.MockTransport(answer))
    assert await client.ask() == 405
    await client.close()


async def test_a_server_that_does_not_answer_or_dribbles_is_given_up_in_time() -> None:
    def dribble(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        while True:
            try:
                handler.wfile.write(b"x")
                handler.wfile.flush()
            except OSError:
                return
            time.sleep(0.1)

    with serving(dribble) as (url, _):
        hook = sink(url, timeout="500ms")
        with anyio.fail_after(HANGS_SECONDS), pytest.raises(SinkError, match=r"no answer within 0\.5 s"):
            await hook.write(make_events(1, 1))
        await hook.close()


async def test_a_redirect_is_not_followed() -> None:
    with serving(says(302, Location="http://127.0.0.1:1/elsewhere")) as (url, posted):
        hook = sink(url)
        with pytest.raises(SinkError, match="HTTP 302"):
            await hook.write(make_events(1, 1))
        await hook.close()
    assert len(posted) == 1


async def test_nobody_there_is_said() -> None:
    with serving(says(200)) as (url, _):
        pass
    hook = sink(url)
    with pytest.raises(SinkError, match=r"127\.0\.0\.1:\d+: .*(?i:connect)"):
        await hook.write(make_events(1, 1))
    await hook.close()


async def test_what_a_server_asks_for_in_its_headers_is_understood() -> None:
    with serving(says(503, retry_after="12")) as (url, _):
        hook = sink(url)
        with pytest.raises(SinkError) as caught:
            await hook.write(make_events(1, 1))
        await hook.close()
    assert caught.value.retry_after == 12
