"""One cluster's answers on their way into the store: batch by batch, node lists expanded, ledger last."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

import anyio
from anyio.abc import ObjectSendStream

from slurmwatchd.model.attempts import NOTHING, AttemptBatch
from slurmwatchd.model.clock import Clock
from slurmwatchd.model.ledger import Ledger
from slurmwatchd.model.policy import ReadPolicy
from slurmwatchd.model.records import FoundBy
from slurmwatchd.model.windows import Window
from slurmwatchd.sources.nodelists import Expanded, Expander
from slurmwatchd.sources.sacct.client import ParsedRows, Sacct, SacctAnswer
from slurmwatchd.sources.sacct.layouts import Layouts
from slurmwatchd.sources.sacctmgr import Sacctmgr
from slurmwatchd.sources.sdiag import Sdiag
from slurmwatchd.store import ledger as ledger_store
from slurmwatchd.store import nodelists as nodelist_store
from slurmwatchd.store.batch import Batch, Committed
from slurmwatchd.store.database import Database
from slurmwatchd.store.intake import Intake
from slurmwatchd.store.known_attempts import KnownAttempt
from slurmwatchd.telemetry.health import Health
from slurmwatchd.telemetry.log import get_logger
from slurmwatchd.telemetry.metrics import Metrics
from slurmwatchd.watcher.anchors import Anchors, within
from slurmwatchd.watcher.half_written import HalfWrittenRows
from slurmwatchd.watcher.name_lists import NameLists
from slurmwatchd.watcher.open_jobs import OpenJobs
from slurmwatchd.watcher.silence import ShownRows, SilenceCheck

LARGE_BYTES = 1 << 20
"""A larger answer is stored while the next is fetched."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FetchedAnswer:
    """A complete answer on its way to the store."""

    window: Window
    answer: SacctAnswer
    read_at: int
    ledger: Ledger
    unchanged: int = 0
    """Attempts that were compared and are as the store has them: they are not in the answer."""
    missing: Sequence[KnownAttempt] = ()
    """The jobs that were asked for by name, where that was done."""
    anchor: KnownAttempt | None = None
    """What a list of open jobs must show; None where nothing is known."""
    stored: anyio.Event = field(default_factory=anyio.Event, repr=False)
    """Set once it is in the store."""
    resources: AsyncExitStack = field(default_factory=AsyncExitStack, repr=False)

    @property
    def is_large(self) -> bool:
        """Whether storing it takes so long that the next answer is better fetched meanwhile."""
        return self.answer.size > LARGE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class WatcherParts:
    """What a watcher and its storer work with."""

    sacct: Sacct
    layouts: Layouts
    sdiag: Sdiag
    sacctmgr: Sacctmgr
    job_numbers: Callable[[], Awaitable[range | None]]
    """Asks slurmctld which numbers it gave to jobs; None where it does not answer."""
    expander: Expander
    database: Database
    intake: Intake
    clock: Clock
    metrics: Metrics
    health: Health
    committed: Callable[[], None]
    """Called after each transaction that made events: wakes the sinks."""


@dataclass(frozen=True, slots=True)
class StoreResult:
    """What came of an answer: rows that sacct printed, and what they were."""

    rows: int
    total: Committed


