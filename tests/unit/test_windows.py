"""What to read next, in cases small enough to work out by hand."""

import math
from dataclasses import replace
from typing import Any

import pytest

from slurmwatchd.model.ledger import BackfillRemainder, Ledger, Stretch, overlapping
from slurmwatchd.model.policy import ReadPolicy
from slurmwatchd.model.records import FoundBy
from slurmwatchd.model.windows import Window, due, next_head, reaching

POLICY = ReadPolicy(interval=30, overlap=120, slice_seconds=3600, reread=(300, 900, 7200))
NOW = 1_000_000


def read_until_now(since: int = NOW - 600, at: int = NOW) -> Ledger:
    return Ledger(since).read(since, NOW, at)


def test_the_first_poll_reads_from_the_horizon() -> None:
    assert due(Ledger(NOW - 600), NOW, POLICY) == Window(NOW - 600, NOW, FoundBy.POLL, head=True)


def test_a_first_poll_that_would_be_too_long_reads_the_present_and_leaves_the_past_as_a_hole() -> None:
    ledger = Ledger(NOW - 10_000)
    head = due(ledger, NOW, POLICY)
    assert head == Window(NOW - 150, NOW, FoundBy.POLL, head=True)
    ledger = ledger.read(head.start, head.end, NOW)
    assert ledger.watermark == NOW - 10_000
    assert ledger.holes() == [(NOW - 10_000, NOW - 150)]
    assert due(ledger, NOW, POLICY) == Window(NOW - 10_000, NOW - 6400, FoundBy.POLL)


def test_a_first_poll_that_nobody_asks_for_again_reads_one_slice() -> None:
    # As for a backfill on a store that was never read.
    once = replace(POLICY, interval=math.inf)
    assert due(Ledger(NOW - 10_000), NOW, once) == Window(NOW - 3600, NOW, FoundBy.POLL, head=True)


def test_between_two_polls_nothing_is_due() -> None:
    assert due(read_until_now(), NOW + 29.9, POLICY) is None
    assert next_head(read_until_now(), POLICY) == NOW + 30


def test_right_after_a_poll_the_past_has_its_turn_though_the_next_poll_is_due_again() -> None:
    ledger = Ledger(NOW - 600, (Stretch(NOW - 120, NOW, NOW),))
    assert due(ledger, NOW + 40, POLICY, polled_last=True) == Window(NOW - 600, NOW - 120, FoundBy.POLL)
    head = Window(NOW - 120, NOW + 40, FoundBy.POLL, head=True)
    assert due(ledger, NOW + 40, POLICY) == head
    assert due(read_until_now(), NOW + 40, POLICY, polled_last=True) == head


def test_a_poll_reaches_back_behind_what_was_read_already() -> None:
    assert due(read_until_now(), NOW + 30, POLICY) == Window(NOW - 120, NOW + 30, FoundBy.POLL, head=True)


def test_a_poll_never_reaches_behind_the_horizon() -> None:
    assert due(read_until_now(NOW - 60), NOW + 30, POLICY) == Window(NOW - 60, NOW + 30, FoundBy.POLL, head=True)


def test_a_horizon_ahead_of_the_clock_is_waited_for() -> None:
    assert due(Ledger(NOW + 50), NOW, POLICY) is None
    assert due(Ledger(NOW), NOW, POLICY) is None


def test_after_a_night_down_the_present_is_read_first_and_the_night_in_slices() -> None:
    ledger, now = read_until_now(), NOW + 9000
    head = due(ledger, now, POLICY)
    assert head == Window(now - 150, now, FoundBy.POLL, head=True)
    ledger = ledger.read(head.start, head.end, now)
    windows = []
    while (window := due(ledger, now, POLICY)) is not None and window.found_by == FoundBy.POLL:
        windows.append((window.start, window.end))
        ledger = ledger.read(window.start, window.end, now)
    assert windows == [
        (NOW - 120, NOW + 3480),
        (NOW + 3360, NOW + 6960),
        (NOW + 6840, NOW + 8850),
    ]
    assert ledger.watermark == now


def test_the_oldest_hole_comes_first() -> None:
    ledger = Ledger(NOW - 1000).read(NOW - 900, NOW - 500, NOW).read(NOW - 400, NOW, NOW)
    assert due(ledger, NOW, POLICY) == Window(NOW - 1000, NOW - 900, FoundBy.POLL)


