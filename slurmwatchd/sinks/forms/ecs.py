"""The Elastic Common Schema: what it has fields for stands in those, the rest under `slurm`."""

from collections.abc import Mapping
from typing import Any

from slurmwatchd.model.clock import epoch
from slurmwatchd.model.event_fields import DIALECT
from slurmwatchd.model.records import EventKind

VERSION = "8.11.0"
"""Of the schema; all fields used here are older."""

_ACTIONS = {
    EventKind.JOB_ENDED: ("slurm-job-ended", "end"),
    EventKind.JOB_USAGE: ("slurm-job-usage", "info"),
    EventKind.JOB_REVISED: ("slurm-job-revised", "change"),
}
_SUCCESS = frozenset({"COMPLETED"})
_NEITHER = frozenset({"CANCELLED", "PREEMPTED", "REQUEUED", "RESIZING", "REVOKED"})
_ELSEWHERE = frozenset({"id", "event", "seq", "time", "observed", "start", "end", "user", "uid", "exit_code"})
"""Flat fields that stand in a field of the common schema."""


def rendered(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event in the fields of the schema; `event.id` comes first.

    Args:
        fields: The flat fields.
    """
    action, kind = _ACTIONS[fields["event"]]
    event: dict[str, Any] = {
        "id": fields["id"],
        "kind": "event",
        "category": ["process"],
        "type": [kind],
        "action": action,
        "outcome": outcome(fields["state"]),
        "module": "slurmwatchd",
        "dataset": "slurmwatchd.jobs",
        "sequence": fields["seq"],
        "created": fields["observed"],
    }
    start, end = fields.get("start"), fields.get("end")
    if start is not None:
        event["start"] = start
    if end is not None:
        event["end"] = end
    if start is not None and end is not None and (seconds := _seconds(start, end)) is not None:
        event["duration"] = seconds * 1_000_000_000
    result: dict[str, Any] = {
        "event": event,
        "@timestamp": fields.get("time", fields["observed"]),
        "ecs": {"version": VERSION},
    }
    user = {}
    if "user" in fields:
        user["name"] = fields["user"]
    if "uid" in fields:
        # A keyword in the common schema.
        user["id"] = str(fields["uid"])
    if user:
        result["user"] = user
    if "exit_code" in fields:
        result["process"] = {"exit_code": fields["exit_code"]}
    result["slurm"] = {name: value for name, value in fields.items() if name not in _ELSEWHERE}
    return result


def outcome(state: str) -> str:
    """Return how a job ended, as `event.outcome` has it; what someone stopped is neither."""
    return "success" if state in _SUCCESS else "unknown" if state in _NEITHER else "failure"


def _seconds(start: str, end: str) -> int | None:
    began, ended = epoch(start), epoch(end)
    return None if began is None or ended is None else max(0, ended - began)


def json_schema(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of an event.

    Args:
        flat: That of the flat format.
    """
    fields = flat["properties"]
    text, number, time = {"type": "string"}, {"type": "integer"}, fields["observed"]
    event = {
        "id": fields["id"],
        "kind": {"const": "event"},
        "category": {"const": ["process"]},
        "type": {"type": "array", "items": {"enum": ["end", "info", "change"]}, "minItems": 1, "maxItems": 1},
        "action": {"enum": [action for action, _ in _ACTIONS.values()]},
        "outcome": {"enum": ["success", "failure", "unknown"]},
        "module": text,
        "dataset": text,
        "sequence": number,
        "created": time,
        "start": time,
        "end": time,
        "duration": {**number, "minimum": 0},
    }
    optional = {"start", "end", "duration"}
    return {
        "$schema": DIALECT,
        "title": "An event of slurmwatchd in the Elastic Common Schema",
        "type": "object",
        "required": ["event", "@timestamp", "ecs", "slurm"],
        "properties": {
            "event": {
                "type": "object",
                "required": [name for name in event if name not in optional],
                "properties": event,
            },
            "@timestamp": time,
            "ecs": {"type": "object", "required": ["version"], "properties": {"version": text}},
            "user": {"type": "object", "properties": {"name": text, "id": text}},
            "process": {"type": "object", "properties": {"exit_code": number}},
            "slurm": {
                "type": "object",
                "required": [name for name in flat["required"] if name not in _ELSEWHERE],
                "properties": {name: part for name, part in fields.items() if name not in _ELSEWHERE},
            },
        },
    }
