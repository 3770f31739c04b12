"""The tables of docs/metrics.md, from the metrics themselves; the rest of the page is written by hand."""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector

from slurmwatchd.model.job_metrics import CATALOGUE
from slurmwatchd.sinks.prometheus import PrometheusOptions, PrometheusSink
from slurmwatchd.telemetry.metrics import Metrics
from tools.pages import marks

_PREFIX = "slurmwatchd_"


class _Registry(CollectorRegistry):
    """A registry that remembers who registers, in that order."""

    def __init__(self) -> None:
        """Begin with none."""
        super().__init__(auto_describe=True)
        self.collectors: list[Collector] = []

    def register(self, collector: Collector) -> None:
        """Remember a collector, and register it."""
        self.collectors.append(collector)
        super().register(collector)


def render(page: str) -> str:
    """Return a page with its tables as they must be now."""
    registry = _Registry()
    metrics = Metrics(registry)
    daemon = registry.collectors.copy()
    sink = PrometheusSink("prometheus", PrometheusOptions(type="prometheus"), metrics)
    return marks.replaced(page, {"jobs": _table([sink]), "sources": _sources(), "daemon": _table(daemon)})


def _sources() -> str:
    rows = [
        f"| `{family.name}` | {family.unit} | `{family.event.value}` | {marks.cell(family.source)} |\n"
        for family in CATALOGUE
    ]
    return "| metric, without `slurmwatchd_` | counts | event | how |\n|---|---|---|---|\n" + "".join(rows)


def _table(collectors: Iterable[Collector]) -> str:
    rows = [row for collector in collectors for row in _rows(collector)]
    return "| metric | type | labels | what |\n|---|---|---|---|\n" + "".join(rows)


def _rows(collector: Collector) -> Iterator[str]:
    for family in collector.collect():
        if family.name.startswith(_PREFIX):
            # Neither an instrument nor a family has its labels in public; an instrument's family has none.
            names: Iterable[str] = getattr(family, "_labelnames", getattr(collector, "_labelnames", ()))
            labels = ", ".join(f"`{name}`" for name in names)
            suffix = "_total" if family.type == "counter" else ""
            text = marks.cell(family.documentation)
            yield f"| `{family.name}{suffix}` | {family.type} | {labels} | {text} |\n"
