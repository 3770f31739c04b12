"""A client of the API that sends requests before it has the answers to those before."""

import re
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from slurmwatchd.daemon.web import connection as connections
from tests.integration.api import serving_api
from tests.integration.rig import Rig
from tests.integration.test_api_limits import parsers, request
from tests.patience import HANGS_SECONDS


@parsers
async def test_some_requests_sent_ahead_are_answered_in_turn(
    filled: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parser: Callable[[], type]
) -> None:
    monkeypatch.setattr("slurmwatchd.daemon.web.server.connection_class", parser)
    async with serving_api(filled, tmp_path) as client:
        connection = await anyio.connect_tcp("127.0.0.1", client.port)
        await connection.send(request(client, "status") * 3 + request(client, "nothing"))
        received = b""
        with anyio.fail_after(HANGS_SECONDS):
            while received.count(b"HTTP/1.1 ") < 4:
                received += await connection.receive()
        assert re.findall(rb"HTTP/1\.1 (\d+)", received) == [b"200"] * 3 + [b"404"]
        await connection.aclose()


async def test_requests_sent_ahead_without_end_are_refused(
    filled: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slurmwatchd.daemon.web.server.connection_class", connections.with_llhttp)
    async with serving_api(filled, tmp_path) as client:
        connection = await anyio.connect_tcp("127.0.0.1", client.port)
        received = b""
        with anyio.fail_after(HANGS_SECONDS):
            try:
                await connection.send(request(client, "status") * 1000)
                while True:
                    received += await connection.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                pass
        await connection.aclose()
        # Those before may have been answered; not the thousand.
        assert received == b"" or b"HTTP/1.1 400" in received
        assert received.count(b"HTTP/1.1 200") <= connections.MAX_AHEAD
        assert (await client.ask("/status")).status_code == 200
