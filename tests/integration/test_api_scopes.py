"""What a token for one user shows: the same as in a store that has nobody else's attempts, to the byte.

The walk goes over every endpoint and parameter of the OpenAPI description, so a new one is walked too.
"""

import itertools
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from slurmwatchd.config.api_tokens import TokenScope
from slurmwatchd.daemon.web.api import openapi
from slurmwatchd.daemon.web.api.sight import Sight
from slurmwatchd.store.read.query import Order, Question
from slurmwatchd.store.read.reader import StoreReader
from tests.integration.api import serving_api
from tests.integration.asked import HOSTILE, many
from tests.integration.rig import Rig

OTHERS = ("ann", "bob", "mal", "early", "train-1", "train-2", "long", "never", "physics", "gpu", "high")
OTHERS_NODES = ("n1", "n2")
OTHERS_JOBS = ("11", "12", "13", "19", "20", "21")
OWN_JOBS = ("14", "14_3", "16+1", "16", "18")

CANDIDATES: Mapping[str, tuple[str, ...]] = {
    "user": ("eve", "ann", "bob,eve", "nobody"),
    "account": ("physics", "root", "none"),
    "partition": ("gpu", "main"),
    "state": ("FAILED", "COMPLETED,TIMEOUT"),
    "outcome": ("failed", "completed,time_limit"),
    "by": ("account", "user", "hour"),
    "top": ("1",),
    "qos": ("high", "normal"),
    "cluster": ("sim", "other"),
    "node": ("n1", "n2", "n3", "n4", "n9"),
    "name": ("*", "train-*", "a*", HOSTILE[:20]),
    "since": ("2026-11-24T04:00Z", "2026-11-24T05:10Z"),
    "until": ("2026-11-24T04:30Z", "2026-11-24T06:00Z"),
    "from": ("2026-11-24T04:15Z", "2026-11-24T04:50Z"),
    "to": ("2026-11-24T04:16Z", "2026-11-24T05:00Z"),
    "at": ("2026-11-24T04:15Z", "2026-11-24T04:53Z"),
    "limit": ("1", "2", "50"),
    "order": ("newest", "oldest", "longest", "least-efficient"),
    "fields": ("job_id", "nodes", "usage.cpu_efficiency", "user,name,node_list"),
    "cursor": ("x",),
    "after": ("oldest", "now", "1", "0", "9"),
    "wait": ("0s", "10ms"),
    "job_id": (*OTHERS_JOBS, *OWN_JOBS, "99"),
    "history": (),
}
FIXED = {
    "/running": {"from": "2026-11-24T04:00Z"},
    "/arrays": {"since": "2026-11-20"},
    # Up to now there is a second more in one answer than in the other.
    "/coverage/hours": {"since": "2026-11-23", "until": "2026-11-24T07:00Z"},
}


def only_eve(store: Path, folder: Path) -> Path:
    """A copy in which nobody else's attempts ever were; row ids and positions stay."""
    copy = folder / "eve.db"
    with closing(sqlite3.connect(store)) as source, closing(sqlite3.connect(copy)) as connection:
        source.backup(connection)
        connection.executescript(
            "DELETE FROM events WHERE job IN (SELECT id FROM jobs WHERE \"user\" IS NOT 'eve');"
            "DELETE FROM jobs WHERE \"user\" IS NOT 'eve';"
            "DELETE FROM nodelist_nodes WHERE nodelist NOT IN (SELECT nodelist FROM jobs);"
            "DELETE FROM nodelists WHERE id NOT IN (SELECT nodelist FROM jobs);"
            "DELETE FROM nodes WHERE id NOT IN (SELECT node FROM nodelist_nodes);"
        )
        connection.commit()
    return copy


def walk() -> Iterator[tuple[str, dict[str, str]]]:
    """Every endpoint, with every value of every parameter, and with each two of them."""
    for template, methods in openapi.document()["paths"].items():
        parameters = methods["get"]["parameters"]
        in_path = [parameter["name"] for parameter in parameters if parameter["in"] == "path"]
        in_query = [parameter["name"] for parameter in parameters if parameter["in"] == "query"]
        for values in itertools.product(*(CANDIDATES[name] for name in in_path)):
            path = template.format(**dict(zip(in_path, values, strict=True)))
            fixed = FIXED.get(template, {})
            yield path, fixed
            for one, other in itertools.combinations(in_query, 2):
                yield path, fixed | {one: CANDIDATES[one][0], other: CANDIDATES[other][-1]}
            for name in in_query:
                for value in CANDIDATES[name]:
                    yield path, fixed | {name: value}


def test_every_parameter_of_the_description_is_walked() -> None:
    names = {
        parameter["name"]
        for methods in openapi.document()["paths"].values()
        for parameter in methods["get"]["parameters"]
    }
    assert names <= set(CANDIDATES)


