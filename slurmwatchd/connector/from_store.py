"""The store's records in sacct's words, so that a `Slurm` can be filled without asking Slurm."""

import os
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from slurmwatchd.connector.from_sacct import Answer
from slurmwatchd.connector.nodelists import NO_NODES
from slurmwatchd.connector.store import Store
from slurmwatchd.store.read.query import Order, Question
from slurmwatchd.store.read.reader import Record, StoreReader

PathLike = str | os.PathLike[str]

_DAY, _HOUR, _MINUTE = 86400, 3600, 60


def of_jobs(store: Store | PathLike, jobids: str, keys: Sequence[str]) -> Answer:
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


def running_between(store: Store | PathLike, first: int, last: int, keys: Sequence[str]) -> Answer:
    """Look up what ran at some moment between two, epoch seconds, both included; see `of_jobs`."""
    return _asked(store, Question(running_from=first, running_until=last, order=Order.SUBMIT), keys)


def _asked(store: Store | PathLike, question: Question, keys: Sequence[str]) -> Answer:
    if isinstance(store, Store):
        return answer(store.reader.records(question), keys)
    with StoreReader(Path(store)) as reader:
        return answer(reader.records(question), keys)


def answer(records: Iterable[Record], keys: Sequence[str]) -> Answer:
    """Return records as the rows sacct would print for them, without steps.

    Raises:
        ValueError: A key is one of sacct's fields that the store does not have, or none at all.
    """
    wanted = tuple(key.partition("%")[0].strip().lower() for key in keys)
    unknown = [key for key in wanted if key not in FIELDS]
    if unknown:
        raise ValueError(f"the store does not have {', '.join(unknown)}: only {', '.join(sorted(FIELDS))}")
    names = tuple(dict.fromkeys((*wanted, "jobidraw", "submit")))
    return Answer(wanted, names, tuple({name: FIELDS[name](record) for name in names} for record in records))


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


def _exit_code(prefix: str) -> Callable[[Record], str]:
    def read(record: Record) -> str:
        code: Any = record.get(f"{prefix}exit_code")
        return "" if code is None else f"{code}:{record.get(f'{prefix}exit_signal') or 0}"

    return read


def _joined(name: str, separator: str) -> Callable[[Record], str]:
    return lambda record: separator.join(record.get(name) or ())


def _licenses(record: Record) -> str:
    # What cannot be read as a count was kept as text: an item of the list, or a choice between licenses.
    unread = record.get("raw", {}).get("Licenses")
    counts = [f"{name}:{count}" for name, count in record.get("licenses", {}).items()]
    return ",".join([*counts, *([unread] if unread else [])])


def _state(record: Record) -> str:
    by = record.get("cancelled_by_uid")
    return str(record["state"]) if by is None else f"{record['state']} by {by}"


def _node_list(record: Record) -> str:
    return record.get("node_list") or NO_NODES


FIELDS: dict[str, Callable[[Record], str]] = {
    "jobid": _text("job_id"),
    "jobidraw": _text("job_id_raw"),
    "cluster": _text("cluster"),
    "dbindex": _text("db_index"),
    "sluid": _text("sluid"),
    "restarts": _text("restarts"),
    "jobname": _text("name"),
    "user": _text("user"),
    "uid": _text("uid"),
    "gid": _text("gid"),
    "account": _text("account"),
    "partition": _text("partition"),
    "qos": _text("qos"),
    "reservation": _text("reservation"),
    "wckey": _text("wckey"),
    "state": _state,
    "exitcode": _exit_code(""),
    "derivedexitcode": _exit_code("derived_"),
    "submit": _time("submit"),
    "eligible": _time("eligible"),
    "start": _time("start", "None"),
    "end": _time("end"),
    "planned": _duration("wait_seconds"),
    "elapsed": _duration("elapsed_seconds"),
    "elapsedraw": _text("elapsed_seconds"),
    "suspended": _duration("suspended_seconds"),
    "nnodes": _text("node_count"),
    "ncpus": _text("cpus"),
    "nodelist": _node_list,
    "workdir": _text("work_dir"),
    "submitline": _text("submit_line"),
    "comment": _text("comment"),
    "admincomment": _text("admin_comment"),
    "systemcomment": _text("system_comment"),
    "constraints": _joined("constraints", "&"),
    "reason": lambda record: record.get("reason") or "None",
    "extra": _text("extra"),
    "failednode": _text("failed_node"),
    "licenses": _licenses,
    "flags": _joined("flags", ","),
    "priority": _text("priority"),
    "container": _text("container"),
    "mcslabel": _text("mcs_label"),
    "reservationid": _text("reservation_id"),
    "stdin": _text("std_in"),
    "stdout": _text("std_out"),
    "stderr": _text("std_err"),
    "qosreq": _text("qos_req"),
    "reqreservation": _text("req_reservation"),
    "segmentsize": _text("segment_size"),
    "originalsluid": _text("original_sluid"),
    "exclusive": _text("exclusive"),
    "oversubscribe": _text("oversubscribe"),
}
"""sacct's fields, in lower case, to what makes them of a record."""
