"""How long a window that failed waits, and what makes it wait no longer."""

import pytest

from slurmwatchd.model.ledger import Ledger, Stretch
from slurmwatchd.model.policy import ReadPolicy
from slurmwatchd.model.records import FoundBy
from slurmwatchd.model.windows import Window, due
from slurmwatchd.watcher.failed_windows import FailedWindows

NOW = 1_795_500_000
HOLE = Window(NOW - 7200, NOW - 3600)
HEAD = Window(NOW - 120, NOW, head=True)


def test_it_waits_twice_as_long_after_each_failure_and_an_hour_at_most() -> None:
    failures, now, waits = FailedWindows(), float(NOW), []
    for _ in range(9):
        failures.failed(HOLE, now, at_fault=True)
        wait = next(seconds for seconds in range(30, 40_000, 30) if not failures.waiting(now + seconds))
        waits.append(wait)
        now += wait
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_the_same_stretch_in_another_window_goes_on_from_there() -> None:
    failures = FailedWindows()
    failures.failed(HOLE, NOW, at_fault=True)
    failures.failed(Window(HOLE.start - 60, HOLE.end + 60), NOW + 60, at_fault=True)
    assert failures.waiting(NOW + 179) == [(HOLE.start - 60, HOLE.end + 60)]
    assert failures.waiting(NOW + 180) == []


@pytest.mark.parametrize("window", [HEAD, Window(NOW, NOW + 1, FoundBy.OPEN_SET)])
def test_the_present_and_the_open_jobs_never_wait(window: Window) -> None:
    failures = FailedWindows()
    failures.failed(window, NOW, at_fault=True)
    assert failures.waiting(NOW) == []
    assert failures.is_present_last is window.head


def test_none_waits_while_the_present_fails_too() -> None:
    failures = FailedWindows()
    failures.failed(HOLE, NOW, at_fault=True)
    failures.failed(HEAD, NOW, at_fault=True)
    assert failures.waiting(NOW) == []
    failures.failed(HOLE, NOW, at_fault=True)
    assert failures.waiting(NOW) == []
    failures.succeeded(HEAD)
    failures.failed(HOLE, NOW, at_fault=True)
    assert failures.waiting(NOW) == [(HOLE.start, HOLE.end)]
    failures.succeeded(Window(HOLE.start, HOLE.end + 5))
    assert failures.waiting(NOW) == []


def test_one_that_is_to_be_tried_in_shorter_stretches_does_not_wait() -> None:
    failures = FailedWindows()
    failures.failed(HOLE, NOW, at_fault=False)
    assert failures.waiting(NOW) == []


def test_of_what_waits_nothing_is_due_and_all_else_is() -> None:
    policy = ReadPolicy(interval=30, overlap=60, slice_seconds=3600, reread=(300,))
    ledger = Ledger(
        NOW - 5 * 3600,
        (Stretch(NOW - 5 * 3600, NOW - 4 * 3600, NOW - 4 * 3600), Stretch(NOW - 3600, NOW, NOW)),
        oldest=NOW - 5 * 3600,
    )
    waiting: list[tuple[int, int]] = []
    found = []
    while (window := due(ledger, NOW, policy, waiting=waiting)) is not None:
        found.append((window.found_by, window.start - NOW, window.end - NOW))
        waiting.append((window.start, window.end))
    # The holes, each from a little before the last one's end, then the five minutes that were read too young.
    assert found == [
        (FoundBy.POLL, -14_460, -10_860), (FoundBy.POLL, -10_920, -7320), (FoundBy.POLL, -7380, -3780),
        (FoundBy.POLL, -3840, -3600), (FoundBy.REREAD, -14_699, -14_460),
    ]  # fmt: skip
