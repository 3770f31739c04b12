"""Usage going in: the `job_usage` that ends an attempt's wait, in the transaction that ends it.

An attempt waits from the transaction that stores it until this one, so whatever dies in between, each attempt gets
one `job_usage`, and only one.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import aiosqlite
import anyio.to_thread
import orjson

from slurmwatchd.model.event_ids import event_ids
from slurmwatchd.model.records import EventKind
from slurmwatchd.model.sums import Group
from slurmwatchd.store import dictionaries, sums
from slurmwatchd.store.bodies import RECORD
from slurmwatchd.store.bulk_insert import BulkRows
from slurmwatchd.store.codes import FOUND_BY, KINDS
from slurmwatchd.store.dictionaries import Dictionary, DictionaryKind, Packer
from slurmwatchd.store.intake import Intake
from slurmwatchd.store.json_array import IN_ARRAY, json_array

_LATEST = (
    "SELECT queue.job, queue.found_by, jobs.seq, events.time, events.layout, events.nodelist, "  # noqa: S608 - constants
    f"jobs.cluster, jobs.job_id_raw, jobs.submit, {RECORD} AS record "
    "FROM usage_queue AS queue "
    "JOIN jobs ON jobs.id = queue.job JOIN events ON events.seq = jobs.seq "
    f"WHERE queue.job {IN_ARRAY} ORDER BY queue.job"
)

_NOTE = "UPDATE jobs SET usage_seq = ?1 + told.key FROM json_each(?2) AS told WHERE jobs.id = told.value"
"""Events have positions one after the other, in the order of the list of their attempts."""

_EVENT = ("seq", "job", "time", "found_by_code", "layout", "nodelist", "base", "body")

_LEAVE = f"DELETE FROM usage_queue WHERE job {IN_ARRAY}"  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageResults:
    """What became of some of those that waited.

    Attributes:
        told: Row id to (the event that has the record, what is appended to the record).
        later: Row id to when to ask again, epoch seconds.
        put_off: The same where there was no answer, so that it does not count as asked.
        observed: Now, epoch seconds.
    """

    told: Mapping[int, tuple[int, bytes]]
    later: Mapping[int, int]
    observed: int
    put_off: Mapping[int, int] = field(default_factory=dict)


async def tell(intake: Intake, results: UsageResults) -> int:
    """Write results in one transaction: events for those that are known, another date for the others.

    An attempt that was revised since its record was read keeps waiting, so that its `job_usage` repeats the newest
    record.

    Returns:
        How many events were made.

    Raises:
        StoreBusyError: Nothing was written.
    """
    packer = intake.database.packer

    async def work(connection: aiosqlite.Connection, seq: int) -> tuple[int, BulkRows]:
        rows = [
            row
            for row in await connection.execute_fetchall(_LATEST, (json_array(results.told),))
            if row["seq"] == results.told[row["job"]][0]
        ]
        bodies = [results.told[row["job"]][1] for row in rows]
        packed, dictionary = await anyio.to_thread.run_sync(_packed, packer, bodies)
        if dictionary is not None:
            await dictionaries.keep(connection, packer, dictionary, since=seq)
        # The store keeps what is added to the record, not the record again.
        events = [
            (
                place,
                row["job"],
                row["time"],
                FOUND_BY[row["found_by"]],
                row["layout"],
                row["nodelist"],
                row["seq"],
                body,
            )
            for place, (row, body) in enumerate(zip(rows, packed, strict=True), seq)
        ]
        common = {
            "id": "",
            "kind_code": KINDS[EventKind.JOB_USAGE.value],
            "revision": 1,
            "observed": results.observed,
        }
        await BulkRows.of(_EVENT, events, common).insert(connection, "events")
        told = json_array(row["job"] for row in rows)
        await _add_up(
            connection, [(row["job"], row["record"]) for row in rows], bodies, intake.database.sum_groups
        )
        await connection.execute(_NOTE, (seq, told))
        await connection.execute(_LEAVE, (told,))
        if results.later:
            await connection.executemany(
                "UPDATE usage_queue SET due = ?, asked = asked + 1 WHERE job = ?",
                [(due, job) for job, due in results.later.items()],
            )
        if results.put_off:
            await connection.executemany(
                "UPDATE usage_queue SET due = ? WHERE job = ?",
                [(due, job) for job, due in results.put_off.items()],
            )
        return len(events), _as_sinks_get_them(rows, bodies, seq, results.observed)

    return await intake.append(work)


def _as_sinks_get_them(rows: Sequence[sqlite3.Row], added: Sequence[bytes], seq: int, observed: int) -> BulkRows:
    """Return the events for those who need not read them back; none where they are not alike.

    Args:
        rows: Of `_LATEST`.
        added: What each `job_usage` adds to its record, from the comma on.
        seq: The position of the first.
        observed: Of all of them.
    """
    origins = {(row["cluster"], row["found_by"]) for row in rows}
    if len(origins) != 1:
        return BulkRows()
    ((cluster, found_by),) = origins
    kind, count = EventKind.JOB_USAGE.value, len(rows)
    keys = ((row["job_id_raw"], row["submit"]) for row in rows)
    return BulkRows(
        {
            "seq": range(seq, seq + count),
            "id": event_ids(cluster, keys, kind, 1),
            "revision": [1] * count,
            "time": [row["time"] for row in rows],
            "nodelist": [row["nodelist"] for row in rows],
            "changed": [None] * count,
            "body": [row["record"][:-1] + more + b"}" for row, more in zip(rows, added, strict=True)],
        },
        {"kind": kind, "observed": observed, "found_by": found_by},
    )


def _packed(packer: Packer, bodies: Sequence[bytes]) -> tuple[Sequence[bytes], Dictionary | None]:
    """Return bodies as the store keeps them, and the dictionary if that is new; runs in a worker thread."""
    new = packer.learnt(DictionaryKind.USAGE, bodies)
    return packer.packed(DictionaryKind.USAGE, bodies, new), new


async def _add_up(
    connection: aiosqlite.Connection,
    records: Sequence[tuple[int, bytes]],
    added: Sequence[bytes],
    known: dict[Group, int],
) -> None:
    """Add what some attempts used to the sums.

    Args:
        connection: The store.
        records: Row id and record of each.
        added: What the `job_usage` of each adds to its record, from the comma on.
        known: See `sums.add`.
    """
    booking = await sums.begin(connection, jobs=dict.fromkeys(job for job, _ in records))

    def work() -> None:
        for (job, record), more in zip(records, added, strict=True):
            booking.used(job, orjson.loads(record), orjson.loads(b"{" + more[1:] + b"}")["usage"])

    await anyio.to_thread.run_sync(work)
    await sums.book(connection, booking, known)
