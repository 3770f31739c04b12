"""The ledger and `due` against a model that keeps, for every single second, when it was last read."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from slurmwatchd.model.ledger import BackfillRemainder, Ledger, overlapping
from slurmwatchd.model.policy import ReadPolicy
from slurmwatchd.model.records import FoundBy
from slurmwatchd.model.windows import Window, due, next_head
from tests.draws import draws

HORIZON, LAST = 1000, 1120
"""The model's seconds; small, so that the edges meet often."""


@dataclass
class Seconds:
    """What is known of each second: when it was last read; a second that is missing was never read."""

    read_at: dict[int, int] = field(default_factory=dict)

    def read(self, start: int, end: int, at: int) -> None:
        self.read_at.update(dict.fromkeys(range(start, end), at))

    def forget(self, start: int, end: int) -> None:
        for second in range(start, end):
            self.read_at.pop(second, None)

    @property
    def watermark(self) -> int:
        second = HORIZON
        while second in self.read_at:
            second += 1
        return second

    @property
    def newest(self) -> int:
        return max(self.read_at, default=HORIZON - 1) + 1


def seconds_of(ledger: Ledger) -> dict[int, int]:
    return {
        second: stretch.read_at for stretch in ledger.stretches for second in range(stretch.start, stretch.end)
    }


def agree(ledger: Ledger, model: Seconds) -> None:
    assert not overlapping(ledger.stretches)
    assert seconds_of(ledger) == model.read_at
    assert ledger.watermark == model.watermark
    assert ledger.newest == model.newest
    unread = [second for second in range(HORIZON, model.newest) if second not in model.read_at]
    assert [second for start, end in ledger.holes() for second in range(start, end)] == unread
    for start, end in ((HORIZON - 10, LAST + 60), (HORIZON + 20, HORIZON + 70), (LAST, LAST)):
        missing = [second for second in range(start, end) if second not in model.read_at]
        assert [second for span in ledger.unread(start, end) for second in range(*span)] == missing
    for now in (HORIZON, LAST, LAST + 60):
        behind = [*unread, *range(model.newest, now)]
        assert [second for start, end in ledger.gaps(now) for second in range(start, end)] == behind


def set_back(read_at: dict[int, int], now: int) -> dict[int, int]:
    """Which second was read when, if the clock was always ahead by what the newest reading is ahead of now."""
    ahead = max(0, *read_at.values(), now) - now
    if not ahead:
        return {second: at for second, at in read_at.items() if second < now}
    return {second: at - ahead for second, at in read_at.items() if second < at - ahead}


spans = st.tuples(st.integers(HORIZON, LAST), st.integers(0, 40)).map(lambda span: (span[0], span[0] + span[1]))
steps = st.tuples(st.sampled_from(["read", "read", "forget"]), spans, st.integers(HORIZON, LAST + 40))


@given(st.lists(steps, max_size=20))
@settings(max_examples=draws(150))
def test_reading_and_forgetting_change_just_the_seconds_they_name(
    changes: list[tuple[str, tuple[int, int], int]],
) -> None:
    ledger, model = Ledger(HORIZON), Seconds()
    for what, (start, end), at in changes:
        if what == "read":
            ledger = ledger.read(start, end, at)
            model.read(start, end, at)
        else:
            ledger = ledger.forget(start, end)
            model.forget(start, end)
        agree(ledger, model)


@given(st.lists(steps, max_size=12), st.integers(HORIZON - 20, LAST + 60))
@settings(max_examples=draws(150))
def test_a_clock_that_went_back_keeps_what_it_can_still_have_read(
    changes: list[tuple[str, tuple[int, int], int]], now: int
) -> None:
    ledger = Ledger(HORIZON)
    for _, (start, end), at in changes:
        ledger = ledger.read(start, end, at)
    before, after = seconds_of(ledger), seconds_of(ledger.until(now))
    assert after == set_back(before, now)
    assert not overlapping(ledger.until(now).stretches)


@st.composite
def policies(draw: st.DrawFn) -> ReadPolicy:
    slice_seconds = draw(st.integers(5, 60))
    return ReadPolicy(
        interval=draw(st.sampled_from([1, 1.5, 3, 10, 47])),
        overlap=draw(st.integers(0, slice_seconds - 1)),
        slice_seconds=slice_seconds,
        reread=tuple(sorted(draw(st.sets(st.sampled_from([2, 5, 11, 30, 80, 200]), max_size=4)))),
    )


