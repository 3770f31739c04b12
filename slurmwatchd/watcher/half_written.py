"""Rows that slurmdbd has not finished writing: held back for a moment, never forgotten.

When the messages of a short job overtake each other, slurmdbd makes its row from the step's or the
completion's message alone: named `allocation`, on one node, without a partition; a second later the start
message fills in the rest. Measured on 22.05.8: such a row, already COMPLETED, 2 s after the job's end. No whole
row lacks its partition, so that is the sign. A row whose start message was lost stays so for ever, and is taken
as it is once it had its time.
"""

from typing import TYPE_CHECKING

from slurmwatchd.model.ledger import Ledger

if TYPE_CHECKING:
    # What reads the store needs `holes` only.
    from slurmwatchd.model.attempts import AttemptBatch

SETTLE_SECONDS = 60
"""How long after it was first seen a half-written row is waited for."""

FORGET_SECONDS = 3600
"""After this a row that was seen half-written and never again is no longer looked for."""

REMEMBERED_ROWS = 10_000
"""How many rows taken half-written are remembered, so that a re-read of their end does not wait for them again."""

SHORT_SECONDS = 60
"""A stretch that was never read is never shorter, as no call asks for less; seconds that are withheld are."""

ClusterAttempt = tuple[str, int, int]

Span = tuple[int, int]


def holes(ledger: Ledger) -> tuple[list[Span], list[Span]]:
    """Return what a stored ledger lacks below its newest reading, epoch seconds, half-open.

    Returns:
        The stretches that were never read; and the seconds that were read and are read again, for a half-written
        row that ended in them.
    """
    never: list[Span] = []
    withheld: list[Span] = []
    for start, end in ledger.holes():
        is_withheld = end - start < SHORT_SECONDS and ledger.newest - end < FORGET_SECONDS
        (withheld if is_withheld else never).append((start, end))
    return never, withheld


class HalfWrittenRows:
    """The half-written rows of one cluster."""

    def __init__(self, *, patient: bool = True) -> None:
        """Begin with none.

        Args:
            patient: Whether there will be another look soon; without it a row is waited for until its end is
                `SETTLE_SECONDS` old.
        """
        self.patient = patient
        self._seen: dict[ClusterAttempt, tuple[int, int]] = {}
        self._taken: dict[ClusterAttempt, None] = {}

    def __len__(self) -> int:
        """Return how many rows are waited for."""
        return len(self._seen)

    def ripe(self, readings: "AttemptBatch", now: int, *, again: bool = True) -> "AttemptBatch":
        """Return the rows to take now; the others are remembered.

        Args:
            readings: What a reading shows.
            now: Epoch seconds.
            again: Whether a second that is withheld is read again by itself. What a backfill reads before the
                horizon is not, so its rows are only waited for until their end is `SETTLE_SECONDS` old.
        """
        partitions = readings.columns["partition"]
        if not self._seen and None not in partitions:
            return readings
        patient = self.patient and again
        keys = readings.values("cluster", "job_id_raw", "submit")
        rows = enumerate(zip(keys, partitions, readings.columns["end"], strict=True))
        ripe = [place for place, row in rows if self._is_ripe(*row, now=now, patient=patient)]
        return readings if len(ripe) == len(readings) else readings.take(ripe)

    def withhold(self, ledger: Ledger) -> Ledger:
        """Return a ledger in which the ends of the rows waited for were not read, so that they are read again."""
        for end, _ in self._seen.values():
            ledger = ledger.forget(end, end + 1)
        return ledger

    def tidy(self, now: int) -> None:
        """Stop looking for rows that never came again."""
        self._seen = {key: seen for key, seen in self._seen.items() if now - seen[1] < FORGET_SECONDS}

    def _is_ripe(
        self, key: ClusterAttempt, partition: str | None, end: int | None, *, now: int, patient: bool
    ) -> bool:
        if partition is not None or end is None or key in self._taken:
            self._seen.pop(key, None)
            return True
        _, first = self._seen.setdefault(key, (end, now if patient else end))
        if now - first < SETTLE_SECONDS:
            return False
        del self._seen[key]
        self._taken[key] = None
        if len(self._taken) > REMEMBERED_ROWS:
            del self._taken[next(iter(self._taken))]
        return True
