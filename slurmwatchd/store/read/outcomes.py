"""Why an attempt ended that a version without outcomes stored."""

from typing import Any

import orjson

from slurmwatchd.model.outcomes import outcome_of

BEHIND_OUTCOME = ("incomplete", "raw")
"""The fields of a record behind it: questions do without `JobRecord`, which takes long to import."""


def derive_outcome(record: dict[str, Any]) -> None:
    """Say why an attempt ended that a version without outcomes stored, at the place where others say it."""
    behind = {name: record.pop(name) for name in BEHIND_OUTCOME if name in record}
    record["outcome"] = outcome_of(record)
    record |= behind


def outcome_of_body(body: bytes | None) -> str | None:
    """Return why an attempt ended; the function `outcome_of` of our SQL."""
    return None if body is None else outcome_of(orjson.loads(body))
