"""Who waits for new events is woken when some were committed."""

from collections.abc import Iterator
from contextlib import contextmanager

import anyio

MAX_WAITING = 100
"""So many requests may wait for events at a time."""


class News:
    """A bell that rings for everybody who waits."""

    def __init__(self) -> None:
        """Begin in silence."""
        self._bell = anyio.Event()
        self._waiting = 0
        self.stopped = False

    @property
    def is_crowded(self) -> bool:
        """Whether nobody more may wait."""
        return self._waiting >= MAX_WAITING

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Be among those who wait."""
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    def bell(self) -> anyio.Event:
        """Return what rings next; take it before looking for events, so that none is missed."""
        return self._bell

    def ring(self) -> None:
        """Wake all who wait."""
        bell, self._bell = self._bell, anyio.Event()
        bell.set()

    def stop(self) -> None:
        """Wake all who wait, for the last time."""
        self.stopped = True
        self.ring()
