"""Words of a few that rows of `jobs` and `events` have, and the codes that the store keeps of them.

SQL reads the words: `state`, `outcome`, `kind` and `found_by` are columns that follow from `state_code` and the
others (migration 17 has the same pairs). Only what writes needs these.
"""

from collections.abc import Mapping
from typing import Any

from slurmwatchd.model.outcomes import Outcome
from slurmwatchd.model.records import EventKind, FoundBy


class Codes(dict[str | None, str | None]):
    """Words to their codes. Any other is its own, with a sign in front if it looks like a code. None is None."""

    def __init__(self, codes: Mapping[str, str]) -> None:
        """Take pairs of a word and its code."""
        super().__init__(codes.items())
        self[None] = None
        self._taken = frozenset(codes.values())

    def __missing__(self, word: str) -> str:
        """Return the code of a word that has none of its own; it is not remembered, as words may be hostile."""
        return f"={word}" if word in self._taken or word.startswith("=") else word


STATES = Codes(
    {
        "COMPLETED": "", "BOOT_FAIL": "b", "CANCELLED": "c", "DEADLINE": "d", "FAILED": "f", "NODE_FAIL": "n",
        "OUT_OF_MEMORY": "o", "PREEMPTED": "p", "REQUEUED": "q", "RESIZING": "s", "TIMEOUT": "t", "REVOKED": "v",
    }
)  # fmt: skip

OUTCOMES = Codes(
    {
        Outcome.COMPLETED.value: "", Outcome.CANCELLED_BY_ADMIN.value: "a", Outcome.BOOT_FAILURE.value: "b",
        Outcome.CANCELLED.value: "c", Outcome.DEADLINE.value: "d", Outcome.CANCELLED_BEFORE_START.value: "e",
        Outcome.FAILED.value: "f", Outcome.NODE_FAILURE.value: "n", Outcome.OUT_OF_MEMORY.value: "o",
        Outcome.PREEMPTED.value: "p", Outcome.REQUEUED.value: "q", Outcome.RESIZED.value: "s",
        Outcome.TIME_LIMIT.value: "t", Outcome.CANCELLED_BY_USER.value: "u", Outcome.REVOKED.value: "v",
    }
)  # fmt: skip

KINDS = {EventKind.JOB_ENDED.value: "", EventKind.JOB_USAGE.value: "u", EventKind.JOB_REVISED.value: "r"}

FOUND_BY = {
    FoundBy.POLL.value: "", FoundBy.REREAD.value: "r", FoundBy.OPEN_SET.value: "o", FoundBy.BACKFILL.value: "b",
}  # fmt: skip


def coded(common: Mapping[str, Any]) -> dict[str, Any]:
    """Return what events have in common as columns of their table: `kind` and `found_by` become codes."""
    return {
        **{name: value for name, value in common.items() if name not in {"kind", "found_by"}},
        "kind_code": KINDS[common["kind"]],
        "found_by_code": FOUND_BY[common["found_by"]],
    }