@pytest.mark.heavy
async def test_a_users_token_shows_what_a_store_without_others_shows(filled: Rig, tmp_path: Path) -> None:
    alone = only_eve(filled.store, tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    asked, with_jobs = 0, 0
    async with (
        serving_api(filled, tmp_path / "a") as full,
        serving_api(filled, tmp_path / "b", store=alone) as single,
    ):
        for path, query in walk():
            answers = [await client.ask(path, query, scope="user:eve") for client in (full, single)]
            seen, wanted = (comparable(path, answer.status_code, answer.text) for answer in answers)
            assert seen == wanted, (path, query)
            text = answers[0].text
            for field, mark in forbidden(path, query):
                assert f'"{field}":"{mark}"' not in text, (path, query, mark)
            asked += 1
            with_jobs += '"job_id"' in text
        # What all may see is more, so there was something to hide.
        everything = await full.json("/jobs")
        assert len(everything["jobs"]) == 10
        assert len((await full.json("/jobs", scope="user:eve"))["jobs"]) == 4
    assert asked > 700
    assert with_jobs > 200


def comparable(path: str, status: int, text: str) -> tuple[int, object]:
    """An answer without what is different each time."""
    value = json.loads(text) if text and path != "/export" else text
    if path == "/events" and isinstance(value, dict):
        value.pop("next", None)
    if path == "/status" and isinstance(value, dict):
        for cluster in value.get("clusters", ()):
            cluster.pop("lag_seconds", None)
    return status, value


def forbidden(path: str, query: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for mark in OTHERS:
        yield "user", mark
        yield "name", mark
        yield "account", mark
    for node in OTHERS_NODES:
        yield "node_list", node
    for job in OTHERS_JOBS:
        yield "job_id", job


async def test_a_users_events_have_no_position_and_cursors_that_cannot_be_compared(
    filled: Rig, tmp_path: Path
) -> None:
    async with serving_api(filled, tmp_path) as client:
        first = await client.json("/events", "after=oldest", scope="user:eve")
        assert [event["job_id"] for event in first["events"]] == ["14_3", "16+1", "18", "18"]
        assert not [event for event in first["events"] if "seq" in event]
        ends = {(await client.json("/events", "after=now", scope="user:eve"))["next"] for _ in range(5)}
        assert len(ends) == 5
        again = await client.json("/events", {"after": first["next"]}, scope="user:eve")
        assert again["events"] == []
        # A cursor shows nothing, so that of one token is good for another; what it leads to is not.
        other = await client.json("/events", {"after": first["next"]}, scope="user:mal")
        assert other["events"] == []
        problem = await client.problem("/events", "after=3", scope="user:eve")
        assert problem["parameter"] == "after"
        history = (await client.json("/jobs/18", scope="user:eve"))["attempts"][0]["history"]
        assert [sorted(event) for event in history] == [["event", "found_by", "id", "observed", "revision"]]


async def test_an_accounts_token_shows_that_account(filled: Rig, tmp_path: Path) -> None:
    async with serving_api(filled, tmp_path) as client:
        scope = "account:physics"
        assert await client.ids("/jobs", scope=scope) == ["13", "12"]
        assert await client.ids("/jobs", "user=ann", scope=scope) == []
        assert await client.ids("/jobs", "account=root", scope=scope) == []
        assert await client.ids("/nodes/n1", scope=scope) == ["12"]
        assert (await client.problem("/nodes/n4", scope=scope))["status"] == 404
        assert (await client.problem("/jobs/11", scope=scope))["status"] == 404
        # 19 was on n1 as 12 was.
        assert (await client.json("/jobs/12", scope=scope))["attempts"][0]["shared_nodes_with"] == []
        assert (await client.json("/arrays", "since=2026-11-20", scope=scope))["arrays"] == []
        events = await client.json("/events", "after=oldest", scope=scope)
        assert [event["job_id"] for event in events["events"]] == ["12", "13"]
        assert len((await client.ask("/export", scope=scope)).text.splitlines()) == 2
        status = await client.json("/status", scope=scope)
        assert set(status) == {"version", "ready", "clusters"}


async def test_a_report_is_for_all_or_of_the_account(filled: Rig, tmp_path: Path) -> None:
    async with serving_api(filled, tmp_path) as client:
        query = "since=2026-11-20&until=2026-11-25&by=user"
        whole = await client.json("/report", query)
        assert {line["user"]: line["attempts"] for line in whole["lines"]} == {
            "ann": 3,
            "bob": 2,
            "eve": 4,
            "mal": 1,
        }
        assert whole["total"]["attempts"] == 10
        assert (whole["since"], whole["until"]) == ("2026-11-20T00:00:00Z", "2026-11-25T00:00:00Z")
        part = await client.json("/report", query, scope="account:physics")
        assert {line["user"]: line["attempts"] for line in part["lines"]} == {"bob": 2}
        other = await client.json("/report", f"{query}&account=root", scope="account:physics")
        assert (other["lines"], other["total"]["attempts"]) == ([], 0)
        assert (await client.problem("/report", query, scope="user:eve"))["status"] == 403


async def test_a_token_for_metrics_shows_no_jobs(filled: Rig, tmp_path: Path) -> None:
    async with serving_api(filled, tmp_path) as client:
        for path, query in (("/jobs", ""), ("/jobs/12", ""), ("/events", ""), ("/status", ""), ("/coverage", "")):
            assert (await client.problem(path, query, scope="metrics"))["status"] == 403
    with pytest.raises(PermissionError), StoreReader(filled.store) as store:
        Sight(store, TokenScope.parse("metrics"))


async def test_nothing_is_served_before_there_are_tokens_nor_without_one(filled: Rig, tmp_path: Path) -> None:
    paths = [path.format(job_id="12", node="n1") for path in openapi.document()["paths"]]

    async def at_once(_: float) -> None:
        """Wrong logins are slowed, and there are many here."""

    async with serving_api(filled, tmp_path) as client:
        client.api.access._sleep = at_once
        for path in paths:
            answer = await client.http.get(path, headers={"Authorization": "Bearer x"})
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="slurmwatchd"')
            assert answer.json()["detail"].startswith("There is no token yet")
        client.token("all")
        for path in paths:
            for header in ({}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer"}):
                answer = await client.http.get(path, headers=header)
                assert (answer.status_code, answer.json()["title"]) == (401, "A token is needed"), path
            # What is wrong in the address is not said to whom may not ask.
            assert (await client.http.get(f"{path}?foo=1")).status_code == 401


async def test_a_revoked_token_is_refused_at_once(filled: Rig, tmp_path: Path) -> None:
    async with serving_api(filled, tmp_path) as client:
        assert (await client.ask("/status")).status_code == 200
        client.token("user:eve")
        lines = client.tokens.read_text().splitlines(keepends=True)
        client.tokens.write_text("".join(line for line in lines if not line.startswith("all ")))
        assert (await client.ask("/status")).status_code == 401
        assert (await client.ask("/status", scope="user:eve")).status_code == 200
        client.tokens.chmod(0o666)
        answer = await client.ask("/status", scope="user:eve")
        assert (answer.status_code, answer.json()["detail"]) == (
            503,
            "The tokens cannot be read; the daemon's log says why.",
        )


OWN = [
    Question(descending=True),
    Question(node="n1"),
    Question(node="nowhere"),
    Question(node="n3", running_from=1_795_490_000, running_until=1_795_500_000),
    Question(job_ids=("12",), order=Order.SUBMIT),
    Question(job_ids=("1700",), order=Order.SUBMIT),
    Question(job_ids=("14", "12_3", "16+1")),
    Question(running_from=1_795_490_000, running_until=1_795_500_000, order=Order.START),
    Question(ended_from=1_795_490_000, states=("COMPLETED",), partitions=("gpu",)),
    Question(accounts=("physics",), qos=("high",), name="t*"),
    Question(order=Order.ELAPSED, descending=True, behind=(60, 5)),
]


def test_a_users_answer_takes_the_same_steps_whatever_others_have(filled: Rig, tmp_path: Path) -> None:
    crowded = many(filled, tmp_path, 3000)
    with closing(sqlite3.connect(crowded)) as connection:
        # An array of others with a thousand tasks, whose number somebody may guess.
        connection.execute("UPDATE jobs SET job_id = '1700_' || id WHERE id BETWEEN 1000 AND 2000")
        connection.commit()
    alone = only_eve(filled.store, tmp_path)
    asks: list[Callable[[Sight], Sequence[object]]] = [partial(Sight.page, question=one, limit=100) for one in OWN]
    asks += [partial(Sight.shared_nodes_with, place=(None, row), limit=20) for row in (4, 5, 6, 7)]
    for ask in asks:
        (many_steps, found), (few_steps, same) = steps(crowded, ask), steps(alone, ask)
        assert found == same, ask
        # Where an index goes on behind the user's last entry, SQLite looks at that one entry.
        assert abs(many_steps - few_steps) <= 3, ask


def steps(store: Path, ask: Callable[[Sight], Sequence[object]]) -> tuple[int, int]:
    """How many steps SQLite takes for an answer, and how many attempts are in it."""
    count = 0

    def step() -> bool:
        nonlocal count
        count += 1
        return False

    with StoreReader(store) as reader:
        sight = Sight(reader, TokenScope.parse("user:eve"))
        ask(sight)
        reader._connection.set_progress_handler(step, 1)
        found = ask(sight)
        return count, len(found)
