"""SIGHUP: the daemon reads its configuration again; any other process would end.

Not by a receiver of the event loop, as SIGTERM is: when the receiver is closed, the default action (terminate) is
restored, and the daemon replaces a damaged store in the same process. Here one handler replaces another, so SIGHUP
is always handled.
"""

import asyncio
import math
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress

import anyio


def ignore_hangups() -> None:
    """Let each SIGHUP pass: while no daemon is there to obey it, there is nothing to read again."""
    signal.signal(signal.SIGHUP, lambda *_: None)


@contextmanager
def hangups() -> Iterator[AsyncIterator[None]]:
    """Give a value for each SIGHUP that comes while this is entered; afterwards they are ignored.

    For the main thread, with an event loop that has another signal's receiver, which wakes it for this one too.
    """
    loop = asyncio.get_running_loop()
    send, receive = anyio.create_memory_object_stream[None](math.inf)

    def note() -> None:
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
            send.send_nowait(None)

    signal.signal(signal.SIGHUP, lambda *_: loop.call_soon_threadsafe(note))
    try:
        with send, receive:
            yield receive
    finally:
        ignore_hangups()
