"""The pages that are rendered from the program, so that none of them can say something else.

`make docs` writes them all, and a test compares each with what it would write. A page is a path below the
repository's root, and a function from its present text to the text it must have.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from tools import dashboards
from tools.dashboards import jobs_api
from tools.dashboards.grafana import Dashboard
from tools.pages import api, benchmarks, commands, configuration, events, metrics, templates

ROOT = Path(__file__).parents[2]


def _dashboard(board: Dashboard, _: str) -> str:
    return dashboards.render(board)


PAGES: Mapping[str, Callable[[str], str]] = {
    "docs/api.md": api.render,
    "docs/benchmarks.md": benchmarks.render,
    "docs/commands.md": lambda _: commands.page(),
    "docs/configuration.md": lambda _: configuration.render(),
    "docs/events.md": events.render,
    "docs/metrics.md": metrics.render,
    "docs/openapi.json": lambda _: api.description(),
    **{
        f"packaging/grafana/slurmwatchd-{board.name}.json": partial(_dashboard, board)
        for board in dashboards.DASHBOARDS
    },
    "packaging/grafana/jobs-api.json": lambda _: jobs_api.render(),
    "packaging/man/slurmwatchd.1": lambda _: commands.man(),
    "packaging/shippers/elasticsearch-template.json": lambda _: templates.render("elasticsearch"),
    "packaging/shippers/opensearch-template.json": lambda _: templates.render("opensearch"),
}


def rendered(name: str) -> tuple[str, str]:
    """Return a page's present text and the text it must have."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return text, PAGES[name](text)
