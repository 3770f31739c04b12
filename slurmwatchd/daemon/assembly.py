"""All parts wired to one store, as a configuration asks for them."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import anyio

from slurmwatchd.config.settings import Config
from slurmwatchd.daemon import certificates
from slurmwatchd.daemon.daemon import Daemon, Outside, rules_of
from slurmwatchd.daemon.delivery import Delivery, DeliveryParts
from slurmwatchd.daemon.nudges import Nudges
from slurmwatchd.daemon.partition_names import PartitionNames
from slurmwatchd.daemon.pruner import Pruner
from slurmwatchd.daemon.quarantine_retrier import QuarantineRetrier
from slurmwatchd.daemon.rebuilder import Rebuilder
from slurmwatchd.daemon.requests import Requests
from slurmwatchd.daemon.suspect_nodes import SuspectNodes
from slurmwatchd.sinks.registry import make_sinks, sink_kinds, sinks_of
from slurmwatchd.sources.commands import Commands
from slurmwatchd.sources.nodelists import Expander
from slurmwatchd.sources.sacct.client import Sacct
from slurmwatchd.sources.sacct.layouts import Layouts
from slurmwatchd.sources.sacct.steps import StepSource
from slurmwatchd.sources.sacctmgr import Sacctmgr
from slurmwatchd.sources.scontrol import Scontrol
from slurmwatchd.sources.sdiag import Sdiag
from slurmwatchd.sources.tokens import token_in
from slurmwatchd.store import ledger, meta, outbox, usage_queue
from slurmwatchd.store.database import Database, open_database
from slurmwatchd.store.intake import Intake
from slurmwatchd.telemetry.disks import Disks
from slurmwatchd.telemetry.health import Health
from slurmwatchd.telemetry.metrics import Metrics
from slurmwatchd.watcher.reporter import complaints
from slurmwatchd.watcher.storer import WatcherParts
from slurmwatchd.watcher.usage_collector import UsageCollector, UsageCollectorParts
from slurmwatchd.watcher.watcher import Watcher

if TYPE_CHECKING:
    from slurmwatchd.daemon.archiver import Archiver

UNNAMED_CLUSTER = "local"
"""The label of the local cluster until scontrol has answered with its name."""


class _MetaStore:
    """The store's `meta` table, as the sources see it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, key: str) -> str | None:
        return await meta.get(self._database, key)

    async def put(self, key: str, value: str) -> None:
        await meta.put(self._database, key, value)


async def _cluster_names(
    config: Config, scontrol: Scontrol, sacctmgr: Sacctmgr, database: Database
) -> dict[str, str]:
    """Return label to `-M` argument for each cluster to watch.

    The local cluster's name is asked for once and kept, so that a slurmctld that is down changes no label: of
    scontrol, and where slurmctld does not answer, of a slurmdbd that knows one cluster only.
    """
    if config.slurm.clusters:
        return {name: name for name in config.slurm.clusters}
    key = f"local cluster: {config.slurm.conf}"
    name = await meta.get(database, key)
    if name is None:
        name = await scontrol.cluster_name() or await sacctmgr.only_cluster()
        if name is None:
            return {UNNAMED_CLUSTER: ""}
        await meta.put(database, key, name)
        await ledger.rename(database, UNNAMED_CLUSTER, name)
    return {name: ""}


