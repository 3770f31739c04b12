"""Which nodes of a store have failures that chance does not explain; `model/suspects.py` says how it is judged."""

from collections.abc import Collection, Iterator
from typing import Any

import orjson

from slurmwatchd.model.placements import Placements
from slurmwatchd.model.suspect_search import NodeFailure, Span
from slurmwatchd.model.suspects import Suspect
from slurmwatchd.store.json_array import IN_ARRAY, json_array
from slurmwatchd.store.placements import of_rows, rows_between, unpacked
from slurmwatchd.store.read.query import OUTCOME
from slurmwatchd.store.read.reader import StoreReader

_PACKED = (
    "SELECT start, stop, packed FROM placements WHERE cluster = ? AND start >= ? AND start < ? AND stop <= ? "
    "ORDER BY start"
)
_ROWS = rows_between(OUTCOME)
_NAMES = f"SELECT id, nodes FROM nodelists WHERE id {IN_ARRAY} AND nodes NOT NULL"  # noqa: S608 - a constant


def suspects(store: StoreReader, cluster: str, since: int, until: int) -> list[Suspect]:
    """Return the nodes of a cluster whose failures chance does not explain, the worst first.

    Args:
        store: The store; an archive behind it is not read.
        cluster: Its name.
        since: Attempts count that ended then or later, epoch seconds.
        until: And then or earlier.

    Raises:
        StoreBusyError: The store cannot be read now.
        StoreError: It cannot be read at all.
    """
    return span(store, cluster, since, until).suspects()


def span(store: StoreReader, cluster: str, since: int, until: int) -> Span:
    """Return what ran in a span; see `suspects`."""
    blocks = list(_blocks(store, cluster, since, until + 1))
    lost = store.fetched([job for block in blocks for job in block.lost], nodes=True)
    failures = [NodeFailure(record["nodes"], record.get("failed_node")) for record in lost if record.get("nodes")]
    return Span(blocks, lambda nodelists: _names(store, nodelists), failures)


def _blocks(store: StoreReader, cluster: str, start: int, stop: int) -> Iterator[Placements]:
    """Give all attempts that ended in a stretch: from the copies, and what these lack from `jobs`."""
    copies: list[tuple[Any, ...]] = []
    if store.has_column("placements", "packed"):
        copies = [tuple(row) for row in store.rows(_PACKED, (cluster, start, stop, stop))]
    reached = start
    for begin, end, packed in copies:
        # A damaged one is worth no more than none.
        block = unpacked(packed)
        if block is not None:
            yield from _read(store, cluster, reached, begin)
            yield block
            reached = end
    yield from _read(store, cluster, reached, stop)


def _read(store: StoreReader, cluster: str, start: int, stop: int) -> Iterator[Placements]:
    if start < stop:
        yield from of_rows(store.each(_ROWS, (cluster, start, stop)))


def _names(store: StoreReader, nodelists: Collection[int]) -> Iterator[tuple[int, list[str]]]:
    """Give the names in node lists."""
    # In the order in which they lie in the file.
    rows = list(store.each(_NAMES, (json_array(sorted(nodelists)),)))
    # Read at once: there may be tens of thousands.
    names = orjson.loads(b"[%b]" % b",".join(text for _, text in rows))
    return zip((identity for identity, _ in rows), names, strict=True)
