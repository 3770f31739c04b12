"""What to read next: one pure function over what has been read so far. No input or output.

Head poll, overlap, catch-up after downtime, re-reads, the repair after an outage and backfill are the same act:
reading a stretch of end times. The `Ledger` knows for every second since the horizon when it was last read
completely; `due` names the most urgent stretch to read now, and nothing else decides what to ask Slurm.

All stretches are half-open, `[start, end)`, in epoch seconds of the attempts' ends. The one reading that is not of
ends is that of the open jobs, whose difference from the time before tells of ends no stretch would show.

An answer without rows proves nothing by itself: slurmdbd sends an empty list also when its query failed. So each
window reaches to an anchor, an attempt that is known to be there (`reaching`), and a complete answer shows it. For
that there must be one within reach, so holes and backfills are read from what is known outwards.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

from slurmwatchd.model.records import REVISING, FoundBy

EXACT_SECONDS = 6 * 3600
"""For so long the ledger keeps when each stretch was read, though it will not be read again."""

MIN_SLICE_SECONDS = 60
"""Slices are halved while slurmdbd finds them too much, down to this."""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of end times that one sacct call asks for.

    Attributes:
        found_by: What the records only this reading finds will say. A `REREAD` asks few fields first, and whole
            records only where they tell of something new; `OPEN_SET` is about the open jobs.
        head: Whether it reaches the present: such a call also asks for ends a little in the future, since
            slurmctld's clock may be ahead of ours.
        absent: Of `OPEN_SET`: whether those are asked for that vanished, instead of the list.
        since: From here on sacct is asked, where an anchor lies before the start.
        until: Up to here sacct is asked, where an anchor lies behind the end.
    """

    start: int
    end: int
    found_by: FoundBy = FoundBy.POLL
    head: bool = False
    absent: bool = False
    since: int | None = None
    until: int | None = None

    @property
    def seconds(self) -> int:
        """Length of the stretch."""
        return self.end - self.start

    @property
    def asked(self) -> tuple[int, int]:
        """The stretch that sacct is asked for, its anchor included; a head poll also looks a little ahead."""
        since = self.start if self.since is None else min(self.since, self.start)
        until = self.end if self.until is None else max(self.until, self.end)
        return since, until

    def covered(self, horizon: int) -> tuple[int, int]:
        """Return the stretch that a complete answer has read.

        On the way to an anchor nothing was known, and now it is read again: that counts, except before the
        horizon, where nobody asked to have anything read. What a backfill asks for beside its own stretch does
        not count: sinks treat what a backfill finds as the past.
        """
        if self.found_by is FoundBy.BACKFILL:
            return self.start, self.end
        since, until = self.asked
        return max(since, min(horizon, self.start)), until


@dataclass(frozen=True, slots=True)
class Stretch:
    """Seconds of end time that were last read completely at one moment."""

    start: int
    end: int
    read_at: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is left of a stretch that somebody asked to have read, whatever was read before: a backfill.

    Attributes:
        id: The request's number in the store.
        end: All from here on is read; at `start` nothing is left.
    """

    id: int
    start: int
    end: int

    def after(self, start: int, end: int) -> "Wanted":
        """Return what is left once `[start, end)` was read; a backfill goes from its end back to its beginning."""
        return replace(self, end=max(start, self.start)) if start < self.end <= end else self


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """When to read what; durations in seconds.

    Attributes:
        interval: Time between two head polls.
        overlap: How far a head poll reaches behind what was read already.
        slice_seconds: The longest stretch of one call.
        reread: Ages at which each stretch is read again, ascending.
        open_set: Time between two listings of the open jobs; 0: never.
        revise: The fields whose change makes a revision.
        retain: Age from which on nothing is read: the store may have forgotten what ended then.
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


