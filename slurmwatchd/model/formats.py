"""Events as lines: what stands on the wire, byte for byte the same every time an event is written.

`body` makes the part of a line that depends on the record alone, once, when it is stored; `flat` puts the
event's own head before it and the node names behind it when a sink writes it. Everything in a line comes
from the store, so a line that was cut off by a crash can be completed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, repeat
from operator import itemgetter
from typing import Any

import orjson

from slurmwatchd.model.clock import rfc3339
from slurmwatchd.model.fields import fields_of
from slurmwatchd.model.records import SCHEMA, Event, JobRecord
from slurmwatchd.model.shortening import shortened

TIME_FIELDS = tuple(field.name for field in fields_of(JobRecord) if field.kind in ("time", "time or null"))

Piece = bytes | Sequence[bytes]
"""What stands in all of some texts, or what stands in each."""

_FIELDS = JobRecord._fields
_ORIGIN = itemgetter(*(Event._fields.index(name) for name in ("kind", "revision", "observed", "found_by")))
_WITHIN_HOUR = [b'%02d:%02dZ"' % divmod(second, 60) for second in range(3600)]
"""How the moments of any hour end."""
_MANY_HOURS = 20_000
"""So many are remembered: bounds memory, not correctness."""


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


def joined(pieces: Iterable[Piece], count: int) -> list[bytes]:
    """Put so many bodies together from their pieces, in the order of the fields, without the closing brace."""
    return list(map(b"".join, zip(*merged((*pieces, b"}"), count), strict=True)))


def merged(pieces: Iterable[Piece], count: int, between: bytes = b"") -> Iterator[Iterable[bytes]]:
    """Give columns of so many values each, what is the same in all rows put together with what stands beside it.

    Args:
        pieces: See `Piece`.
        count: How many rows there are.
        between: What stands between two pieces.
    """
    common: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            common.append(piece)
            continue
        if common:
            yield repeat(between.join(common), count)
            common = []
        yield piece
    if common:
        yield repeat(between.join(common), count)


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


def _moment(time: int) -> bytes:
    return moments((time,))[0]


def moments(times: Iterable[int]) -> list[bytes]:
    """Write times as JSON: what `rfc3339` makes of each, in quotes; up to four of them stand in a record."""
    hours, within = _HOURS, _WITHIN_HOUR
    return [hours[time // 3600] + within[time % 3600] for time in times]


class _Hours(dict[int, bytes]):
    """How the moments of an hour begin, by the number of the hour."""

    def __missing__(self, hour: int) -> bytes:
        if len(self) >= _MANY_HOURS:
            self.clear()
        self[hour] = text = f'"{rfc3339(hour * 3600).removesuffix("00:00Z")}'.encode()
        return text


_HOURS = _Hours()


def flat(event: Event, *, max_line_bytes: int) -> bytes:
    """Write an event as one line of the `flat` format; see `flat_lines`."""
    return flat_lines([event], max_line_bytes=max_line_bytes)[0]


def flat_lines(events: Iterable[Event], *, max_line_bytes: int) -> list[bytes]:
    """Write events as lines of the `flat` format, each with its newline.

    A line that would be longer than `max_line_bytes` is cut, see `shortening.py`. The store keeps all of it.

    Args:
        events: What to write.
        max_line_bytes: Limit, the newline included; at least 4096.
    """
    lines: list[bytes] = []
    join = b"".join
    hours, within = _HOURS, _WITHIN_HOUR
    # What one reading brought has all of this alike.
    for (kind, revision, observed, found_by), some in groupby(events, _ORIGIN):
        what = f'","event":"{kind}","schema":{SCHEMA},"seq":'.encode()
        which = f',"revision":{revision},'.encode()
        seen = f'"observed":"{rfc3339(observed)}","found_by":"{found_by}",'.encode()
        ended, then = which + b'"time":', b"," + seen
        for seq, identity, _, _, time, _, _, text, nodes, changed in some:
            if time is None or changed is not None or nodes is None:
                when = (which, seen) if time is None else (ended, hours[time // 3600] + within[time % 3600], then)
                difference = () if changed is None else (b',"changed":', changed)
                names = () if nodes is None else (b',"nodes":', nodes)
                start = (b'{"id":"', identity.encode(), what, b"%d" % seq)
                lines.append(join((*start, *when, text[1:-1], *difference, *names, b"}\n")))
                continue
            # Most are like this, and one tuple costs less than to put several together.
            moment = hours[time // 3600] + within[time % 3600]
            pieces = (
                b'{"id":"', identity.encode(), what, b"%d" % seq, ended, moment, then, text[1:-1],
                b',"nodes":', nodes, b"}\n",
            )  # fmt: skip
            lines.append(join(pieces))
    if lines and max(map(len, lines)) > max_line_bytes:
        return [line if len(line) <= max_line_bytes else shortened(line, max_line_bytes) for line in lines]
    return lines
