"""Which columns of a table a terminal has room for, and how wide each is; no output here.

What names a row and says how it is stands there whole: `3…` is no job id. Long texts are cut; where that is not
enough, whole columns are left out, those first that one misses least.
"""

from collections.abc import Mapping, Sequence

CUT_CELLS = 8
"""A text that is cut keeps as many characters, the mark included."""

GAP_CELLS = 1

_CUT = frozenset({
    "name", "node_list", "nodes", "work_dir", "submit_line", "account", "partition", "reason", "last_reading",
})  # fmt: skip
_CUT_LATER = {"last_reading": 20}
"""What says nothing yet after `CUT_CELLS`: here a time, and the mark."""

_KEPT = frozenset({
    "job_id", "user", "state", "outcome", "cluster", "sink", "lag_seconds", "holes", "key", "attempts",
    "cpu_hours",
})  # fmt: skip
_LEFT_OUT_FIRST = (
    "start", "last_reading", "observed", "account", "partition", "submit", "kind", "seq", "submitted",
    "elapsed_seconds", "node_list", "end", "name",
)  # fmt: skip


LONG_CELLS = 24
"""What is longer is a text; numbers, moments and states are not."""


def asked_for(wanted: Mapping[str, int], room: int) -> dict[str, int]:
    """Return the width of each column, where someone asked for just these: none is left out.

    Long texts share what room there is; where that is not enough, the table is wider than its room.

    Args:
        wanted: For each column the width at which nothing of it is cut.
        room: How wide the table may be.
    """
    least = {
        name: min(width, CUT_CELLS) if name not in _KEPT and (name in _CUT or width > LONG_CELLS) else width
        for name, width in wanted.items()
    }
    return _spread(least, wanted, room - total(least))


def fitted(wanted: Mapping[str, int], room: int) -> dict[str, int]:
    """Return the columns there is room for, in their order, with the width of each.

    Args:
        wanted: For each column the width at which nothing of it is cut.
        room: How wide the table may be. Where not even what is always kept fits, that is returned all the same.
    """
    least = {name: min(width, _least(name, width)) for name, width in wanted.items()}
    for name in _by_importance(list(wanted)):
        if total(least) <= room:
            break
        del least[name]
    return _spread(least, wanted, room - total(least))


def _least(name: str, width: int) -> int:
    return _CUT_LATER.get(name, CUT_CELLS) if name in _CUT else width


def _by_importance(names: Sequence[str]) -> list[str]:
    """Return what may be left out, the least important first; of what is not listed the last one."""
    listed = [name for name in _LEFT_OUT_FIRST if name in names]
    return [*listed, *(name for name in reversed(names) if name not in {*listed, *_KEPT})]


def _spread(least: Mapping[str, int], wanted: Mapping[str, int], spare: int) -> dict[str, int]:
    """Give what is left to those that are cut, the same to each as far as it needs it."""
    widths = dict(least)
    while spare > 0 and (cut := [name for name in widths if widths[name] < wanted[name]]):
        share = max(1, spare // len(cut))
        for name in cut:
            more = min(share, spare, wanted[name] - widths[name])
            widths[name] += more
            spare -= more
    return widths


def total(widths: Mapping[str, int]) -> int:
    """Return how wide a table of columns of some widths is."""
    return sum(widths.values()) + GAP_CELLS * max(0, len(widths) - 1)
