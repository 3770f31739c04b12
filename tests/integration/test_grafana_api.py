"""The dashboard over the API: each panel's request, as Grafana's Infinity source sends it, is answered as shown.

Grafana does not run here. Infinity's backend puts a target's parameters behind its path, adds the token, takes the
list at the root selector, and of each row the columns.
"""

import json
import re
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from slurmwatchd.model.outcomes import Outcome
from tests.integration.api import Client, serving_api
from tests.integration.rig import START, Rig

FILE = Path(__file__).parents[2] / "packaging" / "grafana" / "jobs-api.json"
BOARD = json.loads(FILE.read_text(encoding="utf-8"))
PANELS = {panel["title"]: panel for panel in BOARD["panels"]}
VALUES = {
    "name": "*",
    "order": "longest",
    "node": "n1",
    "__from:date:seconds": str(START - 4 * 3600),
    "__to:date:seconds": str(START + 60),
}
FOUND = {
    "Jobs that ended, by the hour": 4,
    "Jobs named $name, $order first": 10,
    "Accounts": 2,
    "Suspect nodes": 0,
    "The node $node over time": 3,
    "What ran on the node $node": 3,
    "Seconds read of each hour": 4,
}
"""How many rows each has of what `asked.fill` stores."""


def filled_in(text: str) -> str:
    return re.sub(r"\$(\w+)|\$\{([\w:]+)\}", lambda found: VALUES[found[1] or found[2]], text)


def at(value: Any, selector: str) -> Any:  # noqa: ANN401 - any JSON
    """What a selector of gjson finds."""
    for step in selector.split("."):
        if value is not None:
            value = value[int(step)] if isinstance(value, list) else value.get(step)
    return value


async def answered(client: Client, panel: dict[str, Any], scope: str = "all") -> tuple[int, list[dict[str, Any]]]:
    """Send a panel's request, and cut the answer up."""
    (target,) = panel["targets"]
    assert (target["type"], target["source"], target["parser"]) == ("json", "url", "backend")
    assert target["url_options"]["method"] == "GET"
    path = filled_in(target["url"]).removeprefix("/api/v1")
    query = {one["key"]: filled_in(one["value"]) for one in target["url_options"]["params"]}
    answer = await client.ask(path, query, scope=scope, User_Agent="Grafana/12.3.0", Accept="application/json")
    if answer.status_code != 200:
        return answer.status_code, []
    rows = at(answer.json(), target["root_selector"])
    return 200, [{column["text"]: at(row, column["selector"]) for column in target["columns"]} for row in rows]


@pytest.mark.parametrize("title", FOUND)
async def test_a_panel_shows_what_the_api_answers(filled: Rig, tmp_path: Path, title: str) -> None:
    panel = PANELS[title]
    async with serving_api(filled, tmp_path) as client:
        status, rows = await answered(client, panel)
    assert status == 200
    assert len(rows) == FOUND[title]
    for column in panel["targets"][0]["columns"]:
        values = [row[column["text"]] for row in rows if row[column["text"]] is not None]
        kind: tuple[type, ...] = (int, float) if column["type"] == "number" else (str,)
        assert all(isinstance(value, kind) for value in values), column
        if column["type"] == "timestamp" and values:
            form = {"2006-01-02T15": "%Y-%m-%dT%H", None: "%Y-%m-%dT%H:%M:%SZ"}[column.get("timestampFormat")]
            assert all(datetime.strptime(value, form) for value in values)  # noqa: DTZ007 - only its form


def bars(panel: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, list[tuple[int, int, str, str]]]:
    """What a state timeline draws: by a row's name when each bar starts and ends, its text and its colour.

    Grafana takes the first time in a frame for the start and the second for the end, and the rest for states.
    """
    add, convert, leave_out, partition = (one["options"] for one in panel["transformations"])
    defaults = panel["fieldConfig"]["defaults"]
    (mapping,) = defaults["mappings"]
    drawn: dict[str, list[tuple[int, int, str, str]]] = {}
    for row in rows:
        fields = dict(row)
        for column in panel["targets"][0]["columns"]:
            if column["type"] == "timestamp":
                fields[column["text"]] = int(datetime.fromisoformat(row[column["text"]]).timestamp()) * 1000
        assert add["binary"]["operator"] == "+"
        left = fields[add["binary"]["left"]["matcher"]["options"]]
        fields[add["alias"]] = left + int(add["binary"]["right"]["fixed"])
        assert convert["conversions"] == [{"targetField": add["alias"], "destinationType": "time"}]
        fields = {name: value for name, value in fields.items() if not leave_out["excludeByName"].get(name)}
        labels = {name: fields.pop(name) for name in partition["fields"]}
        name = re.sub(r"\$\{__field\.labels\.(\w+)\}", r"{\1}", defaults["displayName"]).format(**labels)
        start, end = (value // 1000 for value in fields.values() if isinstance(value, int))
        (state,) = (value for value in fields.values() if isinstance(value, str))
        shown = mapping["options"][state]
        drawn.setdefault(name, []).append((start, end, shown["text"], shown["color"]))
    return drawn


async def test_the_time_line_of_a_node_shows_what_ran_there_and_marks_what_failed(
    filled: Rig, tmp_path: Path
) -> None:
    panel = PANELS["The node $node over time"]
    async with serving_api(filled, tmp_path) as client:
        _, rows = await answered(client, panel)
    assert bars(panel, rows) == {
        "11 ann": [(START - 7060, START - 6999, "completed", "green")],
        "12 bob": [(START - 6600, START - 5999, "failed", "red")],
        "19 ann": [(START - 2000 - 3 * 86400, START - 1999, "completed", "green")],
    }


def test_a_bar_ends_after_it_began_and_has_a_colour_whatever_the_outcome() -> None:
    panel = PANELS["The node $node over time"]
    moment = "2026-11-24T06:00:00Z"
    for outcome in Outcome:
        row = {"Started": moment, "Ended": moment, "Outcome": outcome.value, "Job": "7", "User": "ann"}
        (((start, end, text, colour),),) = bars(panel, [row]).values()
        assert (start < end, text) == (True, outcome.value.replace("_", " "))
        assert (colour == "green") == (outcome is Outcome.COMPLETED)


async def test_a_users_token_fills_only_the_panels_of_jobs(filled: Rig, tmp_path: Path) -> None:
    async with serving_api(filled, tmp_path) as client:
        found = {title: await answered(client, panel, "user:eve") for title, panel in PANELS.items()}
    jobs = {row["Job"] for _, rows in found.values() for row in rows if "Job" in row}
    assert jobs == {"14_3", "16+1", "18"}
    assert {title for title, (status, _) in found.items() if status == 403} == {
        "Jobs that ended, by the hour", "Accounts", "Suspect nodes",
    }  # fmt: skip


def test_every_panel_is_tried_and_has_its_place_and_source() -> None:
    assert set(PANELS) == set(FOUND)
    for panel in BOARD["panels"]:
        assert panel["datasource"]["type"] == "yesoreyeram-infinity-datasource"
    for one, other in combinations([panel["gridPos"] for panel in BOARD["panels"]], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]


def test_variables_are_those_that_are_used() -> None:
    there = {variable["name"] for variable in BOARD["templating"]["list"]} | {"__from", "__to", "__field"}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(BOARD["panels"]))) == there
