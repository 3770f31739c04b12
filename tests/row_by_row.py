"""Rows of sacct read one at a time, the plain way: what the reader of columns is held against.

Nothing here is quick, and nothing of it is part of the program: each value is read by itself, the record is made
whole, and its body is written from that.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson

from slurmwatchd.model.attempts import COLUMNS, AttemptBatch
from slurmwatchd.model.clock import epoch
from slurmwatchd.model.formats import TIME_FIELDS, body, wire
from slurmwatchd.model.outcomes import outcome_of
from slurmwatchd.model.records import JobRecord, Rejected
from slurmwatchd.sources.crosschecks import is_too_much
from slurmwatchd.sources.sacct import grammar
from slurmwatchd.sources.sacct.columns import ColumnReader
from slurmwatchd.sources.sacct.fields import Layout, digests_of
from slurmwatchd.sources.sacct.framing import RawColumns, RawRow

_FIELDS = JobRecord._fields
_FROM_JOB_ID = _FIELDS[_FIELDS.index("array_job_id") : _FIELDS.index("array_job_id") + 6]
_RESTS_ON = {"Eligible": ("wait_seconds", ("Planned", "Reserved")), "Start": ("elapsed_seconds", ("ElapsedRaw",))}


class Reading(NamedTuple):
    """One row, understood."""

    record: JobRecord
    digest: int


def read(layout: Layout, row: RawRow) -> Reading | Rejected:
    """Turn a row into a record."""
    text = dict(zip(layout.fields, row, strict=True))
    raw: dict[str, str] = {}
    reason = _why_rejected(text)
    if reason is not None:
        return Rejected(reason=reason, fields=layout.fields, row=tuple(row))
    values: dict[str, Any] = {
        **JobRecord._field_defaults,
        "cluster": grammar.text(text["Cluster"]),
        "job_id": grammar.text(text["JobID"]),
        "job_id_raw": int(text["JobIDRaw"]),
        "submit": int(text["Submit"]),
    }
    _read_values(layout, row, values, raw)
    _leave_out_what_rests_on_nothing(text, values, raw)
    _read_job_id(values, raw)
    if "State" in raw:
        values["state"] = raw["State"].partition(" ")[0].upper() or "UNKNOWN"
    if values["node_list"] == "None assigned":
        values["start"] = values["node_list"] = None
    _leave_out_filled_in(values)
    _leave_out_impossible_energy(values, raw)
    values["outcome"] = outcome_of(values)
    values["raw"] = raw or None
    return Reading(JobRecord(**values), digest(layout, row))


def _read_values(layout: Layout, row: RawRow, values: dict[str, Any], raw: dict[str, str]) -> None:
    for index, slot, reader in layout.plan:
        if row[index]:
            try:
                values[_FIELDS[slot]] = reader(row[index])
            except grammar.PartlyReadError as error:
                raw[layout.fields[index]] = error.unread
                values[_FIELDS[slot]] = error.read or None
            except ValueError:
                raw[layout.fields[index]] = row[index].decode(errors="backslashreplace")
    for index, places, reader in layout.wide:
        if row[index]:
            try:
                values.update(zip(_FIELDS[places], reader(row[index]), strict=True))
            except ValueError:
                raw[layout.fields[index]] = row[index].decode(errors="backslashreplace")


def digest(layout: Layout, row: RawRow) -> int:
    """The digest of a row by itself."""
    return digests_of([[row[index] for index in layout.digested]])[0]


def _why_rejected(text: dict[str, bytes]) -> str | None:
    if not text["Cluster"]:
        return "Cluster is empty"
    for name, what in (("JobIDRaw", "a number"), ("Submit", "a time")):
        try:
            grammar.natural(text[name])
        except ValueError:
            return f"{name} is {text[name][:80]!r}, not {what}"
    return None


def _leave_out_what_rests_on_nothing(text: dict[str, bytes], values: dict[str, Any], raw: dict[str, str]) -> None:
    for moment, (counted, names) in _RESTS_ON.items():
        for name in names:
            if text.get(name) and raw.get(moment, "").isdigit():
                values[counted] = None
                raw[name] = text[name].decode(errors="backslashreplace")


def _read_job_id(values: dict[str, Any], raw: dict[str, str]) -> None:
    if not values["job_id"].isdigit():
        try:
            values.update(zip(_FROM_JOB_ID, grammar.job_id(values["job_id"]), strict=True))
        except ValueError:
            raw["JobID"] = values["job_id"]


def _leave_out_filled_in(values: dict[str, Any]) -> None:
    if values["partition"] is None and values["name"] == "allocation" and values["uid"] == 0:
        values |= dict.fromkeys(("name", "user", "uid", "gid"))
        values |= {name: values[name] or None for name in ("priority", "timelimit_seconds")}
        values["incomplete"] = True


def _leave_out_impossible_energy(values: dict[str, Any], raw: dict[str, str]) -> None:
    others = dict(values["alloc_tres"] or {})
    energy = others.pop("energy_joules", None)
    if energy is not None and is_too_much(energy, values["start"], values["end"], values["node_count"]):
        raw["AllocTRES"] = f"{raw['AllocTRES']},energy={energy}" if "AllocTRES" in raw else f"energy={energy}"
        values["alloc_tres"] = others or None


def taken_apart(readings: Iterable[tuple[JobRecord, int]]) -> AttemptBatch:
    """Records, with their digests, as the reader of columns gives them."""
    pairs = list(readings)
    return AttemptBatch(
        {name: [getattr(record, name) for record, _ in pairs] for name in COLUMNS},
        [digest for _, digest in pairs],
        [body(wire(record)) for record, _ in pairs],
    )


def put_together(readings: AttemptBatch) -> list[Reading]:
    """What the reader of columns gives, as records."""
    return list(map(Reading, map(_record, readings.bodies), readings.digests))


def _record(text: bytes) -> JobRecord:
    fields: dict[str, Any] = orjson.loads(text)
    for name in TIME_FIELDS:
        if fields.get(name) is not None:
            fields[name] = epoch(fields[name])
    return JobRecord(**fields)


def turned(rows: Iterable[RawRow]) -> RawColumns:
    """Rows turned on their side."""
    return [list(column) for column in zip(*rows, strict=True)]


def read_alone(layout: Layout, row: RawRow) -> Reading | Rejected:
    """What the program makes of one row by itself."""
    readings, rejected = ColumnReader(layout).read(turned([row]))
    return rejected[0] if rejected else put_together(readings)[0]