waits = st.lists(st.one_of(st.floats(0.25, 12), st.floats(12, 400)), min_size=1, max_size=12)


def may_wait(age: int, policy: ReadPolicy) -> int:
    """How long after reaching an age a second may be unread at it: half the age, or a slice if that is less."""
    return max(1, min(age // 2, policy.slice_seconds))


@dataclass
class Daemon:
    """Reads whatever is due, as the pipeline does, and notes it second by second."""

    policy: ReadPolicy
    now: float
    ledger: Ledger
    model: Seconds = field(default_factory=Seconds)

    def catch_up(self) -> Iterator[Window]:
        """Read until nothing is due; every window is checked, and given to the caller."""
        budget = 200 + int((self.now - HORIZON) * (2 + len(self.policy.reread)))
        while (window := due(self.ledger, self.now, self.policy)) is not None:
            budget -= 1
            assert budget > 0, "never done"
            self._check(window)
            at = int(self.now)
            self.ledger = self.ledger.read(window.start, window.end, at).settled(self.policy)
            self.model.read(window.start, window.end, at)
            yield window

    def _check(self, window: Window) -> None:
        assert HORIZON <= window.start < window.end <= int(self.now)
        assert window.seconds <= self.policy.slice_seconds
        is_head_due = self.now >= next_head(self.ledger, self.policy) and int(self.now) > HORIZON
        assert window.head is is_head_due
        if window.head:
            assert window.end == int(self.now)
            return
        unread = set(range(HORIZON, self.model.newest)) - self.model.read_at.keys()
        if unread:
            assert window.found_by == "poll"
            assert min(unread) in range(window.start, window.end)
            assert window.start >= min(unread) - self.policy.overlap
        else:
            assert window.found_by == "reread"
            assert any(
                self.model.read_at[second] < second + age <= self.now
                for age in self.policy.reread
                for second in range(window.start, window.end)
            )


def idle(daemon: Daemon) -> None:
    """Check what must hold whenever nothing is due."""
    policy, model, now = daemon.policy, daemon.model, daemon.now
    assert seconds_of(daemon.ledger).keys() == model.read_at.keys()
    assert model.watermark == model.newest == daemon.ledger.watermark
    assert now - daemon.ledger.newest < policy.interval + 1 or int(now) <= HORIZON
    for age in policy.reread:
        for second, at in model.read_at.items():
            is_owed = at < second + age
            assert not (is_owed and now - (second + age) >= may_wait(age, policy)), (second, age)


@given(policies(), waits)
@settings(max_examples=draws(60))
def test_nothing_is_left_unread_whatever_the_daemon_slept_through(policy: ReadPolicy, sleeps: list[float]) -> None:
    daemon = Daemon(policy, float(HORIZON), Ledger(HORIZON))
    for sleep in sleeps:
        daemon.now += sleep
        for _ in daemon.catch_up():
            pass
        idle(daemon)


@given(policies(), waits, st.lists(st.sampled_from([0, 0.5, 3, None]), max_size=40))
@settings(max_examples=draws(50))
def test_a_daemon_that_dies_between_any_two_readings_goes_on_where_it_was(
    policy: ReadPolicy, sleeps: list[float], fates: list[float | None]
) -> None:
    """A reading takes some time, or the daemon is killed after it; what was read is in the store."""
    daemon = Daemon(policy, float(HORIZON), Ledger(HORIZON))
    fate = iter(fates)
    for sleep in sleeps:
        daemon.now += sleep
        for _ in daemon.catch_up():
            seconds = next(fate, 0)
            if seconds is None:
                break
            daemon.now += seconds
        assert daemon.ledger.watermark == daemon.model.watermark
    daemon.now += policy.interval + 1
    for _ in daemon.catch_up():
        pass
    idle(daemon)


@given(policies(), waits)
@settings(max_examples=draws(50))
def test_joining_what_is_settled_changes_nothing_that_is_due(policy: ReadPolicy, sleeps: list[float]) -> None:
    now, plain, joined = float(HORIZON), Ledger(HORIZON), Ledger(HORIZON)
    for sleep in sleeps:
        now += sleep
        while (window := due(plain, now, policy)) is not None:
            assert due(joined, now, policy) == window
            plain = plain.read(window.start, window.end, int(now))
            joined = joined.read(window.start, window.end, int(now)).settled(policy)
        assert due(joined, now, policy) is None
        assert joined.watermark == plain.watermark
        assert len(joined.stretches) <= len(plain.stretches)


wishes = st.lists(
    st.tuples(st.integers(0, HORIZON - 1), st.integers(1, 300)).map(lambda w: (w[0], min(w[0] + w[1], HORIZON))),
    min_size=1,
    max_size=4,
)


@given(policies(), wishes, st.lists(st.sampled_from([0, 1, 40, None]), max_size=40))
@settings(max_examples=draws(60))
def test_what_backfills_want_is_read_once_after_all_else_whatever_dies_in_between(
    policy: ReadPolicy, spans: list[tuple[int, int]], fates: list[float | None]
) -> None:
    """A reading takes some time, or the daemon is killed after it, or what it read last was not stored yet."""
    requests = [BackfillRemainder(number, start, end) for number, (start, end) in enumerate(spans)]
    stored, ledger = requests, Ledger(HORIZON)
    now, read, fate = float(HORIZON + 50), list[tuple[int, int]](), iter(fates)
    while True:
        ledger = ledger.wanting(stored)
        window = due(ledger, now, policy)
        if window is None and all(request.start == request.end for request in ledger.wanted):
            break
        assert window is not None
        ledger = ledger.read(window.start, window.end, int(now))
        if window.found_by is FoundBy.BACKFILL:
            assert window.seconds <= policy.slice_seconds
            assert not ledger.holes()
            assert now < next_head(ledger, policy)
            read.append((window.start, window.end))
        pause = next(fate, 0)
        if pause is None:
            # Killed: the store knows what was committed, and the next one begins with that.
            stored = list(ledger.wanted)
            ledger = Ledger(ledger.horizon, ledger.stretches)
        else:
            now += pause
    asked = {second for start, end in spans for second in range(start, end)}
    assert {second for start, end in read for second in range(start, end)} == asked
    reached = HORIZON
    while reached - 1 in asked:
        reached -= 1
    assert ledger.horizon == reached


late_records = st.lists(
    st.tuples(st.integers(HORIZON, HORIZON + 300), st.integers(0, 200)), min_size=1, max_size=20
)


@given(policies().filter(lambda policy: bool(policy.reread)), late_records, waits)
@settings(max_examples=draws(50))
def test_a_record_that_becomes_visible_late_is_found_as_long_as_a_re_read_is_to_come(
    policy: ReadPolicy, records: list[tuple[int, int]], sleeps: list[float]
) -> None:
    """(end, lateness): invisible until end + lateness, which is within the greatest age of re-reads."""
    last = policy.reread[-1]
    due_to_be_found = {(end, min(late, last)) for end, late in records}
    found: set[tuple[int, int]] = set()
    daemon = Daemon(policy, float(HORIZON), Ledger(HORIZON))
    done_at = HORIZON + 300 + last + may_wait(last, policy) + policy.interval + 2
    schedule = [*sleeps, *[policy.interval] * 2000]
    for sleep in schedule:
        daemon.now += sleep
        for window in daemon.catch_up():
            found |= {
                (end, late)
                for end, late in due_to_be_found
                if window.start <= end < window.end and end + late <= int(daemon.now)
            }
        if daemon.now >= done_at:
            break
    assert found == due_to_be_found


@given(policies(), waits, st.integers(1, 300))
@settings(max_examples=draws(50))
def test_after_a_clock_that_went_back_all_is_read_again_that_it_had_not_reached(
    policy: ReadPolicy, sleeps: list[float], back: int
) -> None:
    daemon = Daemon(policy, float(HORIZON), Ledger(HORIZON))
    for sleep in sleeps:
        daemon.now += sleep
        for _ in daemon.catch_up():
            pass
    daemon.now -= back
    now = int(daemon.now)
    daemon.ledger = daemon.ledger.until(now)
    # Stretches that were past their last re-read stand joined in the ledger, with the later of their times.
    left = seconds_of(daemon.ledger)
    assert set_back(daemon.model.read_at, now).keys() <= left.keys()
    daemon.model.read_at = left
    assert daemon.ledger.newest <= max(now, HORIZON)
    for sleep in sleeps:
        daemon.now += sleep
        for _ in daemon.catch_up():
            pass
        if daemon.now > HORIZON + policy.interval:
            idle(daemon)
