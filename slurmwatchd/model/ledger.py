"""What has been read: of every second since the horizon, when it was last read completely. No input or output.

All stretches are half-open, `[start, end)`, in epoch seconds of the attempts' ends. What to read next follows from
it in `windows.py`.
"""

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from slurmwatchd.model.policy import ReadPolicy

EXACT_SECONDS = 6 * 3600
"""For so long the ledger keeps when each stretch was read, though it will not be read again."""


class Stretch(NamedTuple):
    """Seconds of end time that were last read completely at one moment."""

    start: int
    end: int
    read_at: int


class BackfillRemainder(NamedTuple):
    """What is left of a stretch that someone asked to have read, whatever was read before: a backfill.

    Attributes:
        id: The request's number in the store.
        end: All from here on is read; at `start` nothing is left.
    """

    id: int
    start: int
    end: int

    def after(self, start: int, end: int) -> "BackfillRemainder":
        """Return what is left once `[start, end)` was read; a backfill goes from its end back to its beginning."""
        return self._replace(end=max(start, self.start)) if start < self.end <= end else self


class Ledger(NamedTuple):
    """What has been read, of all end times from the horizon on.

    Attributes:
        horizon: Nothing that ended earlier is asked for.
        stretches: Ascending, without overlap; what lies between them was never read. Those before the horizon
            are a backfill's; once they reach it without a gap, it moves back to their beginning.
        listed_at: When the open jobs were last listed.
        ask_at: When those that vanished from the list are to be asked for.
        wanted: What backfills have left, the oldest request first.
        oldest: The end of the oldest attempt known since the horizon; None where none is. Behind it there are
            anchors.
    """

    horizon: int
    stretches: tuple[Stretch, ...] = ()
    listed_at: float = -math.inf
    ask_at: float = math.inf
    wanted: tuple[BackfillRemainder, ...] = ()
    oldest: int | None = None

    @property
    def watermark(self) -> int:
        """Everything that ended before it, and was visible when it was read, is in the store."""
        reached = self.horizon
        for stretch in self.stretches:
            if stretch.start > reached:
                break
            reached = max(reached, stretch.end)
        return reached

    @property
    def newest(self) -> int:
        """The end of the newest stretch read; the horizon when there is none."""
        return max(self.horizon, self.stretches[-1].end) if self.stretches else self.horizon

    def holes(self) -> list[tuple[int, int]]:
        """Return the stretches between horizon and `newest` that were never read."""
        edges = [self.horizon]
        for stretch in self.stretches:
            edges += [stretch.start, stretch.end]
        gaps = zip(edges[::2], edges[1::2], strict=False)
        return [(max(start, self.horizon), end) for start, end in gaps if end > max(start, self.horizon)]

    def gaps(self, now: int) -> list[tuple[int, int]]:
        """Return all that was never read up to now: the holes, and what comes after the newest stretch."""
        return [*self.holes(), *([(self.newest, now)] if now > self.newest else [])]

    def read(self, start: int, end: int, at: int) -> "Ledger":
        """Return the ledger after `[start, end)` was read completely by a call that began `at`."""
        stretches = _joined([*self._without(start, end), Stretch(start, end, at)])
        wanted = tuple(request.after(start, end) for request in self.wanted)
        return self._replace(horizon=_lowered(self.horizon, stretches), stretches=stretches, wanted=wanted)

    def unread(self, start: int, end: int) -> list[tuple[int, int]]:
        """Return what of `[start, end)` was never read."""
        return left_over(start, end, ((stretch.start, stretch.end) for stretch in self.stretches))

    def wanting(self, requests: Iterable[BackfillRemainder]) -> "Ledger":
        """Return the ledger with the requests as the store has them, but as far as this ledger has read them.

        The store lags behind by what is read and not yet stored.
        """
        known = {request.id: request.end for request in self.wanted}
        wanted = tuple(r._replace(end=min(r.end, known.get(r.id, r.end))) for r in requests)
        return self if wanted == self.wanted else self._replace(wanted=wanted)

    def forget(self, start: int, end: int) -> "Ledger":
        """Return the ledger in which `[start, end)` was never read, as after an outage."""
        return self._replace(stretches=_joined(self._without(start, end)))

    def until(self, now: int) -> "Ledger":
        """Return the ledger by a clock that has since gone back: nothing in it is ahead of now.

        How far the clock was ahead is how far the newest reading is. No one knows since when, so every reading is
        dated back by as much: then none counts for seconds that were still to come, and some are made once more.
        """
        ahead = max([0, *(stretch.read_at - now for stretch in self.stretches)])
        if not ahead and all(stretch.end <= now for stretch in self.stretches):
            return self
        dated = [(stretch.start, stretch.end, stretch.read_at - ahead) for stretch in self.stretches]
        kept = [Stretch(start, min(end, read_at if ahead else now), read_at) for start, end, read_at in dated]
        return self._replace(stretches=_joined(kept))

    def since(self, start: int) -> "Ledger":
        """Return the ledger without what ended before a moment: that is never read, nor read again."""
        if start <= self.horizon:
            return self
        kept = [stretch._replace(start=max(stretch.start, start)) for stretch in self.stretches]
        return self._replace(horizon=start, stretches=_joined(kept))

    def settled(self, policy: "ReadPolicy") -> "Ledger":
        """Return the ledger with neighbours joined that will never be read again by the schedule.

        The joined have the later of their times, which is more than one of them was read at. Those of the last
        hours keep their own: had the clock been ahead, they say what was read before it happened (`until`).
        """
        last = policy.reread[-1] if policy.reread else 0
        exact = max((stretch.read_at for stretch in self.stretches), default=0) - EXACT_SECONDS
        joined: list[Stretch] = []
        for stretch in self.stretches:
            previous = joined[-1] if joined else None
            if (
                previous is not None
                and previous.end == stretch.start
                and stretch.end <= exact
                and _rested(previous, last)
                and _rested(stretch, last)
            ):
                joined[-1] = Stretch(previous.start, stretch.end, max(previous.read_at, stretch.read_at))
            else:
                joined.append(stretch)
        return self._replace(stretches=tuple(joined))

    def _without(self, start: int, end: int) -> list[Stretch]:
        kept = []
        for stretch in self.stretches:
            if stretch.end <= start or stretch.start >= end:
                kept.append(stretch)
                continue
            if stretch.start < start:
                kept.append(Stretch(stretch.start, start, stretch.read_at))
            if stretch.end > end:
                kept.append(Stretch(end, stretch.end, stretch.read_at))
        return kept


