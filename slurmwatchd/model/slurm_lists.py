"""Lists that Slurm writes as one text: constraints, flags, licenses, the tasks of an array. No input or output.

What a whole field of sacct means is decided in `sources/`; these are shared with the store, which reads bodies
that an older version kept as text.
"""

import re

_LICENSE = re.compile(r"(?P<name>[^\s:*|,]+)(?:[:*](?P<count>\d{1,18}))?", re.ASCII)
_TASKS = re.compile(r"(\d{1,10})(?:-(\d{1,10})(?::(\d{1,10}))?)?", re.ASCII)


def flags(text: str) -> list[str]:
    """Cut a list at its commas: `SchedBackfill,StartReceived`."""
    return [flag for flag in text.split(",") if flag]


def terms(text: str) -> list[str]:
    """Cut a constraint into the terms that must all hold: `intel&[rack1|rack2]` is two.

    What stands in brackets or parentheses stays whole. An expression with a choice outside of them (`a|b&c`) is
    one term, since Slurm reads it from the left.
    """
    depth = 0
    found = [""]
    for character in text:
        depth += (character in "[(") - (character in "])")
        if character == "|" and depth == 0:
            return [text]
        if character in "&," and depth == 0:
            found.append("")
        else:
            found[-1] += character
    return [term for term in found if term] if depth == 0 else [text]


def licenses(text: str) -> dict[str, int]:
    """Read `matlab@flex:2,ansys` as name to count; without a count it is 1.

    Raises:
        ValueError: It is none, or a choice between licenses (`a:1|b:2`).
    """
    found: dict[str, int] = {}
    for item in text.split(","):
        match = _LICENSE.fullmatch(item)
        if match is None:
            raise ValueError(text)
        found[match["name"]] = found.get(match["name"], 0) + int(match["count"] or 1)
    return found


def task_count(text: str) -> int | None:
    """Count the tasks that an array expression such as `0-9,12:2%4` stands for; None where it is cut or none."""
    count = 0
    for item in text.partition("%")[0].split(","):
        match = _TASKS.fullmatch(item)
        if match is None:
            return None
        first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
        if last < first or not step:
            return None
        count += (last - first) // step + 1
    return count
