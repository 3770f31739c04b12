"""Lines that would be too long, cut: the longest texts first, the names of the nodes last.

On which nodes a job ran no one else knows; a submit line of 40,000 bytes is in the store as well. So the ends of
long texts go first, and long lists whole (part of a list would be another list), the longest first. Only where the
line is too long without all of them the names of the nodes go, and the texts are cut for the room there is then.
What was cut is named under `truncated`. The same line is cut the same way each time.
"""

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import orjson

KEPT = 256
"""So many bytes of a text are no reason to leave out anything else; a list that is no longer stays, too."""

_NEVER_CUT = frozenset({
    "id", "event", "schema", "seq", "revision", "time", "observed", "found_by",
    "job_id_raw", "submit", "usage", "changed", "nodes", "nodes_omitted", "truncated",
})  # fmt: skip
_WHOLE_OR_NOT = ("node_list", "array_tasks")
"""Texts of which a part would say something else."""

_CUT_LAST = frozenset({"cluster", "job_id", "req_tres", "alloc_tres", *_WHOLE_OR_NOT})
"""Which attempt it is, where it ran and what it had: cut where nothing else is left to cut."""

_MARK = 60
"""Room left in a shortened line for the names of the fields that were cut."""


class _Place(NamedTuple):
    """Where a value stands that may be cut: in which object or list, under which key, and how it is named."""

    holder: Any
    key: Any
    told: str

    @property
    def value(self) -> Any:  # noqa: ANN401 - any JSON value
        return self.holder[self.key]


def shortened(line: bytes, limit: int) -> bytes:
    """Cut a line until it fits.

    Args:
        line: An event of the `flat` format, with its newline, longer than `limit`.
        limit: The most bytes, the newline included; at least 4096.
    """
    for without in ((), ("nodes",), ("nodes", *_WHOLE_OR_NOT)):
        found = _cut(_without(line, without), limit, kept=KEPT)
        if found is not None:
            return found
    # What is short by then goes too, and what says which attempt it is.
    fields = _without(line, ("nodes", *_WHOLE_OR_NOT))
    return _cut(fields, limit, kept=0) or _line(fields)


def _without(line: bytes, names: Collection[str]) -> dict[str, Any]:
    """Read a line and leave some fields out, and say so."""
    fields: dict[str, Any] = orjson.loads(line)
    gone = [name for name in names if fields.pop(name, None) is not None]
    if "nodes" in gone:
        fields["nodes_omitted"] = True
    if truncated := [name for name in gone if name != "nodes"]:
        fields["truncated"] = truncated
    return fields


def _cut(fields: dict[str, Any], limit: int, *, kept: int) -> bytes | None:
    """Cut the longest values that may be cut until the line fits; None where that is not enough.

    Args:
        fields: Are cut.
        limit: The most bytes.
        kept: How much of each value stays.
    """
    truncated: list[str] = fields.get("truncated", [])
    # Where the names of the nodes alone are too long, nothing beside them is worth a try.
    if _length(fields.get("nodes")) > limit:
        return None
    while len(line := _line(fields)) > limit:
        place = max(_cuttable(fields, kept), key=lambda place: _length(place.value), default=None)
        if place is None:
            return None
        _shorten(place, len(line) - limit + _MARK + len(place.told), kept)
        if place.told not in truncated:
            truncated.append(place.told)
        fields["truncated"] = truncated
    return line


def _shorten(place: _Place, excess: int, kept: int) -> None:
    """Take so many bytes from the end of a text, or as many as may be taken; leave out what is no text."""
    value = place.value
    if not isinstance(value, str):
        del place.holder[place.key]
        return
    # A character takes one to six bytes on the wire: cut by the average, at least one, and look again.
    average = _length(value) / len(value)
    left = min(len(value) - 1, max(len(value) - 1 - int(excess / average), int(kept / average)))
    if left or isinstance(place.holder, list):
        place.holder[place.key] = value[:left]
    else:
        del place.holder[place.key]


def _cuttable(fields: dict[str, Any], kept: int) -> Iterator[_Place]:
    """Give what may be cut; without it all a line is far shorter than any limit."""
    for name, value in fields.items():
        if name not in _NEVER_CUT and (kept == 0 or name not in _CUT_LAST) and _is_longer(value, kept):
            yield _Place(fields, name, name)
    # The one part of a usage that has no bound: a text for each step and field that could not be parsed.
    usage = fields.get("usage", {})
    if "raw" in usage and _is_longer(usage["raw"], kept):
        yield _Place(usage, "raw", "usage.raw")
    for name, pair in fields.get("changed", {}).items():
        for side, value in enumerate(pair):
            if isinstance(value, str) and _is_longer(value, kept):
                yield _Place(pair, side, f"changed.{name}")
        if kept == 0 and any(isinstance(value, dict | list) for value in pair):
            yield _Place(fields["changed"], name, f"changed.{name}")


def _is_longer(value: Any, kept: int) -> bool:  # noqa: ANN401 - any JSON value
    return value != "" and _length(value) > kept


def _length(value: Any) -> int:  # noqa: ANN401 - any JSON value
    """Return how many bytes of a line a value takes."""
    return len(orjson.dumps(value))


def _line(fields: dict[str, Any]) -> bytes:
    return orjson.dumps(fields) + b"\n"
