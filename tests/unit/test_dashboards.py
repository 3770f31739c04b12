"""The Grafana dashboards, held to Grafana's published schema as its Foundation SDK has it.

Grafana itself does not run here. Its SDK is generated from the schema: what it does not know of a dashboard is
lost when it reads and writes one. Every query is run by tests/acceptance/test_process_dashboards.py.
"""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as grafana

FOLDER = Path(__file__).parents[2] / "packaging" / "grafana"
FILES = sorted(FOLDER.glob("slurmwatchd-*.json"))
"""Those over Prometheus; tests/integration/test_grafana_api.py has the one over the API."""

plugins.register_default_plugins()


def read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def lost(mine: Any, theirs: Any, path: str = "") -> list[str]:  # noqa: ANN401 - JSON
    """Where what Grafana's schema keeps of a value is another one; what it adds are its defaults."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        return [
            fault
            for key, value in mine.items()
            for fault in (
                lost(value, theirs[key], f"{path}.{key}") if key in theirs else [f"{path}.{key}: unknown"]
            )
        ]
    if isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
        pairs = enumerate(zip(mine, theirs, strict=True))
        return [fault for place, pair in pairs for fault in lost(*pair, f"{path}[{place}]")]
    return [] if mine == theirs else [f"{path}: {mine!r} became {theirs!r}"]


def through_the_schema(board: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(JSONEncoder(sort_keys=True).encode(grafana.Dashboard.from_json(board)))
    return found


def test_there_are_four() -> None:
    assert [file.stem for file in FILES] == [
        "slurmwatchd-accounts", "slurmwatchd-daemon", "slurmwatchd-nodes", "slurmwatchd-site",
    ]  # fmt: skip


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_grafanas_schema_knows_all_of_it(file: Path) -> None:
    board = read(file)
    assert lost(board, through_the_schema(board)) == []


def test_grafanas_schema_would_find_a_mistake() -> None:
    board = read(FILES[0])
    board["panels"][1]["gridpos"] = board["panels"][1].pop("gridPos")
    board["panels"][2]["options"]["orientation_"] = "auto"
    board["panels"][4]["fieldConfig"]["defaults"]["custom"]["lineWith"] = 1
    assert lost(board, through_the_schema(board)) == [
        ".panels[1].gridpos: unknown",
        ".panels[2].options.orientation_: unknown",
        ".panels[4].fieldConfig.defaults.custom.lineWith: unknown",
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_panels_have_their_place(file: Path) -> None:
    panels = read(file)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_queries_use_only_variables_that_are_there(file: Path) -> None:
    board = read(file)
    there = {variable["name"] for variable in board["templating"]["list"]} | {"__rate_interval", "__range"}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(board["panels"]))) <= there


def test_provisioning_names_where_a_package_puts_the_files() -> None:
    provider = yaml.safe_load((FOLDER / "provisioning" / "dashboards.yml").read_text(encoding="utf-8"))
    assert provider["providers"][0]["options"]["path"] == "/usr/share/slurmwatchd/grafana"
    source = yaml.safe_load((FOLDER / "provisioning" / "datasources.yml").read_text(encoding="utf-8"))
    assert source["datasources"][0]["type"] == "prometheus"
