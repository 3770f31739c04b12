"""What the API costs beside others: jobs of a user against datasette, and deliveries beside questions.

python -m tests.bench.bench_api rate STORE --datasette PROGRAM
python -m tests.bench.bench_api latency [--jobs 600]

STORE is what tests.bench.million makes. `rate` puts the same question to both servers on the same file, in turn,
each pinned to one core: a user's newest ten attempts. datasette is asked in its fastest form: no count, no facets,
ten rows. `latency` lets jobs end one after the other beside a daemon that is asked fifty questions a second, and
beside one that is not, in turn; what is compared is the time from a job's end until its line is in the file.
"""

import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import click

from slurmwatchd.config.loader import load
from slurmwatchd.config.settings import Config
from slurmwatchd.sinks.registry import sink_options
from tests.acceptance.process import DaemonProcess, free_port
from tests.bench.million import DAY, NEWEST
from tests.integration.api import serving_api

ROUNDS = 5
SECONDS = 4.0
USERS = tuple(f"user{number:03d}" for number in range(0, 400, 13))
QUESTIONS_A_SECOND = 50
ASKERS = 8
"""So many connections ask, so that a slow answer does not lower the rate."""

PATHS = ("/api/v1/jobs?user=ann&limit=10", "/api/v1/report?by=hour&since=-24h", "/api/v1/status", "/overview")
FIELDS = "cluster,job_id,user,account,partition,state,start,end,node_list"
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Served:
    """A store for `serving_api`."""

    config: Config
    store: Path


@dataclass(frozen=True, slots=True)
class Rate:
    """Answers a second, and a CPU second of the server."""

    wall: float
    cpu: float


@click.group()
def main() -> None:
    """Measure and print."""


@main.command("rate")
@click.argument("store", type=click.Path(path_type=Path, exists=True))
@click.option("--datasette", "program", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--core", default=0, show_default=True, help="Which core the servers are pinned to.")
def rate(store: Path, program: Path, core: int) -> None:
    """Ask both for a user's newest ten attempts."""
    port = free_port()
    theirs = [str(program), "serve", str(store), "-p", str(port), "--setting", "num_sql_threads", "3"]
    ours = [sys.executable, "-m", "tests.bench.bench_api", "serve", str(store)]
    with _server(theirs, core, subprocess.DEVNULL) as datasette, _server(ours, core, subprocess.PIPE) as api:
        assert api.stdout is not None
        at, token = json.loads(api.stdout.readline())
        _until_answered(port)
        since = NEWEST - 90 * DAY

        def of_datasette(user: str) -> str:
            query = {"user__exact": user, "_sort_desc": "end", "_size": "10", "_shape": "array"}
            flags = "_nocount=1&_nofacet=1&_nosuggest=1"
            return f"/{store.stem}/jobs.json?{urllib.parse.urlencode(query)}&{flags}"

        def of_api(user: str) -> str:
            query = {"user": user, "limit": "10", "since": f"@{since}", "fields": FIELDS}
            return f"/api/v1/jobs?{urllib.parse.urlencode(query)}"

        rates: dict[str, list[Rate]] = {"slurmwatchd": [], "datasette": []}
        for _ in range(ROUNDS):
            rates["datasette"].append(_rate(datasette.pid, port, of_datasette, {}, len))
            headers = {"Authorization": f"Bearer {token}"}
            rates["slurmwatchd"].append(_rate(api.pid, at, of_api, headers, lambda found: len(found["jobs"])))
        for name, found in rates.items():
            walls = sorted(one.wall for one in found)
            cpu = statistics.median(one.cpu for one in found)
            click.echo(
                f"{name:<12} {statistics.median(walls):6.0f} answers/s ({walls[0]:.0f} to {walls[-1]:.0f}), "
                f"{cpu:6.0f} a CPU second"
            )
        pairs = list(zip(rates["slurmwatchd"], rates["datasette"], strict=True))
        by_wall = statistics.median(one.wall / other.wall for one, other in pairs)
        by_cpu = statistics.median(one.cpu / other.cpu for one, other in pairs)
        click.echo(
            f"ratio        {by_wall:.1f} by the clock, {by_cpu:.1f} by CPU time (medians of {ROUNDS} pairs)"
        )


@main.command("serve", hidden=True)
@click.argument("store", type=click.Path(path_type=Path, exists=True))
def serve(store: Path) -> None:
    """Serve the API over a store until the standard input ends."""
    anyio.run(_serve, store)


async def _serve(store: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        config = load(None, sink_options=sink_options(), environ={}, flags={"store": {"path": str(store)}})
        async with serving_api(Served(config, store), Path(folder)) as client:
            sys.stdout.write(json.dumps([client.port, client.token("all")]) + "\n")
            sys.stdout.flush()
            await anyio.to_thread.run_sync(sys.stdin.read)


@contextmanager
def _server(argv: list[str], core: int, out: int) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.DEVNULL, text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),  # noqa: PLW1509 - no threads yet
    )  # fmt: skip
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()


def _until_answered(port: int) -> None:
    for _ in range(600):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/-/versions.json")
            connection.getresponse().read()
            connection.close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise click.ClickException("datasette does not answer")


