"""Removing events from a store as the daemon's retention does."""

from slurmwatchd.store import retention
from slurmwatchd.store.database import Database


async def expire_events(database: Database, *, before: int, up_to: int) -> None:
    """Remove all events that were observed before a moment, up to a position, with their attempts."""
    reached, limits = 0, retention.Limits(before)
    while (found := await retention.expired(database, limits, after=reached, up_to=up_to)) is not None:
        reached = found.reached
        await retention.prune_events(database, limits, found)
