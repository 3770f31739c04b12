"""What a process that reads a million jobs a day asks of the interpreter and of the C library."""

import gc
import sys
from contextlib import suppress

_YOUNG_OBJECTS = 50_000
_M_ARENA_MAX = -8
"""The number of glibc's setting in malloc.h."""

_SWITCH_SECONDS = 0.0005
"""So long a thread may compute while another waits for Python's lock.

What a poll brings goes through some hundred steps before it is in the sinks, and each of them may meet a thread
that forms events or computes the answer to a question. With Python's own 5 ms these waits add up to a fifth of a
second.
"""


def tune() -> None:
    """Have the garbage collector look less often, threads take turns sooner, and all of them share one heap.

    Records are made and dropped by the thousand and hold no cycles: with the defaults a tenth of all CPU time goes
    into looking for some. What was there from the start is not looked at again.
    """
    look_less_often()
    # Without a look for garbage before: what imports leave is some hundred objects.
    gc.freeze()
    sys.setswitchinterval(_SWITCH_SECONDS)
    _share_heap()


def look_less_often() -> None:
    """Have the garbage collector wait for so many new objects as no import makes.

    With the default, looking for garbage among modules and classes is a twentieth of what a command's start costs.
    """
    gc.set_threshold(_YOUNG_OBJECTS, 20, 20)


def _share_heap() -> None:
    """Keep glibc from giving each thread a heap of its own, each of which stays as large as it once was.

    Threads work in turn here, so they do not wait for the one heap. Other C libraries have no such setting.
    """
    import ctypes  # noqa: PLC0415 - commands that only ask need none

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
