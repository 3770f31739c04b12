"""The OpenAPI 3.1 description, made of the endpoints, their parameters and the fields of an event."""

from functools import cache
from typing import Any

import orjson

from slurmwatchd._version import __version__
from slurmwatchd.daemon.web.api.endpoints import ENDPOINTS, PREFIX, Endpoint
from slurmwatchd.daemon.web.api.parameters import FIELDS
from slurmwatchd.daemon.web.api.problems import MEDIA_TYPE, TITLES
from slurmwatchd.model import event_fields
from slurmwatchd.model.job_states import STATES

Object = dict[str, Any]

FORMATS = {
    "moment": "A time as on the command line: RFC 3339 (`2026-11-20T14:30:00Z`), a date, or a span before now "
    "(`-2h`, `7d`). Without a zone it is UTC.",
    "cursor": "As an answer's `next` has it.",
    "place": "`now`, `oldest`, or as an answer's `next` has it.",
    "duration-60s": "A duration of up to 60 seconds, such as `30s`.",
}
"""Formats of parameters that JSON Schema does not know."""

_TIME = {"type": "string", "format": "date-time"}
_TIME_OR_NULL = {"anyOf": [_TIME, {"type": "null"}]}
_TEXT = {"type": "string"}
_NUMBER = {"type": "integer", "minimum": 0}
_NEXT = {"type": ["string", "null"], "description": "The `cursor` of the next page; null: this is the last."}

_HOUR = {
    "hour": {**_TIME, "description": "Its beginning."},
    "seconds": {**_NUMBER, "description": "How much of it is over and not before the horizon."},
    "read_seconds": {**_NUMBER, "description": "How much of that was read."},
    "read_at": {**_TIME_OR_NULL, "description": "The oldest of the last readings of its parts."},
    "readings": {**_NUMBER, "description": "Complete answers of sacct that were about it."},
    "found_late": {**_NUMBER, "description": "Attempts that only a re-read found; for a token for all."},
}
_SUSPICIONS = ("score", "chance", "attempts", "failures", "expected", "quick_failures", "node_failures")

_ERRORS = (400, 401, 403, 404, 405, 413, 429, 500, 503)


