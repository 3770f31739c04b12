"""A lock that many may hold at once, or one alone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio


class SharedLock:
    """Held by any number who share it, or by one alone, who is let in before newcomers."""

    def __init__(self) -> None:
        """No one holds it."""
        self._gate = anyio.Lock()
        self._users = 0
        self._idle = anyio.Event()

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        """Hold it beside others."""
        async with self._gate:
            self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._idle.set()

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """Hold it alone."""
        async with self._gate:
            while self._users:
                self._idle = anyio.Event()
                await self._idle.wait()
            yield
