"""The dashboard that asks the API itself, through Grafana's Infinity source: single jobs, which no metric has.

tests/integration/test_grafana_api.py sends what Infinity sends for each panel.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from slurmwatchd.model.outcomes import Outcome

SOURCE = {"type": "yesoreyeram-infinity-datasource", "uid": "${api}"}
_SINCE, _UNTIL = "@${__from:date:seconds}", "@${__to:date:seconds}"
_STRETCH = {"since": _SINCE, "until": _UNTIL}
_COLOURS = {
    Outcome.COMPLETED: "green", Outcome.FAILED: "red", Outcome.OUT_OF_MEMORY: "orange",
    Outcome.TIME_LIMIT: "yellow", Outcome.DEADLINE: "light-yellow", Outcome.NODE_FAILURE: "purple",
    Outcome.BOOT_FAILURE: "light-purple", Outcome.PREEMPTED: "blue", Outcome.REQUEUED: "light-blue",
}  # fmt: skip
_OUTCOMES = {outcome.value: _COLOURS.get(outcome, "#8e99a8") for outcome in Outcome}
"""All of them, so that the bars count each job that ended; grey is what was cancelled, or is no fault."""
_OUTCOME_TEXTS = {
    "type": "value",
    "options": {
        name: {"text": name.replace("_", " "), "color": colour, "index": place}
        for place, (name, colour) in enumerate(_OUTCOMES.items())
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiPanel:
    """A panel over one endpoint.

    Attributes:
        path: Below `/api/v1/`.
        query: Its parameters.
        rows: Where in the answer the list is, as gjson has it.
        columns: Field of a row to what it is called, and of which type it is.
        kind: Grafana's name of the visualisation.
        units: What a column is called to Grafana's name of its unit.
        colours: The same to a colour.
        bars: Of a state timeline the columns that name its rows. A bar is what began at the first column, ended at
            the second and had the third's state.
    """

    title: str
    path: str
    rows: str
    columns: Mapping[str, tuple[str, str]]
    query: Mapping[str, str] = field(default_factory=dict)
    kind: str = "table"
    units: Mapping[str, str] = field(default_factory=dict)
    colours: Mapping[str, str] = field(default_factory=dict)
    bars: Sequence[str] = ()
    text: str = ""
    width: int = 24
    height: int = 10

    def json(self, number: int, x: int, y: int) -> dict[str, Any]:
        """Return it as Grafana keeps it, with an id, in a column and a row."""
        options, defaults = self._look()
        panel = {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.text,
            "datasource": SOURCE,
            "gridPos": {"h": self.height, "w": self.width, "x": x, "y": y},
            "targets": [self._target()],
            "fieldConfig": {"defaults": defaults, "overrides": list(self._overrides())},
            "options": options,
        }
        if self.bars:
            panel["transformations"] = list(self._transformations())
        return panel

    def _look(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the visualisation's options, and what holds for all its fields."""
        legend = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
        tooltip = {"mode": "multi", "sort": "desc"}
        custom: dict[str, Any] = {"fillOpacity": 80, "lineWidth": 0}
        if self.kind == "timeseries":
            custom |= {"drawStyle": "bars", "stacking": {"mode": "normal", "group": "A"}}
            return {"legend": legend, "tooltip": tooltip}, {"custom": custom, "min": 0}
        if self.kind == "state-timeline":
            options = {
                "legend": legend,
                "tooltip": tooltip,
                "mergeValues": False,
                "showValue": "auto",
                "perPage": 25,
            }
            name = " ".join(f"${{__field.labels.{column}}}" for column in self.bars)
            return options, {"custom": custom, "displayName": name, "mappings": [_OUTCOME_TEXTS]}
        return {"showHeader": True, "cellHeight": "sm"}, {}

    def _transformations(self) -> Iterator[dict[str, Any]]:
        """Give what makes a row of bars of each job.

        Grafana takes the first time for a bar's start and the second for its end. A bar that ended in the very
        second in which it began would never end, so each is a second longer.
        """
        _, (ended, _), *_ = self.columns.values()
        added = {
            "left": {"matcher": {"id": "byName", "options": ended}},
            "operator": "+",
            "right": {"fixed": "1000"},
        }
        until = f"{ended} up to"
        yield {"id": "calculateField", "options": {"mode": "binary", "alias": until, "binary": added}}
        conversions = [{"targetField": until, "destinationType": "time"}]
        yield {"id": "convertFieldType", "options": {"conversions": conversions}}
        yield {
            "id": "organize",
            "options": {"excludeByName": {ended: True}, "indexByName": {}, "renameByName": {}},
        }
        yield {"id": "partitionByValues", "options": {"fields": [*self.bars], "naming": {"asLabels": True}}}

    def _target(self) -> dict[str, Any]:
        return {
            "refId": "A",
            "datasource": SOURCE,
            "type": "json",
            "source": "url",
            "format": "timeseries" if self.kind == "timeseries" else "table",
            "parser": "backend",
            "url": f"/api/v1/{self.path}",
            "url_options": {
                "method": "GET",
                "params": [{"key": key, "value": value} for key, value in self.query.items()],
            },
            "root_selector": self.rows,
            "columns": [
                {"selector": selector, "text": text, "type": kind.partition(":")[0], **_form(kind)}
                for selector, (text, kind) in self.columns.items()
            ],
            "filters": [],
        }

    def _overrides(self) -> Iterator[dict[str, Any]]:
        for name in dict.fromkeys([*self.units, *self.colours]):
            properties: list[dict[str, Any]] = []
            if name in self.units:
                properties.append({"id": "unit", "value": self.units[name]})
            if name in self.colours:
                colour = {"mode": "fixed", "fixedColor": self.colours[name]}
                properties.append({"id": "color", "value": colour})
            yield {"matcher": {"id": "byName", "options": name}, "properties": properties}