@cache
def description() -> bytes:
    """Return the description as JSON."""
    return orjson.dumps(document(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def document() -> Object:
    """Return the description."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "slurmwatchd",
            "version": __version__,
            "summary": "Jobs that ended on Slurm clusters, without asking sacct.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": PREFIX}],
        "security": [{"token": []}],
        "paths": {endpoint.path: {"get": _operation(endpoint)} for endpoint in ENDPOINTS},
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "`slurmwatchd token add` makes one. What an answer holds depends on its scope.",
                }
            },
            "schemas": _schemas(),
            "responses": {f"Problem{status}": _problem(status) for status in _ERRORS},
        },
    }


def parameters_of(endpoint: Endpoint) -> list[Object]:
    """Return the parameters of an endpoint, those of its path first."""
    found: list[Object] = [
        {"name": name, "in": "path", "required": True, "description": text, "schema": dict(schema)}
        for name, (schema, text) in endpoint.path_parameters.items()
    ]
    schema = endpoint.query.model_json_schema(by_alias=True)
    required = set(schema.get("required", ()))
    for name, given in schema.get("properties", {}).items():
        described = dict(given)
        text = described.pop("description", "")
        default = described.pop("default", None)
        for part in described.pop("anyOf", ()):
            if part != {"type": "null"}:
                described |= part
        described.pop("title", None)
        if described.get("format") in FORMATS:
            described["description"] = FORMATS[described["format"]]
        parameter: Object = {"name": name, "in": "query", "required": name in required}
        if described.get("type") == "array":
            if (named := described["items"].get("title")) in FIELDS:
                described["items"] = {"$ref": f"#/components/schemas/{named}"}
            parameter |= {"style": "form", "explode": False}
        elif default is not None:
            described["default"] = "0s" if described.get("format") == "duration-60s" else default
        found.append({**parameter, "description": text, "schema": described})
    return found


def _operation(endpoint: Endpoint) -> Object:
    schema = {"$ref": f"#/components/schemas/{endpoint.schema}"}
    content: Object = {}
    for media in endpoint.media:
        is_json = media == "application/json"
        content[media] = {"schema": schema if is_json else {"type": "string"}}
    success: Object = {
        "description": endpoint.summary,
        "content": content,
    }
    if endpoint.media[0] == "application/json":
        success["headers"] = {
            "ETag": {"schema": _TEXT, "description": "Send it as `If-None-Match`: 304 where nothing changed."}
        }
    return {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        **({"description": endpoint.text} if endpoint.text else {}),
        "parameters": parameters_of(endpoint),
        "responses": {
            "200": success,
            **{str(status): {"$ref": f"#/components/responses/Problem{status}"} for status in _ERRORS},
        },
    }


def _problem(status: int) -> Object:
    return {
        "description": TITLES[status],
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _object(properties: Object, *, optional: tuple[str, ...] = ()) -> Object:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _list(items: Object) -> Object:
    return {"type": "array", "items": items}


def _schemas() -> Object:
    event = event_fields.json_schema()
    event_properties: Object = event["properties"]
    names = (*(field.name for field in event_fields.RECORD), "steps", "nodes")
    # `fields` may choose parts of it.
    usage = {key: value for key, value in event_properties["usage"].items() if key != "required"}
    attempt: Object = {
        "type": "object",
        "description": "An attempt as its newest event has it; with `fields` it has only these. Within version 1 "
        "fields may be added.",
        "properties": {**{name: event_properties[name] for name in names}, "usage": usage},
    }
    reference = {"$ref": "#/components/schemas/Attempt"}
    unread = _list({"$ref": "#/components/schemas/Unread"})
    stretch = {"start": _TIME, "end": _TIME}
    head = ("id", "event", "revision", "observed", "found_by")
    return {
        **{name: {"enum": list(fields)} for name, fields in FIELDS.items()},
        "Attempt": attempt,
        "Unread": {
            **_object(
                {
                    "cluster": {"type": ["string", "null"]},
                    "start": _TIME_OR_NULL,
                    "end": _TIME_OR_NULL,
                }
            ),
            "description": "Ends that the store does not have, so that attempts may be missing; null: unlimited. "
            "Where the question is what was running, also jobs that still run.",
        },
        "JobPage": _object({"jobs": _list(reference), "next": _NEXT, "unread": unread}),
        "NodePage": _object({"node": _TEXT, "jobs": _list(reference), "next": _NEXT, "unread": unread}),
        "Job": _object(
            {
                "job_id": _TEXT,
                "attempts": _list(
                    {
                        "allOf": [reference],
                        "properties": {
                            "history": _list(
                                {
                                    "type": "object",
                                    "properties": {
                                        **{name: event_properties[name] for name in (*head, "changed")},
                                        "seq": {**_NUMBER, "description": "For a token for all."},
                                    },
                                    "required": list(head),
                                }
                            ),
                            "shared_nodes_with": _list(reference),
                        },
                    }
                ),
                "next": _NEXT,
            }
        ),
        "JobArray": _object(
            {
                "cluster": _TEXT,
                "array_job_id": _NUMBER,
                "tasks": _NUMBER,
                "attempts": _NUMBER,
                "states": {
                    "type": "object",
                    "properties": dict.fromkeys(STATES, _NUMBER),
                    "additionalProperties": False,
                },
                "submit": _TIME,
                "start": _TIME_OR_NULL,
                "end": _TIME_OR_NULL,
            }
        ),
        "ArrayPage": _object(
            {"arrays": _list({"$ref": "#/components/schemas/JobArray"}), "next": _NEXT, "unread": unread}
        ),
        "Event": {
            "type": "object",
            "description": "As `slurmwatchd schema` describes it; `seq` is for a token for all.",
            "required": [name for name in event_fields.REQUIRED if name != "seq"],
            "properties": event_properties,
        },
        "Report": _object(
            {
                "by": _TEXT,
                "since": _TIME,
                "until": _TIME,
                "currency": _TEXT,
                "unread": unread,
                "lines": _list({"type": "object", "required": ["attempts", "cpu_hours"]}),
                "total": {"type": "object", "required": ["attempts", "cpu_hours"]},
            }
        ),
        "EventPage": _object(
            {
                "events": _list({"$ref": "#/components/schemas/Event"}),
                "next": {"type": "string", "description": "The `after` of the next request."},
            }
        ),
        "Index": _object({"version": _TEXT, "scope": {**_TEXT, "description": "Such as `all` or `user:ada`."}}),
        "Status": _object(
            {
                "version": _TEXT,
                "ready": {"type": "boolean"},
                "clusters": _list(
                    _object(
                        {
                            "cluster": _TEXT,
                            "horizon": _TIME,
                            "read_up_to": _TIME,
                            "lag_seconds": _NUMBER,
                            "failing": {"type": "boolean"},
                            "error": _TEXT,
                            "last_reading": {"type": ["object", "null"]},
                        },
                        optional=("error", "last_reading"),
                    )
                ),
                "not_ready": _list(_TEXT),
                "attempts": _NUMBER,
                "newest_event": _NUMBER,
                "quarantine": _object({"rows": _NUMBER, "newest": _TIME_OR_NULL}),
                "sinks": _list(
                    _object(
                        {
                            "sink": _TEXT,
                            "position": _NUMBER,
                            "waiting": _NUMBER,
                            "oldest_waiting": _TIME_OR_NULL,
                            "moved": _TIME,
                            "error": _TEXT,
                        }
                    )
                ),
            },
            optional=("not_ready", "attempts", "newest_event", "quarantine", "sinks"),
        ),
        "Coverage": _object(
            {
                "clusters": _list(
                    _object(
                        {
                            "cluster": _TEXT,
                            "horizon": _TIME,
                            "read_up_to": _TIME,
                            "holes": _list(_object(stretch)),
                            "stretches": _list(_object({**stretch, "read_at": _TIME})),
                        }
                    )
                )
            }
        ),
        "CoverageHours": _object(
            {
                "since": _TIME,
                "until": _TIME,
                "clusters": _list(
                    _object(
                        {
                            "cluster": _TEXT,
                            "horizon": _TIME,
                            "read_up_to": _TIME,
                            "hours": _list(_object(_HOUR, optional=("found_late",))),
                        }
                    )
                ),
            }
        ),
        "SuspectList": _object(
            {
                "since": _TIME,
                "until": _TIME,
                "nodes": _list(
                    {
                        "type": "object",
                        "description": "As `slurmwatchd nodes --suspect --json` has it; numbers are shared out "
                        "among the nodes of an attempt.",
                        "properties": {
                            "cluster": _TEXT,
                            "node": _TEXT,
                            **{name: {"type": "number", "minimum": 0} for name in _SUSPICIONS},
                            "users": _NUMBER,
                        },
                        "required": ["cluster", "node", *_SUSPICIONS, "users"],
                    }
                ),
                "unread": unread,
            }
        ),
        "Problem": {
            "type": "object",
            "description": "RFC 9457. `parameter` is the one to change.",
            "properties": {
                "title": _TEXT,
                "status": {"type": "integer"},
                "detail": _TEXT,
                "parameter": _TEXT,
            },
            "required": ["title", "status", "detail"],
        },
    }
