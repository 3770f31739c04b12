"""The documents against the program: every metric and every field that can come out is described."""

import re
from pathlib import Path

from prometheus_client import CollectorRegistry

from simslurm.versions import fields_of, release_of
from slurmwatchd.model.records import REVISING, JobRecord, JobUsage, StepRecord
from slurmwatchd.sinks.prometheus import PrometheusOptions, PrometheusSink
from slurmwatchd.sources.sacct.fields import ASKED
from slurmwatchd.telemetry.metrics import Metrics

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


def test_every_metric_that_a_page_or_a_rule_names_is_there() -> None:
    packaging = DOCS.parent / "packaging"
    pages = ("architecture", "events", "install", "metrics", "operations", "troubleshooting")
    files = [*(DOCS / f"{page}.md" for page in pages), *packaging.glob("prometheus/*.yml")]
    parts = ("_bucket", "_count", "_sum")
    there = {name + part for name in _families() for part in ("", *parts)} | {"slurmwatchd_jobs_ended"}
    named = {
        (file.name, name)
        for file in files
        for name in re.findall(r"(?<![\w/.-])slurmwatchd_[a-z]\w+", file.read_text(encoding="utf-8"))
    }
    assert len({name for _, name in named}) > 50
    assert sorted((file, name) for file, name in named if name not in there) == []


def _rows_under(mark: str) -> list[str]:
    """The fields that a table of docs/events.md describes."""
    text = (DOCS / "events.md").read_text()
    table = text.partition(f"<!-- {mark}: generated -->")[2].partition("<!-- end -->")[0]
    return re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)


def test_every_field_that_can_be_written_is_described() -> None:
    assert _rows_under("record") == list(JobRecord._fields)
    assert _rows_under("usage") == list(JobUsage._fields)
    assert _rows_under("step") == list(StepRecord._fields)
    assert _rows_under("head") == ["id", "event", "schema", "seq", "revision", "time", "observed", "found_by"]
    assert _rows_under("tail") == ["usage", "steps", "changed", "nodes", "nodes_omitted", "truncated"]


def test_every_field_of_sacct_is_asked_for_or_said_to_be_left_out() -> None:
    text = (DOCS / "events.md").read_text()
    words = set(re.findall(r"`(\w+\*?)`", text.partition("## What is left out")[2]))
    families = tuple(word[:-1] for word in words if word.endswith("*"))
    asked = {name for names in ASKED.values() for name in names}
    for version in ("20.11", "22.05", "24.11", "26.05"):
        offered = {field.name for field in fields_of(release_of(version))}
        silent = {name for name in offered - asked - words if not name.startswith(families)}
        assert silent <= {"ReqCPUFreqMax", "ReqCPUFreqMin", "ReqCPUFreqGov"}


def test_every_field_whose_change_is_told_is_listed() -> None:
    text = (DOCS / "events.md").read_text()
    listed = text.partition("<!-- revising: generated -->")[2].partition("<!-- end -->")[0]
    assert re.findall(r"`(\w+)`", listed) == list(REVISING)
