"""How long a test waits for what must come: long enough for a busy machine, since only what hangs is to be found.

A condition that comes true ends the wait at once, so a long deadline costs nothing where the program is right.
Where something has to be worked off, `Patience` begins anew with each step: a slow machine that goes on is no
failure.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

HANGS_SECONDS = 120.0
"""Without any progress for so long, something hangs."""


class Patience:
    """A deadline that moves as long as there is progress."""

    def __init__(self, progress: Callable[[], object] = lambda: None, *, seconds: float = HANGS_SECONDS) -> None:
        """Begin to wait.

        Args:
            progress: Returns something else whenever a step was done.
            seconds: How long one step may take.
        """
        self._progress = progress
        self._seconds = seconds
        self._seen: object = progress()
        self._deadline = time.monotonic() + seconds

    def is_over(self) -> bool:
        """Tell whether nothing has moved for too long."""
        seen = self._progress()
        if seen != self._seen:
            self._seen, self._deadline = seen, time.monotonic() + self._seconds
        return time.monotonic() > self._deadline
