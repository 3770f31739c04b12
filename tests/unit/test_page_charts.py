"""What is drawn: where bars stand, and that nothing covers another."""

import pytest

from slurmwatchd.daemon.web.pages import charts
from slurmwatchd.daemon.web.pages.charts import Bar, Run
from slurmwatchd.model.outcomes import FAILURES, Outcome


def test_every_outcome_is_drawn_as_one_kind_and_failures_are_those_of_reports() -> None:
    listed = [outcome for outcomes in charts.KINDS.values() for outcome in outcomes]
    assert sorted(listed) == sorted(outcome.value for outcome in Outcome)
    assert charts.FAILED == ("failed", "out of memory", "time limit", "node failure")
    failed = [outcome for kind in charts.FAILED for outcome in charts.KINDS[kind]]
    assert sorted(failed) == sorted(FAILURES)


def test_columns_are_as_tall_as_their_counts_and_stand_on_the_ground() -> None:
    stacks = [("00:00", {"completed": 6, "failed": 2}), ("01:00", {}), ("02:00", {"completed": 10})]
    drawn = charts.columns(stacks, height=100, labels={0: "00", 2: "02"})
    assert [(bar.kind, bar.y, bar.height) for bar in drawn.bars] == [
        ("k-completed", 40.0, 60.0),
        ("k-failed", 20.0, 20.0),
        ("k-completed", 0.0, 100.0),
    ]
    assert drawn.bars[1].title == "00:00: 2 failed"
    assert [(mark.at, mark.text) for mark in drawn.rows] == [(50, "5"), (0, "10")]
    assert [(mark.at, mark.text) for mark in drawn.marks] == [(0, "00"), (66.67, "02")]
    assert all(bar.x + bar.width <= 100 for bar in drawn.bars)


@pytest.mark.parametrize(
    ("most", "rounded"),
    [(0, 2), (1, 2), (3, 4), (10, 10), (11, 12), (17, 20), (99, 100), (101, 120), (1234, 1600), (99_999, 100_000)],
)
def test_scales_are_round_and_have_a_half(most: int, rounded: int) -> None:
    assert charts.round_up(most) == rounded


def test_runs_at_the_same_time_have_lanes_of_their_own_and_no_more_than_there_is_room_for() -> None:
    runs = [
        Run(0, 50, "k-completed", "a", failed=False),
        Run(10, 60, "k-failed", "b", failed=True),
        Run(50, 100, "k-completed", "c", failed=False),
        Run(55, 58, "k-completed", "d", failed=False),
        Run(200, 300, "k-completed", "not drawn", failed=False),
    ]
    drawn = charts.time_line(runs, 0, 100, lanes=2, marks=[(0, "0"), (50, "50"), (120, "no")])
    assert drawn.bars == [
        Bar(0, 2, 50, 12, "k-completed", "a"),
        Bar(10, 18, 50, 12, "k-failed", "b"),
        Bar(50, 2, 50, 12, "k-completed", "c"),
    ]
    assert (drawn.height, drawn.hidden) == (32, 1)
    assert drawn.crosses == [(60, 24)]
    assert [mark.text for mark in drawn.marks] == ["0", "50"]


def test_what_is_outside_the_stretch_is_cut_off_and_the_shortest_run_is_seen() -> None:
    runs = [Run(-100, 50, "k-completed", "a", failed=False), Run(99, 99, "k-failed", "b", failed=True)]
    first, second = charts.time_line(runs, 0, 100, lanes=9, marks=()).bars
    assert (first.x, first.width) == (0, 50)
    assert (second.x, second.width) == (99, 0.4)


def test_a_life_is_divided_up_and_short_parts_are_seen() -> None:
    parts = charts.divided([("l-held", "held", 0), ("l-wait", "waiting", 1), ("k-failed", "running", 999)])
    assert [(part.kind, part.seconds) for part in parts] == [("l-wait", 1), ("k-failed", 999)]
    assert parts[0].width > 4
    assert sum(part.width for part in parts) == pytest.approx(100, abs=0.02)
    assert charts.divided([]) == []


def test_shares_are_of_the_whole() -> None:
    bars = charts.shares([("a", "used", 30.0), ("b", "idle", 0.0), ("c", "lost", 20.0)], 100.0)
    assert [(bar.kind, bar.x, bar.width) for bar in bars] == [("a", 0, 30), ("c", 30, 20)]
    assert charts.shares([("a", "used", 0.0)], 0.0) == []