def _form(kind: str) -> dict[str, str]:
    """Return how a moment is written, in Go's way, where it is not RFC 3339."""
    _, _, form = kind.partition(":")
    return {"timestampFormat": form} if form else {}


_JOB = {
    "job_id": ("Job", "string"),
    "outcome": ("Outcome", "string"),
    "user": ("User", "string"),
    "account": ("Account", "string"),
    "partition": ("Partition", "string"),
    "name": ("Name", "string"),
    "end": ("Ended", "timestamp"),
    "elapsed_seconds": ("Ran", "number"),
    "wait_seconds": ("Waited", "number"),
    "node_list": ("Nodes", "string"),
    "usage.cpu_efficiency": ("CPU use", "number"),
}
_JOB_UNITS = {"Ran": "s", "Waited": "s", "CPU use": "percentunit"}

PANELS: Sequence[ApiPanel] = (
    ApiPanel(
        title="Jobs that ended, by the hour",
        path="report",
        query={"by": "hour", **_STRETCH},
        rows="lines",
        kind="timeseries",
        columns={
            "hour": ("Time", "timestamp:2006-01-02T15"),
            **{f"outcomes.{name}": (name.replace("_", " "), "number") for name in _OUTCOMES},
        },
        colours={name.replace("_", " "): colour for name, colour in _OUTCOMES.items()},
    ),
    ApiPanel(
        title="Jobs named $name, $order first",
        path="jobs",
        query={"name": "$name", "order": "$order", "limit": "200", "fields": ",".join(_JOB), **_STRETCH},
        rows="jobs",
        columns=_JOB,
        units=_JOB_UNITS,
        height=12,
    ),
    ApiPanel(
        title="Accounts",
        path="report",
        query={"by": "account", "top": "50", **_STRETCH},
        rows="lines",
        columns={
            "account": ("Account", "string"),
            "attempts": ("Jobs", "number"),
            "cpu_hours": ("CPU hours", "number"),
            "lost_cpu_hours": ("Lost", "number"),
            "cpu_efficiency": ("CPU use", "number"),
            "wait_median_seconds": ("Median wait", "number"),
        },
        units={"CPU hours": "short", "Lost": "short", "CPU use": "percentunit", "Median wait": "s"},
        width=12,
    ),
    ApiPanel(
        title="Suspect nodes",
        text="Nodes on which more failed than chance explains; for a token for all.",
        path="nodes/suspect",
        query=_STRETCH,
        rows="nodes",
        columns={
            "node": ("Node", "string"),
            "score": ("Score", "number"),
            "failures": ("Failed", "number"),
            "expected": ("Expected", "number"),
            "users": ("Users", "number"),
        },
        width=12,
    ),
    ApiPanel(
        title="The node $node over time",
        text="A row for each job, with the colour of how it ended. Needs Grafana 11 or newer.",
        path="nodes/$node",
        query={"limit": "100", "fields": "start,end,outcome,job_id,user", **_STRETCH},
        rows="jobs",
        kind="state-timeline",
        columns={
            "start": ("Started", "timestamp"),
            "end": ("Ended", "timestamp"),
            **{name: _JOB[name] for name in ("outcome", "job_id", "user")},
        },
        bars=("Job", "User"),
        height=12,
    ),
    ApiPanel(
        title="What ran on the node $node",
        path="nodes/$node",
        query={"limit": "200", "fields": ",".join(_JOB), **_STRETCH},
        rows="jobs",
        columns=_JOB,
        units=_JOB_UNITS,
    ),
    ApiPanel(
        title="Seconds read of each hour",
        text="3,600 is a whole hour; less was never read. Of the first cluster.",
        path="coverage/hours",
        query=_STRETCH,
        rows="clusters.0.hours",
        kind="timeseries",
        columns={"hour": ("Time", "timestamp"), "read_seconds": ("read", "number")},
        units={"read": "s"},
        colours={"read": "green"},
        height=7,
    ),
)


def dashboard() -> dict[str, Any]:
    """Return it as Grafana keeps it."""
    panels: list[dict[str, Any]] = []
    x = y = height = 0
    for number, panel in enumerate(PANELS, 1):
        if x + panel.width > 24:  # noqa: PLR2004 - Grafana's columns
            x, y = 0, y + height
        panels.append(panel.json(number, x, y))
        x, height = x + panel.width, panel.height
    orders = ("newest", "oldest", "longest", "least-efficient")
    return {
        "uid": "slurmwatchd-jobs-api",
        "title": "Slurm jobs: single jobs",
        "description": "Jobs, nodes and hours from slurmwatchd's API. Needs the Infinity data source.",
        "tags": ["slurm", "slurmwatchd"],
        "timezone": "browser",
        "editable": True,
        "graphTooltip": 0,
        "refresh": "",
        "schemaVersion": 36,
        "version": 1,
        "time": {"from": "now-24h", "to": "now"},
        "links": [],
        "annotations": {"list": []},
        "templating": {
            "list": [
                {"name": "api", "type": "datasource", "label": "API", "query": SOURCE["type"]},
                {"name": "name", "type": "textbox", "label": "Job name", "query": "*", "current": _current("*")},
                {
                    "name": "order",
                    "type": "custom",
                    "label": "Order",
                    "query": ",".join(orders),
                    "current": _current(orders[0]),
                    "options": [{**_current(order), "selected": order == orders[0]} for order in orders],
                },
                {"name": "node", "type": "textbox", "label": "Node", "query": "n1", "current": _current("n1")},
            ]
        },
        "panels": panels,
    }


def _current(value: str) -> dict[str, str]:
    return {"text": value, "value": value}


def render() -> str:
    """Return the dashboard as a file for Grafana."""
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"