@dataclass(frozen=True, slots=True)
class Ledger:
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
    wanted: tuple[Wanted, ...] = ()
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
        return replace(self, horizon=_lowered(self.horizon, stretches), stretches=stretches, wanted=wanted)

    def unread(self, start: int, end: int) -> list[tuple[int, int]]:
        """Return what of `[start, end)` was never read."""
        found = []
        for stretch in self.stretches:
            if stretch.start >= end:
                break
            if stretch.start > start:
                found.append((start, stretch.start))
            start = max(start, stretch.end)
        return [*found, (start, end)] if start < end else found

    def wanting(self, requests: Iterable[Wanted]) -> "Ledger":
        """Return the ledger with the requests as the store has them, but as far as this ledger has read them.

        The store lags behind by what is read and not yet stored.
        """
        known = {request.id: request.end for request in self.wanted}
        wanted = tuple(replace(r, end=min(r.end, known.get(r.id, r.end))) for r in requests)
        return self if wanted == self.wanted else replace(self, wanted=wanted)

    def forget(self, start: int, end: int) -> "Ledger":
        """Return the ledger in which `[start, end)` was never read, as after an outage."""
        return replace(self, stretches=_joined(self._without(start, end)))

    def until(self, now: int) -> "Ledger":
        """Return the ledger by a clock that has since gone back: nothing in it is ahead of now.

        How far the clock was ahead is how far the newest reading is. Nobody knows since when, so every reading is
        dated back by as much: then none counts for seconds that were still to come, and some are made once more.
        """
        ahead = max([0, *(stretch.read_at - now for stretch in self.stretches)])
        if not ahead and all(stretch.end <= now for stretch in self.stretches):
            return self
        dated = [(stretch.start, stretch.end, stretch.read_at - ahead) for stretch in self.stretches]
        kept = [Stretch(start, min(end, read_at if ahead else now), read_at) for start, end, read_at in dated]
        return replace(self, stretches=_joined(kept))

    def since(self, start: int) -> "Ledger":
        """Return the ledger without what ended before a moment: that is never read, nor read again."""
        if start <= self.horizon:
            return self
        kept = [replace(stretch, start=max(stretch.start, start)) for stretch in self.stretches]
        return replace(self, horizon=start, stretches=_joined(kept))

    def settled(self, policy: Policy) -> "Ledger":
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
        return replace(self, stretches=tuple(joined))

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


def due(
    ledger: Ledger, now: float, policy: Policy, *, poll: bool = False, polled_last: bool = False
) -> Window | None:
    """Name the most urgent window, or None where all is read as the policy wants it.

    The present comes first, so that a long catch-up does not hold up what ends now; then the open jobs, which cost
    little; then what was never read, oldest first, or where nothing older is known from the newest back; then the
    re-reads, the most overdue first; then what backfills want, the newest first. Right after the present it is the
    others' turn once: where a poll takes longer than the interval, there would never be one.

    Args:
        ledger: What was read, with nothing ahead of `now` in it (`Ledger.until`).
        now: Epoch seconds.
        policy: The rules.
        poll: Whether to look at the present even if the last poll was less than an interval ago.
        polled_last: Whether the window read last was the present.
    """
    head = _head(ledger, now, policy, poll=poll)
    if head is not None and not polled_last:
        return head
    return (
        _open_set(ledger, now, policy)
        or _hole(ledger, policy)
        or _reread(ledger, now, policy)
        or head
        or _wanted(ledger, policy)
    )


def next_head(ledger: Ledger, policy: Policy) -> float:
    """Return the moment at which the next head poll is due."""
    return ledger.newest + policy.interval if ledger.stretches else 0.0


def reaching(
    window: Window, ledger: Ledger, policy: Policy, *, before: int | None, behind: int | None
) -> Window | None:
    """Return the window with its stretch asked for as far as an anchor; None where none is within reach.

    Between the two nothing is known, so the way costs slurmdbd no rows, unless it was never read: of that no more
    than a slice is asked for besides.

    Args:
        window: What is due.
        ledger: What was read.
        policy: How much one call may ask for.
        before: The end of the newest attempt known before the window's start.
        behind: The end of the oldest attempt known at the window's end or later.
    """
    ways: list[tuple[int, int, Window]] = []
    if before is not None:
        unread = _seconds(ledger.unread(before, window.start))
        ways.append((unread, window.start - before, replace(window, since=before)))
    if behind is not None and not window.head:
        unread = _seconds(ledger.unread(window.end, behind + 1))
        ways.append((unread, behind + 1 - window.end, replace(window, until=behind + 1)))
    for unread, _, way in sorted(ways, key=lambda way: way[:2]):
        since, until = way.asked
        width = until - since + (window.seconds if window.head else 0)
        if unread <= policy.slice_seconds and (policy.longest is None or width <= policy.longest):
            return way
    return None