class Storer:
    """Brings one cluster's answers into the store."""

    def __init__(
        self,
        cluster: str,
        parts: WatcherParts,
        settling: HalfWrittenRows,
        suspicion: SilenceCheck,
        anchors: Anchors,
        roll_call: OpenJobs,
        *,
        withhold: Callable[[Ledger], Ledger],
        alive: Callable[[], None],
    ) -> None:
        """Prepare.

        Args:
            cluster: Its name in the ledger and in labels.
            parts: What it works with.
            settling: Knows which rows are to be waited for.
            suspicion: Judges whether an answer can be all there is.
            anchors: What answers are held to show.
            roll_call: Takes the listings of open jobs.
            withhold: Makes of the ledger after a reading the one to save: without what must be read again.
            alive: Called with each batch, as a sign of life: an answer may have hundreds.
        """
        self.cluster = cluster
        self._parts = parts
        self._settling = settling
        self._suspicion = suspicion
        self._anchors = anchors
        self._names = NameLists(parts.sacctmgr, parts.clock)
        self._roll_call = roll_call
        self._withhold = withhold
        self._alive = alive

    async def store(self, fetched: FetchedAnswer, policy: ReadPolicy) -> StoreResult:
        """Take in an answer of any kind.

        Args:
            fetched: The answer.
            policy: How much one call may ask for, where the answer has to be asked for again.

        Raises:
            SacctOutputError: Header or framing is not what was asked for: the ledger does not move.
            SilenceError: The answer cannot be all there is: the ledger does not move.
            StoreBusyError: The store cannot be written now.
        """
        if fetched.window.found_by is not FoundBy.OPEN_SET:
            return await self._store_window(fetched, policy)
        if not fetched.window.absent:
            count = await self._roll_call.listed(fetched.answer, fetched.read_at, anchor=fetched.anchor)
            return StoreResult(count, Committed())
        total, rows = Committed(), 0
        async for batch in fetched.answer.rows():
            total += await self._commit(fetched, batch, None)
            rows += batch.count
        await self._roll_call.asked(fetched.missing, fetched.read_at)
        return StoreResult(rows, total)

    async def _store_window(self, fetched: FetchedAnswer, policy: ReadPolicy) -> StoreResult:
        """Commit an answer batch by batch; the ledger moves with the last, when all of it is proved."""
        total = Committed()
        rows, beside = fetched.unchanged, 0
        known = await self._anchors.count(*fetched.window.asked)
        last: ParsedRows | None = None
        async for batch in fetched.answer.rows():
            if last is not None:
                total += await self._commit(fetched, last, None)
            last = batch
            rows += batch.count
            beside += len(batch.readings) - len(self._own(fetched, batch.readings))
        last = last or ParsedRows(NOTHING)
        self._parts.metrics.rows.labels(self.cluster).inc(fetched.unchanged)
        shown = fetched.unchanged + total.shown
        shown += await self._anchors.count_shown(last.readings.keys, *fetched.window.asked) if shown < known else 0
        answer = ShownRows(window=fetched.window, rows=rows, known=known, shown=shown, new=total.new)
        if not answer.proves_itself:
            # What it does show is true, whatever it lacks.
            total += await self._commit(fetched, last, None)
            last = ParsedRows(NOTHING)
        await self._suspicion.examine(replace(answer, new=total.new), fetched.ledger, policy)
        completed = ledger_store.LedgerUpdate(
            cluster=self.cluster,
            window=fetched.window,
            read_at=fetched.read_at,
            ledger=fetched.ledger,
            rows=rows - beside,
            new=total.new,
            revised=total.revised,
            rejected=total.rejected,
            seconds=fetched.answer.seconds,
        )
        total += await self._commit(fetched, last, completed)
        return StoreResult(rows - beside, total)

    async def _commit(
        self, fetched: FetchedAnswer, rows: ParsedRows, completed: ledger_store.LedgerUpdate | None
    ) -> Committed:
        self._alive()
        parts = self._parts
        observed = int(parts.clock.now())
        again = fetched.window.found_by is not FoundBy.BACKFILL
        readings = self._settling.ripe(rows.readings, observed, again=again)
        parts.metrics.unsettled.labels(self.cluster).set(len(self._settling))
        if completed is not None:
            completed = replace(completed, ledger=self._withhold(completed.ledger))
        readings = await self._without_strangers(fetched, readings)
        with self._suspicion.telling():
            await self._names.examine(readings, fetched.answer.slots)
        async with parts.database.using_lists.shared():
            expanded = await self._expand(readings)
            batch = Batch(
                cluster=self.cluster,
                readings=readings,
                rejected=rows.rejected,
                slots=fetched.answer.slots,
                observed=observed,
                found_by=fetched.window.found_by,
                expanded=expanded.nodes,
                revising=parts.layouts.revising,
                span=fetched.window.asked,
            )
            committed = await parts.intake.commit(batch, completed)
        self._count(committed, readings, expanded, fetched.window.found_by)
        if committed.quarantined:
            _log.warning(
                "rows quarantined, see `slurmwatchd quarantine list`",
                cluster=self.cluster,
                rows=committed.quarantined,
                reasons="; ".join(sorted({row.reason for row in rows.rejected})[:3]),
            )
        if committed.new or committed.revised:
            parts.metrics.store_seq.set(committed.seq)
            parts.committed()
        return committed

    async def _without_strangers(self, fetched: FetchedAnswer, readings: AttemptBatch) -> AttemptBatch:
        """Return the readings without what lies on the way to an anchor and is not this window's to bring.

        Before the horizon no one asked to have anything read, and what a backfill finds beside its own stretch
        would pass for the past.
        """
        own = self._own(fetched, readings)
        if own is readings:
            return readings
        strange = set(readings.keys).difference(own.keys)
        strange -= await self._anchors.among(strange)
        return readings.take([place for place, key in enumerate(readings.keys) if key not in strange])

    @staticmethod
    def _own(fetched: FetchedAnswer, readings: AttemptBatch) -> AttemptBatch:
        """Return the readings of attempts that ended in the stretch that the answer covers."""
        window = fetched.window
        if window.found_by is FoundBy.OPEN_SET or window.asked == (window.start, window.end):
            return readings
        start, end = window.covered(fetched.ledger.horizon)
        # A poll looks a little ahead.
        return within(readings, start, None if window.head else end)

    async def _expand(self, readings: AttemptBatch) -> Expanded:
        """Return the nodes of the lists that are not in the store."""
        met = set(readings.columns["node_list"]) - {None}
        if not met:
            return Expanded({}, {})
        fresh = met - await nodelist_store.known(self._parts.database, met)
        if not fresh:
            return Expanded({}, {})
        counts = dict(readings.values("node_list", "node_count"))
        return await self._parts.expander.expand(fresh, counts)

    def _count(
        self,
        committed: Committed,
        readings: AttemptBatch,
        expanded: Expanded,
        found_by: FoundBy,
    ) -> None:
        """Count in the metrics what a transaction did."""
        metrics, name = self._parts.metrics, self.cluster
        metrics.rows.labels(name).inc(len(readings) + committed.rejected)
        metrics.records.labels(name, found_by).inc(committed.new)
        metrics.revisions.labels(name).inc(committed.revised)
        metrics.quarantined.labels(name).inc(committed.quarantined)
        metrics.unparsed.labels(name).inc(sum(map(len, filter(None, readings.columns["raw"]))))
        metrics.scontrol_failures.labels(name).inc(expanded.fallbacks)
        metrics.nodelist_failures.labels(name).inc(len(expanded.failed))
        for error in expanded.failed.values():
            _log.warning("node list not expanded", cluster=name, error=str(error))
        wrong = _miscounted(readings, expanded) if expanded.nodes else []
        metrics.nodelist_mismatches.labels(name).inc(len(wrong))
        for job_id, node_list, node_count in wrong:
            _log.warning(
                "node list and node count differ",
                cluster=name,
                job_id=job_id,
                node_list=node_list,
                node_count=node_count,
            )


def _miscounted(readings: AttemptBatch, expanded: Expanded) -> list[tuple[str, str, int]]:
    """Return job id, list and count where a list just expanded has another number of nodes than Slurm says."""
    return [
        row
        for row in readings.values("job_id", "node_list", "node_count")
        if row[1] in expanded.nodes and row[2] is not None and len(expanded.nodes[row[1]]) != row[2]
    ]


async def hand_over(send: ObjectSendStream[FetchedAnswer], fetched: FetchedAnswer) -> bool:
    """Give an answer to the task that stores; return whether it still takes any.

    If not, storing failed, which ends this round: the error is on its way out of the other task.
    """
    try:
        await send.send(fetched)
    except anyio.BrokenResourceError:
        await fetched.resources.aclose()
        return False
    except BaseException:
        await fetched.resources.aclose()
        raise
    return True
