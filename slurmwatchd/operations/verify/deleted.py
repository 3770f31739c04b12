"""Attempts that someone says were deleted from slurmdbd: noted, so that no answer is held to show them."""

from collections.abc import Sequence
from pathlib import Path

from slurmwatchd.sources.sacct.arguments import job_argument
from slurmwatchd.sources.sacct.client import Sacct
from slurmwatchd.store import known_attempts
from slurmwatchd.store.known_attempts import KnownAttempt
from slurmwatchd.store.read.second_process import open_beside
from slurmwatchd.watcher.anchors import KEYS

ASK_ROWS = 100
"""So many are asked for in one call."""


async def accept(store: Path, sacct: Sacct, attempts: Sequence[KnownAttempt], *, now: int) -> int:
    """Note the attempts that do not answer to their number either as gone; return how many.

    Args:
        store: Where the store is; a daemon may have it.
        sacct: Whom to ask.
        attempts: Those that sacct did not show by their end.
        now: Epoch seconds.

    Raises:
        SacctError: sacct failed.
        StoreError: The store cannot be written.
    """
    gone: list[int] = []
    for first in range(0, len(attempts), ASK_ROWS):
        some = attempts[first : first + ASK_ROWS]
        numbers = [job_argument(known.job_id, known.job_id_raw) for known in some]
        shown: set[tuple[int, int]] = set()
        async with sacct.named(numbers, KEYS, since=min(known.submit for known in some), now=now) as answer:
            async for rows in answer.rows():
                shown.update(rows.readings.keys)
        gone += [known.job for known in some if known.key not in shown]
    if gone:
        async with open_beside(store) as requester:
            await known_attempts.note_gone(requester, gone, now=now)
    return len(gone)
