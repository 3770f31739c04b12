"""Attempts as sacct shows them now, one field of all of them at once.

A poll brings thousands of rows, and what is done with them is done alike for all: by column that costs a third of
what it costs by record. Of each attempt there are the fields that decide something, and the whole of it as it is
stored.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

COLUMNS = (
    "cluster", "job_id", "job_id_raw", "user", "account", "partition", "state", "submit", "start", "end",
    "node_count", "node_list", "outcome", "raw", "qos", "cpus", "elapsed_seconds", "wait_seconds", "alloc_tres",
    "eligible", "timelimit_seconds",
)  # fmt: skip
"""The fields of `JobRecord` that are there by column."""

AttemptKey = tuple[int, int]
"""job_id_raw and submit, within one cluster."""


@dataclass(frozen=True, slots=True)
class AttemptBatch:
    """Some attempts, in sacct's order.

    Attributes:
        columns: The fields in `COLUMNS` to the values of each.
        digests: 64 bits over the fields whose change is worth reporting, see `fields.digests_of`.
        bodies: The whole of each: `formats.body(formats.wire(record))`.
    """

    columns: Mapping[str, Sequence[Any]]
    digests: Sequence[int]
    bodies: Sequence[bytes]

    @classmethod
    def joined(cls, parts: Sequence["AttemptBatch"]) -> "AttemptBatch":
        """Put some after one another."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            {name: list(chain.from_iterable(part.columns[name] for part in parts)) for name in COLUMNS},
            list(chain.from_iterable(part.digests for part in parts)),
            list(chain.from_iterable(part.bodies for part in parts)),
        )

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.bodies)

    @property
    def keys(self) -> list[AttemptKey]:
        """The key of each."""
        return list(self.values("job_id_raw", "submit"))

    def values(self, *names: str) -> Iterator[tuple[Any, ...]]:
        """Give some fields of one after the other; only those in `COLUMNS`."""
        return zip(*map(self.columns.__getitem__, names), strict=True)

    def take(self, places: Sequence[int]) -> "AttemptBatch":
        """Return those at some places, in that order."""
        return AttemptBatch(
            {name: [column[place] for place in places] for name, column in self.columns.items()},
            [self.digests[place] for place in places],
            [self.bodies[place] for place in places],
        )


NOTHING = AttemptBatch(dict.fromkeys(COLUMNS, ()), (), ())
