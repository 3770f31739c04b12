"""Which events a sink is given."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from slurmwatchd.model.formats import body, wire
from slurmwatchd.model.records import Event, EventKind, FoundBy
from slurmwatchd.sinks.jsonl import JsonlOptions
from slurmwatchd.sinks.prometheus import PrometheusOptions
from slurmwatchd.sinks.selection import Selection
from tests.unit.attempts import NOW, attempt


def event(
    kind: EventKind = EventKind.JOB_ENDED,
    *,
    nodes: list[str] | None = None,
    changed: dict[str, Any] | None = None,
    found_by: FoundBy = FoundBy.POLL,
    **fields: Any,  # noqa: ANN401 - any field
) -> Event:
    return Event(
        seq=1,
        id="929bfcde-667f-56bd-a4fc-b11ffb267c89",
        kind=kind,
        revision=1,
        time=NOW - 60,
        observed=NOW,
        found_by=found_by,
        body=body(wire(attempt(1, **fields))),
        nodes=None if nodes is None else orjson.dumps(nodes),
        changed=None if changed is None else orjson.dumps(changed),
    )


@pytest.mark.parametrize(
    ("settings", "fields", "is_taken"),
    [
        ({}, {}, True),
        ({"partitions": ["gpu", "main"]}, {}, True),
        ({"partitions": ["gpu"]}, {}, False),
        ({"partitions": ["gpu*"]}, {"partition": "gpu-long"}, True),
        ({"partitions": ["gpu"]}, {"partition": "gpu-long"}, False),
        ({"partitions": ["long"]}, {"partition": "main,long"}, True),
        ({"partitions": ["*"]}, {"partition": None}, True),
        ({"clusters": ["sim"], "accounts": ["physics"], "users": ["ann"]}, {}, True),
        ({"clusters": ["sim"], "accounts": ["physics"], "users": ["bob"]}, {}, False),
        ({"users": ["ann"]}, {"user": None}, False),
        ({"states": ["failed", "TIMEOUT"]}, {"state": "FAILED"}, True),
        ({"states": ["failed", "TIMEOUT"]}, {}, False),
        ({"outcomes": ["out_of_memory"]}, {"outcome": "out_of_memory"}, True),
        ({"outcomes": ["out_of_memory"]}, {"outcome": "failed"}, False),
        # An older version stored it: what is not there follows from the rest.
        ({"outcomes": ["out_of_memory"]}, {"state": "FAILED", "derived_exit_signal": 125}, True),
        ({"outcomes": ["out_of_memory"]}, {"state": "FAILED"}, False),
        ({"min_nodes": 2}, {"node_count": 2}, True),
        ({"min_nodes": 2}, {}, False),
        ({"min_cpus": 2}, {"cpus": None}, False),
        ({"min_elapsed": 10}, {}, True),
        ({"min_elapsed": 11}, {}, False),
        ({"nodes": ["n[01-16]", "login*"]}, {"nodes": ["n07"]}, True),
        ({"nodes": ["n[01-16]", "login*"]}, {"nodes": ["n7", "login2"]}, True),
        ({"nodes": ["n[01-16]", "login*"]}, {"nodes": ["n7", "n17"]}, False),
        ({"nodes": ["n[01-16]"]}, {"node_list": None}, False),
        # Nobody knows which nodes these are.
        ({"nodes": ["n[01-16]"]}, {"node_list": "x[1-"}, True),
        ({"backfill": False}, {"found_by": FoundBy.REREAD}, True),
        ({"backfill": False}, {"found_by": FoundBy.BACKFILL}, False),
        ({"events": ["job_usage"]}, {}, False),
        ({"events": ["job_usage"]}, {"kind": EventKind.JOB_USAGE}, True),
    ],
)
def test_what_is_given(settings: dict[str, Any], fields: dict[str, Any], *, is_taken: bool) -> None:
    assert Selection(settings).takes(event(**fields)) is is_taken


@pytest.mark.parametrize(
    ("settings", "changed", "is_taken"),
    [
        ({"states": ["FAILED"]}, {"state": ["FAILED", "COMPLETED"]}, True),
        ({"states": ["FAILED"]}, {"state": ["TIMEOUT", "COMPLETED"]}, False),
        ({"states": ["COMPLETED"]}, {"state": ["FAILED", "COMPLETED"]}, True),
        ({"outcomes": ["failed"]}, {"state": ["FAILED", "COMPLETED"]}, True),
        ({"outcomes": ["out_of_memory"]}, {"state": ["FAILED", "COMPLETED"]}, False),
        ({"outcomes": ["failed"]}, {"comment": [None, "x"]}, False),
        ({"nodes": ["n9"]}, {"node_list": ["n9", "n1"]}, True),
        ({"nodes": ["n9"]}, {"comment": [None, "x"]}, False),
    ],
)
def test_a_revision_is_given_to_a_sink_that_has_or_gets_the_attempt(
    settings: dict[str, Any], changed: dict[str, Any], *, is_taken: bool
) -> None:
    revision = event(EventKind.JOB_REVISED, changed=changed, nodes=["n1"], outcome="completed")
    assert Selection(settings).takes(revision) is is_taken


async def test_events_keep_their_order() -> None:
    events = [event(partition="a"), event(partition="b", job_id="2"), event(partition="a", job_id="3")]
    assert await Selection({"partitions": ["a"]}).among(events) == [events[0], events[2]]
    assert await Selection({"events": ["job_ended"]}).among(events) == events
    assert await Selection({}).among(events) == events


def test_only_what_differs_from_the_defaults_is_a_setting() -> None:
    assert JsonlOptions(type="jsonl", path=Path("x")).selection().settings == {}
    assert PrometheusOptions(type="prometheus").selection().settings == {"backfill": False}
    given = PrometheusOptions.model_validate({"type": "prometheus", "users": ["ann"], "min_elapsed": "2m"})
    assert given.selection().settings == {"users": ["ann"], "min_elapsed": 120, "backfill": False}


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("events", [], "at least 1 item"),
        ("events", ["job_started"], "Input should be 'job_ended', 'job_usage' or 'job_revised'"),
        ("outcomes", ["oom"], "Input should be 'completed', 'failed', 'out_of_memory'"),
        ("nodes", ["n[1-"], r"'n\[1-' is no node list"),
        ("nodes", ["n[1-3]*"], "not both"),
        ("nodes", ["n[1-99999]"], "more than 65,536 nodes"),
        ("min_nodes", -1, "greater than or equal to 0"),
    ],
)
def test_a_selection_that_cannot_be_read_is_refused(option: str, value: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PrometheusOptions.model_validate({"type": "prometheus", option: value})
