"""What to read next: one pure function over what has been read so far. No input or output.

Head poll, overlap, catch-up after downtime, re-reads, the repair after an outage and backfill are the same act:
reading a stretch of end times. The `Ledger` knows for every second since the horizon when it was last read
completely; `due` names the most urgent stretch to read now, and nothing else decides what to ask Slurm.

All stretches are half-open, `[start, end)`, in epoch seconds of the attempts' ends. The one reading that is not of
ends is that of the open jobs, whose difference from the time before shows ends that no stretch would show.

An answer without rows proves nothing by itself: slurmdbd sends an empty list also when its query failed. So each
window reaches to an anchor, an attempt that is known to be there (`reaching`), and a complete answer shows it. For
that there must be one within reach, so holes and backfills are read from what is known outwards.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from slurmwatchd.model.ledger import Ledger, Stretch
from slurmwatchd.model.policy import ReadPolicy
from slurmwatchd.model.records import FoundBy


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of end times that one sacct call asks for.

    Attributes:
        found_by: What the records only this reading finds will say. A `REREAD` asks few fields first, and whole
            records only where they have something new; `OPEN_SET` is about the open jobs.
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
        horizon, where no one asked to have anything read. What a backfill asks for beside its own stretch does
        not count: sinks treat what a backfill finds as the past.
        """
        if self.found_by is FoundBy.BACKFILL:
            return self.start, self.end
        since, until = self.asked
        return max(since, min(horizon, self.start)), until


def due(
    ledger: Ledger,
    now: float,
    policy: ReadPolicy,
    *,
    poll: bool = False,
    polled_last: bool = False,
    waiting: Iterable[tuple[int, int]] = (),
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
        waiting: What is not to be read now though it is due, since it failed: half-open stretches.
    """
    head = _head(ledger, now, policy, poll=poll)
    if head is not None and not polled_last:
        return head
    for start, end in waiting:
        # As if it had just been read, nothing of it is due.
        ledger = ledger.read(start, end, int(now))
    return (
        _open_set(ledger, now, policy)
        or _hole(ledger, policy)
        or _reread(ledger, now, policy)
        or head
        or _wanted(ledger, policy)
    )


def next_head(ledger: Ledger, policy: ReadPolicy) -> float:
    """Return the moment at which the next head poll is due."""
    return ledger.newest + policy.interval if ledger.stretches else 0.0


def reaching(
    window: Window, ledger: Ledger, policy: ReadPolicy, *, before: int | None, behind: int | None
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


def _head(ledger: Ledger, now: float, policy: ReadPolicy, *, poll: bool) -> Window | None:
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


def _open_set(ledger: Ledger, now: float, policy: ReadPolicy) -> Window | None:
    # Only after a first poll, which says that sacct answers at all; a listing dated ahead of now is none.
    if not policy.open_set or not ledger.stretches:
        return None
    if not 0 <= now - ledger.listed_at < policy.open_set:
        return Window(int(now), int(now) + 1, FoundBy.OPEN_SET)
    if now >= ledger.ask_at:
        return Window(int(now), int(now) + 1, FoundBy.OPEN_SET, absent=True)
    return None


def _hole(ledger: Ledger, policy: ReadPolicy) -> Window | None:
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


def _reread(ledger: Ledger, now: float, policy: ReadPolicy) -> Window | None:
    best: tuple[float, Window] | None = None
    for age in policy.reread:
        patience = max(1, min(age // 2, policy.slice_seconds))
        for start, end in _unread_at(ledger.stretches, age, int(now)):
            waited = now - age - start
            if waited >= patience and (best is None or waited / patience > best[0]):
                window = Window(start, min(end, start + policy.slice_seconds), FoundBy.REREAD)
                best = (waited / patience, window)
    return best[1] if best else None


def _wanted(ledger: Ledger, policy: ReadPolicy) -> Window | None:
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
