"""Attempts for the tests of the store: readings as the sources make them, written by hand."""

from collections.abc import Mapping, Sequence
from typing import Any

from slurmwatchd.model.ledger import Ledger
from slurmwatchd.model.records import FoundBy, JobRecord
from slurmwatchd.model.windows import Window
from slurmwatchd.store.batch import Batch
from slurmwatchd.store.database import Database
from slurmwatchd.store.ledger import LedgerUpdate
from tests.row_by_row import taken_apart

NOW = 1_795_400_000

SLOTS = frozenset(JobRecord._fields)

Reading = tuple[JobRecord, int]


def attempt(number: int, **fields: Any) -> JobRecord:  # noqa: ANN401 - any field
    """A job of ten seconds that ended a minute ago on n1."""
    return JobRecord(
        cluster="sim",
        job_id_raw=number,
        **{
            "job_id": str(number),
            "name": f"job {number}",
            "user": "ann",
            "account": "physics",
            "partition": "main",
            "state": "COMPLETED",
            "submit": NOW - 100,
            "eligible": NOW - 100,
            "start": NOW - 70,
            "end": NOW - 60,
            "elapsed_seconds": 10,
            "node_count": 1,
            "cpus": 1,
            "node_list": "n1",
            **fields,
        },
    )


def reading(number: int, digest: int = 1, **fields: Any) -> Reading:  # noqa: ANN401 - any field
    return attempt(number, **fields), digest


def batch(*readings: Reading, **fields: Any) -> Batch:  # noqa: ANN401 - any field
    """A batch as the pipeline makes one; the nodes of n1 are known."""
    settings: dict[str, Any] = {
        "cluster": "sim",
        "readings": taken_apart(readings),
        "slots": SLOTS,
        "observed": NOW,
        "found_by": FoundBy.POLL,
        "expanded": {"n1": ("n1",)},
        **fields,
    }
    return Batch(**settings)


def completed(start: int = NOW - 120, end: int = NOW) -> LedgerUpdate:
    """A head poll of the last two minutes, the first ever."""
    return LedgerUpdate(
        cluster="sim",
        window=Window(start, end, head=True),
        read_at=end,
        ledger=Ledger(start).read(start, end, end),
        rows=1,
        new=0,
        revised=0,
        rejected=0,
        seconds=0.5,
    )


async def rows(database: Database, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await database.read(sql, tuple(parameters))]


async def counts(database: Database) -> Mapping[str, int]:
    """How many rows each table has that one transaction fills."""
    tables = ("jobs", "events", "nodelists", "nodes", "quarantine", "coverage", "ledger", "horizons")
    return {table: (await rows(database, f"SELECT count(*) FROM {table}"))[0][0] for table in tables}  # noqa: S608