def _rate(
    pid: int, port: int, path_of: Callable[[str], str], headers: dict[str, str], count: Callable[[Any], int]
) -> Rate:
    """Ask one after the other over one connection; first make sure that each answer has ten attempts."""
    asking = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for user in USERS:
        asking.request("GET", path_of(user), headers=headers)
        assert count(json.loads(asking.getresponse().read())) == 10
    asking.close()
    lines = "".join(f"{name}: {value}\r\n" for name, value in {"Host": f"127.0.0.1:{port}", **headers}.items())
    requests = [f"GET {path_of(user)} HTTP/1.1\r\n{lines}\r\n".encode() for user in USERS]
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        begun, spent, asked = time.perf_counter(), _cpu_seconds(pid), 0
        while time.perf_counter() - begun < SECONDS:
            _ask_over(connection, requests[asked % len(requests)])
            asked += 1
        wall, cpu = time.perf_counter() - begun, _cpu_seconds(pid) - spent
    return Rate(asked / wall, asked / cpu)


def _ask_over(connection: socket.socket, request: bytes) -> None:
    """Ask, and read the answer to its end, with as little work as can be: it is the server that is measured."""
    connection.sendall(request)
    received = b""
    while True:
        part = connection.recv(1 << 18)
        received += part
        head, whole_head, body = received.partition(b"\r\n\r\n")
        if not part or (head and not head.startswith(b"HTTP/1.1 200")):
            raise click.ClickException(f"{request[:100]!r}: {received[:200]!r}")
        if not whole_head:
            continue
        _, has_length, length = head.lower().partition(b"\r\ncontent-length:")
        if len(body) >= int(length.partition(b"\r\n")[0]) if has_length else body.endswith(b"\r\n0\r\n\r\n"):
            return


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


@main.command("latency")
@click.option("--jobs", default=600, show_default=True, help="How many end in each half.")
@click.option("--turns", default=6, show_default=True, help="How often questions begin and stop.")
def latency(jobs: int, turns: int) -> None:
    """Compare the times from a job's end to its line, with and without questions."""
    with tempfile.TemporaryDirectory() as folder, DaemonProcess(Path(folder)) as daemon:
        daemon.change_config("[web]\n", f'[web]\ntokens_file = "{folder}/tokens"\n')
        daemon.start_ready()
        token = daemon.run("token add", "bench", "--scope", "all").stdout.strip()
        waits: dict[bool, list[float]] = {False: [], True: []}
        for turn in range(2 * turns):
            begun = time.monotonic()
            with _questions(daemon.port, token, on=bool(turn % 2)) as asked:
                waits[bool(turn % 2)] += _waits(daemon, jobs // turns)
                lasted = time.monotonic() - begun
            if turn % 2:
                rate = asked[0] / lasted
                click.echo(f"turn {turn // 2 + 1}: {rate:.0f} questions a second were answered", err=True)
    for on, found in waits.items():
        name = f"{QUESTIONS_A_SECOND} questions a second" if on else "none"
        click.echo(
            f"{name:<24} median {statistics.median(found):.2f} s, p99 {_p99(found):.2f} s of {len(found)} ends"
        )
    click.echo(f"ratio of p99             {_p99(waits[True]) / _p99(waits[False]):.2f}")


def _waits(daemon: DaemonProcess, jobs: int) -> list[float]:
    """Let jobs end ten a second; return how long each took to its line."""
    ended: dict[str, float] = {}
    seen: dict[str, float] = {}
    offset = daemon.file.stat().st_size if daemon.file.exists() else 0
    first = time.time_ns()
    for number in range(jobs):
        name = f"{first}-{number}"
        daemon.ended(0, job_name=name)
        ended[name] = time.monotonic()
        offset = _read(daemon.file, offset, seen)
        time.sleep(0.1)
    deadline = time.monotonic() + 60
    while len(seen.keys() & ended.keys()) < jobs and time.monotonic() < deadline:
        offset = _read(daemon.file, offset, seen)
        time.sleep(0.01)
    return [seen[name] - moment for name, moment in ended.items()]


def _read(file: Path, offset: int, seen: dict[str, float]) -> int:
    if not file.exists():
        return 0
    with file.open("rb") as lines:
        lines.seek(offset)
        whole = lines.read().rpartition(b"\n")[0]
    now = time.monotonic()
    for line in whole.splitlines():
        seen.setdefault(json.loads(line)["name"], now)
    return offset + len(whole) + bool(whole)


@contextmanager
def _questions(port: int, token: str, *, on: bool) -> Iterator[list[int]]:
    """Ask the API, and its pages, fifty times a second while the block runs, in a process of its own."""
    answered = [0]
    if not on:
        yield answered
        return
    argv = [sys.executable, "-m", "tests.bench.bench_api", "ask", str(port)]
    asker = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert asker.stdin is not None
    assert asker.stdout is not None
    asker.stdin.write(f"{token}\n")
    asker.stdin.flush()
    asker.stdout.readline()
    try:
        yield answered
    finally:
        answered[0] = int(asker.communicate()[0])


@main.command("ask", hidden=True)
@click.argument("port", type=int)
def ask(port: int) -> None:
    """Ask with the token in the first line of the standard input until that ends; print how often."""
    token = sys.stdin.readline().strip()
    stop, answered = threading.Event(), [0] * ASKERS

    def ask_again(place: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        due = time.monotonic() + place / QUESTIONS_A_SECOND
        while not stop.wait(max(0.0, due - time.monotonic())):
            path = PATHS[(answered[place] + place) % len(PATHS)]
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise click.ClickException(f"{path}: {answer.status}")
            answered[place] += 1
            # The next one is due at its time, however long this one took.
            due = max(due + len(answered) / QUESTIONS_A_SECOND, time.monotonic())
        connection.close()

    threads = [threading.Thread(target=ask_again, args=(place,)) for place in range(len(answered))]
    for thread in threads:
        thread.start()
    click.echo("asking")
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    click.echo(sum(answered))


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[98]


if __name__ == "__main__":
    main()
