"""How many examples a property is tried with: all of them by `make test-heavy`, a part of them by `make test`."""

from __future__ import annotations

import os

ALL_VARIABLE = "TEST_ALL_DRAWS"

_PART = 5
_FEWEST = 20


def draws(whole: int) -> int:
    """Return how many examples to draw now, of those that `make test-heavy` draws."""
    return whole if all_drawn() else max(whole // _PART, _FEWEST)


def all_drawn() -> bool:
    """Whether this run has the time for every example."""
    return bool(os.environ.get(ALL_VARIABLE))
