"""TRES as a list: index engines take `gres/gpu:a100` and the like for paths, and refuse what does not fit them."""

from collections.abc import Mapping
from typing import Any

TRES_FIELDS = ("req_tres", "alloc_tres")

LIST_SCHEMA: Mapping[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["type"],
        "properties": {
            "type": {"type": "string"},
            "name": {"type": "string"},
            "count": {"type": ["integer", "number"]},
            "text": {"type": "string"},
        },
    },
}


def listed(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an event with their TRES as lists, those before and after a change included."""
    result = dict(fields)
    for name in TRES_FIELDS:
        if name in result:
            result[name] = _list(result[name])
    if changed := result.get("changed"):
        result["changed"] = {
            name: [_list(value) for value in pair] if name in TRES_FIELDS else pair
            for name, pair in changed.items()
        }
    return result


def _list(tres: Any) -> Any:  # noqa: ANN401 - an object, or null before or after a change
    return [_entry(name, amount) for name, amount in tres.items()] if isinstance(tres, dict) else tres


def _entry(full_name: str, amount: float | str) -> dict[str, Any]:
    kind, _, name = full_name.partition("/")
    entry: dict[str, Any] = {"type": kind}
    if name:
        entry["name"] = name
    entry["text" if isinstance(amount, str) else "count"] = amount
    return entry
