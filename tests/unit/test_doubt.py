"""What is read again after slurmdbd failed, or while slurmctld held records back."""

from slurmwatchd.model.ledger import Ledger, Stretch
from slurmwatchd.watcher.outage import BLIND_SECONDS, Outage

READ = Ledger(0, (Stretch(0, 10_000, 10_000),))


def test_without_a_failure_nothing_is_read_again() -> None:
    doubt = Outage()
    doubt.polled(0, 10_000)
    assert doubt.review(READ, 10_000, overlap=120) == READ


def test_an_outage_is_read_again_once_the_queue_is_empty_and_once_more_a_poll_later() -> None:
    doubt = Outage()
    doubt.failed(9_000)
    doubt.failed(9_030)
    doubt.polled(15, 9_900)
    assert doubt.review(READ, 9_900, overlap=120) == READ
    doubt.polled(0, 9_930)
    assert doubt.review(READ, 9_930, overlap=120).holes() == [(8_880, 9_930)]
    doubt.polled(0, 9_960)
    assert doubt.review(READ, 9_960, overlap=120).holes() == [(8_880, 9_930)]
    doubt.polled(0, 9_990)
    assert doubt.review(READ, 9_990, overlap=120) == READ


def test_where_nobody_tells_the_queue_the_outage_is_read_again_after_a_while() -> None:
    doubt = Outage()
    doubt.failed(9_000)
    doubt.polled(None, 9_100)
    assert doubt.review(READ, 9_100 + BLIND_SECONDS - 1, overlap=0) == READ
    assert doubt.review(READ, 9_100 + BLIND_SECONDS, overlap=0).holes() == [(9_000, 9_100 + BLIND_SECONDS)]


def test_an_empty_queue_that_is_told_of_at_last_ends_the_wait() -> None:
    doubt = Outage()
    doubt.failed(9_000)
    doubt.polled(None, 9_100)
    doubt.polled(0, 9_110)
    assert doubt.review(READ, 9_110, overlap=0).holes() == [(9_000, 9_110)]


def test_messages_in_flight_for_a_moment_are_no_reason_for_doubt() -> None:
    doubt = Outage()
    for now, queue in ((9_000, 0), (9_030, 12), (9_060, 7), (9_090, 0), (9_120, 3)):
        doubt.polled(queue, now)
    assert doubt.since is None
    assert doubt.review(READ, 9_120, overlap=120) == READ


def test_a_queue_that_stays_puts_in_doubt_what_ended_since_it_was_last_empty() -> None:
    doubt = Outage()
    for now, queue in ((9_000, 0), (9_030, 12), (9_060, 40), (9_090, 80)):
        doubt.polled(queue, now)
    assert doubt.since == 9_000
    doubt.polled(0, 9_120)
    assert doubt.review(READ, 9_120, overlap=100).holes() == [(8_900, 9_120)]


def test_a_queue_that_is_never_empty_is_in_flight_where_the_newest_ends_are_shown() -> None:
    doubt = Outage()
    for now in range(9_000, 10_000, 30):
        doubt.polled(7, now, shown=now - 2)
    assert doubt.since is None
    assert doubt.withhold(READ, overlap=120) == READ


def test_a_queue_behind_which_no_new_end_is_shown_is_a_lag() -> None:
    doubt = Outage()
    doubt.polled(0, 9_000)
    for now in (9_030, 9_060, 9_090):
        doubt.polled(7, now, shown=8_990)
    assert doubt.since == 9_000


def test_an_outage_is_over_once_an_end_is_shown_that_came_after_slurmdbd_was_back() -> None:
    doubt = Outage()
    doubt.polled(0, 9_000)
    doubt.failed(9_000)
    # An end that was on its way when slurmdbd came back says nothing of what waited behind it.
    doubt.polled(90, 9_400, shown=9_399)
    doubt.polled(60, 9_430, shown=9_399)
    assert doubt.review(READ, 9_430, overlap=0) == READ
    doubt.polled(60, 9_460, shown=9_431)
    assert doubt.review(READ, 9_460, overlap=0).holes() == [(9_000, 9_460)]


def test_nothing_before_the_horizon_is_asked_for() -> None:
    doubt = Outage()
    ledger = Ledger(8_990, (Stretch(8_990, 10_000, 10_000),))
    doubt.failed(9_000)
    doubt.polled(0, 9_500)
    assert doubt.review(ledger, 9_500, overlap=120).holes() == [(8_990, 9_500)]


def test_a_second_outage_before_the_queue_is_empty_belongs_to_the_first() -> None:
    doubt = Outage()
    doubt.failed(9_000)
    doubt.polled(5, 9_100)
    doubt.failed(9_100)
    doubt.polled(0, 9_300)
    assert doubt.review(READ, 9_300, overlap=0).holes() == [(9_000, 9_300)]


def test_the_ledger_that_is_saved_knows_nothing_of_what_is_in_doubt() -> None:
    doubt = Outage()
    doubt.polled(0, 8_900)
    assert doubt.withhold(READ, overlap=120) == READ
    doubt.failed(9_000)
    assert doubt.withhold(READ, overlap=120).watermark == 8_880
    doubt.polled(0, 9_500)
    doubt.review(READ, 9_500, overlap=120)
    # Read again once; until it was read twice, a crash must not make us content with that.
    assert doubt.withhold(READ, overlap=120).watermark == 8_880
    doubt.polled(0, 9_530)
    doubt.review(READ, 9_530, overlap=120)
    assert doubt.withhold(READ, overlap=120) == READ


def test_the_ledger_that_is_saved_knows_nothing_since_a_queue_was_last_seen_empty() -> None:
    doubt = Outage()
    doubt.polled(0, 9_000)
    doubt.polled(3, 9_030)
    assert doubt.since is None
    assert doubt.withhold(READ, overlap=120).watermark == 8_880
    doubt.polled(0, 9_060)
    assert doubt.withhold(READ, overlap=120) == READ


def test_a_queue_met_at_the_start_that_stays_puts_in_doubt_what_was_not_read_by_then() -> None:
    doubt = Outage()
    doubt.begin(8_000, 9)
    doubt.polled(7, 9_000)
    doubt.polled(None, 9_015)
    doubt.polled(5, 9_030)
    assert doubt.since == 8_000
    doubt.polled(0, 9_060)
    assert doubt.review(READ, 9_060, overlap=0).holes() == [(8_000, 9_060)]


def test_a_queue_met_at_the_start_that_is_soon_empty_puts_in_doubt_what_was_read_meanwhile() -> None:
    doubt = Outage()
    doubt.begin(8_000, 9)
    doubt.polled(3, 9_000)
    doubt.polled(0, 9_030)
    assert doubt.review(READ, 9_030, overlap=0).holes() == [(8_000, 9_030)]


def test_an_empty_queue_at_the_start_is_no_reason_for_doubt() -> None:
    doubt = Outage()
    doubt.begin(8_000, 0)
    assert doubt.withhold(READ, overlap=120) == READ
