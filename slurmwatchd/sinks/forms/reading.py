"""Which event a line has, whatever its format: for what is compared with a file or a stream that is there."""

from collections.abc import Mapping
from typing import Any


def head_of(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what identifies an event, by the names of the flat format, as far as the format has it.

    Args:
        fields: A line, parsed. It may be anybody's.
    """
    if "specversion" in fields and isinstance(data := fields.get("data"), Mapping):
        return data
    event, slurm = fields.get("event"), fields.get("slurm")
    if isinstance(event, Mapping) and isinstance(slurm, Mapping):
        moved = {"id": "id", "seq": "sequence", "observed": "created"}
        return {**slurm, **{name: event.get(other) for name, other in moved.items()}}
    if "jobid" in fields and "@submit" in fields:
        submit = fields["@submit"]
        return {
            "id": fields.get("id"),
            "cluster": fields.get("cluster"),
            "job_id_raw": fields["jobid"],
            "submit": f"{submit}Z" if isinstance(submit, str) else None,
        }
    return fields


def identity_of(fields: object) -> str | None:
    """Return the id of the event a parsed line has; None where it is none of ours."""
    found = head_of(fields).get("id") if isinstance(fields, Mapping) else None
    return found if isinstance(found, str) else None
