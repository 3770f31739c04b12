"""The daemon at work: the one root task group, in which order its parts start and stop, and what signals mean.

Order of stopping: watchers; then sinks, once they have what is in the store or the drain's deadline is over; then
the web server. How the parts are made is the business of `assembly.py`.
"""

import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import anyio
import anyio.lowlevel
import anyio.to_thread

from slurmwatchd.config.settings import Config
from slurmwatchd.daemon.certificates import Certificates
from slurmwatchd.daemon.delivery import Delivery
from slurmwatchd.daemon.nudges import Nudges
from slurmwatchd.daemon.partition_names import PartitionNames
from slurmwatchd.daemon.pruner import Pruner
from slurmwatchd.daemon.requests import LOOK_SECONDS, Requests
from slurmwatchd.daemon.sd_notify import Notifier
from slurmwatchd.daemon.sighup import hangups
from slurmwatchd.daemon.suspect_nodes import SuspectNodes
from slurmwatchd.errors import ConfigError, SlurmNotFoundError, TransientError
from slurmwatchd.model.clock import Clock, SystemClock
from slurmwatchd.model.policy import ReadPolicy
from slurmwatchd.sources.process import ProcessRunner, SystemProcessRunner
from slurmwatchd.store.database import Database
from slurmwatchd.telemetry.health import Health
from slurmwatchd.telemetry.log import configure, get_logger
from slurmwatchd.telemetry.metrics import Metrics
from slurmwatchd.watcher.watcher import Watcher

if TYPE_CHECKING:
    from slurmwatchd.daemon.archiver import Archiver

DRAIN_SECONDS = 20.0
"""How long, after SIGTERM, sinks may take to get what is in the store. What they do not get they get next time."""

ANSWERS_SECONDS = 3.0
"""How long, after the drain, requests under way may take to be answered."""

READY_SECONDS = 30.0
"""After this the daemon sends READY even if sacct hangs: a slow slurmdbd must not stop the boot."""

_START_TICK_SECONDS = 1.0
_TICK_SECONDS = LOOK_SECONDS
"""How often the daemon looks after itself, before it is ready and then. Waking up is most of what a look costs, so
this is done when requests are looked for."""

_RELOADED = ("poll", "log", "metrics")
"""The sections that a reload applies; all others take a restart."""

_log = get_logger(__name__)


class Server(Protocol):
    """The web server, as far as starting and stopping it goes."""

    async def run_until_stopped(self) -> None:
        """Serve until `stop`."""
        ...

    def stop(self) -> None:
        """Stop taking requests, finish those under way."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What the daemon touches of the world, for tests to replace."""

    clock: Clock = field(default_factory=SystemClock)
    runner: ProcessRunner = field(default_factory=SystemProcessRunner)
    notifier: Notifier = field(default_factory=Notifier)


