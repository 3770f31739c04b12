"""Requests that ask for another protocol: they are answered as any other, and the connection stays what it is."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from tests.integration.api import serving_api
from tests.integration.rig import Rig
from tests.integration.test_api_limits import parsers
from tests.patience import HANGS_SECONDS


class WebSocket(asyncio.Protocol):
    """Stands for that of a library, which uvicorn uses as soon as one is installed."""

    def __init__(self, **_: object) -> None:
        """Be made as uvicorn makes one."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Answer as such a thing."""
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")


@parsers
@pytest.mark.parametrize("protocol", ["websocket", "h2c"])
async def test_no_upgrade_changes_the_protocol(
    filled: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parser: Callable[[], type], protocol: str
) -> None:
    monkeypatch.setattr("slurmwatchd.daemon.web.server.connection_class", parser)
    monkeypatch.setattr("uvicorn.protocols.websockets.auto.AutoWebSocketsProtocol", WebSocket)
    async with serving_api(filled, tmp_path) as client:
        token = client.token("all")
        asked = f"GET /api/v1/status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        upgrade = f"Connection: Upgrade\r\nUpgrade: {protocol}\r\n"
        async with await anyio.connect_tcp("127.0.0.1", client.port) as connection:
            with anyio.fail_after(HANGS_SECONDS):
                for request in (asked + upgrade, asked):
                    await connection.send(f"{request}\r\n".encode())
                    received = await connection.receive()
                    assert received.startswith(b"HTTP/1.1 200 ")
                    while not received.endswith(b"}"):
                        received += await connection.receive()
