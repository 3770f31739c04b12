"""Trailers, which stand behind the body of a request: they are no headers, and have an end."""

from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from tests.integration.api import Client, serving_api
from tests.integration.rig import Rig
from tests.integration.test_api_limits import parsers
from tests.patience import HANGS_SECONDS

CHUNKED = b"GET %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%b0\r\n"


@parsers
@pytest.mark.parametrize("chunks", [b"", b"3\r\nabc\r\n"])
async def test_trailers_log_nobody_in(
    filled: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parser: Callable[[], type], chunks: bytes
) -> None:
    monkeypatch.setattr("slurmwatchd.daemon.web.server.connection_class", parser)
    # A proxy that is trusted takes the header from requests, and passes trailers on.
    proxies, people = ["127.0.0.1"], {"ada": "all"}
    async with serving_api(
        filled, tmp_path, trusted_proxies=proxies, user_header="X-Remote-User", people=people
    ) as client:
        token = b"Authorization: Bearer %b\r\n" % client.token("all").encode()
        begun = CHUNKED % (b"/jobs", chunks)
        for trailer in (b"X-Remote-User: ada\r\n", token, b"A: b\r\nX-Remote-User: ada\r\n"):
            for request in (begun + trailer + b"\r\n", (begun + trailer + b"\r\n") * 2):
                assert (await answer(client, request)).startswith(b"HTTP/1.1 401 ")
        # As headers both are good.
        for header in (b"X-Remote-User: ada\r\n", token):
            request = b"GET /jobs HTTP/1.1\r\nHost: x\r\n%b\r\n" % header
            assert (await answer(client, request)).startswith(b"HTTP/1.1 200 ")


async def answer(client: Client, request: bytes) -> bytes:
    """The beginning of what comes back."""
    async with await anyio.connect_tcp("127.0.0.1", client.port) as connection:
        with anyio.fail_after(HANGS_SECONDS):
            await connection.send(request)
            return await connection.receive()


@parsers
@pytest.mark.parametrize(("begin", "more"), [("", "a: b\r\n" * 1000), ("a: ", "b" * 6000)])
async def test_trailers_without_end_are_refused(
    filled: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parser: Callable[[], type], begin: str, more: str
) -> None:
    monkeypatch.setattr("slurmwatchd.daemon.web.server.connection_class", parser)
    async with serving_api(filled, tmp_path) as client:
        connection = await anyio.connect_tcp("127.0.0.1", client.port)
        sent = 0
        with anyio.fail_after(HANGS_SECONDS):
            try:
                await connection.send(CHUNKED % (b"/metrics", b"") + begin.encode())
                assert (await connection.receive()).startswith(b"HTTP/1.1 200 ")
                while sent < 100_000_000:
                    await connection.send(more.encode())
                    sent += len(more)
            except anyio.BrokenResourceError:
                pass
        await connection.aclose()
        # What the sockets of both sides hold is a few megabytes.
        assert sent < 20_000_000
