"""What Grafana keeps of a dashboard and its panels, from what is particular to them.

A dashboard is hundreds of lines of JSON, most of them the same in each panel: `Panel.json` adds those. The names
are those of Grafana's published schema; tests/unit/test_dashboards.py holds the files to it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_COLUMNS = 24
_SCHEMA_VERSION = 36


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """What is particular to a panel.

    Attributes:
        kind: Grafana's name of the visualisation.
        queries: Legend to PromQL; a legend is text with `{{label}}`.
        unit: Grafana's name of the unit.
        width: Of 24 columns.
        height: In Grafana's rows.
        text: What stands behind the title's mark.
        stacked: Whether the lines stand on each other.
        limits: Value to colour, where a value is good or bad.
    """

    title: str
    queries: Mapping[str, str]
    kind: str = "timeseries"
    unit: str = "short"
    width: int = 8
    height: int = 8
    text: str = ""
    stacked: bool = False
    limits: Mapping[float, str] | None = None

    def json(self, number: int, x: int, y: int) -> dict[str, Any]:
        """Return it as Grafana keeps it.

        Args:
            number: Its id in the dashboard.
            x: Its column.
            y: Its row.
        """
        shown: dict[str, Any] = {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "datasource": _SOURCE,
            "gridPos": {"h": self.height, "w": self.width, "x": x, "y": y},
            "targets": [self._target(place, *query) for place, query in enumerate(self.queries.items())],
            "fieldConfig": {"defaults": self._defaults(), "overrides": []},
            "options": self._options(),
        }
        if self.text:
            shown["description"] = self.text
        if self.kind == "table":
            hidden = {"Time": True, "__name__": True, "instance": True, "job": True}
            shown["transformations"] = [
                {"id": "merge", "options": {}},
                {"id": "organize", "options": {"excludeByName": hidden, "renameByName": self._columns()}},
            ]
        return shown

    def _columns(self) -> dict[str, str]:
        """Return a column for each query of a table, by the name that Grafana gives it."""
        if len(self.queries) == 1:
            return dict.fromkeys(["Value", "Value #A"], next(iter(self.queries)))
        return {f"Value #{_letter(place)}": legend for place, legend in enumerate(self.queries)}

    def _target(self, place: int, legend: str, query: str) -> dict[str, Any]:
        is_now = self.kind in ("stat", "table", "bargauge")
        return {
            "refId": _letter(place),
            "datasource": _SOURCE,
            "expr": query,
            "legendFormat": legend,
            "instant": is_now,
            "range": not is_now,
            "format": {"table": "table", "heatmap": "heatmap"}.get(self.kind, "time_series"),
        }

    def _defaults(self) -> dict[str, Any]:
        defaults: dict[str, Any] = {"unit": self.unit}
        if self.kind == "timeseries":
            stacking = {"mode": "normal" if self.stacked else "none", "group": "A"}
            defaults["custom"] = {"fillOpacity": 30 if self.stacked else 5, "lineWidth": 1, "stacking": stacking}
            defaults["min"] = 0
        if self.limits:
            steps: list[dict[str, Any]] = [{"value": None, "color": "green"}]
            steps += [{"value": value, "color": colour} for value, colour in self.limits.items()]
            defaults["thresholds"] = {"mode": "absolute", "steps": steps}
        return defaults

    def _options(self) -> dict[str, Any]:
        reduced = {"calcs": ["lastNotNull"], "values": False, "fields": ""}
        match self.kind:
            case "timeseries":
                legend = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
                return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
            case "stat":
                return {
                    "reduceOptions": reduced,
                    "graphMode": "none",
                    "colorMode": "value" if self.limits else "none",
                    "justifyMode": "auto",
                    "textMode": "auto",
                    "orientation": "auto",
                }
            case "bargauge":
                return {
                    "reduceOptions": reduced,
                    "displayMode": "basic",
                    "orientation": "horizontal",
                    "showUnfilled": True,
                    "minVizWidth": 0,
                    "minVizHeight": 10,
                    "valueMode": "text",
                }
            case _:
                return {"showHeader": True, "cellHeight": "sm"}


def _letter(place: int) -> str:
    return chr(ord("A") + place)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """What is particular to a dashboard: rows of panels under titles, and variables beside the cluster."""

    name: str
    title: str
    text: str
    rows: Mapping[str, Sequence[Panel]]
    variables: Sequence[str] = ()

    def json(self) -> dict[str, Any]:
        """Return it as Grafana keeps it."""
        return {
            "uid": f"slurmwatchd-{self.name}",
            "title": f"Slurm jobs: {self.title}",
            "description": self.text,
            "tags": ["slurm", "slurmwatchd"],
            "timezone": "browser",
            "editable": True,
            "graphTooltip": 1,
            "refresh": "1m",
            "schemaVersion": _SCHEMA_VERSION,
            "version": 1,
            "time": {"from": "now-24h", "to": "now"},
            "links": [
                {
                    "title": "Slurm jobs",
                    "type": "dashboards",
                    "tags": ["slurmwatchd"],
                    "asDropdown": True,
                    "includeVars": True,
                    "keepTime": True,
                    "targetBlank": False,
                    "icon": "external link",
                    "tooltip": "",
                    "url": "",
                }
            ],
            "annotations": {"list": []},
            "templating": {"list": list(self._variables())},
            "panels": list(self._panels()),
        }

    def _variables(self) -> Iterator[dict[str, Any]]:
        yield {"name": "datasource", "type": "datasource", "label": "Prometheus", "query": "prometheus"}
        yield _variable("cluster", "Cluster", "label_values(slurmwatchd_open_jobs, slurm_cluster)")
        for label in self.variables:
            query = f'label_values(slurmwatchd_jobs_ended_total{{slurm_cluster=~"$cluster"}}, {label})'
            yield _variable(label, label.capitalize(), query)

    def _panels(self) -> Iterator[dict[str, Any]]:
        number = y = 0
        for title, panels in self.rows.items():
            number += 1
            place = {"h": 1, "w": _COLUMNS, "x": 0, "y": y}
            yield {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}
            y += 1
            x = height = 0
            for panel in panels:
                if x + panel.width > _COLUMNS:
                    x, y = 0, y + height
                number += 1
                yield panel.json(number, x, y)
                x, height = x + panel.width, panel.height
            y += height


def _variable(name: str, label: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "query",
        "label": label,
        "datasource": _SOURCE,
        "query": {"query": query, "refId": name},
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "refresh": 2,
        "current": {"text": "All", "value": "$__all"},
    }


def render(dashboard: Dashboard) -> str:
    """Return a dashboard as a file for Grafana."""
    return json.dumps(dashboard.json(), indent=2, ensure_ascii=False) + "\n"