def test_a_hole_is_read_with_the_overlap_behind_its_edge() -> None:
    ledger = Ledger(NOW - 1000).read(NOW - 1000, NOW - 500, NOW).read(NOW - 400, NOW, NOW)
    assert due(ledger, NOW, POLICY) == Window(NOW - 620, NOW - 400, FoundBy.POLL)


def test_a_head_poll_comes_before_a_hole_and_a_hole_before_a_re_read() -> None:
    ledger = Ledger(NOW - 1000).read(NOW - 1000, NOW - 500, NOW - 490).read(NOW - 400, NOW, NOW)
    head = due(ledger, NOW + 30, POLICY)
    assert head is not None
    assert head.head
    hole = due(ledger, NOW, POLICY)
    assert hole == Window(NOW - 620, NOW - 400, FoundBy.POLL)
    ledger = ledger.read(hole.start, hole.end, NOW)
    # At its reading a second was 300 s old up to the one 790 s ago; those after it are due again.
    assert due(ledger, NOW, POLICY) == Window(NOW - 789, NOW - 620, FoundBy.REREAD)


def test_what_was_too_young_when_it_was_read_is_read_again_once_it_has_waited_for_half_its_age() -> None:
    policy = ReadPolicy(interval=1e9, overlap=0, slice_seconds=3600, reread=(300,))
    ledger = read_until_now()
    # What ended 300 s before the reading was read at that age; the second after it is due 1 s later.
    assert due(ledger, NOW + 150.9, policy) is None
    assert due(ledger, NOW + 151, policy) == Window(NOW - 299, NOW - 148, FoundBy.REREAD)


def test_the_most_overdue_re_read_comes_first() -> None:
    policy = ReadPolicy(interval=1e9, overlap=0, slice_seconds=3600, reread=(10, 1000))
    ledger = Ledger(0).read(0, 100, 110).read(100, 2000, 2000)
    # 0 is 1010 s behind its reading at 1000 s, twice the 500 it may wait; 1991 is 9 s behind its own, of 5.
    assert due(ledger, 2010, policy) == Window(0, 100, FoundBy.REREAD)


def test_a_re_read_is_no_longer_than_a_slice() -> None:
    policy = ReadPolicy(interval=1e9, overlap=0, slice_seconds=60, reread=(100,))
    ledger = Ledger(0).read(0, 1000, 1000)
    assert due(ledger, 2000, policy) == Window(901, 961, FoundBy.REREAD)


def test_a_reading_at_a_great_age_counts_for_the_smaller_ones() -> None:
    ledger = Ledger(0).read(0, 100, 7300)
    assert (
        due(ledger, 7300, ReadPolicy(interval=1e9, overlap=0, slice_seconds=3600, reread=(300, 900, 7200))) is None
    )


def test_without_re_reads_what_was_read_stays_read() -> None:
    assert due(read_until_now(), NOW + 10_000_000, ReadPolicy(interval=1e9, overlap=0, slice_seconds=3600)) is None


def test_the_watermark_stops_at_the_first_hole() -> None:
    ledger = Ledger(100)
    assert ledger.watermark == 100
    ledger = ledger.read(200, 300, 300)
    assert (ledger.watermark, ledger.newest) == (100, 300)
    ledger = ledger.read(100, 150, 300)
    assert ledger.watermark == 150
    assert ledger.read(150, 200, 300).watermark == 300


def test_what_was_forgotten_was_never_read() -> None:
    ledger = Ledger(0).read(0, 100, 100).forget(40, 60)
    assert ledger.stretches == (Stretch(0, 40, 100), Stretch(60, 100, 100))
    assert ledger.holes() == [(40, 60)]
    assert ledger.watermark == 40


def test_what_was_never_read_up_to_now_is_the_holes_and_the_present() -> None:
    ledger = Ledger(0).read(0, 100, 100).forget(40, 60)
    assert ledger.gaps(130) == [(40, 60), (100, 130)]
    assert ledger.gaps(100) == [(40, 60)]
    assert Ledger(0).gaps(30) == [(0, 30)]


def test_the_end_of_what_was_read_can_be_forgotten() -> None:
    ledger = Ledger(0).read(0, 100, 100).forget(90, 200)
    assert (ledger.watermark, ledger.newest, ledger.holes()) == (90, 90, [])


