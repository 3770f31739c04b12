"""What the store has of an attempt, body, nodes and usage as JSON, put together: as a record, or as a line."""

from typing import Any

import orjson

from slurmwatchd.store.read.outcomes import derive_outcome

Record = dict[str, Any]
"""An attempt as its newest event has it: the fields of the wire format, times as RFC 3339 text."""

_USAGE_FIELDS = ("usage", "steps")
_USED = b'{"usage":'
"""How what usage adds to a record begins."""

_OUTCOME = b',"outcome":"'
"""Stands in each body since there are outcomes, and in no text of one: in JSON a text has no quotes of its own."""


def record_of(body: bytes, nodes: list[str] | None, used: bytes | None) -> Record:
    """Return an attempt as a record.

    Args:
        body: Its record.
        nodes: The names of its nodes, where they are wanted and known; the record gets this very list.
        used: What usage adds to the record, an object; an older version kept all of the event.
    """
    record: Record = orjson.loads(body)
    if "outcome" not in record:
        derive_outcome(record)
    if nodes is not None:
        record["nodes"] = nodes
    if used is not None:
        usage = orjson.loads(used)
        record.update((name, usage[name]) for name in _USAGE_FIELDS if name in usage)
    return record


def joined(body: bytes, nodes: bytes | None, used: bytes | None) -> bytes:
    """Return the same as a line of JSON, which nothing need be taken apart for; the nodes are an array."""
    if _OUTCOME not in body or not (used is None or used.startswith(_USED)):
        # An older version wrote one of them.
        return line_of(record_of(body, None if nodes is None else orjson.loads(nodes), used))
    beside = b"" if nodes is None else b',"nodes":' + nodes
    return b"%b%b%b}\n" % (body[:-1], beside, b"" if used is None else b"," + used[1:-1])


def line_of(record: Record) -> bytes:
    """Return a record as a line of JSON."""
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
