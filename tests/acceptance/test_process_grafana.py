"""What Grafana's data sources send, replayed to the real daemon byte for byte, and the answers as they read them.

`tests/golden/grafana_requests.json` has the requests. Infinity's come from its backend, in Go; those of the JSON
sources from a browser, through Grafana's proxy of data sources. HOST, TOKEN, LOGIN, SINCE, UNTIL and NEXT stand
for what differs each time.
"""

import gzip
import json
import re
import socket
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest

from tests.acceptance.process import DaemonProcess
from tests.patience import HANGS_SECONDS

ROOT = Path(__file__).parents[2]
BOARD = ROOT / "packaging" / "grafana" / "jobs-api.json"
RECORDED = {
    (entry["source"].split(" ")[0], entry["what"]): entry
    for entry in json.loads((ROOT / "tests" / "golden" / "grafana_requests.json").read_text(encoding="utf-8"))
}
INFINITY, JSON_API, SIMPOD = (
    "yesoreyeram-infinity-datasource",
    "marcusolsson-json-datasource",
    "simpod-json-datasource",
)
PANELS = {
    panel["title"]: panel["targets"][0]
    for panel in json.loads((ROOT / "packaging" / "grafana" / "jobs-api.json").read_text(encoding="utf-8"))[
        "panels"
    ]
}
VALUES = {
    "name": "*", "order": "longest", "node": "n1", "__from:date:seconds": "SINCE", "__to:date:seconds": "UNTIL",
}  # fmt: skip
ROWS = {
    "Jobs that ended, by the hour": 2,
    "Jobs named $name, $order first": 3,
    "Accounts": 2,
    "Suspect nodes": 0,
    "The node $node over time": 2,
    "What ran on the node $node": 2,
    "Seconds read of each hour": 2,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON
        return json.loads(
            gzip.decompress(self.body) if self.headers.get("content-encoding") == "gzip" else self.body
        )


@dataclass(frozen=True, slots=True)
class Grafana:
    """A daemon with three jobs of two accounts in the last two hours, and a token for Grafana."""

    daemon: DaemonProcess
    token: str
    since: int
    until: int

    def replay(self, source: str, what: str, *, following: str = "") -> Answer:
        entry = RECORDED[source, what]
        login = b64encode(f"grafana:{self.token}".encode()).decode()
        text = "\r\n".join(entry["request"]) + "\r\n\r\n" + entry.get("body", "")
        for name, value in (
            ("HOST", f"127.0.0.1:{self.daemon.port}"), ("TOKEN", self.token), ("LOGIN", login),
            ("SINCE", str(self.since)), ("UNTIL", str(self.until)), ("NEXT", quote_plus(following)),
        ):  # fmt: skip
            text = text.replace(name, value)
        with socket.create_connection(("127.0.0.1", self.daemon.port), timeout=HANGS_SECONDS) as connection:
            connection.sendall(text.encode())
            return _answer(connection)


def _answer(connection: socket.socket) -> Answer:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers["content-length"]):
        body += connection.recv(65536)
    return Answer(int(first.split(" ")[1]), headers, body)


@pytest.fixture(scope="module")
def grafana(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grafana]:
    folder = tmp_path_factory.mktemp("grafana")
    with DaemonProcess(folder, steps="summary") as daemon:
        hour = daemon.cluster.now() // 3600 * 3600
        daemon.change_config('since = "1h"', 'since = "4h"')
        daemon.change_config("[web]\n", f'[web]\ntokens_file = "{folder}/tokens"\n')
        for end, user, account, node in (
            (hour - 7000, "ada", "physics", "n1"),
            (hour - 3000, "bob", "physics", "n1"),
            (hour - 2000, "eve", "bio", "n2"),
        ):
            daemon.cluster.add_job(
                time_submit=end - 700, time_start=end - 600, time_end=end, state="COMPLETED", user=user,
                account=account, nodelist=node, nodes_alloc=1, job_name="train",
            )  # fmt: skip
        daemon.start_ready()
        daemon.wait_until(lambda: len(daemon.records()) >= 3, "three jobs")
        made = daemon.run("token add", "grafana", "--scope", "all")
        assert made.returncode == 0, made.stderr
        yield Grafana(daemon, made.stdout.strip(), hour - 7200, hour)
        assert daemon.stop() == 0


def gjson(value: Any, path: str) -> Any:  # noqa: ANN401 - any JSON
    """What a path of gjson finds; None where there is nothing, as Infinity's framer has it."""
    for step in path.split("."):
        if isinstance(value, list):
            value = value[int(step)] if int(step) < len(value) else None
        elif value is not None:
            value = value.get(step)
    return value


