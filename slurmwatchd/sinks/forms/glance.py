"""Single fields of a flat line, found without parsing the rest: for subjects and keys of thousands of events.

A line's own fields stand before what is nested in it, and `,"name":` cannot occur inside a text, where every quote
has a backslash before it. So the first occurrence is the field. Where a line lacks the field it may be one of the
lists under `changed`, which is neither a text nor a number.
"""

import re
from collections.abc import Callable
from functools import cache

GLANCED = frozenset({
    "id", "event", "time", "cluster", "job_id", "job_id_raw", "user", "account", "partition", "qos", "state",
})  # fmt: skip
"""Fields that can be found so: texts and numbers that no object within a line has, or that no line lacks."""

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[0-9]+')


@cache
def glance(name: str) -> Callable[[bytes], bytes]:
    """Return what finds a field in a line of the flat format: its value as it stands there, empty for none.

    Args:
        name: One of `GLANCED`.

    Raises:
        KeyError: It is none of them.
    """
    if name not in GLANCED:
        raise KeyError(name)
    # Only the first has no comma before it.
    key = f'{{"{name}":' if name == "id" else f',"{name}":'
    mark = key.encode()
    length = len(mark)

    def find(line: bytes) -> bytes:
        begin = line.find(mark) + length
        if begin < length:
            return b""
        found = _TOKEN.match(line, begin)
        return found[0] if found else b""

    return find
