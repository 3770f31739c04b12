"""One sink: read events after its cursor, hand them over, move the cursor; back off when that fails.

Each sink is a task of its own with a cursor of its own: one that is dead or slow holds up neither the
pipeline, which never calls a sink, nor another sink.
"""

from dataclasses import dataclass

import anyio

from slurmwatchd.errors import SinkFullError, StoreFullError, TransientError
from slurmwatchd.model.clock import Backoff, Clock
from slurmwatchd.model.records import FoundBy
from slurmwatchd.sinks.base import Sink
from slurmwatchd.store import outbox
from slurmwatchd.store.database import Database
from slurmwatchd.store.repair.already_delivered import Told
from slurmwatchd.telemetry.disks import Disks
from slurmwatchd.telemetry.health import Health, SinkHealth
from slurmwatchd.telemetry.log import Repeats, get_logger
from slurmwatchd.telemetry.metrics import Metrics

BATCH_EVENTS = 2000

IDLE_SECONDS = 30.0
"""How long to wait for a wake-up before looking anyway."""

_PATIENCE_SECONDS = 300.0

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryParts:
    """What deliveries work with."""

    database: Database
    clock: Clock
    metrics: Metrics
    health: Health


class Delivery:
    """Brings events to one sink."""

    def __init__(self, name: str, sink: Sink, parts: DeliveryParts, *, wants_backfill: bool = True) -> None:
        """Prepare; nothing is opened."""
        self.name = name
        self._sink = sink
        self._parts = parts
        self._wants_backfill = wants_backfill
        self._backoff = Backoff(first_seconds=0.5, ceiling_seconds=60.0)
        self._repeats = Repeats()
        self._wake = anyio.Event()
        self._reopen = False
        self._opened = False
        self._seq = 0
        self._told: Told | None = None
        self._told_failure = False
        self._disks = Disks(parts.health, parts.metrics)
        self._health = parts.health.sinks.setdefault(name, SinkHealth())
        parts.metrics.sink_up.labels(name).set(0)

    def wake(self) -> None:
        """Say that there are new events."""
        self._wake.set()

    def reopen(self) -> None:
        """Have the sink let go of its files before the next delivery (SIGHUP)."""
        self._reopen = True
        self._wake.set()

    async def enter(self) -> None:
        """Make or find the sink's cursor; called before anything is read, so that nothing is before it."""
        parts = self._parts
        position = await outbox.position(parts.database, self.name, now=int(parts.clock.now()))
        self._seq = position.seq
        self._told = await Told.load(parts.database, self.name)

    async def run(self) -> None:
        """Deliver for ever."""
        while True:
            # The event is renewed before looking: what comes after the look sets the new one.
            self._wake = anyio.Event()
            try:
                await self.drain()
            except TransientError as error:
                self._failed(error)
                # New events do not cut this short: a dead receiver must not be knocked at for each of them.
                wait = self._backoff.next()
                self._tick(wait)
                await self._parts.clock.sleep(wait)
                continue
            self._tick(IDLE_SECONDS)
            with anyio.move_on_after(IDLE_SECONDS):
                await self._wake.wait()

    async def drain(self) -> None:
        """Deliver all there is.

        Raises:
            TransientError: The receiver or the store cannot go on now.
        """
        parts = self._parts
        if self._reopen:
            self._reopen = False
            await self._sink.reopen()
        if not self._opened:
            position = await outbox.position(parts.database, self.name, now=int(parts.clock.now()))
            await self._sink.open(position.state)
            self._seq = position.seq
            self._opened = True
        while events := await outbox.after(parts.database, self._seq, BATCH_EVENTS):
            self._tick(0)
            parts.metrics.oldest_undelivered.labels(self.name).set(events[0].observed)
            wanted = events
            if not self._wants_backfill:
                wanted = [event for event in events if event.found_by is not FoundBy.BACKFILL]
            met = await self._told.among(wanted) if self._told is not None and wanted else set()
            if met:
                wanted = [event for event in wanted if event.id not in met]
            state = await self._sink.write(wanted) if wanted else {}
            newest = events[-1].seq
            await outbox.advance(parts.database, self.name, newest, state, now=int(parts.clock.now()), met=met)
            if wanted:
                self._sink.committed()
            self._seq = newest
            self._delivered(len(wanted))
        self._succeeded()

    async def close(self) -> None:
        """Let the sink go."""
        await self._sink.close()

    def _delivered(self, count: int) -> None:
        self._health.seq = self._seq
        self._health.delivered += count
        self._parts.metrics.delivered.labels(self.name).inc(count)
        self._parts.metrics.sink_seq.labels(self.name).set(self._seq)

    def _succeeded(self) -> None:
        if self._told_failure:
            self._told_failure = False
            _log.info("sink recovered", sink=self.name, failures=self._backoff.failures)
            self._repeats.reset()
        self._backoff.reset()
        self._disks.room(f"sink {self.name}")
        self._health.error = ""
        self._health.seq = self._seq
        metrics = self._parts.metrics
        metrics.sink_up.labels(self.name).set(1)
        metrics.sink_seq.labels(self.name).set(self._seq)
        metrics.oldest_undelivered.labels(self.name).set(0)

    def _failed(self, error: TransientError) -> None:
        self._health.error = str(error)
        if isinstance(error, SinkFullError):
            self._disks.full(f"sink {self.name}", str(error))
        self._parts.metrics.sink_up.labels(self.name).set(0)
        self._parts.metrics.sink_failures.labels(self.name).inc()
        # A full disk is told of once, by `Disks`: the sink's own here, the store's where it is written.
        is_full = isinstance(error, SinkFullError | StoreFullError)
        is_news = not is_full and self._repeats.is_news(str(error), self._parts.clock.monotonic())
        self._told_failure |= is_news
        log = _log.warning if is_news else _log.debug
        log("delivery failed", sink=self.name, failures=self._backoff.failures + 1, error=str(error))

    def _tick(self, seconds: float) -> None:
        self._parts.health.tick(f"sink {self.name}", within_seconds=seconds + _PATIENCE_SECONDS)