def as_infinity_sends(target: dict[str, Any]) -> list[str]:
    """The request of a panel: Go sorts parameters and headers."""

    def filled(text: str) -> str:
        return re.sub(r"\$(\w+)|\$\{([\w:]+)\}", lambda found: VALUES[found[1] or found[2]], text)

    pairs = sorted((pair["key"], filled(pair["value"])) for pair in target["url_options"]["params"])
    query = "&".join(f"{quote_plus(key)}={quote_plus(value)}" for key, value in pairs)
    return [
        f"GET {filled(target['url'])}?{query} HTTP/1.1", "Host: HOST", "User-Agent: Go-http-client/1.1",
        "Accept: application/json;q=0.9,text/plain", "Accept-Encoding: gzip", "Authorization: Bearer TOKEN",
    ]  # fmt: skip


@pytest.mark.parametrize("title", PANELS)
def test_each_panel_sends_what_was_recorded_and_its_answer_becomes_a_frame(grafana: Grafana, title: str) -> None:
    target = PANELS[title]
    assert RECORDED[INFINITY, f"panel: {title}"]["request"] == as_infinity_sends(target)
    answer = grafana.replay(INFINITY, f"panel: {title}")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    # A root that is not there is an error on the panel.
    rows = gjson(answer.json, target["root_selector"])
    assert isinstance(rows, list)
    assert len(rows) == ROWS[title]
    for column in target["columns"]:
        values = [value for row in rows if (value := gjson(row, column["selector"])) is not None]
        assert all(isinstance(value, (int, float) if column["type"] == "number" else str) for value in values)


def test_infinity_s_health_check_proves_the_token(grafana: Grafana) -> None:
    what = "Save & test, with the custom health check /api/v1/"
    answer = grafana.replay(INFINITY, what)
    assert (answer.status, answer.json["scope"]) == (200, "all")
    stranger = Grafana(grafana.daemon, "swd_unknown", grafana.since, grafana.until)
    assert stranger.replay(INFINITY, what).status == 401


def test_infinity_pages_by_cursor_until_there_is_none(grafana: Grafana) -> None:
    first = grafana.replay(INFINITY, "pagination by cursor, first page").json
    assert len(first["jobs"]) == 2
    second = grafana.replay(INFINITY, "pagination by cursor, next page", following=first["next"]).json
    # gjson reads null as an empty text, which ends the pages.
    assert (len(second["jobs"]), second["next"]) == (1, None)


def jsonata(value: Any, expression: str) -> list[Any]:  # noqa: ANN401 - any JSON
    """What JSONata makes of the forms that docs/api.md has."""
    root, absent = re.fullmatch(r"\[(\w+)\.\((?:\$exists\((.+)\) \? \2 : null|.+)\)\]", expression).groups()  # type: ignore[union-attr]
    moment = re.fullmatch(r"\[\w+\.\(\$toMillis\((\w+)(?: & \".+\")?\)\)\]", expression)
    return [gjson(row, moment[1] if moment else absent) for row in value[root]]


@pytest.mark.parametrize(
    "what", ["Save & test, with a token as a header", "Save & test, with a token as a password"]
)
def test_the_json_api_source_finds_its_base_address(grafana: Grafana, what: str) -> None:
    answer = grafana.replay(JSON_API, what)
    assert (answer.status, answer.json["scope"]) == (200, "all")


@pytest.mark.parametrize(("what", "rows"), [("a table of jobs", 3), ("ends by the hour", 2)])
def test_fields_of_the_json_api_source_are_of_one_length(grafana: Grafana, what: str, rows: int) -> None:
    answer = grafana.replay(JSON_API, what).json
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    root = "jobs" if "jobs" in answer else "lines"
    expressions = re.findall(rf"`(\[{root}\.[^`]+\])`", page)
    assert len(expressions) >= 2
    assert {len(jsonata(answer, expression)) for expression in expressions} == {rows}
    # With JSONPath a field has only the rows that have it, and the source refuses fields of different lengths.
    if what == "a table of jobs":
        assert not all("usage" in job for job in answer["jobs"])


def test_simpod_s_source_is_told_that_its_protocol_is_not_spoken(grafana: Grafana) -> None:
    assert grafana.replay(SIMPOD, "Save & test").status == 200
    refused = grafana.replay(SIMPOD, "a panel")
    assert (refused.status, refused.headers["content-type"]) == (413, "application/problem+json")
    assert refused.json["detail"] == "A request has no body here."
