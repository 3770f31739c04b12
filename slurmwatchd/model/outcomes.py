"""Why an attempt ended, in one word: derived from what slurmdbd says of it, and from nothing that a user typed.

docs/events.md has the rule of each word. Slurm's own reason is of no use here: what slurmdbd keeps is why the
attempt last waited, not why it ended.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """Why an attempt ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    OUT_OF_MEMORY = "out_of_memory"
    TIME_LIMIT = "time_limit"
    NODE_FAILURE = "node_failure"
    PREEMPTED = "preempted"
    REQUEUED = "requeued"
    CANCELLED_BY_USER = "cancelled_by_user"
    CANCELLED_BY_ADMIN = "cancelled_by_admin"
    CANCELLED_BEFORE_START = "cancelled_before_start"
    CANCELLED = "cancelled"
    DEADLINE = "deadline"
    BOOT_FAILURE = "boot_failure"
    RESIZED = "resized"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


FAILURES: tuple[str, ...] = (
    Outcome.FAILED.value,
    Outcome.OUT_OF_MEMORY.value,
    Outcome.TIME_LIMIT.value,
    Outcome.DEADLINE.value,
    Outcome.NODE_FAILURE.value,
    Outcome.BOOT_FAILURE.value,
)
"""The outcomes that are failures, for reports, pages, suspect nodes, recording rules and dashboards alike.

An attempt failed if it ended before its work was done, and neither a person cancelled it nor Slurm ran it
elsewhere or again. A deadline is one as a time limit is: the job did not finish in the time it had. What a failed
attempt had of CPUs and GPUs counts as lost. `tests/unit/test_failures.py` holds other files that have these words
against this.
"""

BY_STATE: Mapping[str, str] = {
    "COMPLETED": Outcome.COMPLETED.value,
    "OUT_OF_MEMORY": Outcome.OUT_OF_MEMORY.value,
    "TIMEOUT": Outcome.TIME_LIMIT.value,
    "NODE_FAIL": Outcome.NODE_FAILURE.value,
    "PREEMPTED": Outcome.PREEMPTED.value,
    "REQUEUED": Outcome.REQUEUED.value,
    "DEADLINE": Outcome.DEADLINE.value,
    "BOOT_FAIL": Outcome.BOOT_FAILURE.value,
    "RESIZING": Outcome.RESIZED.value,
    "REVOKED": Outcome.REVOKED.value,
}
"""The states that say it by themselves; plain text, since it goes into SQLite and JSON."""

STATES: Mapping[str, tuple[str, ...]] = {
    **{outcome: (state,) for state, outcome in BY_STATE.items()},
    Outcome.OUT_OF_MEMORY.value: ("OUT_OF_MEMORY", "FAILED"),
    Outcome.NODE_FAILURE.value: ("NODE_FAIL", "FAILED"),
    Outcome.FAILED.value: ("FAILED",),
    **dict.fromkeys(
        (
            Outcome.CANCELLED_BY_USER.value,
            Outcome.CANCELLED_BY_ADMIN.value,
            Outcome.CANCELLED_BEFORE_START.value,
            Outcome.CANCELLED.value,
        ),
        ("CANCELLED",),
    ),
}
"""Outcome to the states of its attempts, but for `unknown`: that is any other state."""

DECIDING = ("start", "uid", "cancelled_by_uid", "exit_signal", "derived_exit_signal", "failed_node", "restarts")
"""What decides where the state alone does not."""

_OUT_OF_MEMORY_SIGNAL = 125
"""Slurm marks what was killed for lack of memory with 253, and keeps seven bits of it: no system signal."""


def failed(outcomes: Mapping[str, int]) -> int:
    """Return how many of some attempts, counted by outcome, failed."""
    return sum(outcomes.get(outcome, 0) for outcome in FAILURES)


def outcome_of(record: Mapping[str, Any]) -> str:
    """Return why an attempt ended: one of `Outcome`, as plain text.

    Args:
        record: Its fields, those in `DECIDING` and `state` among them; absent or None is the same.
    """
    state = record.get("state") or ""
    plain = BY_STATE.get(state)
    if plain is not None:
        return plain
    if state == "CANCELLED":
        return _cancelled(record).value
    if state == "FAILED":
        return _failed(record).value
    return Outcome.UNKNOWN.value


def _cancelled(record: Mapping[str, Any]) -> Outcome:
    if record.get("start") is None:
        return Outcome.CANCELLED_BEFORE_START
    by, owner = record.get("cancelled_by_uid"), record.get("uid")
    if by is None or owner is None:
        return Outcome.CANCELLED
    return Outcome.CANCELLED_BY_USER if by == owner else Outcome.CANCELLED_BY_ADMIN


def _failed(record: Mapping[str, Any]) -> Outcome:
    if _OUT_OF_MEMORY_SIGNAL in (record.get("exit_signal"), record.get("derived_exit_signal")):
        return Outcome.OUT_OF_MEMORY
    # slurmctld keeps a job's failed node when it requeues the job: only the first attempt's is surely its own.
    if record.get("failed_node") and record.get("restarts") == 0:
        return Outcome.NODE_FAILURE
    return Outcome.FAILED
