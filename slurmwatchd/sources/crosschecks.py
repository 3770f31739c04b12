"""What several columns of sacct's rows say together."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from slurmwatchd.model.usage import WATTS_A_NODE, node_seconds

RESTS_ON = {"eligible": "wait_seconds", "start": "elapsed_seconds"}
"""What slurmdbd's client counts from a moment: nothing, where that moment is none."""

UNNAMED = "allocation"
"""What slurmdbd names a job whose start it never heard of. Its row is of UID 0 and has no partition; a whole one
has."""

FILLED_IN = ("name", "user", "uid", "gid")
"""What slurmdbd put there for such a job, instead of what it does not know."""
FILLED_WITH_ZERO = ("priority", "timelimit_seconds")

RUN = ("start", "end", "node_count")
"""What bounds the energy of an attempt."""

_UNNAMED = UNNAMED.encode()
_UNSET_DIGITS = 20
_ENERGY = re.compile(rb"(?:^|,)energy=(\d+)")


def unnamed(names: Sequence[bytes], partitions: Sequence[bytes]) -> list[int]:
    """Return the places of rows that may be of jobs whose start slurmdbd never heard of."""
    if all(partitions):
        return []
    rows = enumerate(zip(names, partitions, strict=True))
    return [place for place, (name, partition) in rows if name == _UNNAMED and not partition]


def with_too_much_energy(texts: Sequence[bytes], values: Mapping[str, Sequence[Any]]) -> Iterator[int]:
    """Give the places of attempts that may have more energy in what they were given than can be theirs."""
    if b"energy=" not in b",".join(texts):
        return
    rows = enumerate(zip(texts, *(values[name] for name in RUN), strict=True))
    for place, (text, start, end, nodes) in rows:
        energy = _ENERGY.search(text) if b"energy=" in text else None
        if energy is None:
            continue
        # What is longer than this was not set.
        known = len(energy[1]) < _UNSET_DIGITS and is_too_much(int(energy[1]), start, end, nodes)
        if known or text.find(b",energy=", energy.end()) >= 0:
            yield place


def is_too_much(joules: int, start: int | None, end: int | None, node_count: int | None) -> bool:
    """Return whether so much energy cannot be an attempt's; of one without a start or an end no one can."""
    if start is None or end is None or node_count is None:
        return False
    return joules > WATTS_A_NODE * node_seconds(end - start, node_count)
