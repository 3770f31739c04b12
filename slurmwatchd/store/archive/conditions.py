"""A question as a condition on the archive's rows: what `store/read/query.py` says in SQL, for pyarrow."""

import re
from collections.abc import Iterator, Sequence
from functools import reduce
from operator import and_, or_
from types import ModuleType
from typing import Any

from slurmwatchd.store.archive.layout import day_of
from slurmwatchd.store.archive.parquet import Range
from slurmwatchd.store.read.query import Order, Question

_INT64_DIGITS = 18


def condition_of(pc: ModuleType, question: Question) -> Any:  # noqa: ANN401 - an expression, or None
    """Return what must hold for a row besides its times and its nodes; None: nothing."""
    field = pc.field
    conditions = [field(name).isin(list(values)) for name, values in _lists(question) if values]
    if question.name is not None:
        conditions.append(pc.match_substring_regex(field("name"), pattern=regex_of(question.name)))
    if question.job_ids:
        conditions.append(reduce(or_, (_job_id(pc, text) for text in question.job_ids)))
    if question.order is Order.EFFICIENCY:
        conditions.append(field("usage_cpu_efficiency").is_valid())
    return reduce(and_, conditions) if conditions else None


def ranges_of(question: Question) -> dict[str, Range]:
    """Return in which ranges the times of a row must lie, by column."""
    begins = [time for time in (question.ended_from, question.running_from) if time is not None]
    end = Range(_milliseconds(max(begins, default=None)), _milliseconds(question.ended_until))
    if question.running_from is not None or question.running_until is not None:
        return {"start": Range(None, _milliseconds(question.running_until)), "end": end}
    return {} if end == Range() else {"end": end}


def min_day(question: Question) -> int | None:
    """Return the first day that may have attempts a question is about; None: any."""
    begins = [moment for moment in (question.ended_from, question.running_from) if moment is not None]
    return day_of(max(begins)) if begins else None


def columns_of(question: Question) -> Iterator[str]:
    """Give the columns that decide whether a row answers a question, besides times; the nodes are among them."""
    yield from (name for name, values in _lists(question) if values)
    if question.job_ids:
        yield from ("job_id", "job_id_raw")
    if question.name is not None:
        yield "name"
    if question.node is not None:
        yield "nodes"
    if question.order is Order.EFFICIENCY:
        yield "usage_cpu_efficiency"


def _milliseconds(moment: int | None) -> int | None:
    return None if moment is None else moment * 1000


def _lists(question: Question) -> tuple[tuple[str, Sequence[str]], ...]:
    """Return the columns of which a row must have any of some values."""
    return (
        ("user", question.users),
        ("account", question.accounts),
        ("partition", question.partitions),
        ("state", question.states),
        ("outcome", question.outcomes),
        ("qos", question.qos),
    )


def _job_id(pc: ModuleType, text: str) -> Any:  # noqa: ANN401 - an expression
    """Take an id as sacct's `-j` does; see `Question`."""
    if not (text.isascii() and text.isdigit()):
        is_part = "_" in text or "+" in text
        return pc.field("job_id") == text if is_part else pc.field("job_id_raw") == -1
    number = int(text) if len(text) <= _INT64_DIGITS else -1
    parts = (pc.starts_with(pc.field("job_id"), pattern=text + mark) for mark in "_+")
    return reduce(or_, parts, pc.field("job_id_raw") == number)


def regex_of(glob: str) -> str:
    """Write a glob of SQLite as the regular expression that matches the same texts."""
    parts, at = [], 0
    while at < len(glob):
        letter = glob[at]
        end = glob.find("]", at + 2 + (glob[at + 1 : at + 2] == "^")) if letter == "[" else -1
        if letter == "[" and end < 0:
            # SQLite matches nothing with a set that never ends.
            return r"[^\s\S]"
        if letter == "[":
            inside = glob[at + 1 : end]
            negated = "^" if inside.startswith("^") else ""
            letters = "".join(c if c == "-" else re.escape(c) for c in inside.removeprefix("^"))
            parts.append(f"[{negated}{letters}]")
            at = end
        else:
            parts.append({"*": ".*", "?": "."}.get(letter, re.escape(letter)))
        at += 1
    return rf"(?s)\A{''.join(parts)}\z"
