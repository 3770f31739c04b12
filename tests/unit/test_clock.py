"""Moments in writing, the machine's clock, and how long to wait after failures."""

import time
from types import SimpleNamespace

import pytest

from slurmwatchd.model.clock import Backoff, SystemClock, rfc3339


@pytest.mark.parametrize(
    ("epoch", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (86399, "1970-01-01T23:59:59Z"),
        (86400, "1970-01-02T00:00:00Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (1_000_000_000, "2001-09-09T01:46:40Z"),
        (1_795_162_500, "2026-11-20T08:15:00Z"),
        (2_147_483_648, "2038-01-19T03:14:08Z"),
        (4_294_967_295, "2106-02-07T06:28:15Z"),
        (253_402_300_799, "9999-12-31T23:59:59Z"),
        (-1, "1969-12-31T23:59:59Z"),
    ],
)
def test_a_moment_is_written_in_utc_with_a_z(epoch: int, text: str) -> None:
    assert rfc3339(epoch) == text


def test_the_zone_of_the_machine_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Australia/Lord_Howe")
    time.tzset()
    try:
        assert rfc3339(1_795_162_501) == "2026-11-20T08:15:01Z"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_waits_double_up_to_the_ceiling() -> None:
    backoff = Backoff(first_seconds=5, ceiling_seconds=300, jitter=lambda: 0.0)
    assert [backoff.next() for _ in range(8)] == [5, 10, 20, 40, 80, 160, 300, 300]


def test_jitter_cuts_a_wait_by_a_quarter_at_most() -> None:
    assert Backoff(first_seconds=8, ceiling_seconds=300, jitter=lambda: 1.0).next() == 6
    assert Backoff(first_seconds=8, ceiling_seconds=300, jitter=lambda: 0.5).next() == 7


def test_a_success_starts_again_from_the_first_wait() -> None:
    backoff = Backoff(first_seconds=5, ceiling_seconds=300, jitter=lambda: 0.0)
    for _ in range(4):
        backoff.next()
    assert backoff.failures == 4
    backoff.reset()
    assert backoff.failures == 0
    assert backoff.next() == 5


def test_a_receiver_that_is_dead_for_months_does_not_overflow() -> None:
    backoff = Backoff(first_seconds=5, ceiling_seconds=300, jitter=lambda: 0.0)
    backoff.failures = 1_000_000
    assert backoff.next() == 300


async def test_the_systems_clock_waits_and_goes_on() -> None:
    clock = SystemClock()
    before, wall = clock.monotonic(), clock.now()
    await clock.sleep(0.01)
    assert clock.monotonic() - before >= 0.01
    assert abs(wall - time.time()) < 60


async def test_who_ticks_wakes_up_at_multiples_and_is_told_how_late(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([1001.5, 1002.03125, 1002.0, 1004.0])
    monkeypatch.setattr("slurmwatchd.model.clock.time", SimpleNamespace(monotonic=moments.__next__))
    slept: list[float] = []

    async def sleep(_: SystemClock, seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(SystemClock, "sleep", sleep)
    clock = SystemClock()
    assert [await clock.tick(2), await clock.tick(2)] == [0.03125, 0.0]
    assert slept == [0.5, 2.0]
