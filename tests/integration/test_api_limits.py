"""The API under care: time limits, clients that go or are slow, crowds, wrong logins. Scrapes go on."""

import json
import logging
import socket
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import anyio
import pytest

from slurmwatchd.daemon.web import connection as connections
from slurmwatchd.daemon.web.api import access, questions
from slurmwatchd.daemon.web.api.problems import ProblemError
from slurmwatchd.daemon.web.api.questions import Asking, Questions
from slurmwatchd.store.read.reader import StoreReader
from tests.integration.api import Client, serving_api
from tests.integration.rig import Rig
from tests.patience import HANGS_SECONDS

parsers = pytest.mark.parametrize("parser", [connections.with_llhttp, connections.with_h11])

ENDLESS = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


def endless(store: StoreReader, _: Asking) -> object:
    return store.rows(ENDLESS)


async def test_a_question_that_takes_too_long_is_ended(filled: Rig) -> None:
    asked = Questions(filled.store, seconds=0.2)
    with pytest.raises(ProblemError, match=r"^The question took longer than 0s; ask for less") as problem:
        await asked.ask(endless, who="a")
    assert problem.value.status == 503
    # Its connection is not used again, and the place is free.
    assert (await asked.ask(lambda store, _: store.rows("SELECT 1 AS one")[0]["one"], who="a")) == 1
    asked.close()


async def test_a_question_whose_client_went_is_ended(filled: Rig) -> None:
    asked = Questions(filled.store, seconds=HANGS_SECONDS)
    begun, ended = threading.Event(), threading.Event()

    def work(store: StoreReader, asking: Asking) -> object:
        begun.set()
        try:
            return endless(store, asking)
        finally:
            ended.set()

    async with anyio.create_task_group() as group:
        group.start_soon(partial(asked.ask, work, who="a"))
        assert await anyio.to_thread.run_sync(begun.wait, HANGS_SECONDS)
        group.cancel_scope.cancel()
    assert ended.is_set()
    asked.close()


