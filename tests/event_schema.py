"""Every line a test looks at must be what `slurmwatchd schema` promises, with no field it does not name."""

from collections.abc import Iterable
from functools import cache
from typing import Any

import jsonschema_rs
import orjson
import pytest
from jsonschema import Draft202012Validator

from slurmwatchd.model.event_fields import json_schema


def conforming(lines: Iterable[bytes]) -> list[dict[str, Any]]:
    """Read lines; one that is not JSON, or not as the schema has it, fails the test.

    Lines that only some schema of a newer release would allow are not let through either.
    """
    records = []
    for line in lines:
        record = orjson.loads(line)
        if not _quick().is_valid(record):
            faults = [f"{fault.message} at {fault.json_path}" for fault in strict().iter_errors(record)]
            pytest.fail(f"{'; '.join(faults) or 'an id or a time is not in its format'}: {line[:2000]!r}")
        records.append(record)
    return records


@cache
def _quick() -> jsonschema_rs.Draft202012Validator:
    """The same; tells no faults, but looks over tens of thousands of lines a second."""
    return jsonschema_rs.Draft202012Validator(_closed(), validate_formats=True)


@cache
def strict() -> Draft202012Validator:
    """The schema, closed: what it does not name is not allowed."""
    return Draft202012Validator(_closed())


def _closed() -> dict[str, Any]:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    return closed(schema)


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """Let a schema allow nothing that it does not name."""
    _close(schema)
    return schema


def _close(schema: dict[str, Any]) -> None:
    if "properties" in schema:
        schema.setdefault("additionalProperties", False)
        for part in schema["properties"].values():
            _close(part)
    if "items" in schema:
        _close(schema["items"])
