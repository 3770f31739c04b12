"""What a command needs that looks at the store and asks sacct, beside a running daemon or without one."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir

from slurmwatchd.config.settings import Config
from slurmwatchd.daemon.assembly import UNNAMED_CLUSTER
from slurmwatchd.model.ledger import Ledger
from slurmwatchd.model.policy import MIN_SLICE_SECONDS, ReadPolicy
from slurmwatchd.sources.commands import Commands
from slurmwatchd.sources.process import ProcessRunner, SystemProcessRunner
from slurmwatchd.sources.sacct.client import Sacct
from slurmwatchd.sources.sacctmgr import Limits, Sacctmgr
from slurmwatchd.store.ledger import ledger_of
from slurmwatchd.store.read.second_process import ComparisonReader, open_for_reading


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOnlyStore:
    """The store, open for reading, and each cluster's sacct.

    Attributes:
        sacct: By the cluster's name in the store.
    """

    config: Config
    reader: ComparisonReader
    sacct: Mapping[str, Sacct]
    sacctmgr: Sacctmgr

    async def ledger(self, cluster: str) -> Ledger | None:
        """Return what was read of a cluster; None where it never was."""
        return await ledger_of(self.reader, cluster)

    async def limits(self) -> Limits:
        """Return slurmdbd's limits; none where sacctmgr does not show them."""
        return await self.sacctmgr.limits() or Limits()

    def policy(self, limits: Limits) -> ReadPolicy:
        """Return how much one call may ask for."""
        wanted, longest = self.config.poll.slice, limits.query_seconds
        return ReadPolicy(
            interval=self.config.poll.interval,
            overlap=self.config.poll.overlap,
            slice_seconds=wanted if longest is None else max(MIN_SLICE_SECONDS, min(wanted, longest)),
            longest=longest,
        )


@asynccontextmanager
async def onlooker(config: Config, *, runner: ProcessRunner | None = None) -> AsyncIterator[ReadOnlyStore]:
    """Open the store for reading, and find the clusters it is about.

    Raises:
        StoreError: There is no store, or it cannot be read.
    """
    commands = Commands.of(
        runner or SystemProcessRunner(),
        bin_dir=config.slurm.bin_dir,
        conf=config.slurm.conf,
        conf_server=config.slurm.conf_server,
        jwt_file=config.slurm.jwt_file,
    )
    async with open_for_reading(config.store.path) as reader:
        sacct = {
            name: Sacct(
                commands,
                timeout_seconds=config.slurm.timeout,
                spool_dir=Path(gettempdir()),
                cluster=argument,
            )
            for name, argument in (await cluster_arguments(config, reader)).items()
        }
        yield ReadOnlyStore(config=config, reader=reader, sacct=sacct, sacctmgr=Sacctmgr(commands))


async def cluster_arguments(config: Config, reader: ComparisonReader) -> dict[str, str]:
    """Return the `-M` argument for each cluster's name, as the daemon knows them."""
    if config.slurm.clusters:
        return {name: name for name in config.slurm.clusters}
    rows = await reader.read("SELECT value FROM meta WHERE key = ?", (f"local cluster: {config.slurm.conf}",))
    return {rows[0]["value"] if rows else UNNAMED_CLUSTER: ""}
