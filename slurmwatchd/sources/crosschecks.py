"""What several columns say together, and what has a batch read row by row: `Layout.read` decides what it means."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from slurmwatchd.sources.sacct.fields import UNNAMED, is_too_much

_RUN = ("start", "end", "node_count")
_UNNAMED = UNNAMED.encode()
_UNSET_DIGITS = 20
_ENERGY = re.compile(rb"(?:^|,)energy=(\d+)")


def check_started(names: list[bytes], partitions: list[bytes]) -> None:
    """Look for rows whose start slurmdbd was never told.

    Raises:
        ValueError: There is one.
    """
    if not all(partitions):
        for name, partition in zip(names, partitions, strict=True):
            if name == _UNNAMED and not partition:
                raise ValueError(name)


def check_energy(texts: list[bytes], values: Mapping[str, Sequence[Any]]) -> None:
    """Look whether what attempts were given has more energy than they can have taken.

    Raises:
        ValueError: One has.
    """
    if b"energy=" not in b",".join(texts):
        return
    for text, start, end, nodes in zip(texts, *(values[name] for name in _RUN), strict=True):
        energy = _ENERGY.search(text)
        # What is longer than this was not set.
        if energy and len(energy[1]) < _UNSET_DIGITS and is_too_much(int(energy[1]), start, end, nodes):
            raise ValueError(text)
