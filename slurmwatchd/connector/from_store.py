"""The store's records in sacct's words, so that a `Slurm` can be filled without asking Slurm."""

import os
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from slurmwatchd.connector.from_sacct import FoundTasks
from slurmwatchd.connector.nodelists import NO_NODES
from slurmwatchd.connector.store import Store
from slurmwatchd.model.fields import Reading, fields_of
from slurmwatchd.model.records import JobRecord
from slurmwatchd.store.read.query import Order, Question
from slurmwatchd.store.read.reader import Record, StoreReader

PathLike = str | os.PathLike[str]

_DAY, _HOUR, _MINUTE = 86400, 3600, 60


def of_jobs(store: Store | PathLike, jobids: str, keys: Sequence[str]) -> FoundTasks:
    """Look up all attempts of some jobs.

    Args:
        store: Open, or where it is.
        jobids: With commas between them.
        keys: See `answer`.

    Raises:
        ValueError: See `answer`.
        StoreError: It cannot be read.
    """
    wanted = tuple(text.strip() for text in jobids.split(","))
    return _asked(store, Question(job_ids=wanted, order=Order.SUBMIT), keys)


def running_between(store: Store | PathLike, first: int, last: int, keys: Sequence[str]) -> FoundTasks:
    """Look up what ran at some moment between two, epoch seconds, both included; see `of_jobs`."""
    return _asked(store, Question(running_from=first, running_until=last, order=Order.SUBMIT), keys)


def _asked(store: Store | PathLike, question: Question, keys: Sequence[str]) -> FoundTasks:
    if isinstance(store, Store):
        return answer(store.reader.records(question), keys)
    with StoreReader(Path(store)) as reader:
        return answer(reader.records(question), keys)


def answer(records: Iterable[Record], keys: Sequence[str]) -> FoundTasks:
    """Return records as the rows sacct would print for them, without steps.

    Raises:
        ValueError: A key is one of sacct's fields that the store does not have, or none at all.
    """
    wanted = tuple(key.partition("%")[0].strip().lower() for key in keys)
    unknown = [key for key in wanted if key not in FIELDS]
    if unknown:
        raise ValueError(f"the store does not have {', '.join(unknown)}: only {', '.join(sorted(FIELDS))}")
    names = tuple(dict.fromkeys((*wanted, "jobidraw", "submit")))
    return FoundTasks(wanted, names, tuple({name: FIELDS[name](record) for name in names} for record in records))


def _text(name: str) -> Callable[[Record], str]:
    return lambda record: "" if record.get(name) is None else str(record[name])


def _time(name: str, absent: str = "Unknown") -> Callable[[Record], str]:
    def read(record: Record) -> str:
        value = record.get(name)
        return absent if value is None else str(int(datetime.fromisoformat(value).timestamp()))

    return read


def _duration(name: str) -> Callable[[Record], str]:
    def read(record: Record) -> str:
        value = record.get(name)
        if value is None:
            return ""
        days, rest = divmod(value, _DAY)
        hours, rest = divmod(rest, _HOUR)
        clock = f"{hours:02d}:{rest // _MINUTE:02d}:{rest % _MINUTE:02d}"
        return f"{days}-{clock}" if days else clock

    return read


def _exit_code(name: str) -> Callable[[Record], str]:
    signal = name.replace("_code", "_signal")

    def read(record: Record) -> str:
        code: Any = record.get(name)
        return "" if code is None else f"{code}:{record.get(signal) or 0}"

    return read


def _joined(separator: str) -> Callable[[str], Callable[[Record], str]]:
    return lambda name: lambda record: separator.join(record.get(name) or ())


def _licenses(record: Record) -> str:
    # What cannot be read as a count was kept as text: an item of the list, or a choice between licenses.
    unread = record.get("raw", {}).get("Licenses")
    counts = [f"{name}:{count}" for name, count in record.get("licenses", {}).items()]
    return ",".join([*counts, *([unread] if unread else [])])


def _state(record: Record) -> str:
    by = record.get("cancelled_by_uid")
    return str(record["state"]) if by is None else f"{record['state']} by {by}"


_SPELLED: dict[Reading, Callable[[str], Callable[[Record], str]]] = {
    "constraints": _joined("&"),
    "duration": _duration,
    "epoch": _time,
    "exit code": _exit_code,
    "flags": _joined(","),
    "licenses": lambda _: _licenses,
    "moment": _time,
    "node list": lambda name: lambda record: record.get(name) or NO_NODES,
    "reason": lambda name: lambda record: record.get(name) or "None",
    "state": lambda _: _state,
    **dict.fromkeys(("count", "digits", "integer", "job id", "natural", "seconds", "sluid", "text"), _text),
}
"""How sacct spells a field of a record. A list of TRES, and no limit of time, cannot be had from the record."""


def _of_sacct() -> dict[str, Callable[[Record], str]]:
    found: dict[str, Callable[[Record], str]] = {}
    for field in fields_of(JobRecord):
        if field.sacct is not None and (spelled := _SPELLED.get(field.sacct.reading)) is not None:
            # What several fields come from is spelled from the first of them.
            found.setdefault(field.sacct.all_names[0].lower(), spelled(field.name))
    return found


FIELDS: dict[str, Callable[[Record], str]] = {
    **_of_sacct(),
    "submit": _time("submit"),
    "start": _time("start", "None"),
    "elapsed": _duration("elapsed_seconds"),
}
"""sacct's fields, in lower case, to what makes them of a record."""
