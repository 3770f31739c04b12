"""The index templates in packaging/shippers/, from the table of fields.

A test holds the committed files against what this renders. No field is made by what a line brings: the keys of a
TRES are values of one field, so that a cluster with many GPU types, or a user's licenses, cannot fill the mapping.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from slurmwatchd.model.event_fields import HEAD, RECORD, TAIL, USAGE
from slurmwatchd.model.fields import Field

PRODUCTS = {"elasticsearch": "flattened", "opensearch": "flat_object"}
"""How each calls a field whose keys make no fields."""

# Longer texts are kept, and not indexed: Lucene refuses terms above 32,766 bytes.
_WHOLE, _DATE = {"type": "long"}, {"type": "date"}
_TEXT = {"type": "keyword", "ignore_above": 8191}
_TYPES: Mapping[str, Mapping[str, Any]] = {
    **dict.fromkeys(("string", "digits", "uuid", "event", "found by", "outcome", "[string]"), _TEXT),
    "int": _WHOLE,
    "schema": _WHOLE,
    "time": _DATE,
    "time or null": _DATE,
    "number": {"type": "double"},
    "bool": {"type": "boolean"},
    # Kept as they are, and not searched in.
    "steps": {"type": "object", "enabled": False},
    "changes": {"type": "object", "enabled": False},
}
_OPEN = ("tres", "counts", "texts")


def render(product: str) -> str:
    """Return the index template for a product."""
    template = {
        "index_patterns": ["slurm-events*"],
        "priority": 200,
        "template": {"mappings": {"dynamic": False, "properties": _properties((*HEAD, *RECORD, *TAIL), product)}},
    }
    return json.dumps(template, indent=2) + "\n"


def _properties(fields: Iterable[Field], product: str) -> dict[str, Any]:
    return {field.name: _mapping(field, product) for field in fields}


def _mapping(field: Field, product: str) -> Mapping[str, Any]:
    if field.kind == "usage":
        return {"dynamic": False, "properties": _properties(USAGE, product)}
    return {"type": PRODUCTS[product]} if field.kind in _OPEN else _TYPES[field.kind]
