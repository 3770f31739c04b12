"""After failures in a row something small is asked first."""

from slurmwatchd.watcher.breaker import Breaker


def test_three_failures_in_a_row_open_it() -> None:
    breaker = Breaker()
    states = []
    for _ in range(4):
        states.append(breaker.open)
        breaker.failed()
    assert states == [False, False, False, True]


def test_a_success_between_failures_counts_from_the_start() -> None:
    breaker = Breaker()
    for _ in range(2):
        breaker.failed()
    breaker.succeeded()
    for _ in range(2):
        breaker.failed()
    assert not breaker.open


def test_only_a_success_closes_it() -> None:
    breaker = Breaker(failures=1)
    breaker.failed()
    breaker.failed()
    assert breaker.open
    breaker.succeeded()
    assert not breaker.open
