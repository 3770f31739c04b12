"""When to read what of a cluster's accounting: the rules that the configuration gives."""

from dataclasses import dataclass

from slurmwatchd.model.records import REVISING

MIN_SLICE_SECONDS = 60
"""Slices are halved while slurmdbd finds them too much, down to this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPolicy:
    """When to read what; durations in seconds.

    Attributes:
        interval: Time between two head polls.
        overlap: How far a head poll reaches behind what was read already.
        slice_seconds: The longest stretch of one call.
        reread: Ages at which each stretch is read again, ascending.
        open_set: Time between two listings of the open jobs; 0: never.
        revise: The fields whose change makes a revision.
        retain: Age from which on nothing is read again: the store may have forgotten what ended then.
        longest: The widest stretch that slurmdbd answers for this user; None: any.
    """

    interval: float
    overlap: int
    slice_seconds: int
    reread: tuple[int, ...] = ()
    open_set: int = 0
    revise: tuple[str, ...] = REVISING
    retain: int | None = None
    longest: int | None = None
