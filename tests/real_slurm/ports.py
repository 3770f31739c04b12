"""Finds free loopback ports, below the range the kernel hands out by itself."""

from __future__ import annotations

import os
import socket

FIRST = 20000
LAST = 31000
STEP = 16

_given: set[int] = set()


def free_block(count: int) -> int:
    """Find the first of `count` neighbouring TCP ports nobody listens on.

    The search starts at a place of its own in every process, so that two at once rarely meet, and gives no
    block twice, since the caller may not listen on it at once.

    Raises:
        OSError: There is no such block.
    """
    places = list(range(FIRST, LAST, STEP))
    turn = os.getpid() % len(places)
    for start in places[turn:] + places[:turn]:
        if start not in _given and all(is_free(port) for port in range(start, start + count)):
            _given.add(start)
            return start
    raise OSError(f"no {count} neighbouring free ports between {FIRST} and {LAST}")


def is_free(port: int) -> bool:
    """Whether a daemon could listen on the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
