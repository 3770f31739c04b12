"""From Slurm's text to Python's values and back: the recast table, an extension point.

A key of the table is one of sacct's fields in lower case. `RECAST["elapsed"] = (read, write)` makes every `Slurm`
loaded afterwards hold what `read` makes of that field's text; `write` must return text that `read` reads.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, tzinfo
from typing import Any

from slurmwatchd.connector import nodelists
from slurmwatchd.connector.nodelists import NO_NODES
from slurmwatchd.errors import NodelistError

SacctFields = dict[str, Any]
"""One of sacct's rows: the fields in lower case."""

TIME_FORMAT = "%Y-%m-%dT%H:%M:%S"
"""How sacct prints a time: local, without a zone."""

TIME_FIELDS = ("submit", "eligible", "start", "end")

NO_TIME = frozenset({"Unknown", "None", ""})
"""What sacct prints for a time that is not, or not yet."""


def read_time(text: str) -> datetime | None:
    """Read a time as sacct prints it: naive, in local time; one with a zone behind it is aware.

    Raises:
        ValueError: It is neither that nor one of the words for no time.
    """
    if text.strip() in NO_TIME:
        return None
    try:
        return datetime.strptime(text, TIME_FORMAT)  # noqa: DTZ007 - naive, as sacct prints it
    except ValueError:
        return _aware(text)


def write_time(moment: datetime | None) -> str:
    """Write a time as `read_time` reads it; none is `Unknown`."""
    if moment is None:
        return "Unknown"
    return moment.strftime(TIME_FORMAT) if moment.tzinfo is None else moment.isoformat(timespec="seconds")


def write_nodes(nodes: Iterable[str] | str) -> str:
    """Write nodes as a compact list; no node is `None assigned`."""
    return nodelists.compact_nodelist(nodes) or NO_NODES


def _aware(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} is not a time as sacct prints it")
    return moment


def _expand(text: str) -> set[str]:
    return nodelists.expand_nodelist(text)


RECAST: dict[str, tuple[Callable[[str], Any], Callable[[Any], str]]] = {
    "start": (read_time, write_time),
    "end": (read_time, write_time),
    "nodelist": (_expand, write_nodes),
}
"""Field to (from text, to text). Change it to have other fields, or other values; see the module."""


class SlurmEncoder(json.JSONEncoder):
    """Writes sets as sorted lists, and datetimes as ISO 8601, aware ones with their zone."""

    def default(self, o: Any) -> Any:  # noqa: ANN401 - the signature of JSONEncoder
        """Return what JSON has for a set or a datetime."""
        if isinstance(o, set | frozenset):
            return sorted(o, key=str)
        if isinstance(o, datetime):
            return write_time(o)
        return super().default(o)


def recast(rows: Iterable[SacctFields], keys: Iterable[str] = (), *, zone: tzinfo | None = None) -> None:
    """Turn the texts of some rows into values, in place; what is no text, or cannot be read, stays as it is.

    Args:
        rows: Which.
        keys: Only these fields; none: all in the table.
        zone: Naive times are local: make them aware ones of this zone.
    """
    rows = list(rows)
    wanted = set(keys) & RECAST.keys() if (keys := set(keys)) else set(RECAST)
    for key in wanted:
        texts = {row[key] for row in rows if isinstance(row.get(key), str)}
        values = _values(key, texts)
        for row in rows:
            value = row.get(key)
            if isinstance(value, str) and value in values:
                # A set is the row's own: its neighbour of the same text must not see it change.
                made = values[value]
                row[key] = set(made) if isinstance(made, set) else made
            if zone is not None and isinstance(row.get(key), datetime):
                row[key] = row[key].astimezone(zone)


def uncast(rows: Sequence[SacctFields], key: str) -> list[str]:
    """Return a field of some rows as text; one that a row does not have is empty."""
    values = [row.get(key, "") for row in rows]
    write = RECAST[key][1] if key in RECAST else _write
    if write is not write_nodes:
        return [value if isinstance(value, str) else write(value) for value in values]
    # Many sets to one process, where the table's function would start one each.
    sets = list({frozenset(value) for value in values if not isinstance(value, str)})
    texts = dict(zip(sets, nodelists.compact_all(sets), strict=True))
    return [value if isinstance(value, str) else texts[frozenset(value)] or NO_NODES for value in values]


def _write(value: object) -> str:
    if isinstance(value, datetime):
        return write_time(value)
    return "" if value is None else str(value)


def _values(key: str, texts: set[str]) -> dict[str, Any]:
    read = RECAST[key][0]
    if read is _expand:
        # Many lists to one process, where the table's function would start one each.
        expanded = nodelists.expand_all(sorted(texts))
        return {text: nodes for text, nodes in expanded.items() if not isinstance(nodes, NodelistError)}
    values: dict[str, Any] = {}
    for text in texts:
        try:
            values[text] = read(text)
        except (ValueError, NodelistError):
            continue
    return values
