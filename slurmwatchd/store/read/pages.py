"""Long answers a page at a time, each page found by an index behind the last row of the one before."""

import heapq
import math
from collections.abc import Sequence
from dataclasses import replace

from slurmwatchd.store.read.query import Order, Question
from slurmwatchd.store.read.reader import StoreReader

Place = tuple[float | None, int]
"""What an attempt is sorted by, None where it has no such value, and its row id."""

_LAST_ID = (1 << 63) - 1


def page(store: StoreReader, question: Question, limit: int) -> list[Place]:
    """Return the next attempts that answer a question, in its order.

    What comes meanwhile neither shifts a page nor shows an attempt twice.

    Args:
        store: The store.
        question: Which; `behind` is the last place of the page before, None for the first page.
        limit: At most so many.

    Raises:
        StoreBusyError: The file cannot be read now.
        StoreError: It cannot be read at all.
    """
    found = _found(store, replace(question, limit=limit))
    if question.behind is None or len(found) >= limit:
        return found
    # Attempts without a value stand behind all others, or, ascending, before them.
    if question.descending and question.behind[0] is not None:
        rest: Place = (None, _LAST_ID)
    elif not question.descending and question.behind[0] is None:
        rest = (-math.inf, 0)
    else:
        return found
    return found + _found(store, replace(question, behind=rest, limit=limit - len(found)))


def _found(store: StoreReader, question: Question) -> list[Place]:
    """Ask one cluster after another where each has its own part of the index, and merge what they answer."""
    clusters = question.clusters or store.clusters()
    elsewhere = (question.users, question.job_ids, question.node, question.running_from, question.running_until)
    if len(clusters) == 1 or question.order is not Order.END or any(part not in ((), None) for part in elsewhere):
        return _places(store.keyed(question))
    parts = [_places(store.keyed(replace(question, clusters=(cluster,)))) for cluster in clusters]
    merged = heapq.merge(*parts, key=_rank, reverse=question.descending)
    return [place for place, _ in zip(merged, range(question.limit or 0), strict=False)]


def _places(rows: Sequence[tuple[int, float | None]]) -> list[Place]:
    return [(key, row) for row, key in rows]


def _rank(place: Place) -> tuple[float, int]:
    key, row = place
    return (-math.inf if key is None else key), row
