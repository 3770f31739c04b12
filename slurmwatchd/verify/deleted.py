"""Attempts that somebody says were deleted from slurmdbd: noted, so that no answer is held to show them."""

from collections.abc import Sequence
from pathlib import Path

from slurmwatchd.anchors import KEYS
from slurmwatchd.sources.queries import job_argument
from slurmwatchd.sources.sacct import Sacct
from slurmwatchd.store import lookups
from slurmwatchd.store.beside import open_beside
from slurmwatchd.store.lookups import Known

ASK_ROWS = 100
"""So many are asked for in one call."""


async def accept(store: Path, sacct: Sacct, attempts: Sequence[Known], *, now: int) -> int:
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
            await lookups.note_gone(requester, gone, now=now)
    return len(gone)
