"""Every field of an event, its type and its meaning: for docs/events.md and `slurmwatchd schema`.

The record, the usage and the steps are described where they are defined, in `records.py`; what stands around them
in a line is described here.
"""

from collections.abc import Iterable
from typing import Any

from slurmwatchd.model.fields import Field, fields_of
from slurmwatchd.model.outcomes import Outcome
from slurmwatchd.model.records import SCHEMA, EventKind, FoundBy, JobRecord, JobUsage, StepRecord

DIALECT = "https://json-schema.org/draft/2020-12/schema"
IDENTIFIER = f"urn:slurmwatchd:event:{SCHEMA}"

_STRING = {"type": "string"}
_TIME = {"type": "string", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"}
_TEXTS = {"type": "array", "items": _STRING}

_TYPES: dict[str, dict[str, Any]] = {
    "string": _STRING,
    "int": {"type": "integer"},
    "number": {"type": "number"},
    "bool": {"type": "boolean"},
    "time": _TIME,
    "time or null": {"anyOf": [_TIME, {"type": "null"}]},
    "[string]": _TEXTS,
    "digits": {"type": "string", "pattern": "^[0-9]+$"},
    "uuid": {"type": "string", "format": "uuid", "pattern": "^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$"},
    "event": {"enum": [kind.value for kind in EventKind]},
    "schema": {"const": SCHEMA},
    "found by": {"enum": [found_by.value for found_by in FoundBy]},
    "outcome": {"enum": [outcome.value for outcome in Outcome]},
    "tres": {"type": "object", "additionalProperties": {"type": ["integer", "number", "string"]}},
    "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
    "texts": {"type": "object", "additionalProperties": _STRING},
    "changes": {"type": "object", "additionalProperties": {"type": "array", "minItems": 2, "maxItems": 2}},
}
_WORDS = {
    "digits": "string", "uuid": "string", "event": "string", "schema": "int", "found by": "string",
    "outcome": "string",
    "tres": "object", "counts": "object", "texts": "object", "changes": "object",
    "time": "string", "time or null": "string or null",
}  # fmt: skip


def type_word(field: Field) -> str:
    """Return a field's type as people read it."""
    return {"usage": "object", "steps": "[object]"}.get(field.kind, _WORDS.get(field.kind, field.kind))


HEAD = (
    Field("id", "uuid", "the dedupe key"),
    Field("event", "event", "`job_ended`, `job_usage`, `job_revised`"),
    Field("schema", "schema", str(SCHEMA)),
    Field("seq", "int", "position in this daemon's store; only grows, gaps do not mean a loss, see above"),
    Field("revision", "int", "1 for `job_ended` and `job_usage`; 2, 3 ... for `job_revised`"),
    Field("time", "time", "the attempt's end; absent if Slurm never recorded one"),
    Field("observed", "time", "when the daemon first saw this"),
    Field(
        "found_by",
        "found by",
        "`poll`; `reread`: a later query of the same time; `open_set`: a query for a job that vanished from the "
        "list of open jobs; `backfill`",
    ),
)

RECORD = fields_of(JobRecord)

TAIL = (
    Field("usage", "usage", "`job_usage` only; see below"),
    Field("steps", "steps", '`job_usage` only, with `[steps] mode = "full"`: the first 1,000; see below'),
    Field("changed", "changes", "`job_revised` only: field to [old, new]; `null` for absent"),
    Field("nodes", "[string]", "every node of `node_list`, in Slurm's order"),
    Field(
        "nodes_omitted",
        "bool",
        "true if `nodes` was left out because the line would still have been longer than `max_line_bytes`",
    ),
    Field(
        "truncated",
        "[string]",
        "texts that were cut (`changed.comment`: the texts of a change), and lists or `usage.raw` that were left "
        "out, because the line was too long; see below",
    ),
)

USAGE = fields_of(JobUsage)

_TEXTS_OF_USAGE = {field.name: field.text for field in USAGE}
STEP = tuple(
    field._replace(text=field.text or _TEXTS_OF_USAGE.get(field.name, "")) for field in fields_of(StepRecord)
)

REQUIRED = (
    "id", "event", "schema", "seq", "revision", "observed", "found_by", "cluster", "job_id", "job_id_raw", "state",
    "submit", "start",
)  # fmt: skip


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a line. It allows fields it does not know: within a schema some may be added."""
    objects = {
        "usage": _object(USAGE, required=("steps", "complete")),
        "steps": {"type": "array", "items": _object(STEP, required=("id", "state", "complete"))},
    }
    schema = {
        "$schema": DIALECT,
        "$id": IDENTIFIER,
        "title": "An event of slurmwatchd",
        "description": "One line of a JSON-lines file in the format flat.",
        **_object((*HEAD, *RECORD, *TAIL), required=REQUIRED),
    }
    schema["properties"] |= {
        name: {**found, "description": schema["properties"][name]["description"]}
        for name, found in objects.items()
    }
    schema["allOf"] = [
        {
            "if": {"properties": {"event": {"const": kind.value}}},
            "then": {"required": [name]},
            "else": {"not": {"required": [name]}},
        }
        for kind, name in ((EventKind.JOB_USAGE, "usage"), (EventKind.JOB_REVISED, "changed"))
    ]
    return schema


def _object(fields: Iterable[Field], *, required: Iterable[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(required),
        "properties": {
            field.name: {**_TYPES.get(field.kind, {}), **({"description": field.text} if field.text else {})}
            for field in fields
        },
    }
