"""What is drawn, as places and sizes: in percent across, since pages are narrow or wide, and in pixels down."""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from slurmwatchd.model.outcomes import FAILURES

KINDS = {
    "completed": ("completed",),
    "failed": ("failed", "boot_failure"),
    "out of memory": ("out_of_memory",),
    "time limit": ("time_limit", "deadline"),
    "node failure": ("node_failure",),
    "cancelled": ("cancelled_by_user", "cancelled_by_admin", "cancelled_before_start", "cancelled"),
    "other": ("preempted", "requeued", "resized", "revoked", "unknown"),
}
"""What outcomes are drawn as, in the order in which they are stacked; the colours are the style's."""

FAILED = tuple(kind for kind, outcomes in KINDS.items() if set(outcomes) <= set(FAILURES))
"""The kinds that are failures: a kind is wholly of failures, or has none."""

_KIND_OF = {outcome: kind for kind, outcomes in KINDS.items() for outcome in outcomes}
_LEAST_PERCENT = 0.4
_SMALL = 10
_STEPS = (10, 12, 16, 20, 30, 40, 60, 80, 100)
_EDGE_PERCENT = 88


def kind_of(outcome: str | None) -> str:
    """Return what an outcome is drawn as."""
    return _KIND_OF.get(outcome or "", "other")


def css(kind: str) -> str:
    """Return the style's class for a kind."""
    return f"k-{kind.replace(' ', '-')}"


def by_kind(outcomes: Mapping[str, int]) -> dict[str, int]:
    """Return counts by outcome as counts by kind, in the kinds' order; those with none are left out."""
    counts = dict.fromkeys(KINDS, 0)
    for outcome, count in outcomes.items():
        counts[kind_of(outcome)] += count
    return {kind: count for kind, count in counts.items() if count}


def failures(kinds: Mapping[str, int]) -> int:
    """Return how many of some counts by kind are failures."""
    return sum(kinds.get(kind, 0) for kind in FAILED)


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle: across in percent, down in pixels.

    Attributes:
        kind: The style's class.
        title: What it says when it is pointed at.
    """

    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A line with a text at it: across in percent for a column, down in pixels for a row.

    Attributes:
        anchor: SVG's `text-anchor`.
    """

    at: float
    text: str
    anchor: str = "middle"


@dataclass(frozen=True, slots=True)
class Columns:
    """Stacked columns, one for each stretch of time.

    Attributes:
        rows: Lines across, with what they stand for.
        marks: Texts below.
    """

    height: float
    bars: Sequence[Bar]
    rows: Sequence[Mark]
    marks: Sequence[Mark]


def columns(
    stacks: Sequence[tuple[str, Mapping[str, int]]], *, height: float = 180.0, labels: Mapping[int, str]
) -> Columns:
    """Stack counts.

    Args:
        stacks: What each column is called, and kind to count.
        height: Of the tallest place, in pixels.
        labels: Number of a column to what stands below its left edge.
    """
    top = round_up(max((sum(counts.values()) for _, counts in stacks), default=0))
    step = 100 / max(1, len(stacks))
    gap = min(0.6, step / 5)
    bars: list[Bar] = []
    for number, (name, counts) in enumerate(stacks):
        floor = height
        for kind in KINDS:
            if count := counts.get(kind, 0):
                tall = max(1.0, height * count / top)
                floor -= tall
                bars.append(
                    Bar(
                        x=_rounded(number * step + gap / 2),
                        y=_rounded(max(0.0, floor)),
                        width=_rounded(step - gap),
                        height=_rounded(tall),
                        kind=css(kind),
                        title=f"{name}: {count:,} {kind}",
                    )
                )
    rows = (
        [Mark(_rounded(height - height * share), f"{top * share:,.0f}") for share in (0.5, 1.0)] if top > 1 else []
    )
    marks = [
        Mark(_rounded(number * step), text, "start" if number * step < _EDGE_PERCENT else "end")
        for number, text in labels.items()
    ]
    return Columns(height=height, bars=bars, rows=rows, marks=marks)


