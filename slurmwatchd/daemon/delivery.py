"""One sink: read events after its cursor, hand them over, move the cursor; back off when that fails.

Each sink is a task of its own with a cursor of its own: one that is dead or slow holds up neither the
pipeline, which never calls a sink, nor another sink.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import anyio

from slurmwatchd.errors import SinkError, SinkFullError, SlurmwatchError, StoreFullError, TransientError
from slurmwatchd.model.clock import Backoff, Clock
from slurmwatchd.model.records import Event
from slurmwatchd.sinks.base import BATCH_EVENTS, LooksAhead, Sink
from slurmwatchd.sinks.selection import EVERYTHING, Selection
from slurmwatchd.store import outbox, selections
from slurmwatchd.store.database import Database
from slurmwatchd.store.repair.already_delivered import AlreadyDelivered
from slurmwatchd.telemetry.disks import Disks
from slurmwatchd.telemetry.health import Health, SinkHealth
from slurmwatchd.telemetry.log import Repeats, get_logger
from slurmwatchd.telemetry.metrics import Metrics

IDLE_SECONDS = 30.0
"""How long to wait for a wake-up before looking anyway."""

READ_AHEAD_EVENTS = 100
"""While a sink writes so many, the next ones are read: behind a few there is seldom more."""

_PATIENCE_SECONDS = 300.0

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryParts:
    """What deliveries work with."""

    database: Database
    clock: Clock
    metrics: Metrics
    health: Health


@dataclass(frozen=True, slots=True)
class _Batch:
    """Events read from the store at once.

    Attributes:
        events: All of them.
        wanted: Those that the sink is given.
        fresh: Those of them that it does not have from an earlier store.
        met: The ids of those that it has.
    """

    events: Sequence[Event]
    wanted: Sequence[Event]
    fresh: Sequence[Event]
    met: set[str]


class Delivery:
    """Brings events to one sink."""

    def __init__(
        self,
        name: str,
        sink: Sink,
        parts: DeliveryParts,
        *,
        selection: Selection = EVERYTHING,
        batch_events: int = BATCH_EVENTS,
    ) -> None:
        """Prepare; nothing is opened."""
        self.name = name
        self._sink = sink
        self._parts = parts
        self._selection = selection
        self._batch_events = batch_events
        self._backoff = Backoff(first_seconds=0.5, ceiling_seconds=60.0)
        self._repeats = Repeats()
        self._wake = anyio.Event()
        self._stopping = False
        self._pause = anyio.CancelScope()
        self._reopen = False
        self._opened = False
        self._seq = 0
        # What a receiver did not take: it is tried again as it was read.
        self._refused: _Batch | None = None
        self._failing = False
        self._told: AlreadyDelivered | None = None
        self._told_failure = False
        self._disks = Disks(parts.health, parts.metrics)
        self._health = parts.health.sinks.setdefault(name, SinkHealth())
        parts.metrics.sink_up.labels(name).set(0)

    def wake(self) -> None:
        """Say that there are new events."""
        self._wake.set()

    def stop(self) -> None:
        """Have `run` return once what it delivers is delivered; a pause ends at once.

        A write that is cut off may have arrived, and comes again: that is for a crash, not for an orderly stop.
        """
        self._stopping = True
        self._pause.cancel()

    def reopen(self) -> None:
        """Have the sink let go of its files before the next delivery (SIGHUP)."""
        self._reopen = True
        self._wake.set()

    async def enter(self) -> None:
        """Make or find the sink's cursor; called before anything is read, so that nothing is before it."""
        parts = self._parts
        position = await outbox.position(parts.database, self.name, now=int(parts.clock.now()))
        self._seq = position.seq
        await selections.note(parts.database, self.name, position.seq, self._selection.settings)
        self._told = await AlreadyDelivered.load(parts.database, self.name)

    async def run(self) -> None:
        """Deliver until `stop`."""
        while True:
            # The event is renewed before looking: what comes after the look sets the new one.
            self._wake = anyio.Event()
            wait, pause = IDLE_SECONDS, self._until_woken
            try:
                await self.drain()
            except TransientError as error:
                self._failed(error)
                # New events do not cut this short: a dead receiver must not be knocked at for each of them.
                wait, pause = self._backoff.next(), self._parts.clock.sleep
                if isinstance(error, SinkError):
                    wait = max(wait, error.retry_after)
            if self._stopping:
                return
            self._tick(wait)
            with anyio.CancelScope() as self._pause:
                await pause(wait)
            if self._pause.cancelled_caught:
                return

    async def _until_woken(self, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await self._wake.wait()

    async def drain(self) -> None:
        """Deliver all there is.

        Raises:
            TransientError: The receiver or the store cannot go on now.
        """
        parts = self._parts
        if self._reopen:
            self._reopen = False
            with self._bugs_named():
                await self._sink.reopen()
        if not self._opened:
            position = await outbox.position(parts.database, self.name, now=int(parts.clock.now()))
            with self._bugs_named():
                await self._sink.open(position.state)
            self._seq = position.seq
            self._opened = True
        batch, self._refused = self._refused or await self._read(self._seq), None
        while batch is not None:
            self._tick(0)
            parts.metrics.oldest_undelivered.labels(self.name).set(batch.events[0].observed)
            batch = await self._deliver(batch) or await self._read(self._seq)
        self._succeeded()

    async def _read(self, seq: int) -> _Batch | None:
        """Return the events behind a position, and which of them the sink gets; None where there is none."""
        events = await outbox.after(self._parts.database, seq, self._batch_events)
        if not events:
            return None
        wanted = await self._selection.among(events)
        met = await self._told.among(wanted) if self._told is not None and wanted else set()
        fresh = [event for event in wanted if event.id not in met] if met else wanted
        return _Batch(events, wanted, fresh, met)

    async def _deliver(self, batch: _Batch) -> _Batch | None:
        """Hand a batch to the sink and move the cursor; meanwhile read the next one where there are more.

        Behind a failure nothing is read ahead: a dead receiver costs the others no reading.

        Returns:
            The next batch if it was read.
        """
        if len(batch.events) < READ_AHEAD_EVENTS or self._failing:
            await self._write(batch)
            return None
        ahead: _Batch | None = None

        async def read_ahead() -> None:
            nonlocal ahead
            # It is read again, and fails again, when it is its turn.
            with suppress(SlurmwatchError):
                ahead = await self._read(batch.events[-1].seq)
                if ahead is not None and isinstance(self._sink, LooksAhead):
                    with self._bugs_named():
                        await self._sink.expect(ahead.fresh)

        failure: Exception | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(read_ahead)
            try:
                await self._write(batch)
            except Exception as error:  # noqa: BLE001 - raised below, without the group around it
                failure = error
                group.cancel_scope.cancel()
        if failure is not None:
            raise failure
        return ahead

    async def _write(self, batch: _Batch) -> None:
        """Hand a batch to the sink, and move the cursor over it."""
        parts, newest = self._parts, batch.events[-1].seq
        state: Mapping[str, bytes] = {}
        if batch.fresh:
            try:
                with self._bugs_named():
                    state = await self._sink.write(batch.fresh)
            except SinkError as error:
                self._failing = True
                if error.written:
                    await self._keep(batch, error.written)
                elif len(batch.events) == self._batch_events:
                    # A smaller one is read again, with what came meanwhile.
                    self._refused = batch
                raise
        self._failing = False
        now = int(parts.clock.now())
        await outbox.advance(parts.database, self.name, newest, state, now=now, met=batch.met)
        if batch.fresh:
            with self._bugs_named():
                self._sink.committed()
        self._seq = newest
        parts.metrics.left_out.labels(self.name).inc(len(batch.events) - len(batch.wanted))
        self._delivered(len(batch.fresh))

    async def _keep(self, batch: _Batch, written: int) -> None:
        """Move the cursor over what a sink has of a batch of which it could not take all."""
        seq = batch.fresh[written - 1].seq
        passed = batch.met & {event.id for event in batch.events if event.seq <= seq}
        now = int(self._parts.clock.now())
        await outbox.advance(self._parts.database, self.name, seq, {}, now=now, met=passed)
        self._seq = seq
        passed_by, given = (sum(event.seq <= seq for event in some) for some in (batch.events, batch.wanted))
        self._parts.metrics.left_out.labels(self.name).inc(passed_by - given)
        self._delivered(written)

    async def close(self) -> None:
        """Let the sink go."""
        with self._bugs_named():
            await self._sink.close()

    @contextmanager
    def _bugs_named(self) -> Iterator[None]:
        """Log which sink raised what no sink may raise: it ends the process, whose traceback names no sink."""
        try:
            yield
        except SlurmwatchError:
            raise
        except Exception as error:
            _log.error("sink raised an unexpected error, stopping", sink=self.name, exc_info=error)
            raise

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
        # A full disk is reported once, by `Disks`: the sink's own here, the store's where it is written.
        is_full = isinstance(error, SinkFullError | StoreFullError)
        is_news = not is_full and self._repeats.is_news(str(error), self._parts.clock.monotonic())
        self._told_failure |= is_news
        log = _log.warning if is_news else _log.debug
        log("delivery failed", sink=self.name, failures=self._backoff.failures + 1, error=str(error))

    def _tick(self, seconds: float) -> None:
        self._parts.health.tick(f"sink {self.name}", within_seconds=seconds + _PATIENCE_SECONDS)