def left_over(start: int, end: int, taken: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return what of `[start, end)` is in none of some stretches, which ascend."""
    found = []
    for begin, stop in taken:
        if begin >= end:
            break
        if begin > start:
            found.append((start, begin))
        start = max(start, stop)
    return [*found, (start, end)] if start < end else found


def overlapping(stretches: Iterable[Stretch]) -> bool:
    """Return whether any two stretches overlap or stand out of order: such a ledger is not to be trusted."""
    return any(before.end > after.start for before, after in pairwise(stretches))


def _lowered(horizon: int, stretches: tuple[Stretch, ...]) -> int:
    """Return how far back everything was read without a gap, from the horizon on."""
    for stretch in reversed(stretches):
        if stretch.start < horizon <= stretch.end:
            horizon = stretch.start
    return horizon


def _rested(stretch: Stretch, last_age: int) -> bool:
    # Its last second, which is the youngest, is `end - 1`; see `_unread_at`.
    return stretch.read_at - (stretch.end - 1) >= last_age


def _joined(stretches: Iterable[Stretch]) -> tuple[Stretch, ...]:
    """Sort, and join neighbours that were read at the same moment."""
    result: list[Stretch] = []
    for stretch in sorted((s for s in stretches if s.end > s.start), key=lambda s: s.start):
        if result and result[-1].end == stretch.start and result[-1].read_at == stretch.read_at:
            result[-1] = Stretch(result[-1].start, stretch.end, stretch.read_at)
        else:
            result.append(stretch)
    return tuple(result)
