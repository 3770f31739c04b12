"""The JSON Schema of each format."""

from typing import Any, Literal, get_args

from slurmwatchd.model import event_fields
from slurmwatchd.sinks.forms import cloudevents, ecs, jobcomp
from slurmwatchd.sinks.forms.options import EventFormat
from slurmwatchd.sinks.forms.tres import LIST_SCHEMA, TRES_FIELDS

FORMATS: tuple[EventFormat, ...] = get_args(EventFormat)


def json_schema(format: EventFormat, *, tres: Literal["object", "list"] = "object") -> dict[str, Any]:  # noqa: A002 - the option's name
    """Return the JSON Schema of an event; it allows fields it does not know.

    Args:
        format: How it is written.
        tres: How its TRES stand; jobcomp has one text of them either way.
    """
    flat = event_fields.json_schema()
    if tres == "list":
        for name in TRES_FIELDS:
            flat["properties"][name] = {"description": flat["properties"][name]["description"], **LIST_SCHEMA}
    match format:
        case "flat":
            return flat
        case "cloudevents":
            return cloudevents.json_schema(flat)
        case "ecs":
            return ecs.json_schema(flat)
        case "jobcomp":
            return jobcomp.json_schema()