def test_stretches_read_at_one_moment_become_one_and_others_stay_apart() -> None:
    ledger = Ledger(0).read(0, 50, 100).read(50, 100, 100)
    assert ledger.stretches == (Stretch(0, 100, 100),)
    assert ledger.read(20, 30, 200).stretches == (Stretch(0, 20, 100), Stretch(20, 30, 200), Stretch(30, 100, 100))


def test_a_clock_that_went_back_has_read_nothing_ahead_of_itself() -> None:
    ledger = Ledger(0).read(0, 100, 400).read(100, 500, 500)
    # It was ahead by 200 seconds, and perhaps from the beginning on.
    back = ledger.until(300)
    assert back.stretches == (Stretch(0, 100, 200), Stretch(100, 300, 300))
    assert due(back, 330, POLICY) == Window(180, 330, FoundBy.POLL, head=True)
    assert ledger.until(500) is ledger
    assert ledger.until(50).stretches == ()


def test_what_a_clock_that_was_ahead_read_before_it_had_happened_is_read_again() -> None:
    # Each stretch as it ended, by a clock that was 1,000 s ahead, and one of them once more 1,500 s later.
    ledger = Ledger(0)
    for end in range(1500, 3001, 500):
        ledger = ledger.read(end - 500, end, end)
    ledger = ledger.read(1000, 1500, 3000)
    ledger = ledger.until(2000)
    assert ledger.stretches == (Stretch(1000, 1500, 2000),)
    assert due(ledger, 2000, POLICY) == Window(1380, 2000, FoundBy.POLL, head=True)


def test_a_clock_that_went_back_behind_the_horizon_waits_for_it() -> None:
    ledger = Ledger(200).read(200, 500, 500).until(100)
    assert ledger.stretches == ()
    assert due(ledger, 100, POLICY) is None
    assert due(ledger, 260, POLICY) == Window(200, 260, FoundBy.POLL, head=True)


def test_stretches_past_their_last_re_read_are_joined() -> None:
    ledger = Ledger(0).read(0, 100, 7400).read(100, 200, 7500).read(200, 300, 7501)
    assert ledger.settled(POLICY).stretches == ledger.stretches
    six_hours_later = ledger.read(400, 500, 21_900)
    assert six_hours_later.settled(POLICY).stretches == (Stretch(0, 300, 7501), Stretch(400, 500, 21_900))


def test_a_stretch_that_will_be_read_again_is_joined_to_none() -> None:
    ledger = Ledger(0).read(0, 100, 7400).read(100, 200, 7398).read(300, 400, 30_000)
    assert ledger.settled(POLICY).stretches == ledger.stretches
    # Second 199 was 7,199 s old, so it is read once more; with it all of it was read at the last age.
    whole = ledger.read(199, 200, 7399).settled(POLICY)
    assert whole.stretches == (Stretch(0, 200, 7400), Stretch(300, 400, 30_000))


def test_settled_stretches_with_a_hole_between_them_stay_apart() -> None:
    ledger = Ledger(0).read(0, 100, 90_000).read(150, 200, 90_000)
    assert ledger.settled(POLICY).holes() == [(100, 150)]


@pytest.mark.parametrize(
    ("stretches", "bad"),
    [
        ((), False),
        ((Stretch(0, 10, 5),), False),
        ((Stretch(0, 10, 5), Stretch(10, 20, 5)), False),
        ((Stretch(0, 11, 5), Stretch(10, 20, 5)), True),
        ((Stretch(10, 20, 5), Stretch(0, 10, 5)), True),
    ],
)
def test_a_ledger_whose_stretches_overlap_is_not_to_be_trusted(stretches: tuple[Stretch, ...], bad: bool) -> None:
    assert overlapping(stretches) is bad


def test_a_window_knows_its_length() -> None:
    assert Window(100, 160).seconds == 60


OPEN = replace(POLICY, open_set=300, reread=())


def listed(listed_at: float = NOW, ask_at: float = math.inf, **fields: Any) -> Ledger:  # noqa: ANN401 - any field
    return read_until_now()._replace(listed_at=listed_at, ask_at=ask_at, **fields)


def test_open_jobs_are_listed_after_the_first_poll_and_then_every_so_often() -> None:
    assert due(Ledger(NOW - 600), NOW, OPEN) == Window(NOW - 600, NOW, FoundBy.POLL, head=True)
    assert due(read_until_now(), NOW + 1, OPEN) == Window(NOW + 1, NOW + 2, FoundBy.OPEN_SET)
    assert due(listed(NOW - 280), NOW + 19.9, OPEN) is None
    assert due(listed(NOW - 280), NOW + 20, OPEN) == Window(NOW + 20, NOW + 21, FoundBy.OPEN_SET)


