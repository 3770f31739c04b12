"""A record as a row of plain columns, for formats that know no records: CSV and Parquet.

Each field of the record, the nodes, and each field of the usage with `usage_` before its name. What is an object
in the record (`alloc_tres`, `raw`) is JSON text, so that nothing is lost.
"""

import types
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

import orjson

from slurmwatchd.model.formats import TIME_FIELDS
from slurmwatchd.model.records import JobRecord, JobUsage

USAGE = "usage_"
"""Stands before the names of the usage's fields."""


class Kind(StrEnum):
    """What the values of a column are."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    TRUTH = "truth"
    TIME = "time"
    TEXTS = "texts"
    JSON = "json"


@cache
def columns() -> Mapping[str, Kind]:
    """Return the columns, in order, and what they hold."""
    result = {
        name: Kind.TIME if name in TIME_FIELDS else _kind(annotation)
        for name, annotation in get_type_hints(JobRecord).items()
    }
    result["nodes"] = Kind.TEXTS
    hints = get_type_hints(JobUsage)
    return result | {f"{USAGE}{name}": _kind(hints[name]) for name in JobUsage._fields}


def row(record: Mapping[str, Any]) -> list[Any]:
    """Return a record's values in the order of `columns`, objects as JSON text."""
    plan = _plan()
    values = [*map(record.get, plan.fields), *map((record.get("usage") or {}).get, plan.usage)]
    for at in plan.objects:
        if values[at] is not None:
            values[at] = orjson.dumps(values[at]).decode()
    for at in plan.lists:
        if isinstance(values[at], str):
            values[at] = [values[at]]
    return values


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where what stands in a row: looked up once, since a row has seventy values and a store millions of rows."""

    fields: tuple[str, ...]
    usage: tuple[str, ...]
    objects: tuple[int, ...]
    lists: tuple[int, ...]


@cache
def _plan() -> _Plan:
    names, kinds = tuple(columns()), tuple(columns().values())
    return _Plan(
        tuple(name for name in names if not name.startswith(USAGE)),
        tuple(name.removeprefix(USAGE) for name in names if name.startswith(USAGE)),
        *(tuple(at for at, kind in enumerate(kinds) if kind is wanted) for wanted in (Kind.JSON, Kind.TEXTS)),
    )


def _kind(annotation: Any) -> Kind:  # noqa: ANN401 - any annotation
    """Say what a field of this type holds."""
    if isinstance(annotation, types.UnionType) or type(None) in get_args(annotation):
        annotation = next(part for part in get_args(annotation) if part is not types.NoneType)
    plain = {str: Kind.TEXT, bool: Kind.TRUTH, int: Kind.INTEGER, float: Kind.NUMBER}
    if annotation in plain:
        return plain[annotation]
    origin = get_origin(annotation)
    return Kind.JSON if isinstance(origin, type) and issubclass(origin, Mapping) else Kind.TEXTS
