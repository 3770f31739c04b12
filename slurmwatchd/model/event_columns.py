"""Events by column: what is counted of them is counted alike for all, and by column that costs a third."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from operator import itemgetter
from typing import Any, TypeVar

import orjson

from slurmwatchd.model.clock import EARLIEST
from slurmwatchd.model.outcomes import outcome_of
from slurmwatchd.model.records import Event, FoundBy

IN_MEMORY = (
    "cluster", "job_id", "partition", "account", "user", "qos", "state", "outcome", "submit", "eligible", "start",
    "elapsed_seconds", "wait_seconds", "timelimit_seconds", "node_count", "cpus", "alloc_tres",
)  # fmt: skip
"""The fields of a record that `Events.fields` has, times as epoch seconds."""

Fields = Mapping[str, Sequence[Any]]
"""Field of the record to the value of each event; None where it has none."""


_SEEN = itemgetter(*map(Event._fields.index, ("time", "observed", "found_by")))

_T = TypeVar("_T")


class Events(list[Event]):
    """Events in order.

    Attributes:
        fields: Those in `IN_MEMORY`, where the events have just been made; None: their bodies have them.
    """

    def __init__(self, events: Iterable[Event], fields: Fields | None = None) -> None:
        """Take events, and what is known of them by column."""
        super().__init__(events)
        self.fields = fields


class _Parsed(dict[str, Sequence[Any]]):
    """Fields of events, from their bodies; times as they are written."""

    def __init__(self, events: Sequence[Event]) -> None:
        super().__init__()
        self._records = [orjson.loads(event.body) for event in events]

    def __missing__(self, field: str) -> Sequence[Any]:
        found = [record.get(field) for record in self._records]
        if field == "outcome":
            # Older versions did not write it.
            found = [value or outcome_of(record) for value, record in zip(found, self._records, strict=True)]
        self[field] = found
        return found


class EventColumns:
    """Events of one kind, a field of all of them at once."""

    def __init__(self, events: Sequence[Event]) -> None:
        """Take events of one kind; what is known of them in memory is used, and no body parsed then."""
        known = events.fields if isinstance(events, Events) else None
        self.events = events
        self._fields = _Parsed(events) if known is None else known

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.events)

    def __getitem__(self, field: str) -> Sequence[Any]:
        """Return a field of each: one of `IN_MEMORY`, or `usage` where the events have it."""
        return self._fields[field]

    @cached_property
    def ran(self) -> Sequence[int]:
        """For how many seconds each had what was allocated to it."""
        rows = zip(self["elapsed_seconds"], self["start"], strict=True)
        return [elapsed or 0 if start is not None else 0 for elapsed, start in rows]

    @cached_property
    def lags(self) -> Sequence[int | None]:
        """How many seconds after its end each was first seen; None of what a backfill found, or has no end."""
        backfill = FoundBy.BACKFILL
        return [
            (observed - time if observed > time else 0)
            if time is not None and time >= EARLIEST and found_by is not backfill
            else None
            for time, observed, found_by in map(_SEEN, self.events)
        ]

    def of_tres(self, amount_of: Callable[[Mapping[str, Any] | None], _T]) -> list[_T]:
        """Return something of what was allocated to each: most attempts together have one of a few lists."""
        of_list = {number: amount_of(tres) for number, tres in self._lists.items()}
        return [of_list[number] for number in self._list_of_each]

    @cached_property
    def _list_of_each(self) -> Sequence[int]:
        return list(map(id, self["alloc_tres"]))

    @cached_property
    def _lists(self) -> Mapping[int, Mapping[str, Any] | None]:
        return dict(zip(self._list_of_each, self["alloc_tres"], strict=True))

    def of_started(self, field: str) -> Sequence[Any]:
        """Return a field of those that started, None for the others."""
        rows = zip(self[field], self["start"], strict=True)
        return [value if start is not None else None for value, start in rows]