def _seconds(stretches: Iterable[tuple[int, int]]) -> int:
    return sum(end - start for start, end in stretches)


def _head(ledger: Ledger, now: float, policy: Policy, *, poll: bool) -> Window | None:
    end = int(now)
    if (now < next_head(ledger, policy) and not poll) or end <= ledger.horizon:
        return None
    start = ledger.newest - policy.overlap
    if end - start > policy.slice_seconds:
        # Behind by more than a slice, or the very first poll: read the present now, the gap is a hole.
        start = end - min(policy.slice_seconds, policy.overlap + int(min(policy.interval, policy.slice_seconds)))
        if not ledger.stretches and end - ledger.horizon <= policy.slice_seconds:
            start = ledger.horizon
    return Window(max(start, ledger.horizon), end, FoundBy.POLL, head=True)


def _open_set(ledger: Ledger, now: float, policy: Policy) -> Window | None:
    # Only after a first poll, which says that sacct answers at all; a listing dated ahead of now is none.
    if not policy.open_set or not ledger.stretches:
        return None
    if not 0 <= now - ledger.listed_at < policy.open_set:
        return Window(int(now), int(now) + 1, FoundBy.OPEN_SET)
    if now >= ledger.ask_at:
        return Window(int(now), int(now) + 1, FoundBy.OPEN_SET, absent=True)
    return None


def _hole(ledger: Ledger, policy: Policy) -> Window | None:
    holes = ledger.holes()
    if not holes:
        return None
    known = [hole for hole in holes if ledger.oldest is None or ledger.oldest < hole[0]]
    if not known:
        # Nothing is known before any of them, but behind the last there is: an answer must show that.
        start, end = holes[-1]
        end = min(end + policy.overlap, ledger.newest)
        return Window(max(start, end - policy.slice_seconds), end, FoundBy.POLL)
    start, end = known[0]
    # A hole begins where an earlier reading stopped: look behind its edge as a head poll does.
    begin = max(start - policy.overlap, ledger.horizon)
    return Window(begin, min(end, begin + policy.slice_seconds), FoundBy.POLL)


def _reread(ledger: Ledger, now: float, policy: Policy) -> Window | None:
    best: tuple[float, Window] | None = None
    for age in policy.reread:
        patience = max(1, min(age // 2, policy.slice_seconds))
        for start, end in _unread_at(ledger.stretches, age, int(now)):
            waited = now - age - start
            if waited >= patience and (best is None or waited / patience > best[0]):
                window = Window(start, min(end, start + policy.slice_seconds), FoundBy.REREAD)
                best = (waited / patience, window)
    return best[1] if best else None


def _wanted(ledger: Ledger, policy: Policy) -> Window | None:
    left = [request for request in ledger.wanted if request.start < request.end]
    if not left:
        return None
    request = max(left, key=lambda request: request.end)
    return Window(max(request.start, request.end - policy.slice_seconds), request.end, FoundBy.BACKFILL)


def _unread_at(stretches: Iterable[Stretch], age: int, now: int) -> list[tuple[int, int]]:
    """Return what is at least `age` old now but was last read when it was younger, in runs."""
    runs: list[tuple[int, int]] = []
    for stretch in stretches:
        start = max(stretch.start, stretch.read_at - age + 1)
        end = min(stretch.end, now - age + 1)
        if start >= end:
            continue
        if runs and runs[-1][1] == start:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((start, end))
    return runs


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


def overlapping(stretches: Iterable[Stretch]) -> bool:
    """Tell whether any two stretches overlap or stand out of order: such a ledger is not to be trusted."""
    return any(before.end > after.start for before, after in pairwise(stretches))
