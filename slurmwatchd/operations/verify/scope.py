"""Which end times a store can be held to; pure."""

from dataclasses import dataclass

from slurmwatchd.model.ledger import Ledger

Span = tuple[int, int]
"""Half-open, epoch seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What of a stretch is compared.

    Attributes:
        compared: What the store says it has read, ascending.
        unread: What it never read: before its first poll, or a hole it has yet to fill.
        young: From here on nothing is compared: the next poll reads it again, or for the first time.
        old: Before this nothing is compared: slurmdbd has purged it, or the store has.
    """

    compared: tuple[Span, ...]
    unread: tuple[Span, ...]
    young: int
    old: int


def scope_of(ledger: Ledger | None, since: int, until: int, *, overlap: int, old: int) -> Scope:
    """Cut a stretch into what is compared and what cannot be.

    Args:
        ledger: What was read; None: nothing ever was.
        since: The stretch's first second.
        until: The second behind it.
        overlap: How far the next poll reaches behind what was read already.
        old: What ended before is gone from one side.
    """
    if ledger is None:
        return Scope(compared=(), unread=((since, until),), young=until, old=old)
    young = ledger.newest - overlap
    start, end = max(since, old), min(until, young)
    unread = ledger.unread(start, end) if start < end else []
    edges = [start, *(edge for span in unread for edge in span), end]
    compared = [(begin, stop) for begin, stop in zip(edges[::2], edges[1::2], strict=True) if begin < stop]
    return Scope(compared=tuple(compared), unread=tuple(unread), young=young, old=old)
