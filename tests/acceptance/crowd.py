"""Clients that misbehave towards a daemon's web server, and a Prometheus that scrapes it meanwhile."""

import os
import socket
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import bcrypt
import httpx

from tests.acceptance.process import DaemonProcess
from tests.patience import HANGS_SECONDS

SCRAPER = ("prometheus", "pw-prometheus")
PERSON = ("ada", "pw-ada")
LATE = ("grace", "pw-grace")
"""Logs in when others guess."""

PATHS = ("/jobs", "/overview", "/report", "/static/style.css", "/", "/metrics", "/-/status", "/api/v1/jobs")
"""Pages, what is guarded by passwords of `web.yml`, what needs no login, and the API."""

_CLOSED = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)


def let_people_in(daemon: DaemonProcess, *, rounds: int = 4) -> None:
    """Give the daemon a `web.yml` with people, of whom Prometheus may see no jobs."""
    lines = [
        f"  {name}: {bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds)).decode()}\n"
        for name, password in (SCRAPER, PERSON, LATE)
    ]
    (daemon.folder / "web.yml").write_text("basic_auth_users:\n" + "".join(lines))
    settings = f'web_config = "{daemon.folder}/web.yml"\npeople = {{ ada = "all", grace = "own" }}\n'
    daemon.change_config("[web]\n", f'[web]\ntokens_file = "{daemon.folder}/tokens"\n{settings}')


def basic(login: tuple[str, str]) -> str:
    """The header line of a login."""
    return f"Authorization: Basic {b64encode(':'.join(login).encode()).decode()}\r\n"


class Scrapes:
    """What a Prometheus got.

    Attributes:
        slowest: In seconds.
    """

    def __init__(self) -> None:
        self.count = 0
        self.slowest = 0.0
        self.faults: list[str] = []

    def note(self, status: int, text: str, took: float) -> None:
        self.count += 1
        self.slowest = max(self.slowest, took)
        if status != 200 or "slurmwatchd_build_info" not in text:
            self.faults.append(f"{status} after {took:.1f} s: {text[:100]}")


@asynccontextmanager
async def scraped(address: str, *, verify: bool = True) -> AsyncIterator[Scrapes]:
    """Scrape all the time, each time over another connection."""
    scrapes = Scrapes()

    async def scrape() -> None:
        while True:
            began = time.monotonic()
            try:
                async with httpx.AsyncClient(timeout=HANGS_SECONDS, verify=verify) as client:
                    answer = await client.get(f"{address}/metrics", auth=SCRAPER)
                scrapes.note(answer.status_code, answer.text, time.monotonic() - began)
            except httpx.HTTPError as error:
                scrapes.note(0, repr(error), time.monotonic() - began)
            await anyio.sleep(0.1)

    async with anyio.create_task_group() as group:
        group.start_soon(scrape)
        yield scrapes
        group.cancel_scope.cancel()


async def send_head_slowly(port: int, path: str) -> bytes:
    """Send a head a byte at a time, without end; return what came until the daemon cut it off."""
    connection = await anyio.connect_tcp("127.0.0.1", port)
    received = bytearray()
    async with connection:
        try:
            await connection.send(f"GET {path} HTTP/1.1\r\nHost: x\r\nX-Slow: ".encode())
            while True:
                await connection.send(b"a")
                with anyio.move_on_after(0.1):
                    received += await connection.receive()
        except _CLOSED:
            return bytes(received)


async def send_body_without_end(port: int, path: str, method: str, header: str = "") -> bytes:
    """Send pieces of a body, without end; return what came until the daemon cut it off."""
    connection = await anyio.connect_tcp("127.0.0.1", port)
    received = bytearray()
    async with connection:
        try:
            head = f"{method} {path} HTTP/1.1\r\nHost: x\r\n{header}Transfer-Encoding: chunked\r\n\r\n"
            await connection.send(head.encode())
            while True:
                await connection.send(b"400\r\n" + bytes(1024) + b"\r\n")
                with anyio.move_on_after(0.05):
                    received += await connection.receive()
        except _CLOSED:
            return bytes(received)


async def take_nothing(port: int, path: str) -> int:
    """Ask again and again and read no answer; return how many bytes the daemon took until it cut that off."""
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\n{basic(PERSON)}\r\n".encode()
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.connect(("127.0.0.1", port))
        plain.setblocking(False)
        sent = 0
        while True:
            await anyio.wait_writable(plain)
            try:
                sent += plain.send(request)
            except BlockingIOError:
                continue
            except OSError:
                return sent


def descriptors(daemon: DaemonProcess) -> int:
    """How many files the daemon has open."""
    assert daemon.process is not None
    return len(list(Path(f"/proc/{daemon.process.pid}/fd").iterdir()))


def memory(daemon: DaemonProcess) -> int:
    """How many bytes of memory it has now."""
    assert daemon.process is not None
    pages = int(Path(f"/proc/{daemon.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
