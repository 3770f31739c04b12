"""`events`: what a workflow engine learns, at once, by waiting, and from a stream that goes on."""

import json
from pathlib import Path

import anyio
import httpx
import pytest

from slurmwatchd.daemon.web.api.news import MAX_WAITING
from tests.integration.api import Client, serving_api
from tests.integration.asked import fill
from tests.integration.rig import Rig
from tests.patience import HANGS_SECONDS

ALL = ["11", "12", "13", "14_3", "16+1", "18", "18", "19", "20", "21"]


@pytest.fixture
async def rig(tmp_path: Path) -> Rig:
    """A store that the test may add to."""
    folder = tmp_path / "rig"
    folder.mkdir()
    return await anyio.to_thread.run_sync(fill, folder)


async def test_events_come_in_the_order_of_their_positions_a_page_at_a_time(filled: Rig, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in filled.file.read_bytes().splitlines()]
    async with serving_api(filled, tmp_path) as client:
        found, after = [], "oldest"
        while True:
            page = await client.json("/events", {"after": after, "limit": "4"})
            found += page["events"]
            if not page["events"]:
                break
            after = page["next"]
        # What the file has, to the field.
        assert found == lines
        assert after == "10"
        assert [event["seq"] for event in (await client.json("/events", "after=8"))["events"]] == [9, 10]
        assert (await client.json("/events"))["events"] == []
        assert await client.json("/events", "after=99999999999999999999999999") == {
            "events": [],
            "next": str(2**63 - 1),
        }


async def test_whoever_waits_gets_an_event_as_soon_as_it_is_committed(rig: Rig, tmp_path: Path) -> None:
    with rig:
        async with serving_api(rig, tmp_path) as client:
            answers: dict[str, httpx.Response] = {}

            async def wait(scope: str) -> None:
                answers[scope] = await client.ask("/events", "after=now&wait=60s", scope=scope)

            async with anyio.create_task_group() as group:
                for scope in ("all", "user:new"):
                    group.start_soon(wait, scope)
                await waiting(client, 2)
                async with rig.daemon() as daemon:
                    daemon.news.append(client.api.news.ring)
                    rig.move(60)
                    rig.ended(30, id_job=30, job_name="other", user="old")
                    rig.ended(20, id_job=31, job_name="mine", user="new")
                    began = anyio.current_time()
                    await daemon.once()
            assert anyio.current_time() - began < 60
            assert [event["name"] for event in answers["all"].json()["events"]] == ["other", "mine"]
            assert [event["name"] for event in answers["user:new"].json()["events"]] == ["mine"]


async def test_whoever_waits_in_vain_is_answered_in_time_with_a_place_to_go_on_from(
    filled: Rig, tmp_path: Path
) -> None:
    async with serving_api(filled, tmp_path) as client:
        assert await client.json("/events", "after=now&wait=50ms") == {"events": [], "next": "10"}
        page = await client.json("/events", "after=now&wait=50ms", scope="user:eve")
        assert page["events"] == []
        assert (await client.json("/events", {"after": page["next"]}, scope="user:eve"))["events"] == []


async def test_a_stream_goes_on_and_is_resumed_where_it_was_cut_off(rig: Rig, tmp_path: Path) -> None:
    with rig:
        async with serving_api(rig, tmp_path) as client:
            first = await streamed(client, 3, "all", after="oldest")
            assert [name for name, _ in first] == ["1", "2", "3"]
            assert [event["job_id"] for _, event in first] == ALL[:3]
            rest = await streamed(client, 7, "all", Last_Event_ID="3")
            assert [event["job_id"] for _, event in rest] == ALL[3:]
            own = await streamed(client, 2, "user:eve", after="oldest")
            more = await streamed(client, 2, "user:eve", Last_Event_ID=own[-1][0])
            assert [event["job_id"] for _, event in (*own, *more)] == ["14_3", "16+1", "18", "18"]

            async with anyio.create_task_group() as group:
                late: list[tuple[str, dict[str, object]]] = []

                async def follow() -> None:
                    late.extend(await streamed(client, 1, "all"))

                group.start_soon(follow)
                await waiting(client, 1)
                async with rig.daemon() as daemon:
                    daemon.news.append(client.api.news.ring)
                    rig.move(60)
                    rig.ended(20, id_job=31, job_name="line\n\ndata: x", user="new")
                    await daemon.once()
            assert [event["name"] for _, event in late] == ["line\n\ndata: x"]


async def streamed(
    client: Client, count: int, scope: str, *, after: str = "now", **headers: str
) -> list[tuple[str, dict[str, object]]]:
    """The next so many events of a stream, each with its id."""
    found: list[tuple[str, dict[str, object]]] = []
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    sent |= {"Authorization": f"Bearer {client.token(scope)}", "Accept": "text/event-stream"}
    with anyio.fail_after(HANGS_SECONDS):
        async with client.http.stream("GET", "/events", params={"after": after}, headers=sent) as answer:
            assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
            name = ""
            async for line in answer.aiter_lines():
                key, _, value = line.partition(": ")
                if key == "id":
                    name = value
                elif key == "data":
                    found.append((name, json.loads(value)))
                    if len(found) == count:
                        return found
    raise AssertionError(found)


async def waiting(client: Client, count: int) -> None:
    """Wait until so many wait for events."""
    with anyio.fail_after(HANGS_SECONDS):
        while client.api.news._waiting != count:  # noqa: ASYNC110 - nothing tells when
            await anyio.sleep(0.01)


async def test_a_client_that_goes_waits_no_longer(filled: Rig, tmp_path: Path) -> None:
    async with serving_api(filled, tmp_path) as client:
        for accept in ("application/json", "text/event-stream"):
            connection = await anyio.connect_tcp("127.0.0.1", client.port)
            await connection.send(
                f"GET /api/v1/events?wait=60s HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n"
                f"Authorization: Bearer {client.token('all')}\r\n\r\n".encode()
            )
            await waiting(client, 1)
            await connection.aclose()
            await waiting(client, 0)


async def test_so_many_may_wait_and_the_end_of_the_daemon_ends_them(filled: Rig, tmp_path: Path) -> None:
    async with serving_api(filled, tmp_path) as client:
        client.http = httpx.AsyncClient(
            base_url=client.http.base_url, timeout=HANGS_SECONDS, limits=httpx.Limits(max_connections=200)
        )
        codes: list[int] = []

        async def wait() -> None:
            codes.append((await client.ask("/events", "wait=60s")).status_code)

        async with anyio.create_task_group() as group:
            for _ in range(MAX_WAITING):
                group.start_soon(wait)
            await waiting(client, MAX_WAITING)
            problem = await client.problem("/events", "wait=1s")
            assert (problem["status"], problem["detail"]) == (503, "Too many wait for events; ask again later.")
            assert (await client.ask("/jobs", "limit=1")).status_code == 200
            client.api.news.stop()
        assert codes == [200] * MAX_WAITING
