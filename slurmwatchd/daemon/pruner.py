"""Retention at work, and packing: beside reading and delivery, a little at a time, never in anybody's way."""

from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from slurmwatchd.errors import StoreFullError, TransientError
from slurmwatchd.model.clock import Clock
from slurmwatchd.store import packing, placements, retention, sums
from slurmwatchd.store.database import Database
from slurmwatchd.store.read.status import HELD_SECONDS
from slurmwatchd.store.retention import Limits, PrunedRows
from slurmwatchd.telemetry.health import Health
from slurmwatchd.telemetry.log import get_logger
from slurmwatchd.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from slurmwatchd.daemon.archiver import Archiver

ROUND_SECONDS = 600.0
"""How often it is looked for what has had its time."""

REST = 4.0
"""After each step it rests this many times as long as the step took: a fifth of the writer's time at most."""

HURRIED_EVENTS = 5000
"""So many are packed at most by who reads once and ends."""

HURRIED_ATTEMPTS = 50_000
"""Of so many it is packed at most where they ran."""

_REST_SECONDS = (0.02, 5.0)
_PATIENCE_SECONDS = 300.0

_log = get_logger(__name__)

T = TypeVar("T")


class Pruner:
    """Keeps one store to its retention."""

    def __init__(  # noqa: PLR0913 - all that it works with
        self,
        database: Database,
        *,
        retain_seconds: int,
        sinks: Collection[str],
        clusters: Collection[str],
        named: bool = True,
        archiver: "Archiver | None",
        clock: Clock,
        metrics: Metrics,
        health: Health,
    ) -> None:
        """Prepare; nothing is removed.

        Args:
            database: The store.
            retain_seconds: How long attempts are kept.
            sinks: The configured ones: what they have not got stays. Others hold nothing.
            clusters: The watched ones: what may still be read of them stays.
            named: Whether attempts have the names that `clusters` has, see `retention.limits`.
            archiver: What the archive has not taken stays; None: there is no archive.
            clock: Says what is old.
            metrics: Count what went.
            health: Sees that this loop lives.
        """
        self._database = database
        self._retain_seconds = retain_seconds
        self._sinks = sinks
        self._clusters = clusters
        self._named = named
        self._holding: set[str] = set()
        self._archiver = archiver
        self._clock = clock
        self._metrics = metrics
        self._health = health

    async def run(self) -> None:
        """Prune for ever; what cannot be done now is done in the next round."""
        while True:
            try:
                await self.round()
            except TransientError as error:
                # A full disk is reported once, by `Disks`.
                log = _log.debug if isinstance(error, StoreFullError) else _log.warning
                log("pruning waits", error=str(error))
            self._tick(ROUND_SECONDS)
            await self._clock.sleep(ROUND_SECONDS)

    async def round(self, *, rest: bool = True) -> None:
        """Remove all that has had its time.

        Args:
            rest: Whether others want to write meanwhile.

        Raises:
            StoreBusyError: The store cannot be written now.
        """
        database = self._database
        before = int(self._clock.now()) - self._retain_seconds - retention.MARGIN_SECONDS
        limits = await retention.limits(database, self._clusters, before=before, named=self._named)
        up_to = await retention.undelivered_from(database, self._sinks)
        if self._archiver is not None:
            up_to = min(up_to, await self._archiver.taken_up_to())
        total = PrunedRows()
        await self._fill(rest=rest)
        await self._prune_events(limits, up_to, total, rest=rest)
        steps: tuple[Callable[[], Awaitable[PrunedRows]], ...] = (
            lambda: retention.prune_dictionaries(database),
            lambda: retention.prune_nodelists(database),
            lambda: retention.prune_records(database, before=before),
            lambda: retention.prune_told(database, before=limits.first),
            lambda: retention.prune_sinks(database, self._sinks, before=before),
        )
        for step in steps:
            while pruned := await self._timed(step, rest=rest):
                total.add_all(pruned)
        await self._pack(rest=rest)
        await self._pack_placements(rest=rest)
        size, free = await retention.sizes(database)
        self._metrics.store_bytes.set(size)
        self._metrics.store_free_bytes.set(free)
        if total.rows:
            _log.info("pruned", **total.rows)

    async def _prune_events(self, limits: Limits, up_to: int, total: PrunedRows, *, rest: bool) -> None:
        """Remove the events that have had their time, and show which clusters keep theirs for longer."""
        reached, held = 0, dict[str, int]()
        while (found := await retention.expired(self._database, limits, after=reached, up_to=up_to)) is not None:
            self._tick(0)
            reached = found.reached
            held = {**found.held, **held}
            if found.seqs:
                step = partial(retention.prune_events, self._database, limits, found)
                total.add_all(await self._timed(step, rest=rest))
        for cluster in self._clusters:
            over = limits.before - held.get(cluster, limits.before)
            self._metrics.retention_held.labels(cluster).set(over)
            if over < HELD_SECONDS:
                self._holding.discard(cluster)
            elif cluster not in self._holding:
                self._holding.add(cluster)
                _log.warning("attempts kept for longer, later ones are unread", cluster=cluster, seconds=over)

    async def _pack(self, *, rest: bool) -> None:
        """Pack all that is not packed yet; without a rest only some, or an old store would hold up `once`."""
        began, total = self._clock.monotonic(), 0
        while count := await self._resting(lambda: packing.pack(self._database), rest=rest):
            total += count
            if not rest and total >= HURRIED_EVENTS:
                break
        if total >= packing.STEP_ROWS:
            _log.info("store packed", events=total, seconds=round(self._clock.monotonic() - began))
        if taken := await packing.renew(self._database):
            _log.info("store packed in a new way", dictionaries=taken)

    async def _pack_placements(self, *, rest: bool) -> None:
        """Pack where attempts ran; without a rest only some."""
        total = 0
        while count := await self._resting(lambda: placements.pack(self._database), rest=rest):
            total += count
            if not rest and total >= HURRIED_ATTEMPTS:
                break

    async def _fill(self, *, rest: bool) -> None:
        """Add to the sums what was stored before there were sums, before any of it expires."""
        if not await sums.is_behind(self._database):
            return
        count, began = 0, self._clock.monotonic()
        while added := await sums.fill(self._database):
            self._tick(0)
            count += added
            took = self._clock.monotonic() - began
            if rest:
                await self._clock.sleep(max(_REST_SECONDS[0], min(_REST_SECONDS[1], took)))
            began = self._clock.monotonic()
        _log.info("sums filled from the attempts in the store", attempts=count)

    async def _timed(self, step: Callable[[], Awaitable[PrunedRows]], *, rest: bool) -> PrunedRows:
        """Take a step, then rest."""

        async def counted() -> PrunedRows:
            pruned = await step()
            for table, count in pruned.rows.items():
                self._metrics.pruned.labels(table).inc(count)
            return pruned

        return await self._resting(counted, rest=rest)

    async def _resting(self, step: Callable[[], Awaitable[T]], *, rest: bool) -> T:
        """Do something, and rest if that was anything."""
        self._tick(0)
        began = self._clock.monotonic()
        done = await step()
        least, most = _REST_SECONDS
        if rest and done:
            await self._clock.sleep(min(most, max(least, REST * (self._clock.monotonic() - began))))
        return done

    def _tick(self, seconds: float) -> None:
        self._health.tick("pruning", within_seconds=seconds + _PATIENCE_SECONDS)