def test_open_jobs_come_after_the_present_and_before_the_past() -> None:
    assert due(listed(0), NOW + 30, OPEN) == Window(NOW - 120, NOW + 30, FoundBy.POLL, head=True)
    holed = listed(0).forget(NOW - 300, NOW - 200)
    assert due(holed, NOW + 1, OPEN) == Window(NOW + 1, NOW + 2, FoundBy.OPEN_SET)
    assert due(holed._replace(listed_at=NOW), NOW + 1, OPEN) == Window(NOW - 420, NOW - 200, FoundBy.POLL)


def test_jobs_that_vanished_are_asked_for_when_it_is_time() -> None:
    assert due(listed(ask_at=NOW + 10), NOW + 9, OPEN) is None
    assert due(listed(ask_at=NOW + 10), NOW + 10, OPEN) == Window(
        NOW + 10, NOW + 11, FoundBy.OPEN_SET, absent=True
    )


def test_a_listing_from_ahead_of_the_clock_is_none() -> None:
    assert due(listed(NOW + 5000), NOW + 1, OPEN) == Window(NOW + 1, NOW + 2, FoundBy.OPEN_SET)


def test_without_an_open_set_nobody_is_listed_or_asked_for() -> None:
    off = replace(OPEN, open_set=0)
    assert due(listed(0, ask_at=0), NOW + 1, off) is None


def test_what_is_known_of_the_open_jobs_survives_every_change_of_the_ledger() -> None:
    ledger = listed(NOW - 7, ask_at=NOW + 7)
    for changed in (
        ledger.read(NOW, NOW + 5, NOW + 5),
        ledger.forget(NOW - 9, NOW),
        ledger.until(NOW - 1),
        ledger.since(NOW - 60),
    ):
        assert (changed.listed_at, changed.ask_at) == (NOW - 7, NOW + 7)


def test_what_the_store_may_have_forgotten_is_neither_a_hole_nor_due_again() -> None:
    ledger = Ledger(1000).read(1500, 2000, 2000).read(2500, 4000, 4000)
    assert ledger.holes() == [(1000, 1500), (2000, 2500)]
    kept = ledger.since(1800)
    assert (kept.horizon, kept.stretches) == (1800, (Stretch(1800, 2000, 2000), Stretch(2500, 4000, 4000)))
    assert kept.holes() == [(2000, 2500)]
    assert ledger.since(3000).holes() == []
    assert ledger.since(9000).stretches == ()
    # It never moves back.
    assert ledger.since(900) == ledger


def test_a_backfill_comes_after_everything_else_in_slices_from_its_end_back() -> None:
    ledger = read_until_now().wanting([BackfillRemainder(7, NOW - 10_000, NOW - 600)])
    assert due(ledger, NOW + 30, POLICY) == Window(NOW - 120, NOW + 30, FoundBy.POLL, head=True)
    windows = []
    while (window := due(ledger, NOW, POLICY)) is not None:
        windows.append(window)
        ledger = ledger.read(window.start, window.end, NOW)
    assert windows == [
        Window(NOW - 4200, NOW - 600, FoundBy.BACKFILL),
        Window(NOW - 7800, NOW - 4200, FoundBy.BACKFILL),
        Window(NOW - 10_000, NOW - 7800, FoundBy.BACKFILL),
    ]


def test_the_newest_of_several_backfills_comes_first() -> None:
    ledger = read_until_now().wanting(
        [BackfillRemainder(7, NOW - 9000, NOW - 8000), BackfillRemainder(8, NOW - 2000, NOW - 600)]
    )
    assert due(ledger, NOW, POLICY) == Window(NOW - 2000, NOW - 600, FoundBy.BACKFILL)
    ledger = ledger.read(NOW - 2000, NOW - 600, NOW)
    assert due(ledger, NOW, POLICY) == Window(NOW - 9000, NOW - 8000, FoundBy.BACKFILL)


def test_a_backfill_that_reaches_the_horizon_moves_it_back_and_one_that_does_not_leaves_it() -> None:
    ledger = read_until_now().read(NOW - 5000, NOW - 2000, NOW)
    assert (ledger.horizon, ledger.watermark, ledger.holes()) == (NOW - 600, NOW, [])
    ledger = ledger.read(NOW - 2000, NOW - 600, NOW)
    assert (ledger.horizon, ledger.watermark, ledger.holes()) == (NOW - 5000, NOW, [])