async def test_a_torn_connection_ends_the_question_of_a_request(
    filled: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ended = threading.Event(), threading.Event()

    def fetch(store: StoreReader, *_: object, **__: object) -> object:
        begun.set()
        try:
            return store.rows(ENDLESS)
        finally:
            ended.set()

    monkeypatch.setattr(StoreReader, "fetch", fetch)
    async with serving_api(filled, tmp_path, seconds=HANGS_SECONDS) as client:
        for path in ("jobs", "export", "jobs/12"):
            begun.clear()
            ended.clear()
            connection = await anyio.connect_tcp("127.0.0.1", client.port)
            await connection.send(request(client, path))
            assert await anyio.to_thread.run_sync(begun.wait, HANGS_SECONDS), path
            await connection.aclose()
            assert await anyio.to_thread.run_sync(ended.wait, HANGS_SECONDS), path


def request(client: Client, path: str) -> bytes:
    token = client.token("all")
    return f"GET /api/v1/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


async def test_heavy_questions_of_one_token_leave_room_for_others(filled: Rig) -> None:
    asked = Questions(filled.store, seconds=HANGS_SECONDS)
    begun = threading.Semaphore(0)

    def work(store: StoreReader, asking: Asking) -> object:
        begun.release()
        return endless(store, asking)

    async with anyio.create_task_group() as group:
        for _ in range(questions.AT_ONCE + 3):
            group.start_soon(partial(asked.ask, work, who="heavy"))
        for _ in range(questions.AT_ONCE_EACH):
            assert await anyio.to_thread.run_sync(lambda: begun.acquire(timeout=HANGS_SECONDS))
        with anyio.fail_after(HANGS_SECONDS):
            assert await asked.ask(lambda store, _: len(store.rows("SELECT 1")), who="light") == 1
        assert not begun.acquire(blocking=False)
        group.cancel_scope.cancel()
    asked.close()


async def test_a_question_whose_time_is_over_while_it_waits_is_sent_away(filled: Rig) -> None:
    asked = Questions(filled.store, seconds=0.2)
    begun, go_on = threading.Semaphore(0), threading.Event()

    def hold(*_: object) -> object:
        begun.release()
        return go_on.wait(HANGS_SECONDS)

    async with anyio.create_task_group() as group:
        for _ in range(questions.AT_ONCE_EACH):
            group.start_soon(partial(asked.ask, hold, who="greedy"))
            await anyio.to_thread.run_sync(begun.acquire)
        with pytest.raises(ProblemError, match=r"^The question took longer than 0s"):
            await asked.ask(lambda *_: None, who="greedy")
        # Those before it are still under way: it did not wait for them.
        assert not go_on.is_set()
        go_on.set()
    asked.close()


async def test_more_than_may_wait_are_sent_away(filled: Rig) -> None:
    asked = Questions(filled.store, seconds=HANGS_SECONDS)
    async with anyio.create_task_group() as group:
        for number in range(questions.AT_ONCE + questions.MAX_WAITING):
            group.start_soon(partial(asked.ask, endless, who=str(number)))
        await anyio.lowlevel.checkpoint()
        with pytest.raises(ProblemError, match="Too many questions wait") as problem:
            await asked.ask(endless, who="late")
        assert problem.value.headers == {"Retry-After": "1"}
        group.cancel_scope.cancel()
    asked.close()


async def test_one_after_the_other_they_share_a_connection_and_closing_ends_its_thread(filled: Rig) -> None:
    asked = Questions(filled.store, seconds=HANGS_SECONDS)
    readers = {await asked.ask(lambda store, _: id(store), who=who) for who in "aba"}
    assert len(readers) == 1
    (thread,) = asked._threads
    asked.close()
    await anyio.to_thread.run_sync(thread.join, HANGS_SECONDS)
    assert not thread.is_alive()


async def test_a_store_that_cannot_be_read_is_a_problem_without_its_path(filled: Rig, tmp_path: Path) -> None:
    async with serving_api(filled, tmp_path, store=tmp_path / "gone.db") as client:
        problem = await client.problem("/jobs")
        assert (problem["status"], problem["detail"]) == (
            503,
            "The store cannot be read now; the daemon's log says why.",
        )


async def test_an_export_that_fails_half_way_shows_that_it_is_torn(
    filled: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slurmwatchd.daemon.web.api.lists.EXPORT_ROWS", 3)
    whole = StoreReader.fetch
    calls = 0

    def fetch(store: StoreReader, *arguments: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise ProblemError(503, "too long")
        return whole(store, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(StoreReader, "fetch", fetch)
    async with serving_api(filled, tmp_path) as client:
        connection = await anyio.connect_tcp("127.0.0.1", client.port)
        await connection.send(request(client, "export?fields=job_id,name"))
        received = b""
        with anyio.fail_after(HANGS_SECONDS):
            try:
                while True:
                    received += await connection.receive()
            except anyio.EndOfStream:
                pass
        await connection.aclose()
        assert received.count(b'"job_id"') == 6
        assert not received.endswith(b"0\r\n\r\n")


async def test_a_wrong_login_waits_and_is_logged_once(
    filled: Rig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    caplog.set_level(logging.WARNING)
    async with serving_api(filled, tmp_path) as client:
        client.api.access._sleep = sleep
        client.token("all")
        for number in range(8):
            answer = await client.http.get("/jobs", headers={"Authorization": f"Bearer swd_{number}"})
            assert (answer.status_code, answer.json()["detail"]) == (
                401,
                "The token is not known, or was revoked.",
            )
            assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        assert (await client.ask("/status")).status_code == 200
    assert waits == [0.25, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0, 4.0]
    assert caplog.text.count("a login failed") == 1
    assert "swd_" not in caplog.text


async def test_wrong_logins_in_bulk_do_not_hold_up_others(filled: Rig, tmp_path: Path) -> None:
    asleep = 0
    wake = anyio.Event()

    async def sleep(_: float) -> None:
        nonlocal asleep
        asleep += 1
        await wake.wait()

    async with serving_api(filled, tmp_path) as client:
        client.api.access._sleep = sleep
        client.token("all")
        codes: list[int] = []

        async def guess() -> None:
            answer = await client.http.get("/jobs", headers={"Authorization": "Bearer guess"})
            codes.append(answer.status_code)

        async with anyio.create_task_group() as group:
            for _ in range(access.MAX_DELAYED + 10):
                group.start_soon(guess)
            with anyio.fail_after(HANGS_SECONDS):
                while len(codes) < 10 or asleep < access.MAX_DELAYED:
                    await anyio.lowlevel.checkpoint()
            assert codes == [429] * 10
            assert (await client.ask("/status")).status_code == 200
            wake.set()
        assert sorted(codes) == [401] * access.MAX_DELAYED + [429] * 10


async def test_a_thousand_silent_connections_leave_room_for_a_scrape(filled: Rig, tmp_path: Path) -> None:
    async with serving_api(filled, tmp_path) as client:
        silent = []
        try:
            for _ in range(1000):
                connection = socket.create_connection(("127.0.0.1", client.port))
                connection.sendall(b"GET /metrics HTTP/1.1\r\nHost")
                silent.append(connection)
                if len(silent) % 100 == 0:
                    assert (await client.ask("/status")).status_code == 200
            scrape = await client.http.get(f"http://127.0.0.1:{client.port}/metrics")
            assert scrape.status_code == 200
            assert "# HELP" in scrape.text or scrape.text == ""
        finally:
            for connection in silent:
                connection.close()


async def test_of_those_that_were_answered_the_one_that_is_silent_longest_gives_way(
    filled: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 3)
    async with serving_api(filled, tmp_path) as client:
        there = [await anyio.connect_tcp("127.0.0.1", client.port) for _ in range(3)]
        # The first one asks again after the others did.
        for one in (*there, there[0]):
            await one.send(request(client, "status"))
            assert (await one.receive()).startswith(b"HTTP/1.1 200")
        more = await anyio.connect_tcp("127.0.0.1", client.port)
        with anyio.fail_after(HANGS_SECONDS), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await there[1].receive()
        for one in (there[0], there[2], more):
            await one.send(request(client, "status"))
            assert (await one.receive()).startswith(b"HTTP/1.1 200")
        for one in (*there, more):
            await one.aclose()


@parsers
async def test_a_second_request_that_never_ends_is_cut_off_as_a_first_one(
    filled: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parser: Callable[[], type]
) -> None:
    monkeypatch.setattr("slurmwatchd.daemon.web.server.connection_class", parser)
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.1)
    monkeypatch.setattr(connections, "_LOOK_SECONDS", 0.05)
    async with serving_api(filled, tmp_path) as client:
        connection = await anyio.connect_tcp("127.0.0.1", client.port)
        await connection.send(request(client, "status"))
        assert (await connection.receive()).startswith(b"HTTP/1.1 200")
        with anyio.fail_after(HANGS_SECONDS), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await trickle(connection)
        await connection.aclose()


async def trickle(connection: anyio.abc.SocketStream) -> None:
    """Send a head without end, a line at a time."""
    await connection.send(b"GET /api/v1/status HTTP/1.1\r\n")
    while True:
        await connection.send(b"X-A: b\r\n")
        with anyio.move_on_after(0.02):
            assert not await connection.receive()


def wide(filled: Rig, folder: Path) -> Path:
    """A store whose export is longer than what a socket holds."""
    store = folder / "wide.db"
    with closing(sqlite3.connect(filled.store)) as source, closing(sqlite3.connect(store)) as copy:
        source.backup(copy)
        for seq, body in copy.execute("SELECT seq, body FROM events").fetchall():
            long = {**json.loads(body), "comment": "x" * 3_000_000}
            copy.execute("UPDATE events SET body = ? WHERE seq = ?", (json.dumps(long).encode(), seq))
        copy.commit()
    return store


@parsers
async def test_those_that_take_nothing_of_their_answers_leave_room_for_a_scrape(
    filled: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parser: Callable[[], type]
) -> None:
    monkeypatch.setattr("slurmwatchd.daemon.web.server.connection_class", parser)
    monkeypatch.setattr(connections, "READING_SECONDS", 10 * HANGS_SECONDS)
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 2)
    async with serving_api(filled, tmp_path, store=wide(filled, tmp_path)) as client:
        stalled = [socket.create_connection(("127.0.0.1", client.port)) for _ in range(2)]
        for connection in stalled:
            connection.sendall(request(client, "export"))
        # Nothing of it is read, so it ends only with the client.
        answers: list[bytes] = []
        with anyio.fail_after(HANGS_SECONDS):
            while b"HTTP/1.1 200 OK" not in answers:
                await anyio.sleep(0.1)
                async with await anyio.connect_tcp("127.0.0.1", client.port) as scrape:
                    with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                        await scrape.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                        answers.append((await scrape.receive()).partition(b"\r\n")[0])
        for connection in stalled:
            connection.close()


@parsers
async def test_a_client_that_takes_nothing_is_cut_off(
    filled: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parser: Callable[[], type]
) -> None:
    monkeypatch.setattr("slurmwatchd.daemon.web.server.connection_class", parser)
    monkeypatch.setattr(connections, "READING_SECONDS", 0.2)
    monkeypatch.setattr(connections, "_LOOK_SECONDS", 0.05)
    async with serving_api(filled, tmp_path, store=wide(filled, tmp_path)) as client:
        with socket.create_connection(("127.0.0.1", client.port)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(request(client, "export"))
            began = time.monotonic()

            def until_reset() -> bool:
                # It reads nothing before the daemon has cut it off: then what it sends meets a reset.
                while time.monotonic() - began < HANGS_SECONDS:
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return True
                    time.sleep(0.05)
                return False

            assert await anyio.to_thread.run_sync(until_reset)


@parsers
async def test_heads_without_end_are_refused(
    filled: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parser: Callable[[], type]
) -> None:
    monkeypatch.setattr("slurmwatchd.daemon.web.server.connection_class", parser)
    # It is its size for which it is refused, and not its slowness.
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 10 * HANGS_SECONDS)
    async with serving_api(filled, tmp_path) as client:
        connection = await anyio.connect_tcp("127.0.0.1", client.port)
        received = b""
        with anyio.fail_after(HANGS_SECONDS):
            try:
                await connection.send(b"GET /api/v1/status HTTP/1.1\r\nX-A: ")
                for _ in range(100):
                    await connection.send(b"a" * 4096)
                while True:
                    received += await connection.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                pass
        await connection.aclose()
        assert received == b"" or received.startswith(b"HTTP/1.1 400")
        assert (await client.ask("/status")).status_code == 200
