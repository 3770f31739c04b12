"""Which end times a store can be held to."""

from slurmwatchd.model.ledger import Ledger
from slurmwatchd.operations.verify.scope import Scope, scope_of

READ = Ledger(1000).read(1000, 2000, 2000)


def test_what_was_read_is_compared_but_not_what_the_next_poll_looks_at_again() -> None:
    assert scope_of(READ, 1200, 3000, overlap=120, old=0) == Scope(
        compared=((1200, 1880),), unread=(), young=1880, old=0
    )


def test_what_came_before_the_first_poll_was_never_read() -> None:
    scope = scope_of(READ, 500, 1500, overlap=120, old=0)
    assert (scope.compared, scope.unread) == (((1000, 1500),), ((500, 1000),))


def test_a_hole_is_left_out_and_named() -> None:
    scope = scope_of(READ.forget(1300, 1400), 1000, 3000, overlap=120, old=0)
    assert (scope.compared, scope.unread) == (((1000, 1300), (1400, 1880)), ((1300, 1400),))


def test_what_was_backfilled_is_compared_too() -> None:
    scope = scope_of(READ.read(100, 700, 2000), 0, 1500, overlap=120, old=0)
    assert (scope.compared, scope.unread) == (((100, 700), (1000, 1500)), ((0, 100), (700, 1000)))


def test_what_is_purged_is_neither_compared_nor_called_unread() -> None:
    scope = scope_of(READ, 0, 1500, overlap=120, old=1100)
    assert (scope.compared, scope.unread, scope.old) == (((1100, 1500),), (), 1100)


def test_nothing_is_compared_where_all_is_too_young_or_was_never_read() -> None:
    assert scope_of(READ, 1900, 3000, overlap=120, old=0).compared == ()
    assert scope_of(None, 0, 3000, overlap=120, old=0) == Scope(
        compared=(), unread=((0, 3000),), young=3000, old=0
    )
