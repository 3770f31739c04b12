"""What really happened, read by SQL from slurmdbd's job table, and its comparison with a JSON-lines file.

Everything is worked out here anew, from the table's raw numbers: nothing of the daemon's is used.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.real_slurm.cluster import RealCluster

Key = tuple[int, int]  # id_job, time_submit
Record = Mapping[str, Any]

BASE_STATES = (
    "PENDING",
    "RUNNING",
    "SUSPENDED",
    "COMPLETED",
    "CANCELLED",
    "FAILED",
    "TIMEOUT",
    "NODE_FAIL",
    "PREEMPTED",
    "BOOT_FAIL",
    "DEADLINE",
    "OUT_OF_MEMORY",
)
FLAG_STATES = {1 << 10: "REQUEUED", 1 << 13: "RESIZING", 1 << 19: "REVOKED"}
NODES_TRES = "4"
NO_VALUE = 0xFFFFFFFE
SIG_OOM = 253
LOADED_ID = 1_000_000
"""Job ids from here on were loaded, not run."""
NEVER_STARTED = (None, "", "None assigned")
COLUMNS = """
    job.id_job, job.time_submit, job.time_start, job.time_end, job.state, job.exit_code, job.derived_ec,
    job.job_name, job.nodes_alloc, job.nodelist, job.tres_alloc, job.tres_req, job.id_user, job.partition,
    job.kill_requid, assoc.user as assoc_user
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One ended row of the job table, in the words of the wire format."""

    key: Key
    values: dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How a file differs from the truth; all empty where it does not."""

    missing: list[Key] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    unknown: list[Key] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether there is any difference."""
        return bool(self.missing or self.twice or self.wrong or self.unknown)


def ended(cluster: RealCluster, since: int = 0) -> dict[Key, Attempt]:
    """Every ended attempt submitted since then."""
    rows = cluster.sql(
        f"select {COLUMNS} from {{job_table}} job left join {{assoc_table}} assoc using (id_assoc) "  # noqa: S608
        "where job.time_end != 0 and job.time_submit >= %s",
        (since,),
    )
    attempts = (_attempt(cluster, row) for row in rows)
    return {attempt.key: attempt for attempt in attempts}


def unended(cluster: RealCluster, since: int = 0) -> list[Key]:
    """The attempts submitted since then that slurmdbd holds for open, or whose rows it has not filled in yet.

    Where the end of a job overtakes its start, its row is made with an end, the name `allocation` and no
    partition, and filled in a few seconds later; one that was loaded stays as it is.
    """
    rows = cluster.sql(
        "select id_job, time_submit from {job_table} job "
        "where time_submit >= %s and (time_end = 0 or job.partition = '' and id_job < %s)",
        (since, LOADED_ID),
    )
    return [(_number(row, "id_job"), _number(row, "time_submit")) for row in rows]


def compare(truth: Mapping[Key, Attempt], records: Sequence[Record], everything: Iterable[Key]) -> Difference:
    """Compare the truth with what a file holds.

    Args:
        truth: The attempts that must be there, once each, with these values.
        records: The file's lines.
        everything: Keys that may be there: whatever else was in the table.
    """
    by_key: dict[Key, list[Record]] = defaultdict(list)
    for record in records:
        by_key[key_of(record)].append(record)
    ids = Counter(str(record["id"]) for record in records)
    twice = [f"id {name}: {count} times" for name, count in ids.items() if count > 1]
    missing, wrong = [], []
    for key, attempt in truth.items():
        firsts = [record for record in by_key[key] if record["event"] == "job_ended"]
        if not firsts:
            missing.append(key)
            continue
        if len(firsts) > 1:
            twice.append(f"job {key}: {len(firsts)} times")
        wrong += _wrong(attempt, max(by_key[key], key=lambda record: int(record["revision"])))
    unknown = sorted(set(map(key_of, records)) - set(truth) - set(everything))
    return Difference(missing=missing, twice=twice, wrong=wrong, unknown=unknown)


def key_of(record: Record) -> Key:
    """The key of a line of the file."""
    return int(record["job_id_raw"]), _epoch(record["submit"])


def _wrong(attempt: Attempt, record: Record) -> list[str]:
    got: dict[str, object] = {name: record.get(name) for name in attempt.values}
    for name in ("start", "end"):
        got[name] = None if record.get(name) is None else _epoch(record[name])
    return [
        f"job {attempt.key}: {name} is {got[name]!r}, in truth {value!r}"
        for name, value in attempt.values.items()
        if got[name] != value
    ]


def _attempt(cluster: RealCluster, row: Mapping[str, str | None]) -> Attempt:
    started = row["nodelist"] not in NEVER_STARTED
    code, signal = _exit(cluster, _number(row, "exit_code"))
    derived_code, derived_signal = _exit(cluster, _number(row, "derived_ec"))
    values: dict[str, object] = {
        "state": _state(_number(row, "state")),
        # Where a job was cancelled before it started, 22.05 often stores its end as its start.
        "start": (_number(row, "time_start") or None) if started else None,
        "end": _number(row, "time_end"),
        "exit_code": code,
        "exit_signal": signal,
        "derived_exit_code": derived_code,
        "derived_exit_signal": derived_signal,
        "name": _text(row["job_name"]),
        # A row that was made from the end message alone has no count of its own, but its TRES have.
        "node_count": _number(row, "nodes_alloc") or _nodes(row["tres_alloc"] or row["tres_req"]),
        "node_list": row["nodelist"] if started else None,
        "user": row["assoc_user"] or cluster.root.user_name(_number(row, "id_user")),
        "uid": _number(row, "id_user"),
        "partition": row["partition"],
        "outcome": _outcome(row, started=started),
    }
    if row["partition"] == "":
        # slurmdbd never got its start message and fills in what it does not know.
        for name in ("name", "user", "uid", "partition", "outcome"):
            del values[name]
    return Attempt(key=(_number(row, "id_job"), _number(row, "time_submit")), values=values)


def _state(stored: int) -> str:
    for flag, name in FLAG_STATES.items():
        if stored & flag:
            return name
    return BASE_STATES[stored & 0xFF]


def _outcome(row: Mapping[str, str | None], *, started: bool) -> str:
    """Why it ended, by the numbers in the table."""
    state, canceller = _state(_number(row, "state")), _number(row, "kill_requid")
    if state == "CANCELLED" and not started:
        return "cancelled_before_start"
    if state == "CANCELLED":
        if row["kill_requid"] is None or canceller in (NO_VALUE, -1):
            return "cancelled"
        return "cancelled_by_user" if canceller == _number(row, "id_user") else "cancelled_by_admin"
    if state == "FAILED":
        killed = SIG_OOM in (_number(row, "exit_code"), _number(row, "derived_ec"))
        return "out_of_memory" if killed else "failed"
    return {
        "NODE_FAIL": "node_failure", "TIMEOUT": "time_limit", "BOOT_FAIL": "boot_failure", "RESIZING": "resized",
    }.get(state, state.lower())  # fmt: skip


def _exit(cluster: RealCluster, status: int) -> tuple[int, int]:
    """Take a wait status apart, as sacct would print it."""
    if status >= NO_VALUE:
        return 0, 0
    signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    code = status >> 8 & 0xFF
    if code >= 128 and cluster.release.number < (25, 11):
        code -= 128  # sacct itself took 128 off until 25.11
    return code, signal


def _nodes(tres: str | None) -> int:
    counts = dict(item.split("=") for item in (tres or "").split(",") if item)
    return int(counts.get(NODES_TRES, 0))


def _text(value: str | None) -> str | None:
    """A text as JSON can carry it: bytes that are no UTF-8 become U+FFFD, an empty one is left out."""
    if not value:
        return None
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _number(row: Mapping[str, str | None], column: str) -> int:
    return int(row[column] or 0)


def _epoch(text: str) -> int:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no zone")
    return int(moment.timestamp())
