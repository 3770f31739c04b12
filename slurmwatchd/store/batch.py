"""What one transaction of the intake writes, and what came of it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from slurmwatchd.model.attempts import AttemptBatch
from slurmwatchd.model.records import REVISING, FoundBy, Rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one transaction writes.

    Attributes:
        readings: The rows that can be keyed.
        rejected: Rows for the quarantine.
        slots: The record's fields that this reading could fill.
        observed: Epoch seconds, now.
        expanded: Nodes of the node lists that were not in the store.
        revising: The fields whose later change makes a `job_revised`.
        released: The quarantined rows these readings come from: deleted with them. What they say is as old as they
            are, so only attempts that the store does not have are taken from them.
    """

    cluster: str
    readings: AttemptBatch
    rejected: Sequence[Rejected] = ()
    slots: frozenset[str]
    observed: int
    found_by: FoundBy
    expanded: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    revising: Collection[str] = REVISING
    released: tuple[int, ...] = ()
    span: tuple[int, int] | None = None
    """The stretch of ends that was asked for; attempts known to have ended in it, and shown, are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """What a transaction did.

    Attributes:
        new: Attempts that were not in the store.
        revised: Attempts that had changed.
        rejected: Rows that cannot be keyed, those met before too.
        quarantined: Those of them that were not in quarantine.
        shown: Attempts that were in the store, and had ended in the batch's span.
        seq: The newest event's position.
    """

    new: int = 0
    revised: int = 0
    rejected: int = 0
    quarantined: int = 0
    shown: int = 0
    seq: int = 0

    def __add__(self, other: "Committed") -> "Committed":
        """Sum two."""
        return Committed(
            new=self.new + other.new,
            revised=self.revised + other.revised,
            rejected=self.rejected + other.rejected,
            quarantined=self.quarantined + other.quarantined,
            shown=self.shown + other.shown,
            seq=max(self.seq, other.seq),
        )
