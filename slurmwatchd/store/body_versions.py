"""Bodies that an older version wrote, as this one writes them.

Events are kept for as long as attempts are, so a store outlives the form in which its oldest bodies were written.
They are upgraded when they are read: a migration that rewrote millions of them would hold up a start for minutes.

Form 1 (before usage events): constraints, flags and licenses were texts; energy, and the sizes of burst buffers
and GPU memory, had no unit in their names.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from slurmwatchd.model import slurm_lists

if TYPE_CHECKING:
    # Scripts that only look something up load neither.
    import aiosqlite

    from slurmwatchd.store.database import Database

FORM = 2
"""The form in which bodies are written now."""

FIRST_SEQ = "SELECT first_seq FROM body_forms WHERE form = ?"

_SUFFIXES = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40, "P": 1 << 50, "E": 1 << 60}
_SIZED = ("vmem", "gres/gpumem")
_SIZED_KINDS = ("bb/", "fs/")


async def first_seq(database: "Database") -> int:
    """Return the position from which on bodies have the present form."""
    return int((await database.read(FIRST_SEQ, (FORM,)))[0][0])


async def first_seq_within(connection: "aiosqlite.Connection") -> int:
    """Return the same, inside a transaction."""
    return int(next(iter(await connection.execute_fetchall(FIRST_SEQ, (FORM,))))[0])


def current(body: bytes, seq: int, first: float) -> bytes:
    """Return a body in the present form.

    Args:
        body: As it stands in the store.
        seq: The position of its event.
        first: The position from which on bodies have the present form.
    """
    return body if seq >= first else upgraded(body)


def upgraded(body: bytes) -> bytes:
    """Return a body of form 1 in the present form."""
    record: dict[str, Any] = orjson.loads(body)
    for name, read in (("flags", slurm_lists.flags), ("constraints", slurm_lists.terms)):
        if isinstance(record.get(name), str):
            record[name] = read(record[name])
    if isinstance(record.get("licenses"), str):
        try:
            record["licenses"] = slurm_lists.licenses(record["licenses"])
        except ValueError:
            record.setdefault("raw", {})["Licenses"] = record.pop("licenses")
    for name in ("req_tres", "alloc_tres"):
        if isinstance(record.get(name), dict):
            record[name] = dict(_tres(key, amount) for key, amount in record[name].items())
    if "array_tasks" in record:
        record |= _count(record)
    return orjson.dumps(record)


def _count(record: Mapping[str, Any]) -> dict[str, int]:
    count = slurm_lists.task_count(record["array_tasks"])
    return {} if count is None else {"array_task_count": count}


def _tres(name: str, amount: Any) -> tuple[str, Any]:  # noqa: ANN401 - a number or a text
    if name == "energy":
        return "energy_joules", amount
    if name not in _SIZED and not name.startswith(_SIZED_KINDS):
        return name, amount
    if isinstance(amount, str) and amount[:-1].isdigit() and amount[-1] in _SUFFIXES:
        amount = int(amount[:-1]) * _SUFFIXES[amount[-1]]
    return f"{name}_bytes", amount
