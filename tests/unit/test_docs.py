"""The documents against the program: every metric and every field that can come out is described."""

import re
from pathlib import Path

from prometheus_client import CollectorRegistry

from slurmwatchd.metrics import Metrics
from slurmwatchd.records import REVISING, JobRecord
from slurmwatchd.sinks.prometheus import PrometheusOptions, PrometheusSink

DOCS = Path(__file__).parents[2] / "docs"


def _families() -> dict[str, str]:
    metrics = Metrics(CollectorRegistry(auto_describe=False))
    PrometheusSink("prometheus", PrometheusOptions(type="prometheus"), metrics)
    return {
        family.name + ("_total" if family.type == "counter" else ""): family.documentation
        for family in metrics.registry.collect()
        if family.name.startswith("slurmwatchd_")
    }


def test_every_metric_is_described_as_it_describes_itself() -> None:
    text = (DOCS / "metrics.md").read_text()
    described = dict(re.findall(r"^\| `(slurmwatchd_\w+)` \|[^|]*\|[^|]*\| (.*) \|$", text, re.MULTILINE))
    assert described == _families()
    assert described["slurmwatchd_jobs_ended_total"] == "Job attempts that ended."


def test_every_field_of_the_record_is_described() -> None:
    text = (DOCS / "events.md").read_text()
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    described = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert set(JobRecord._fields) - described == set()
    head = {"id", "event", "schema", "seq", "revision", "time", "observed", "found_by", "changed", "nodes"}
    assert head - described == set()


def test_every_field_whose_change_is_told_is_listed() -> None:
    text = (DOCS / "events.md").read_text()
    paragraph = next(part for part in text.split("\n\n") if part.startswith("`job_revised` is told"))
    assert set(re.findall(r"`(\w+)`", paragraph)) - {"job_revised", "db_index"} == set(REVISING)
