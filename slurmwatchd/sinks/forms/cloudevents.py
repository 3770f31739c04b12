"""CloudEvents 1.0 in JSON: the event's head as attributes, the flat fields as `data`."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from slurmwatchd.model.event_fields import DIALECT
from slurmwatchd.model.records import EventKind

TYPES = {
    EventKind.JOB_ENDED: "org.slurmwatchd.job.ended.v1",
    EventKind.JOB_USAGE: "org.slurmwatchd.job.usage.v1",
    EventKind.JOB_REVISED: "org.slurmwatchd.job.revised.v1",
}


def attributes(fields: Mapping[str, Any]) -> dict[str, str]:
    """Return an event's attributes, `id` first: in a JSON event, or as headers of a message.

    Args:
        fields: The flat fields.
    """
    found = {
        "id": fields["id"],
        "specversion": "1.0",
        "source": f"/slurm/{quote(fields['cluster'], safe='')}",
        "type": TYPES[fields["event"]],
        # Unlike a source it is any text.
        "subject": f"job/{fields['job_id']}",
    }
    if "time" in fields:
        found["time"] = fields["time"]
    return found


def rendered(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event as a JSON event."""
    return {**attributes(fields), "datacontenttype": "application/json", "data": fields}


def json_schema(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of an event.

    Args:
        flat: That of the flat format.
    """
    text = {"type": "string", "minLength": 1}
    return {
        "$schema": DIALECT,
        "title": "An event of slurmwatchd as a CloudEvent",
        "type": "object",
        "required": ["id", "specversion", "source", "type", "subject", "datacontenttype", "data"],
        "properties": {
            "id": text,
            "specversion": {"const": "1.0"},
            "source": {"type": "string", "pattern": "^/slurm/"},
            "type": {"enum": list(TYPES.values())},
            "subject": {"type": "string", "pattern": "^job/"},
            "time": {"type": "string", "format": "date-time"},
            "datacontenttype": {"const": "application/json"},
            "data": {name: part for name, part in flat.items() if name not in {"$schema", "$id"}},
        },
    }
