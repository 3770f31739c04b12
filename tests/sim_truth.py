"""What the simulated accounting database says of ended attempts, written as an event has to tell it."""

import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from simslurm import SimCluster

Key = tuple[str, int, int]
"""Cluster, job id, submission: what slurmdbd knows an attempt by."""

STATES = {
    3: "COMPLETED",
    4: "CANCELLED",
    5: "FAILED",
    6: "TIMEOUT",
    7: "NODE_FAIL",
    8: "PREEMPTED",
    9: "BOOT_FAIL",
    10: "DEADLINE",
    11: "OUT_OF_MEMORY",
    1024: "REQUEUED",
    8192: "RESIZING",
    1 << 19: "REVOKED",
}
"""Slurm's numbers of the states in which an attempt is over."""


def ended(cluster: SimCluster) -> dict[Key, dict[str, Any]]:
    """Every attempt that has ended, by its key."""
    rows = (row for row in cluster.truth()["jobs"] if row["time_end"] and row["state"] in STATES)
    return {(row["cluster"], row["id_job"], row["time_submit"]): _told(row) for row in rows}


def differences(cluster: SimCluster, records: Iterable[Mapping[str, Any]]) -> list[str]:
    """What is missing, twice or wrong in the `job_ended` events, one line each; empty where nothing is."""
    truth = ended(cluster)
    found = []
    seen: set[Key] = set()
    for record in records:
        if record["event"] != "job_ended":
            continue
        key = (record["cluster"], record["job_id_raw"], epoch(record["submit"]))
        if key in seen:
            found.append(f"twice: {key}")
        seen.add(key)
        if key not in truth:
            found.append(f"invented: {key}")
            continue
        for name, value in truth[key].items():
            if record.get(name) != value:
                found.append(f"wrong: {key}: {name} is {record.get(name)!r}, the database has {value!r}")
    return found + [f"missing: {key}" for key in truth if key not in seen]


def epoch(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    has_nodes = row["nodelist"] not in {None, b"", b"None assigned"}
    started = has_nodes and row["time_start"]
    return {
        "state": STATES[row["state"]],
        "end": _rfc3339(row["time_end"]),
        "start": _rfc3339(row["time_start"]) if started else None,
        "name": _text(row["job_name"]),
        "user": _text(row["user"]),
        "account": _text(row["account"]),
        "partition": _text(row["partition"]),
        "node_list": _text(row["nodelist"]) if has_nodes else None,
        "work_dir": _text(row["work_dir"]),
        "comment": _text(row["comment"]),
        "admin_comment": _text(row["admin_comment"]),
    }


def _text(value: bytes | None) -> str | None:
    """Text as JSON can hold it: bytes that are no UTF-8 are written out."""
    return os.fsencode(value).decode(errors="backslashreplace") if value else None


def _rfc3339(moment: int) -> str:
    return datetime.fromtimestamp(moment, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