def round_up(most: int) -> int:
    """Return a round number that is as large, and even, so that there is one at half the height."""
    if most <= _SMALL:
        return max(2, most + most % 2)
    power: int = 10 ** (len(str(most)) - 2)
    return next(step * power for step in _STEPS if step * power >= most)


@dataclass(frozen=True, slots=True)
class Run:
    """Something that ran, to be drawn along the time.

    Attributes:
        kind: The style's class.
        failed: Whether to mark it.
    """

    start: int
    end: int
    kind: str
    title: str
    failed: bool


@dataclass(frozen=True, slots=True)
class TimeLine:
    """Runs in lanes, so that none covers another.

    Attributes:
        crosses: Where a failure is marked: the run's end, across in percent, down in pixels.
        hidden: How many runs there is no room for.
    """

    height: float
    bars: Sequence[Bar]
    crosses: Sequence[tuple[float, float]]
    marks: Sequence[Mark]
    hidden: int


LANE = 16.0
"""How tall a lane is."""


def time_line(
    runs: Iterable[Run], start: int, end: int, *, lanes: int, marks: Iterable[tuple[int, str]]
) -> TimeLine:
    """Lay runs out in lanes.

    Args:
        runs: What ran; what is outside the stretch is cut off.
        start: The left edge, epoch seconds.
        end: The right edge.
        lanes: At most so many.
        marks: Moments to be named below.
    """
    span = max(1, end - start)

    def across(moment: int) -> float:
        return _rounded(100 * (min(max(moment, start), end) - start) / span)

    free: list[int] = []
    ends: list[tuple[int, int]] = []
    bars: list[Bar] = []
    crosses: list[tuple[float, float]] = []
    used = hidden = 0
    for run in sorted(runs, key=lambda run: (run.start, run.end)):
        if run.end < start or run.start > end:
            continue
        while ends and ends[0][0] <= run.start:
            heapq.heappush(free, heapq.heappop(ends)[1])
        if free:
            lane = heapq.heappop(free)
        elif used < lanes:
            lane, used = used, used + 1
        else:
            hidden += 1
            continue
        heapq.heappush(ends, (run.end, lane))
        left, right = across(run.start), across(run.end)
        width = max(_LEAST_PERCENT, right - left)
        left = min(left, 100 - width)
        bars.append(Bar(_rounded(left), lane * LANE + 2, _rounded(width), LANE - 4, run.kind, run.title))
        if run.failed and run.end <= end:
            crosses.append((_rounded(left + width), lane * LANE + LANE / 2))
    placed = [Mark(across(moment), text) for moment, text in marks if start <= moment <= end]
    return TimeLine(
        height=max(1, used) * LANE,
        bars=bars,
        crosses=crosses,
        marks=[Mark(mark.at, mark.text, "end" if mark.at > _EDGE_PERCENT else "start") for mark in placed],
        hidden=hidden,
    )


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a bar that is divided up.

    Attributes:
        x: Where it begins, in percent.
        width: In percent.
        text: What it is.
        seconds: How long it is.
    """

    x: float
    width: float
    kind: str
    text: str
    seconds: int


def divided(parts: Sequence[tuple[str, str, int]], *, least: float = 5.0) -> list[Part]:
    """Divide a bar among stretches of time (class, text, seconds); short ones get at least some percent."""
    shown = [part for part in parts if part[2] > 0]
    total = sum(seconds for _, _, seconds in shown)
    floors = [max(least, 100 * seconds / total) for _, _, seconds in shown]
    scale = 100 / sum(floors) if floors else 1
    left, made = 0.0, []
    for (kind, text, seconds), floor in zip(shown, floors, strict=True):
        made.append(Part(_rounded(left), _rounded(floor * scale), kind, text, seconds))
        left += floor * scale
    return made


def shares(parts: Sequence[tuple[str, str, float]], whole: float) -> list[Bar]:
    """Lay parts (class, title, size) one behind the other; `whole` is as wide as can be."""
    left, made = 0.0, []
    for kind, title, size in parts:
        if size > 0 and whole > 0:
            width = 100 * size / whole
            made.append(Bar(_rounded(left), 0, _rounded(width), 10, kind, title))
            left += width
    return made


def _rounded(value: float) -> float:
    return round(value, 2)