@dataclass(slots=True, kw_only=True)
class Daemon:
    """All parts, wired; made by `assembly.assembled`."""

    config: Config
    outside: Outside
    database: Database
    watchers: list[Watcher]
    deliveries: list[Delivery]
    errands: Requests
    archiver: "Archiver | None"
    pruner: Pruner
    nudges: Nudges
    partition_names: PartitionNames
    suspect_nodes: SuspectNodes
    certificates: Certificates
    metrics: Metrics
    health: Health
    news: list[Callable[[], None]]
    """Called whenever events were committed; whoever wants to know adds itself."""
    _is_ready: bool = field(default=False, init=False)
    """Whether READY was sent to systemd."""

    async def once(self) -> None:
        """Read what is due, deliver it, and return.

        Raises:
            TransientError: Slurm, the store or a sink failed; what was read until then is in the store.
        """
        await self._finish([watcher.once for watcher in self.watchers])

    async def backfill(self) -> None:
        """Read what backfills have left, deliver it, and return.

        Raises:
            TransientError: Slurm, the store or a sink failed; what was read until then is in the store.
        """
        await self._finish([watcher.backfill for watcher in self.watchers])

    async def _finish(self, readings: list[Callable[[], Awaitable[None]]]) -> None:
        """Read, deliver, and raise the first error of all when that is done."""
        failures = await self._read_and_deliver(readings)
        if self.archiver is not None:
            try:
                await self.archiver.round(rest=False)
            except TransientError as error:
                failures.append(error)
        try:
            await self.pruner.round(rest=False)
        except TransientError as error:
            failures.append(error)
        if failures:
            raise failures[0]

    async def _read_and_deliver(self, readings: list[Callable[[], Awaitable[None]]]) -> list[Exception]:
        """Return the errors of both."""
        failures: list[Exception] = []
        async with anyio.create_task_group() as group:
            # Sinks get events while the next ones are read; how they fared is asked at the end.
            for delivery in self.deliveries:
                group.start_soon(delivery.run)
            for reading in readings:
                try:
                    await reading()
                except (TransientError, SlurmNotFoundError) as error:
                    failures.append(error)
            for delivery in self.deliveries:
                delivery.stop()
        for delivery in self.deliveries:
            try:
                await delivery.drain()
            except TransientError as error:
                failures.append(error)
            finally:
                await delivery.close()
        return failures

    async def run(self, server: Server | None, reload: Callable[[], Config]) -> None:
        """Run until a signal says stop, then drain.

        Args:
            server: The web server, its socket bound.
            reload: Reads the configuration again.
        """
        stop, served = anyio.Event(), anyio.Event()
        async with anyio.create_task_group() as root:
            root.start_soon(self._obey_signals, root.cancel_scope, stop)
            root.start_soon(self._obey_hangups, reload)
            root.start_soon(self._report)
            if server is not None:
                root.start_soon(_serve, server, served)
            async with anyio.create_task_group() as sinks:
                for delivery in self.deliveries:
                    sinks.start_soon(delivery.run)
                await self._work_until(stop)
                deadline = sinks.cancel_scope.deadline = anyio.current_time() + DRAIN_SECONDS
                for delivery in self.deliveries:
                    delivery.stop()
            await self._drain(deadline)
            if server is not None:
                server.stop()
                with anyio.move_on_after(ANSWERS_SECONDS):
                    await served.wait()
            root.cancel_scope.cancel()
        _log.info("stopped")

    async def _work_until(self, stop: anyio.Event) -> None:
        """Read, and do all else but deliver."""
        async with anyio.create_task_group() as workers:
            for watcher in self.watchers:
                workers.start_soon(watcher.run)
            if self.archiver is not None:
                workers.start_soon(self.archiver.run)
            workers.start_soon(self.pruner.run)
            workers.start_soon(self.nudges.run, lambda: self.config.poll.nudge_every)
            workers.start_soon(self.errands.run)
            workers.start_soon(self.certificates.run)
            if self.config.web.listen:
                workers.start_soon(self.partition_names.run)
                workers.start_soon(self.suspect_nodes.run)
            await stop.wait()
            workers.cancel_scope.cancel()

    async def _obey_signals(self, scope: anyio.CancelScope, stop: anyio.Event) -> None:
        """SIGTERM and SIGINT stop, a second one without the drain."""
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for number in signals:
                if stop.is_set():
                    _log.warning("stopping at once", signal=signal.Signals(number).name)
                    scope.cancel()
                else:
                    _log.info("stopping", signal=signal.Signals(number).name)
                    self.outside.notifier.stopping("delivering what is in the store")
                    self.outside.notifier.extend_timeout(DRAIN_SECONDS + 10)
                    stop.set()

    async def _obey_hangups(self, reload: Callable[[], Config]) -> None:
        """Read the configuration again with each SIGHUP."""
        with hangups() as received:
            async for _ in received:
                await self._reload(reload)

    async def _reload(self, reload: Callable[[], Config]) -> None:
        """Take a new configuration where it can be taken, and reopen files; a faulty one changes nothing."""
        notifier = self.outside.notifier
        # The READY=1 behind a reload would end the start as well, which has not come to its end yet.
        tells = self._is_ready
        if tells:
            notifier.reloading()
        try:
            new = await anyio.to_thread.run_sync(reload)
        except ConfigError as error:
            self.metrics.reload_success.set(0)
            self.health.reload_refused = "; ".join(error.faults)
            for fault in error.faults:
                _log.error("configuration not reloaded", fault=fault)
        else:
            self.apply(new)
        for delivery in self.deliveries:
            delivery.reopen()
        if tells:
            notifier.ready(self.health.line())

    def apply(self, new: Config) -> None:
        """Go on by another configuration, as far as that needs no restart; say what does."""
        fixed = [
            name
            for name in Config.model_fields
            if name not in _RELOADED and getattr(new, name) != getattr(self.config, name)
        ]
        if fixed:
            _log.warning("restart needed to apply changed sections", sections=", ".join(fixed))
        configure(format=new.log.format, level=new.log.level)
        # What needs a restart stays as it is for everyone: no one may read again what the pruner has taken away.
        if new.metrics != self.config.metrics:
            self.metrics.label_choice = new.metrics.choice()
            self.metrics.with_exemplars = new.metrics.exemplars
            self.suspect_nodes.limit = new.metrics.suspect_nodes
        self.config = self.config.model_copy(update={name: getattr(new, name) for name in _RELOADED})
        for watcher in self.watchers:
            watcher.reconfigure(rules_of(self.config))
        if self.archiver is not None:
            self.archiver.finished_after = self.config.finished_seconds
        self.metrics.reload_success.set(1)
        self.health.reload_refused = ""
        self.metrics.reload_time.set(self.outside.clock.now())
        _log.info("configuration reloaded")

    async def _drain(self, deadline: float) -> None:
        """Give the sinks what is in the store, as far as that is possible until then."""
        with anyio.CancelScope(deadline=deadline) as scope:
            async with anyio.create_task_group() as group:
                for delivery in self.deliveries:
                    group.start_soon(_drain_one, delivery)
        if scope.cancelled_caught:
            _log.warning("drain timed out, the rest is delivered after the next start")
        for delivery in self.deliveries:
            await delivery.close()

    async def _report(self) -> None:
        """Report to systemd: ready, what is going on, and that every loop keeps its word.

        How late the looks are is exported: the promise is that nothing holds the loop for 50 ms.
        """
        notifier, health = self.outside.notifier, self.health
        watchdog = notifier.watchdog_interval()
        began = self.outside.clock.monotonic()
        fed, told = began, ""
        while True:
            now = self.outside.clock.monotonic()
            if not self._is_ready and (health.started() or now - began >= READY_SECONDS):
                self._is_ready = True
                notifier.ready(health.line())
                _log.info("ready", state=health.line())
            if (line := health.line()) != told:
                told = line
                notifier.status(line)
            if watchdog is not None and now - fed >= watchdog / 2:
                if stalled := health.stalled():
                    _log.error("watchdog not notified, a loop is stuck", loops=", ".join(stalled))
                else:
                    notifier.watchdog()
                fed = now
            every = _TICK_SECONDS if self._is_ready else _START_TICK_SECONDS
            late = await self.outside.clock.tick(min(every, watchdog / 4) if watchdog else every)
            self.metrics.loop_lag.observe(late)


async def _serve(server: Server, served: anyio.Event) -> None:
    try:
        await server.run_until_stopped()
    finally:
        served.set()


async def _drain_one(delivery: Delivery) -> None:
    try:
        await delivery.drain()
    except TransientError as error:
        _log.warning("drain failed", sink=delivery.name, error=str(error))


def rules_of(config: Config) -> ReadPolicy:
    """Return the rules of reading that a configuration asks for."""
    poll = config.poll
    return ReadPolicy(
        interval=poll.interval,
        overlap=poll.overlap,
        slice_seconds=poll.slice,
        reread=poll.reread,
        open_set=poll.open_set,
        revise=poll.revise,
        retain=config.store.retain,
    )
