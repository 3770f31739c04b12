"""A record as a row of plain columns, for formats that know no records: CSV and Parquet.

Each field of the record, the nodes, and each field of the usage with `usage_` before its name. What is an object
in the record (`alloc_tres`, `raw`) is JSON text, so that nothing is lost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

import orjson

from slurmwatchd.model.fields import fields_of
from slurmwatchd.model.records import JobRecord, JobUsage

USAGE = "usage_"
"""Stands before the names of the usage's fields."""


class ColumnKind(StrEnum):
    """What the values of a column are."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    TRUTH = "truth"
    TIME = "time"
    TEXTS = "texts"
    JSON = "json"


_KINDS = {
    "string": ColumnKind.TEXT, "digits": ColumnKind.TEXT, "outcome": ColumnKind.TEXT,
    "int": ColumnKind.INTEGER, "number": ColumnKind.NUMBER, "bool": ColumnKind.TRUTH,
    "time": ColumnKind.TIME, "time or null": ColumnKind.TIME, "[string]": ColumnKind.TEXTS,
}  # fmt: skip
"""What a field is on the wire to what its column holds; the others are objects."""


@cache
def columns() -> Mapping[str, ColumnKind]:
    """Return the columns, in order, and what they hold."""
    record = {field.name: _KINDS.get(field.kind, ColumnKind.JSON) for field in fields_of(JobRecord)}
    usage = {f"{USAGE}{field.name}": _KINDS.get(field.kind, ColumnKind.JSON) for field in fields_of(JobUsage)}
    return {**record, "nodes": ColumnKind.TEXTS, **usage}


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


def cut(records: Sequence[Mapping[str, Any]]) -> list[list[Any] | None]:
    """Return the columns of records: what `row` makes of each, by column; None where no record has anything."""
    plan = _plan()
    used = [record.get("usage") or {} for record in records]
    found = [*_members(records, plan.fields), *_members(used, plan.usage)]
    for at in plan.objects:
        if (values := found[at]) is not None:
            found[at] = [None if value is None else orjson.dumps(value).decode() for value in values]
    for at in plan.lists:
        if (values := found[at]) is not None:
            found[at] = [[value] if isinstance(value, str) else value for value in values]
    return found


def _members(records: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[list[Any] | None]:
    """Return what records have under some names, by name; None where none has it."""
    there: set[str] = set().union(*records)
    return [[record.get(name) for record in records] if name in there else None for name in names]


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
        *(
            tuple(at for at, kind in enumerate(kinds) if kind is wanted)
            for wanted in (ColumnKind.JSON, ColumnKind.TEXTS)
        ),
    )
