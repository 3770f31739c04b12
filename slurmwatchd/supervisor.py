"""The one root task group: what runs, in which order it starts and stops, and what signals mean.

Order of starting: store, web socket, sinks' cursors, sinks, watchers; of stopping: watchers, then sinks once they
have what is in the store or the drain's deadline is over, then the web server, then the store.
"""

import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import anyio.lowlevel
import anyio.to_thread

from slurmwatchd._version import __version__
from slurmwatchd.clock import Clock, SystemClock
from slurmwatchd.config import Config
from slurmwatchd.delivery import Delivery, DeliveryParts
from slurmwatchd.errors import ConfigError, SlurmNotFoundError, TransientError
from slurmwatchd.health import Health
from slurmwatchd.log import configure, get_logger
from slurmwatchd.metrics import Metrics
from slurmwatchd.nodelists import Expander
from slurmwatchd.pipeline import Watcher
from slurmwatchd.process import ProcessRunner, SystemProcessRunner
from slurmwatchd.sdnotify import Notifier
from slurmwatchd.sinks.base import SinkOptions
from slurmwatchd.sinks.registry import sink_kinds
from slurmwatchd.sources.commands import Commands
from slurmwatchd.sources.layouts import Layouts
from slurmwatchd.sources.sacct import Sacct
from slurmwatchd.sources.sacctmgr import Sacctmgr
from slurmwatchd.sources.scontrol import Scontrol
from slurmwatchd.sources.sdiag import Sdiag
from slurmwatchd.store import ledger, meta
from slurmwatchd.store.database import Database, open_database
from slurmwatchd.store.jobs import Intake
from slurmwatchd.storing import PipelineParts
from slurmwatchd.web.app import make_app
from slurmwatchd.web.server import WebServer, bind, url
from slurmwatchd.windows import Policy

DRAIN_SECONDS = 20.0
"""How long, after SIGTERM, sinks may take to get what is in the store. What they do not get they get next time."""

READY_SECONDS = 30.0
"""After this systemd is told READY even if sacct hangs: a slow slurmdbd must not stop the boot."""

UNNAMED_CLUSTER = "local"
"""The label of the local cluster as long as scontrol has never told its name."""

