"""Long answers a page at a time, each page found by an index behind the last row of the one before."""

import heapq
import math
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from slurmwatchd.model.clock import rfc3339
from slurmwatchd.model.formats import TIME_FIELDS
from slurmwatchd.model.records import JobRecord
from slurmwatchd.store.json_array import json_array
from slurmwatchd.store.read.query import Order, Question
from slurmwatchd.store.read.reader import Record, StoreReader

Place = tuple[float | None, int]
"""What an attempt is sorted by, None where it has no such value, and its row id."""

_LAST_ID = (1 << 63) - 1

_COLUMNS = {
    **{
        name: f'jobs."{name}"'
        for name in (
            "cluster", "job_id", "job_id_raw", "user", "account", "partition", "state", "submit", "start", "end",
        )
    },
    "node_list": "nodelists.expression",
}  # fmt: skip
FIELDS = frozenset(_COLUMNS)
"""The fields of a record that have columns of their own: with only these no record need be unpacked."""

_IN_ORDER = tuple(name for name in JobRecord._fields if name in _COLUMNS)
_ROWS = (
    f"SELECT jobs.revision, {', '.join(map(_COLUMNS.__getitem__, _IN_ORDER))} FROM json_each(?) AS wanted "  # noqa: S608
    "JOIN jobs ON jobs.id = wanted.value LEFT JOIN nodelists ON nodelists.id = jobs.nodelist ORDER BY wanted.key"
)


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


def fields(store: StoreReader, ids: Iterable[int], wanted: AbstractSet[str]) -> list[Record] | None:
    """Return fields of some row ids' records from their columns, as `StoreReader.fetch` has them in the records.

    What was pruned meanwhile is left out.

    Args:
        store: The store.
        ids: The row ids.
        wanted: Some of `FIELDS`.

    Returns:
        None where one was revised: a revision may change what the columns keep as it was first.

    Raises:
        StoreBusyError: The file cannot be read now.
        StoreError: It cannot be read at all.
    """
    places = [(name, place, name in TIME_FIELDS) for place, name in enumerate(_IN_ORDER, 1) if name in wanted]
    records: list[Record] = []
    for row in store.rows(_ROWS, (json_array(ids),)):
        if row[0] > 1:
            return None
        record: Record = {}
        for name, place, is_moment in places:
            value = row[place]
            if value is not None:
                record[name] = rfc3339(value) if is_moment else value
            elif name == "start":
                record[name] = None
        records.append(record)
    return records


def _found(store: StoreReader, question: Question) -> list[Place]:
    """Ask one cluster after another where each has its own part of the index, and merge what they answer."""
    elsewhere = (question.users, question.job_ids, question.node, question.running_from, question.running_until)
    if question.order is not Order.END or any(part not in ((), None) for part in elsewhere):
        return _places(store.keyed(question))
    clusters = question.clusters or store.clusters()
    if len(clusters) == 1:
        return _places(store.keyed(question))
    parts = [_places(store.keyed(replace(question, clusters=(cluster,)))) for cluster in clusters]
    merged = heapq.merge(*parts, key=_rank, reverse=question.descending)
    return [place for place, _ in zip(merged, range(question.limit or 0), strict=False)]


def _places(rows: Sequence[tuple[int, float | None]]) -> list[Place]:
    return [(key, row) for row, key in rows]


def _rank(place: Place) -> tuple[float, int]:
    key, row = place
    return (-math.inf if key is None else key), row
