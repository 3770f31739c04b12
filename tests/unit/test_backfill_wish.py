"""What of a wish is a backfill's to read: what nobody read, and nothing that is the daemon's own."""

from slurmwatchd.model.ledger import Ledger
from slurmwatchd.operations.backfill import BackfillScope

READ = Ledger(1000).read(1000, 1500, 2000).read(1700, 2000, 2000)


def test_only_what_came_before_the_horizon_and_was_not_read_by_an_earlier_one() -> None:
    assert BackfillScope(start=0, end=3000).spans(READ) == [(0, 1000)]
    assert BackfillScope(start=0, end=3000).spans(READ.read(200, 600, 2000)) == [(0, 200), (600, 1000)]
    assert BackfillScope(start=0, end=400).spans(READ) == [(0, 400)]


def test_holes_behind_the_horizon_and_the_present_are_the_daemons_own() -> None:
    assert BackfillScope(start=1200, end=3000).spans(READ) == []


def test_again_is_all_of_it_up_to_the_newest_poll() -> None:
    assert BackfillScope(start=0, end=3000, again=True).spans(READ) == [(0, 2000)]
    assert BackfillScope(start=2500, end=3000, again=True).spans(READ) == []


def test_where_nothing_was_read_the_first_poll_is_left_to_the_daemon() -> None:
    assert BackfillScope(start=0, end=3000).spans(Ledger(2000)) == [(0, 2000)]
