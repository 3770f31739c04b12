"""The real daemon while clients misbehave, at pages, log-in, API and metrics: scrapes go on, nothing leaks."""

import resource
import socket
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import anyio
import httpx
import pytest

from slurmwatchd.daemon.web.connection import MAX_CONNECTIONS, REQUEST_SECONDS
from tests.acceptance import crowd
from tests.acceptance.crowd import LATE, PATHS, PERSON, basic
from tests.acceptance.process import DaemonProcess
from tests.certificates import made
from tests.patience import HANGS_SECONDS

pytestmark = pytest.mark.heavy

JOBS = 200
CONNECTIONS = 1000
FEW = 12
"""So many descriptors more than before are idle connections to the store."""

GROWTH_BYTES = 96 << 20
"""More memory than before the first request; what a crowd of clients took for good would be beyond it."""


@contextmanager
def open_files() -> Iterator[None]:
    """Let this process, and what it starts, open thousands of files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def busy_daemon(folder: Path, *, rounds: int = 4) -> Iterator[DaemonProcess]:
    """A daemon with jobs that has answered each path once."""
    with open_files(), DaemonProcess(folder) as daemon:
        crowd.let_people_in(daemon, rounds=rounds)
        for number in range(JOBS):
            daemon.ended(30 + number, job_name=f"job {number}", user="ada", nodelist="n1")
        daemon.start()
        daemon.wait_until(lambda: len(daemon.names()) == JOBS, "the jobs")
        for path in PATHS:
            assert httpx.get(at(daemon, path), auth=PERSON, timeout=HANGS_SECONDS).status_code == 200, path
        yield daemon
        assert daemon.stop() == 0


def at(daemon: DaemonProcess, path: str = "") -> str:
    return f"http://127.0.0.1:{daemon.port}{path}"


def all_is_as_before(daemon: DaemonProcess, files: int, memory: int) -> None:
    """Nothing was left behind, nothing failed, and who may log in still can."""
    daemon.wait_until(lambda: crowd.descriptors(daemon) <= files + FEW, "descriptors to be closed")
    assert crowd.memory(daemon) - memory < GROWTH_BYTES
    assert [line for line in daemon.logged() if line["level"] in {"error", "critical"}] == []
    for path in PATHS:
        assert httpx.get(at(daemon, path), auth=PERSON, timeout=HANGS_SECONDS).status_code == 200, path


async def test_slow_heads_endless_bodies_and_answers_that_nobody_reads_are_cut_off(tmp_path: Path) -> None:
    with busy_daemon(tmp_path) as daemon:
        files, memory = crowd.descriptors(daemon), crowd.memory(daemon)
        heads: list[bytes] = []
        bodies: list[tuple[str, bytes]] = []
        unread: list[int] = []

        async def slow_head(path: str) -> None:
            heads.append(await crowd.send_head_slowly(daemon.port, path))

        async def endless_body(path: str, method: str, header: str) -> None:
            got = await crowd.send_body_without_end(daemon.port, path, method, header)
            bodies.append((f"{method} {path} {bool(header)}", got[9:12]))

        async def never_read(path: str) -> None:
            unread.append(await crowd.take_nothing(daemon.port, path))

        async with crowd.scraped(at(daemon)) as scrapes:
            with anyio.fail_after(HANGS_SECONDS):
                async with anyio.create_task_group() as group:
                    for path in PATHS:
                        for _ in range(5):
                            group.start_soon(slow_head, path)
                        for method in ("GET", "POST"):
                            for header in ("", basic(PERSON)):
                                group.start_soon(endless_body, path, method, header)
                        group.start_soon(never_read, path)
            ended = scrapes.count
        assert heads == [b""] * 5 * len(PATHS)
        assert len(bodies) == 4 * len(PATHS)
        assert {status for _, status in bodies} <= {b"200", b"401", b"405", b"413"}
        # Nobody is let in by a body, and nobody kept out.
        assert ("GET /jobs True", b"200") in bodies
        assert ("GET /jobs False", b"401") in bodies
        assert ("GET /api/v1/jobs True", b"413") in bodies
        assert len(unread) == len(PATHS)
        assert max(unread) < 64 << 20
        assert scrapes.faults == []
        assert ended > 10
        all_is_as_before(daemon, files, memory)


async def test_a_thousand_connections_leave_room_for_scrapes_and_people(tmp_path: Path) -> None:
    with busy_daemon(tmp_path) as daemon, ExitStack() as open_sockets:
        files, memory = crowd.descriptors(daemon), crowd.memory(daemon)
        async with crowd.scraped(at(daemon)) as scrapes:
            for number in range(CONNECTIONS):
                connection = socket.create_connection(("127.0.0.1", daemon.port), timeout=HANGS_SECONDS)
                open_sockets.enter_context(connection)
                path = PATHS[number % len(PATHS)]
                begun = f"GET {path} HTTP/1.1\r\nHost: x\r\n{basic(PERSON)}"
                # Silent, in the middle of a head, or, some, idle after an answer: those take the daemon's time.
                connection.sendall((f"{begun}\r\n" if number % 12 == 0 else ("", begun)[number % 2]).encode())
                if number % 20 == 0:
                    await anyio.sleep(0.02)
            # Some are accepted before there is room. What sends nothing would go by itself, but later.
            looks: deque[int] = deque(maxlen=10)
            with anyio.move_on_after(REQUEST_SECONDS / 2):
                while len(looks) < 10 or max(looks) > files + MAX_CONNECTIONS + 64:
                    looks.append(crowd.descriptors(daemon))
                    await anyio.sleep(0.05)
            assert max(looks) <= files + MAX_CONNECTIONS + 64
            for path in PATHS:
                async with httpx.AsyncClient(timeout=HANGS_SECONDS, auth=PERSON) as client:
                    assert (await client.get(at(daemon, path))).status_code == 200, path
        assert scrapes.faults == []
        assert scrapes.count > 5
        open_sockets.close()
        all_is_as_before(daemon, files, memory)


async def test_handshakes_that_are_never_finished_do_not_keep_a_scrape_out(tmp_path: Path) -> None:
    made(tmp_path, "server", "20260101000000Z", "20400101000000Z")
    with open_files(), DaemonProcess(tmp_path) as daemon, ExitStack() as open_sockets:
        crowd.let_people_in(daemon)
        with (tmp_path / "web.yml").open("a") as file:
            file.write("tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n")
        daemon.start()
        daemon.wait_until(lambda: '"event":"ready"' in daemon.stderr().replace(" ", ""), "ready")
        assert daemon.process is not None
        # As systemd starts it.
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (1024, 8192))
        files = crowd.descriptors(daemon)
        async with crowd.scraped(f"https://127.0.0.1:{daemon.port}", verify=False) as scrapes:
            for number in range(2 * CONNECTIONS):
                connection = socket.create_connection(("127.0.0.1", daemon.port), timeout=HANGS_SECONDS)
                open_sockets.enter_context(connection)
                # The beginning of a client's first message, or nothing.
                connection.sendall((b"", b"\x16\x03\x01\x02\x00\x01\x00")[number % 2])
                if number % 20 == 0:
                    await anyio.sleep(0.02)
            seen = scrapes.count
            with anyio.fail_after(HANGS_SECONDS):
                while scrapes.count < seen + 2:  # noqa: ASYNC110 - the count is what is waited for
                    await anyio.sleep(0.1)
        assert scrapes.faults == []
        daemon.wait_until(lambda: crowd.descriptors(daemon) <= files + FEW, "descriptors to be closed")
        assert daemon.stop() == 0


async def test_wrong_passwords_in_bulk_hold_up_neither_scrapes_nor_people(tmp_path: Path) -> None:
    # Twelve rounds take a quarter of a second a guess.
    with busy_daemon(tmp_path, rounds=12) as daemon:
        files, memory = crowd.descriptors(daemon), crowd.memory(daemon)
        statuses: Counter[int] = Counter()
        stop = anyio.Event()

        async def guess(number: int) -> None:
            async with httpx.AsyncClient(timeout=HANGS_SECONDS) as client:
                while not stop.is_set():
                    name = ("ada", "prometheus", "nobody")[number % 3]
                    path = ("/jobs", "/overview", "/metrics", "/api/v1/jobs")[number % 4]
                    answer = await client.get(at(daemon, path), auth=(name, f"guess {number}"))
                    statuses[answer.status_code] += 1

        async with crowd.scraped(at(daemon)) as scrapes, anyio.create_task_group() as group:
            for number in range(80):
                group.start_soon(guess, number)
            with anyio.fail_after(HANGS_SECONDS):
                while statuses[401] < 10 or statuses[429] < 100:  # noqa: ASYNC110 - the counts are what is waited for
                    await anyio.sleep(0.1)
            # Somebody who was not there before, from a machine that guesses nothing.
            transport = httpx.AsyncHTTPTransport(local_address="127.0.0.2")
            async with httpx.AsyncClient(timeout=HANGS_SECONDS, transport=transport) as client:
                assert (await client.get(at(daemon, "/jobs"), auth=LATE)).status_code == 200
            stop.set()
        assert set(statuses) == {401, 429}
        assert scrapes.faults == []
        assert scrapes.count > 5
        failed = [line for line in daemon.logged() if line["event"].startswith("a login failed")]
        assert [line["address"] for line in failed] == ["127.0.0.1"]
        assert "guess" not in daemon.log.read_text()
        all_is_as_before(daemon, files, memory)


TRICKS = (
    "/../metrics", "/..%2fmetrics", "/jobs/../metrics", "/overview/%2e%2e/metrics", "/static/../../../etc/passwd",
    "/static/%2e%2e%2f%2e%2e%2fetc/passwd", "/static/..%5c..%5cetc%5cpasswd", "/static/style.css/../../metrics",
    "/static/", "/static", "//metrics", "///etc/passwd", "/metrics/", "/metrics%00", "/metrics%0a", "/metrics;x",
    "/api/v1/../../metrics", "/api/v1/%2e%2e/%2e%2e/-/status", "/api/v1//jobs", "/api/v1/jobs/..%2f..%2fmetrics",
    "/api/v1/jobs/%00", "/api/v1/jobs/%ff%fe", "/jobs/%0d%0aSet-Cookie:%20a=b", "/jobs/%c0%ae%c0%ae/",
    "/nodes/%00",
    "/nodes/..%2f..%2f..%2fetc%2fpasswd", "/nodes/%f0%9f%92%a9", "/jobs?user=%00&user=%ff", "/jobs?cursor=../../x",
    "/-/../metrics", "/-/status%20", "/.git/config", "/.well-known/x", "/%6detrics", "/%2e", "/?", "/;", "/*", "*",
    "http://elsewhere.example.org/metrics", "http://elsewhere.example.org/api/v1/jobs", "elsewhere:80",
    "/" + "a" * 20_000,
    "/jobs/" + "%2f" * 2000, "/jobs?" + "&".join(f"x{n}=1" for n in range(2000)),
)  # fmt: skip
"""What stands behind the method, without a login."""

OPEN = {"/static/style.css"}


def test_no_path_gets_anywhere_without_a_login(tmp_path: Path) -> None:
    with busy_daemon(tmp_path) as daemon:
        for trick in TRICKS:
            for method in ("GET", "HEAD", "POST", "OPTIONS", "PUT", "TRACE", "PROPFIND"):
                answer = asked(daemon.port, f"{method} {trick} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                status = int(answer[9:12])
                assert status in {307, 400, 401, 403, 404, 405, 414}, (method, trick[:80], answer[:200])
                assert b"slurmwatchd_build_info" not in answer
                assert b"set-cookie" not in answer.lower()
                if status == 307:
                    assert b"location: http://x/" in answer
        # With a login a trick leads nowhere else.
        for trick in TRICKS:
            head = f"GET {trick} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{basic(PERSON)}\r\n"
            answer = asked(daemon.port, head)
            assert int(answer[9:12]) < 500, trick[:80]
            assert b"root:x:0:0" not in answer
        assert [line for line in daemon.logged() if line["level"] in {"error", "critical"}] == []


def asked(port: int, request: str) -> bytes:
    """Send a request as it is; all that comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=HANGS_SECONDS) as connection:
        connection.sendall(request.encode())
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer
