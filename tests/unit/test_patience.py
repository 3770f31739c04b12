"""Patience ends when nothing moves, and not while something does."""

import pytest

from tests.patience import Patience


def test_patience_begins_again_with_each_step_and_ends_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    now, steps = 0.0, 0
    monkeypatch.setattr("tests.patience.time.monotonic", lambda: now)
    waiting = Patience(lambda: steps, seconds=120)
    for _ in range(10):
        now += 100
        steps += 1
        assert not waiting.is_over()
    now += 119
    assert not waiting.is_over()
    now += 2
    assert waiting.is_over()
