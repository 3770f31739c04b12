"""Quarantined rows read again, by today's program: what can be keyed now becomes an attempt like any other."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from slurmwatchd.model.attempts import AttemptBatch
from slurmwatchd.model.clock import Clock
from slurmwatchd.model.records import FoundBy
from slurmwatchd.sources.nodelists import Expanded, Expander
from slurmwatchd.sources.sacct.columns import ColumnReader
from slurmwatchd.sources.sacct.fields import Layout
from slurmwatchd.store import nodelists as nodelist_store
from slurmwatchd.store import quarantine
from slurmwatchd.store.batch import Batch
from slurmwatchd.store.database import Database
from slurmwatchd.store.intake import Intake
from slurmwatchd.store.quarantine import Quarantined
from slurmwatchd.telemetry.log import get_logger
from slurmwatchd.telemetry.metrics import Metrics

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryResult:
    """What came of rows read again.

    Attributes:
        released: How many have a key now and are out of the quarantine.
        new: How many of those the store did not have.
        refused: How many stay.
    """

    released: int = 0
    new: int = 0
    refused: int = 0

    def __add__(self, other: "RetryResult") -> "RetryResult":
        """Sum two."""
        return RetryResult(
            released=self.released + other.released, new=self.new + other.new, refused=self.refused + other.refused
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineRetrier:
    """Reads the rows again that someone asked for; only who holds the store's lock may have one."""

    database: Database
    intake: Intake
    expander: Expander
    clock: Clock
    metrics: Metrics

    async def retry(self) -> RetryResult:
        """Read all rows asked for.

        Raises:
            StoreBusyError: The store cannot be written now; what is not done is still asked for.
        """
        total = RetryResult()
        while rows := await quarantine.asked(self.database):
            total += await self._retry(rows)
        if total.released or total.refused:
            _log.info("quarantined rows retried", released=total.released, new=total.new, refused=total.refused)
        return total

    async def _retry(self, rows: Sequence[Quarantined]) -> RetryResult:
        keyed: dict[tuple[str, frozenset[str]], list[tuple[int, AttemptBatch]]] = defaultdict(list)
        refused: list[tuple[int, str]] = []
        for row in rows:
            found = read(row)
            if isinstance(found, str):
                refused.append((row.id, found))
            else:
                slots, reading = found
                keyed[reading.columns["cluster"][0], slots].append((row.id, reading))
        outcome = RetryResult(refused=len(refused))
        for (cluster, slots), readings in keyed.items():
            outcome += await self._commit(cluster, slots, readings)
        await quarantine.refuse(self.database, refused)
        return outcome

    async def _commit(
        self, cluster: str, slots: frozenset[str], released: Sequence[tuple[int, AttemptBatch]]
    ) -> RetryResult:
        """Move rows into attempts and events, in one transaction."""
        readings = AttemptBatch.joined([reading for _, reading in released])
        met = set(readings.columns["node_list"]) - {None}
        # A list that is known must not be pruned before the attempt has it.
        async with self.database.using_lists.shared():
            fresh = met - await nodelist_store.known(self.database, met)
            expanded = await self.expander.expand(fresh) if fresh else Expanded({}, {})
            batch = Batch(
                cluster=cluster,
                readings=readings,
                slots=slots,
                observed=int(self.clock.now()),
                found_by=FoundBy.REREAD,
                expanded=expanded.nodes,
                released=tuple(number for number, _ in released),
            )
            committed = await self.intake.commit(batch)
        self.metrics.records.labels(cluster, FoundBy.REREAD).inc(committed.new)
        self.metrics.store_seq.set(self.intake.last_seq)
        return RetryResult(released=len(readings), new=committed.new)


def read(row: Quarantined) -> tuple[frozenset[str], AttemptBatch] | str:
    """Read a row by today's layout of the fields it was asked with; a text says why that is not possible.

    Returns:
        The record's fields the row could fill, and the attempt by itself; or the reason.
    """
    if len(row.row) != len(row.fields):
        return f"{len(row.row)} values for {len(row.fields)} fields"
    try:
        layout = Layout(row.fields)
    except ValueError as error:
        return str(error)
    values = dict(zip(row.fields, row.row, strict=True))
    readings, rejected = ColumnReader(layout).read([[values[name]] for name in layout.fields])
    return rejected[0].reason if rejected else (layout.slots, readings)