_TICK_SECONDS = 1.0
_LAG_SECONDS = 0.25

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What the daemon touches of the world, for tests to replace."""

    clock: Clock = field(default_factory=SystemClock)
    runner: ProcessRunner = field(default_factory=SystemProcessRunner)
    notifier: Notifier = field(default_factory=Notifier)


class Daemon:
    """All parts, wired; made by `assembled`."""

    def __init__(
        self,
        config: Config,
        outside: Outside,
        database: Database,
        watchers: list[Watcher],
        deliveries: list[Delivery],
        metrics: Metrics,
        health: Health,
    ) -> None:
        """Take the parts; nothing runs yet."""
        self.config = config
        self.outside = outside
        self.database = database
        self.watchers = watchers
        self.deliveries = deliveries
        self.metrics = metrics
        self.health = health
        self._lines = _Lines()

    async def once(self) -> None:
        """Read what is due, deliver it, and return.

        Raises:
            TransientError: Slurm, the store or a sink failed; what was read until then is in the store.
        """
        failures: list[Exception] = []
        for watcher in self.watchers:
            try:
                await watcher.once()
            except (TransientError, SlurmNotFoundError) as error:
                failures.append(error)
        for delivery in self.deliveries:
            try:
                await delivery.drain()
            except TransientError as error:
                failures.append(error)
            finally:
                await delivery.close()
        if failures:
            raise failures[0]

    async def run(self, server: WebServer | None, reload: Callable[[], Config]) -> None:
        """Run until a signal says stop, then drain.

        Args:
            server: The web server, its socket bound.
            reload: Reads the configuration again.
        """
        stop = anyio.Event()
        async with anyio.create_task_group() as root:
            root.start_soon(self._obey_signals, root.cancel_scope, stop, reload)
            root.start_soon(self._report)
            root.start_soon(self._measure_loop_lag)
            if server is not None:
                root.start_soon(server.run_until_stopped)
            async with anyio.create_task_group() as workers:
                for delivery in self.deliveries:
                    workers.start_soon(delivery.run)
                for watcher in self.watchers:
                    workers.start_soon(watcher.run)
                await stop.wait()
                workers.cancel_scope.cancel()
            await self._drain()
            if server is not None:
                server.stop()
                await anyio.lowlevel.checkpoint()
            root.cancel_scope.cancel()
        _log.info("stopped")

    async def _obey_signals(
        self, scope: anyio.CancelScope, stop: anyio.Event, reload: Callable[[], Config]
    ) -> None:
        """SIGTERM and SIGINT stop, a second one without the drain; SIGHUP reloads."""
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            async for number in signals:
                if number == signal.SIGHUP:
                    await self._reload(reload)
                elif stop.is_set():
                    _log.warning("stopping at once", signal=signal.Signals(number).name)
                    scope.cancel()
                else:
                    _log.info("stopping", signal=signal.Signals(number).name)
                    self.outside.notifier.stopping("delivering what is in the store")
                    self.outside.notifier.extend_timeout(DRAIN_SECONDS + 10)
                    stop.set()

    async def _reload(self, reload: Callable[[], Config]) -> None:
        """Take a new configuration where it can be taken, and reopen files; a faulty one changes nothing."""
        notifier = self.outside.notifier
        notifier.reloading()
        try:
            new = await anyio.to_thread.run_sync(reload)
        except ConfigError as error:
            self.metrics.reload_success.set(0)
            for fault in error.faults:
                _log.error("configuration not reloaded", fault=fault)
        else:
            self._apply(new)
        for delivery in self.deliveries:
            delivery.reopen()
        notifier.ready()

    def _apply(self, new: Config) -> None:
        fixed = [
            name for name in ("slurm", "store", "sinks", "web") if getattr(new, name) != getattr(self.config, name)
        ]
        if fixed:
            _log.warning("a restart is needed for the changes in some sections", sections=", ".join(fixed))
        configure(format=new.log.format, level=new.log.level)
        for watcher in self.watchers:
            watcher.reconfigure(policy(new))
        self.config = self.config.model_copy(update={"poll": new.poll, "log": new.log})
        self.metrics.reload_success.set(1)
        self.metrics.reload_time.set(self.outside.clock.now())
        _log.info("configuration reloaded")

    async def _drain(self) -> None:
        """Give the sinks what is in the store, as far as that is possible soon."""
        with anyio.move_on_after(DRAIN_SECONDS) as scope:
            async with anyio.create_task_group() as group:
                for delivery in self.deliveries:
                    group.start_soon(_drain_one, delivery)
        if scope.cancelled_caught:
            _log.warning("not everything was delivered in time; it will be after the next start")
        for delivery in self.deliveries:
            await delivery.close()

    async def _report(self) -> None:
        """Tell systemd: ready, what is going on, and that every loop keeps its word."""
        notifier, health = self.outside.notifier, self.health
        watchdog = notifier.watchdog_interval()
        began = self.outside.clock.monotonic()
        ready, fed = False, began
        while True:
            now = self.outside.clock.monotonic()
            if not ready and (health.started() or now - began >= READY_SECONDS):
                ready = True
                notifier.ready(health.line())
                _log.info("ready", state=health.line())
            if (line := health.line()) != self._lines.last:
                self._lines.last = line
                notifier.status(line)
            if watchdog is not None and now - fed >= watchdog / 2:
                if stalled := health.stalled():
                    _log.error("not feeding the watchdog: a loop is stuck", loops=", ".join(stalled))
                else:
                    notifier.watchdog()
                fed = now
            await self.outside.clock.sleep(min(_TICK_SECONDS, watchdog / 4 if watchdog else _TICK_SECONDS))

    async def _measure_loop_lag(self) -> None:
        """Export how late timers run: the promise is that nothing holds the loop for 50 ms."""
        while True:
            due = self.outside.clock.monotonic() + _LAG_SECONDS
            await anyio.sleep(_LAG_SECONDS)
            self.metrics.loop_lag.observe(max(0.0, self.outside.clock.monotonic() - due))


@dataclass(slots=True)
class _Lines:
    """The last status line sent."""

    last: str = ""


async def _drain_one(delivery: Delivery) -> None:
    try:
        await delivery.drain()
    except TransientError as error:
        _log.warning("not everything was delivered", sink=delivery.name, error=str(error))


class _Memory:
    """The store's `meta` table, as the sources see it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, key: str) -> str | None:
        return await meta.get(self._database, key)

    async def put(self, key: str, value: str) -> None:
        await meta.put(self._database, key, value)


def policy(config: Config) -> Policy:
    """Return the rules of reading that a configuration asks for."""
    poll = config.poll
    return Policy(interval=poll.interval, overlap=poll.overlap, slice_seconds=poll.slice, reread=poll.reread)