@asynccontextmanager
async def assembled(config: Config, outside: Outside) -> AsyncIterator[Daemon]:
    """Open the store and wire all parts to it.

    Raises:
        ConfigError: A sink cannot be made.
        StoreError: The store cannot be used.
        SlurmNotFoundError: There is no sacct.
    """
    metrics = Metrics()
    metrics.label_choice = config.metrics.choice()
    metrics.with_exemplars = config.metrics.exemplars
    made = make_sinks(config, metrics)
    commands = Commands.of(
        outside.runner,
        bin_dir=config.slurm.bin_dir,
        conf=config.slurm.conf,
        conf_server=config.slurm.conf_server,
        jwt_file=config.slurm.jwt_file,
        token_seen=lambda token: metrics.token_expiry.set(token.expires or 0),
        tell=complaints,
    )
    commands = replace(commands, now=outside.clock.now)
    commands.path("sacct")
    if (token := token_in(commands.env)) is not None:
        metrics.token_expiry.set(token.expires or 0)
    metrics.reload_success.set(1)
    metrics.reload_time.set(outside.clock.now())
    health = Health(outside.clock)
    disks = Disks(health, metrics)
    kinds = sink_kinds()
    sinks = sinks_of(config)
    async with open_database(config.store.path) as database:
        database.noted = lambda full: disks.room("store") if full is None else disks.full("store", str(full))
        await Rebuilder(
            database=database,
            sinks=sinks,
            kinds=kinds,
            clock=outside.clock,
            metrics=metrics,
            notifier=outside.notifier,
            since_seconds=config.poll.since,
            late_seconds=_late_seconds(config),
        ).prepare()
        intake = await Intake.load(database, usage=config.steps.mode != "off")
        if config.steps.mode == "off":
            await usage_queue.forget(database)
        metrics.store_seq.set(intake.last_seq)
        parts = DeliveryParts(database=database, clock=outside.clock, metrics=metrics, health=health)
        deliveries = [
            Delivery(
                name,
                made[name],
                parts,
                selection=options.selection(),
                batch_events=options.batch_events(),
            )
            for name, options in sinks.items()
        ]
        # Together: after a crash between two of them the second would be taken for one that is new in this store.
        await outbox.enter(database, list(sinks), now=int(outside.clock.now()))
        for delivery in deliveries:
            await delivery.enter()
        scontrol = Scontrol(commands)

        news: list[Callable[[], None]] = [delivery.wake for delivery in deliveries]

        def committed() -> None:
            for wake in news:
                wake()

        watchers: list[Watcher] = []
        names = await _cluster_names(config, scontrol, Sacctmgr(commands), database)
        for name, argument in names.items():
            sacct = Sacct(
                commands,
                timeout_seconds=config.slurm.timeout,
                spool_dir=config.store.path.parent,
                cluster=argument,
                spent=metrics.sacct_seconds.labels(name).inc,
            )
            watcher_parts = WatcherParts(
                sacct=sacct,
                layouts=Layouts(sacct, _MetaStore(database)),
                sdiag=Sdiag(commands, cluster=argument),
                sacctmgr=Sacctmgr(commands, cluster="" if name == UNNAMED_CLUSTER else name),
                job_numbers=partial(scontrol.job_numbers, argument),
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
                    rules_of(config),
                    since_seconds=config.poll.since,
                    timeout_seconds=config.slurm.timeout,
                    collector=_collector(name, watcher_parts, config.steps.mode),
                )
            )
        retrier = QuarantineRetrier(
            database=database,
            intake=intake,
            expander=Expander(scontrol),
            clock=outside.clock,
            metrics=metrics,
        )

        def asked() -> None:
            for watcher in watchers:
                watcher.wake()

        errands = Requests(database, outside.clock, retrier, asked=asked, committed=committed)
        archiver = _archiver(config, database, outside, metrics, disks)
        pruner = Pruner(
            database,
            retain_seconds=config.store.retain,
            sinks=tuple(sinks),
            clusters=tuple(names),
            named=UNNAMED_CLUSTER not in names,
            archiver=archiver,
            clock=outside.clock,
            metrics=metrics,
            health=health,
        )
        nudges = Nudges(
            config.store.path,
            clock=outside.clock,
            received=metrics.nudges,
            nudged=partial(_nudge, watchers),
        )
        try:
            yield Daemon(
                config=config,
                outside=outside,
                database=database,
                watchers=watchers,
                deliveries=deliveries,
                errands=errands,
                archiver=archiver,
                pruner=pruner,
                nudges=nudges,
                partition_names=PartitionNames(scontrol, names, clock=outside.clock, metrics=metrics),
                suspect_nodes=SuspectNodes(
                    config.store.path, config.metrics.suspect_nodes, clock=outside.clock, metrics=metrics
                ),
                certificates=certificates.Certificates(
                    certificates.of_sinks(config), clock=outside.clock, metrics=metrics
                ),
                metrics=metrics,
                health=health,
                news=news,
            )
        finally:
            # Also where something broke: whoever starts again in this process must find the files free.
            with anyio.CancelScope(shield=True):
                for delivery in deliveries:
                    await delivery.close()


def _archiver(
    config: Config, database: Database, outside: Outside, metrics: Metrics, disks: Disks
) -> "Archiver | None":
    """Return what keeps the archive, where there is one."""
    if config.archive.folder is None:
        return None
    # It takes a while to import, and few sites have one.
    from slurmwatchd.daemon.archiver import Archiver  # noqa: PLC0415

    return Archiver(
        database,
        config.archive.folder,
        finished_after=config.finished_seconds,
        clock=outside.clock,
        metrics=metrics,
        disks=disks,
    )


def _late_seconds(config: Config) -> int:
    """Return how far back a store that was lost begins again: nothing is to lie between it and the archive."""
    late = max(config.poll.reread, default=0)
    if config.archive.folder is not None:
        from slurmwatchd.store.archive import days  # noqa: PLC0415 - only where there is an archive

        # A finished day may have waited for a day more.
        late = max(late, config.finished_seconds + 2 * days.PATIENCE_SECONDS)
    return late


def _nudge(watchers: Sequence[Watcher]) -> None:
    for watcher in watchers:
        watcher.nudge()


def _collector(name: str, parts: WatcherParts, mode: str) -> UsageCollector | None:
    """Return what asks for the steps of a cluster's jobs, where they are wanted."""
    if mode == "off":
        return None
    return UsageCollector(
        name,
        UsageCollectorParts(
            source=StepSource(parts.sacct, full=mode == "full"),
            database=parts.database,
            intake=parts.intake,
            clock=parts.clock,
            metrics=parts.metrics,
            committed=parts.committed,
        ),
    )
