"""Events as lines: what stands on the wire, byte for byte the same every time an event is written.

`body` makes the part of a line that depends on the record alone, once, when it is stored; `flat` puts the
event's own head before it and the node names behind it when a sink writes it. Everything in a line comes
from the store, so a line that was cut off by a crash can be completed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import repeat
from typing import Any

import orjson

from slurmwatchd.clock import epoch, rfc3339
from slurmwatchd.records import SCHEMA, Event, JobRecord

TIME_FIELDS = ("submit", "eligible", "start", "end")

_FIELDS = JobRecord._fields
_NEVER_CUT = frozenset({
    "id", "event", "schema", "seq", "revision", "time", "observed", "found_by",
    "job_id_raw", "submit", "usage", "truncated",
})  # fmt: skip
_MARK = 60
"""Room left in a shortened line for the names of the fields that were cut."""


def wire(record: JobRecord) -> dict[str, Any]:
    """Return the record as it stands on the wire: absent is absent, times are RFC 3339.

    Only `start` may be null: an attempt that never started.
    """
    fields: dict[str, Any] = {
        name: value for name, value in zip(_FIELDS, record, strict=True) if value is not None or name == "start"
    }
    for name in TIME_FIELDS:
        if fields.get(name) is not None:
            fields[name] = rfc3339(fields[name])
    return fields


def body(fields: Mapping[str, Any]) -> bytes:
    """Write the fields of `wire` as the JSON object that the store keeps."""
    return orjson.dumps(fields)


def record(text: bytes) -> JobRecord:
    """Read what `body(wire(record))` wrote."""
    fields: dict[str, Any] = orjson.loads(text)
    for name in TIME_FIELDS:
        if fields.get(name) is not None:
            fields[name] = epoch(fields[name])
    return JobRecord(**fields)


def bodies(records: Sequence[JobRecord]) -> list[bytes]:
    """Write the bodies of many records: the same bytes as `body(wire(record))`, at a third of the cost.

    A column at a time: most of its values are the same few, and each of those is written once.
    """
    if not records:
        return []
    count = len(records)
    return joined(
        _members(name, column)
        for name, column in zip(_FIELDS, zip(*records, strict=True), strict=True)
        if name == "start" or column[0] is not None or column.count(None) < count
    )


def joined(members: Iterable[Iterable[bytes]]) -> list[bytes]:
    """Put bodies together from their members: one list a field, the cluster first, in the order of the fields."""
    return list(map(b"".join, zip(*members, repeat(b"}"), strict=False)))


def member(name: str) -> Callable[[Any], bytes]:
    """Return what writes a value of a field as a member of a body: `,"name":value`, nothing where there is none.

    The cluster comes first and is never absent: it brings the opening brace instead of a comma.
    """
    key = head(name)
    absent = key + b"null" if name == "start" else b""
    write = _moment if name in TIME_FIELDS else orjson.dumps
    return lambda value: absent if value is None else key + write(value)


def head(name: str) -> bytes:
    """Return what stands before the value of a member that is not absent."""
    return f'{"{" if name == _FIELDS[0] else ","}"{name}":'.encode()


def _members(name: str, column: Sequence[Any]) -> list[bytes]:
    """Write a column of values as members, each of its distinct ones once where most are the same few."""
    write = member(name)
    try:
        distinct = set(column)
    except TypeError:
        # Values that cannot be looked up, such as a TRES list: rows of equal text share one object.
        objects = dict(zip(map(id, column), column, strict=True))
        texts = {identity: write(value) for identity, value in objects.items()}
        return [texts[id(value)] for value in column]
    if len(distinct) * 2 > len(column):
        return list(map(write, column))
    written = {value: write(value) for value in distinct}
    return list(map(written.__getitem__, column))


@lru_cache(maxsize=32768)
def _moment(moment: int) -> bytes:
    """Write a time; four of them stand in each record, and the same seconds come again."""
    return b'"%b"' % rfc3339(moment).encode()


def flat(event: Event, *, max_line_bytes: int) -> bytes:
    """Write an event as one line of the `flat` format, with its newline.

    A line that would be longer than `max_line_bytes` loses its node names first (`nodes_omitted: true`);
    if it is still too long its longest texts are cut and its longest lists left out, and both are named under
    `truncated`. The store keeps all of it.

    Args:
        event: What to write.
        max_line_bytes: Limit, the newline included; at least 4096.
    """
    seq, identity, kind, revision, time, observed, found_by, text, nodes, changed = event
    when = f'"time":"{rfc3339(time)}",' if time is not None else ""
    start = (
        f'{{"id":"{identity}","event":"{kind}","schema":{SCHEMA},"seq":{seq},"revision":{revision},{when}'
        f'"observed":"{rfc3339(observed)}","found_by":"{found_by}",'
    ).encode()
    parts = [start, text[1:-1]] if changed is None else [start, text[1:-1], b',"changed":', changed]
    if nodes is None:
        whole = b"".join((*parts, b"}\n"))
    else:
        whole = b"".join((*parts, b',"nodes":', nodes, b"}\n"))
        if len(whole) > max_line_bytes:
            whole = b"".join((*parts, b',"nodes_omitted":true}\n'))
    return whole if len(whole) <= max_line_bytes else _shortened(whole, max_line_bytes)


def _shortened(line: bytes, limit: int) -> bytes:
    """Cut the longest values until the line fits; names, numbers and the head always stay."""
    fields: dict[str, Any] = orjson.loads(line)
    truncated: list[str] = []
    while len(line) > limit:
        name = max((key for key in fields if key not in _NEVER_CUT), key=lambda key: _length(fields[key]))
        excess = len(line) - limit + _MARK + len(name)
        value = fields[name]
        if isinstance(value, str):
            # A character takes one to six bytes on the wire: cut by the average, at least one, and look again.
            fields[name] = value[: -(1 + excess * len(value) // _length(value))]
        else:
            del fields[name]
        if name not in truncated:
            truncated.append(name)
        fields["truncated"] = truncated
        line = orjson.dumps(fields) + b"\n"
    return line


def _length(value: Any) -> int:  # noqa: ANN401 - any JSON value
    """Return how many bytes of a line a value takes."""
    return len(orjson.dumps(value))
