"""Why an attempt ended that a version without outcomes stored."""

from typing import Any

import orjson

from slurmwatchd.model.outcomes import outcome_of
from slurmwatchd.model.records import JobRecord

_BEHIND_OUTCOME = JobRecord._fields[JobRecord._fields.index("outcome") + 1 :]


def derive_outcome(record: dict[str, Any]) -> None:
    """Say why an attempt ended that a version without outcomes stored, at the place where others say it."""
    behind = {name: record.pop(name) for name in _BEHIND_OUTCOME if name in record}
    record["outcome"] = outcome_of(record)
    record |= behind


def outcome_of_body(body: bytes | None) -> str | None:
    """Return why an attempt ended; the function `outcome_of` of our SQL."""
    return None if body is None else outcome_of(orjson.loads(body))