async def _cluster_names(config: Config, scontrol: Scontrol, database: Database) -> dict[str, str]:
    """Return label to `-M` argument for each cluster to watch.

    The local cluster's name is asked of scontrol once and kept, so that a slurmctld that is down changes no label.
    """
    if config.slurm.clusters:
        return {name: name for name in config.slurm.clusters}
    key = f"local cluster: {config.slurm.conf}"
    name = await meta.get(database, key)
    if name is None:
        name = await scontrol.cluster_name()
        if name is None:
            return {UNNAMED_CLUSTER: ""}
        await meta.put(database, key, name)
        await ledger.rename(database, UNNAMED_CLUSTER, name)
    return {name: ""}


@asynccontextmanager
async def assembled(config: Config, outside: Outside) -> AsyncIterator[Daemon]:
    """Open the store and wire all parts to it.

    Raises:
        StoreError: The store cannot be used.
        SlurmNotFoundError: There is no sacct.
    """
    commands = Commands.of(outside.runner, bin_dir=config.slurm.bin_dir, conf=config.slurm.conf)
    commands.path("sacct")
    metrics = Metrics()
    metrics.reload_success.set(1)
    metrics.reload_time.set(outside.clock.now())
    health = Health(outside.clock)
    async with open_database(config.store.path) as database:
        intake = await Intake.load(database)
        metrics.store_seq.set(intake.last_seq)
        parts = DeliveryParts(database=database, clock=outside.clock, metrics=metrics, health=health)
        kinds = sink_kinds()
        deliveries = [
            Delivery(
                name,
                kinds[options.type].make(name, options, metrics),
                parts,
                wants_backfill=options.wants_backfill,
            )
            for name, options in sinks_of(config).items()
        ]
        for delivery in deliveries:
            await delivery.enter()
        scontrol = Scontrol(commands)

        def committed() -> None:
            for delivery in deliveries:
                delivery.wake()

        watchers = []
        for name, asked in (await _cluster_names(config, scontrol, database)).items():
            sacct = Sacct(
                commands,
                timeout_seconds=config.slurm.timeout,
                spool_dir=config.store.path.parent,
                cluster=asked,
            )
            watcher_parts = PipelineParts(
                sacct=sacct,
                layouts=Layouts(sacct, _Memory(database)),
                sdiag=Sdiag(commands, cluster=asked),
                sacctmgr=Sacctmgr(commands),
                expander=Expander(scontrol),
                database=database,
                intake=intake,
                clock=outside.clock,
                metrics=metrics,
                health=health,
                committed=committed,
            )
            watchers.append(
                Watcher(
                    name,
                    watcher_parts,
                    policy(config),
                    since_seconds=config.poll.since,
                    timeout_seconds=config.slurm.timeout,
                )
            )
        yield Daemon(config, outside, database, watchers, deliveries, metrics, health)


async def run(
    config: Config,
    *,
    reload: Callable[[], Config],
    outside: Outside | None = None,
    listening: Callable[[str], None] = lambda _: None,
) -> None:
    """Run the service until it is told to stop.

    Args:
        config: What to do.
        reload: Reads the configuration again, for SIGHUP.
        outside: The world, for tests.
        listening: Told the web server's URL once it is bound.

    Raises:
        FatalError: It cannot start, or cannot go on.
    """
    listener = bind(config.web.listen) if config.web.listen else None
    try:
        async with assembled(config, outside or Outside()) as daemon:
            server = None
            if listener is not None:
                server = WebServer(make_app(daemon.health, daemon.metrics.registry), listener)
                listening(url(listener))
            _log.info(
                "started",
                version=__version__,
                pid=os.getpid(),
                store=str(config.store.path),
                url=url(listener) if listener else "none",
                clusters=", ".join(watcher.cluster for watcher in daemon.watchers),
                sinks=", ".join(delivery.name for delivery in daemon.deliveries),
            )
            await daemon.run(server, reload)
    finally:
        if listener is not None:
            listener.close()


async def once(config: Config, *, outside: Outside | None = None) -> None:
    """Read what is due, deliver it, and return.

    Raises:
        TransientError: Slurm, the store or a sink failed.
        FatalError: It cannot start.
    """
    async with assembled(config, outside or Outside()) as daemon:
        await daemon.once()


def sinks_of(config: Config) -> dict[str, SinkOptions]:
    """Return the sinks' options as what they are."""
    return {name: options for name, options in config.sinks.items() if isinstance(options, SinkOptions)}
