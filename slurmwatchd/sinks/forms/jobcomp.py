"""An ended job as Slurm's own jobcomp/kafka and jobcomp/elasticsearch write it, for consumers that read those.

The names, units and texts are theirs (Slurm 24.05): times in UTC without a zone, `Unknown` for a start that never
was, exit codes as `code:signal`, TRES as one text. What slurmdbd does not keep (`alloc_node`, the tasks, the
script, the name of the group) is left out, and `id` is added.
"""

from collections.abc import Mapping
from typing import Any

from slurmwatchd.model.event_fields import DIALECT

USES = frozenset({
    "id", "event", "cluster", "job_id_raw", "container", "user", "uid", "gid", "start", "end", "elapsed_seconds",
    "partition", "node_list", "cpus", "node_count", "derived_exit_code", "derived_exit_signal", "exit_code",
    "exit_signal", "state", "failed_node", "array_job_id", "array_task_id", "het_job_id", "het_job_offset",
    "submit", "eligible", "wait_seconds", "work_dir", "std_err", "std_in", "std_out", "qos", "constraints",
    "timelimit_seconds", "name", "reservation", "wckey", "req_tres", "alloc_tres", "account",
})  # fmt: skip
"""The flat fields that stand in it; what else an event has need not fit into a line."""

_UNKNOWN = "Unknown"
_MEBIBYTE = 1 << 20
_HOUR = 3600

_TEXTS = {
    "username": "user", "partition": "partition", "state": "state", "cluster": "cluster",
    "qos": "qos", "work_dir": "work_dir", "std_err": "std_err", "std_in": "std_in", "std_out": "std_out",
    "job_name": "name", "reservation_name": "reservation", "wc_key": "wckey", "account": "account",
}  # fmt: skip
_NUMBERS = {
    "user_id": "uid", "group_id": "gid", "elapsed": "elapsed_seconds", "total_cpus": "cpus",
    "total_nodes": "node_count", "array_job_id": "array_job_id", "array_task_id": "array_task_id",
    "het_job_id": "het_job_id", "het_job_offset": "het_job_offset", "pack_job_id": "het_job_id",
    "pack_job_offset": "het_job_offset", "@queue_wait": "wait_seconds", "time_limit": "timelimit_seconds",
}  # fmt: skip
_ALWAYS = (
    "id", "jobid", "container", "@start", "@end", "@submit", "derived_ec", "exit_code", "nodes", "state",
    "failed_node", "cluster",
)  # fmt: skip


def rendered(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return an ended job.

    Args:
        fields: The flat fields.
    """
    record: dict[str, Any] = {
        "id": fields["id"],
        "jobid": fields["job_id_raw"],
        "container": fields.get("container"),
        "@start": _time(fields.get("start")),
        "@end": _time(fields.get("end")),
        "derived_ec": _code(fields, "derived_exit"),
        "exit_code": _code(fields, "exit"),
        "nodes": fields.get("node_list"),
        "failed_node": fields.get("failed_node"),
        "@submit": _time(fields["submit"]),
    }
    if "eligible" in fields:
        record["@eligible"] = _time(fields["eligible"])
    for name, field in (*_TEXTS.items(), *_NUMBERS.items()):
        if field in fields:
            record[name] = fields[field]
    if fields.get("start") is None:
        # Theirs waits for a start.
        record.pop("@queue_wait", None)
    if "elapsed_seconds" in fields and "cpus" in fields:
        record["cpu_hours"] = fields["elapsed_seconds"] * fields["cpus"] / _HOUR
    if "constraints" in fields:
        record["features"] = "&".join(fields["constraints"])
    for name, field in (("tres_req", "req_tres"), ("tres_alloc", "alloc_tres")):
        if field in fields:
            record[name] = ",".join(_tres(kind, amount) for kind, amount in fields[field].items())
    return record


def _time(text: str | None) -> str:
    return _UNKNOWN if text is None else text.removesuffix("Z")


def _code(fields: Mapping[str, Any], name: str) -> str:
    return f"{fields.get(f'{name}_code', 0)}:{fields.get(f'{name}_signal', 0)}"


def _tres(name: str, amount: float | str) -> str:
    name = name.removesuffix("_joules")
    if not name.endswith("_bytes") or not isinstance(amount, int):
        return f"{name}={amount}"
    whole, rest = divmod(amount, _MEBIBYTE)
    return f"{name.removesuffix('_bytes')}={amount if rest else f'{whole}M'}"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of an ended job."""
    text, number = {"type": "string"}, {"type": "integer"}
    time = {"type": "string", "pattern": f"^([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T[0-9:]{{8}}|{_UNKNOWN})$"}
    nullable, code = {"type": ["string", "null"]}, {"type": "string", "pattern": "^[0-9]+:[0-9]+$"}
    return {
        "$schema": DIALECT,
        "title": "An ended job as Slurm's jobcomp plug-ins write it, and its event's id",
        "type": "object",
        "required": list(_ALWAYS),
        "properties": {
            **dict.fromkeys(_TEXTS, text),
            **dict.fromkeys(_NUMBERS, number),
            **dict.fromkeys(("@start", "@end", "@submit", "@eligible"), time),
            **dict.fromkeys(("container", "nodes", "failed_node"), nullable),
            **dict.fromkeys(("derived_ec", "exit_code"), code),
            **dict.fromkeys(("features", "tres_req", "tres_alloc"), text),
            "id": {"type": "string", "format": "uuid"},
            "jobid": number,
            "cpu_hours": {"type": "number"},
        },
    }
