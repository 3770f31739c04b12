"""The schema of a line: what it lets through, what it does not, and that the command prints it."""

import json
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from slurmwatchd.cli import cli
from slurmwatchd.model.formats import body, flat, wire
from slurmwatchd.model.records import Event, EventKind, FoundBy
from tests.event_schema import conforming, strict
from tests.unit.attempts import attempt

LINE: dict[str, Any] = {
    "id": "929bfcde-667f-56bd-a4fc-b11ffb267c89",
    "event": "job_ended",
    "schema": 1,
    "seq": 1,
    "revision": 1,
    "time": "2026-11-23T12:20:31Z",
    "observed": "2026-11-23T12:20:33Z",
    "found_by": "poll",
    "cluster": "tux",
    "job_id": "12",
    "job_id_raw": 12,
    "state": "COMPLETED",
    "submit": "2026-11-23T12:19:31Z",
    "start": None,
}


def printed() -> Draft202012Validator:
    """The schema as a user gets it."""
    done = CliRunner().invoke(cli, ["schema"])
    assert done.exit_code == 0
    schema = json.loads(done.output)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_the_least_a_line_can_be_is_valid_and_may_have_fields_of_a_later_release() -> None:
    assert printed().is_valid(LINE)
    assert printed().is_valid({**LINE, "invented_later": [1]})
    assert not strict().is_valid({**LINE, "invented_later": [1]})


@pytest.mark.parametrize(
    "change",
    [
        {"id": "12"},
        {"event": "job_started"},
        {"schema": 2},
        {"time": "2026-11-23 12:20:31"},
        {"job_id_raw": "12"},
        {"start": ""},
        {"end": None},
        {"db_index": 3},
        {"flags": "SchedBackfill"},
        {"licenses": "matlab:2"},
        {"alloc_tres": {"cpu": None}},
        {"cpus": 1.5},
        {"usage": {"steps": 0, "complete": True}},
        {"event": "job_usage"},
        {"event": "job_usage", "usage": {"steps": 1}},
        {"event": "job_usage", "usage": {"steps": 1, "complete": True, "max_rss_bytes": "4K"}},
        {"event": "job_usage", "usage": {"steps": 1, "complete": True}, "steps": [{"id": "0"}]},
        {"event": "job_revised"},
    ],
)
def test_a_line_that_breaks_a_promise_is_not(change: dict[str, Any]) -> None:
    assert not printed().is_valid({**LINE, **change})


@pytest.mark.parametrize("change", [{"nonsense": 1}, {"submit": 5}])
def test_the_tests_own_look_at_lines_finds_what_breaks_a_promise(change: dict[str, Any]) -> None:
    assert conforming([json.dumps(LINE).encode()]) == [LINE]
    with pytest.raises(pytest.fail.Exception, match=r"nonsense|submit"):
        conforming([json.dumps({**LINE, **change}).encode()])


@pytest.mark.parametrize("change", [{"id": "12345678-nonsense"}, {"id": "g2345678-1234-5234-8234-123456789abc"}])
def test_the_tests_own_look_at_lines_finds_what_is_not_in_its_format(change: dict[str, Any]) -> None:
    with pytest.raises(pytest.fail.Exception):
        conforming([json.dumps({**LINE, **change}).encode()])


@pytest.mark.parametrize("name", ["id", "seq", "job_id_raw", "submit", "start", "state", "cluster"])
def test_what_every_line_has_is_required(name: str) -> None:
    assert not printed().is_valid({key: value for key, value in LINE.items() if key != name})


def test_lines_cut_to_their_limit_still_conform() -> None:
    steps = [{"id": str(number), "state": "COMPLETED", "complete": True} for number in range(400)]
    text = body(wire(attempt(1, submit_line="x" * 9000, flags=["f"] * 900, node_list="n" * 9000)))
    ending = f',"usage":{{"cpu_seconds":1.5,"steps":40,"complete":true}},"steps":{json.dumps(steps)}'
    event = Event(
        seq=1,
        id="929bfcde-667f-56bd-a4fc-b11ffb267c89",
        kind=EventKind.JOB_USAGE,
        revision=1,
        time=1_795_400_000,
        observed=1_795_400_002,
        found_by=FoundBy.POLL,
        body=text[:-1] + ending.encode() + b"}",
    )
    (line,) = conforming([flat(event, max_line_bytes=4096).rstrip(b"\n")])
    assert line["usage"] == {"cpu_seconds": 1.5, "steps": 40, "complete": True}
    assert set(line["truncated"]) >= {"steps", "submit_line"}
