"""An array as one row, made of the rows into which SQL groups its attempts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Array(NamedTuple):
    """An array, as far as its attempts answered a question.

    Attributes:
        job_id: The array's own number, as text.
        outcomes: Outcome to how many attempts.
        start: The first start, epoch seconds; None where nothing started.
        end: The last end.
        newest: The row id of the attempt that was stored last.
    """

    cluster: str
    job_id: str
    outcomes: Mapping[str, int]
    start: int | None
    end: int | None
    newest: int


def array_of(rows: Sequence[tuple[Any, ...]]) -> Array:
    """Make an array of its rows, see `query.by_array`; an outcome may have several."""
    attempts: Counter[str] = Counter()
    for row in rows:
        attempts[row[2]] += row[3]
    starts, ends = ([row[place] for row in rows if row[place] is not None] for place in (4, 5))
    return Array(
        cluster=rows[0][0],
        job_id=rows[0][1],
        outcomes=dict(sorted(attempts.items(), key=lambda pair: (-pair[1], pair[0]))),
        start=min(starts, default=None),
        end=max(ends, default=None),
        newest=max(row[6] for row in rows),
    )