def test_what_is_read_but_not_stored_yet_is_not_wanted_again() -> None:
    in_the_store = [BackfillRemainder(1, NOW - 10_000, NOW - 600)]
    ledger = read_until_now().wanting(in_the_store).read(NOW - 4200, NOW - 600, NOW)
    assert ledger.wanting(in_the_store).wanted == (BackfillRemainder(1, NOW - 10_000, NOW - 4200),)


def test_where_nothing_older_is_known_a_hole_is_read_from_what_is_known_back() -> None:
    ledger = Ledger(NOW - 10_000).read(NOW - 150, NOW, NOW)._replace(oldest=NOW - 100)
    windows = []
    while (window := due(ledger, NOW, POLICY)) is not None and window.found_by == FoundBy.POLL:
        windows.append((window.start, window.end))
        ledger = ledger.read(window.start, window.end, NOW)
    assert windows == [
        (NOW - 3630, NOW - 30),
        (NOW - 7110, NOW - 3510),
        (NOW - 10_000, NOW - 6990),
    ]


def test_a_window_reaches_the_nearest_attempt_that_is_known() -> None:
    ledger = read_until_now()
    window = Window(NOW - 100, NOW - 50, FoundBy.REREAD)
    reached = reaching(window, ledger, POLICY, before=NOW - 300, behind=NOW - 40)
    assert reached == replace(window, until=NOW - 39)
    assert reached.asked == (NOW - 100, NOW - 39)
    reached = reaching(window, ledger, POLICY, before=NOW - 105, behind=NOW - 40)
    assert reached == replace(window, since=NOW - 105)
    assert reaching(window, ledger, POLICY, before=None, behind=None) is None


def test_a_poll_reaches_back_only() -> None:
    head = Window(NOW - 100, NOW, FoundBy.POLL, head=True)
    assert reaching(head, read_until_now(), POLICY, before=None, behind=NOW) is None
    reached = reaching(head, read_until_now(), POLICY, before=NOW - 500, behind=NOW)
    assert reached == replace(head, since=NOW - 500)


def test_no_more_than_a_slice_that_was_never_read_is_asked_for_on_the_way() -> None:
    ledger = Ledger(NOW - 20_000).read(NOW - 20_000, NOW - 9000, NOW).read(NOW - 150, NOW, NOW)
    head = Window(NOW - 150, NOW, FoundBy.POLL, head=True)
    assert reaching(head, ledger, POLICY, before=NOW - 9001, behind=None) is None
    near = Ledger(NOW - 20_000).read(NOW - 20_000, NOW - 3700, NOW).read(NOW - 150, NOW, NOW)
    assert reaching(head, near, POLICY, before=NOW - 3701, behind=None) == replace(head, since=NOW - 3701)


def test_a_way_wider_than_slurmdbd_answers_is_not_asked_for() -> None:
    window = Window(NOW - 100, NOW - 50)
    limited = replace(POLICY, longest=500)
    assert reaching(window, read_until_now(), limited, before=NOW - 551, behind=None) is None
    assert reaching(window, read_until_now(), limited, before=NOW - 550, behind=None) is not None
    # A poll asks as far ahead again as it is long.
    head = Window(NOW - 100, NOW, FoundBy.POLL, head=True)
    assert reaching(head, read_until_now(), limited, before=NOW - 401, behind=None) is None
    assert reaching(head, read_until_now(), limited, before=NOW - 400, behind=None) is not None


def test_what_lies_on_the_way_to_an_anchor_was_read_too_but_not_before_the_horizon_nor_for_a_backfill() -> None:
    window = Window(NOW - 100, NOW - 50, since=NOW - 700, until=NOW - 20)
    assert window.covered(NOW - 600) == (NOW - 600, NOW - 20)
    assert window.covered(NOW - 800) == (NOW - 700, NOW - 20)
    past = replace(window, found_by=FoundBy.BACKFILL)
    assert past.covered(NOW - 600) == (NOW - 100, NOW - 50)


def test_a_backfill_that_was_cancelled_is_not_read() -> None:
    ledger = read_until_now().wanting([BackfillRemainder(1, NOW - 10_000, NOW - 600)])
    assert due(ledger.wanting([]), NOW, POLICY) is None
