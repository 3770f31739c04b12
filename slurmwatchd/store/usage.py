"""Usage going in: the `job_usage` that ends an attempt's wait, in the transaction that ends it.

An attempt waits from the transaction that stores it until this one, so whatever dies in between, each attempt gets
one `job_usage`, and only one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiosqlite

from slurmwatchd.model.records import EventKind, event_id
from slurmwatchd.store import body_versions
from slurmwatchd.store.bulk_insert import Rows
from slurmwatchd.store.intake import Intake
from slurmwatchd.store.json_array import IN_ARRAY, json_array

_LATEST = (
    "SELECT queue.job, queue.found_by, jobs.cluster, jobs.job_id_raw, jobs.submit, jobs.seq, "  # noqa: S608 - a constant
    "events.time, events.layout, events.nodelist, events.body FROM usage_queue AS queue "
    "JOIN jobs ON jobs.id = queue.job JOIN events ON events.seq = jobs.seq "
    f"WHERE queue.job {IN_ARRAY} ORDER BY queue.job"
)

_NOTE = "UPDATE jobs SET usage_seq = ?1 + told.key FROM json_each(?2) AS told WHERE jobs.id = told.value"
"""Events have positions one after the other, in the order of the list of their attempts."""

_EVENT = ("seq", "id", "job", "time", "found_by", "layout", "nodelist", "body")

_LEAVE = f"DELETE FROM usage_queue WHERE job {IN_ARRAY}"  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
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


async def tell(intake: Intake, results: Results) -> int:
    """Write results in one transaction: events for those told, another date for the others.

    An attempt that was revised since its record was read keeps waiting, so that its `job_usage` repeats the newest
    record.

    Returns:
        How many events were made.

    Raises:
        StoreBusyError: Nothing was written.
    """

    async def work(connection: aiosqlite.Connection, seq: int) -> int:
        wanted = json_array(results.told)
        first = await body_versions.first_seq_within(connection)
        rows = await connection.execute_fetchall(_LATEST, (wanted,))
        events: list[tuple[Any, ...]] = []
        for row in rows:
            read_from, ending = results.told[row["job"]]
            if row["seq"] != read_from:
                continue
            body = body_versions.current(row["body"], row["seq"], first)
            kind = EventKind.JOB_USAGE.value
            identity = event_id(row["cluster"], row["job_id_raw"], row["submit"], kind, 1)
            events.append(
                (
                    seq + len(events), identity, row["job"], row["time"], row["found_by"], row["layout"],
                    row["nodelist"], body[:-1] + ending + b"}",
                )
            )  # fmt: skip
        common = {"kind": EventKind.JOB_USAGE.value, "revision": 1, "observed": results.observed}
        await Rows.of(_EVENT, events, common).insert(connection, "events")
        told = json_array(event[2] for event in events)
        await connection.execute(_NOTE, (seq, told))
        await connection.execute(_LEAVE, (told,))
        await connection.executemany(
            "UPDATE usage_queue SET due = ?, asked = asked + 1 WHERE job = ?",
            [(due, job) for job, due in results.later.items()],
        )
        await connection.executemany(
            "UPDATE usage_queue SET due = ? WHERE job = ?", [(due, job) for job, due in results.put_off.items()]
        )
        return len(events)

    return await intake.append(work)
