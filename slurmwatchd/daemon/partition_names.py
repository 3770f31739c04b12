"""Which partitions there are, so that their metrics stand at 0 before anything ended there."""

from collections.abc import Mapping

from slurmwatchd.model.clock import Clock
from slurmwatchd.sources.scontrol import Scontrol
from slurmwatchd.telemetry.metrics import Metrics

ROUND_SECONDS = 3600.0
RETRY_SECONDS = 60.0


class PartitionNames:
    """Asks slurmctld for the names of partitions."""

    def __init__(self, scontrol: Scontrol, clusters: Mapping[str, str], *, clock: Clock, metrics: Metrics) -> None:
        """Prepare; nothing is asked.

        Args:
            scontrol: Who is asked.
            clusters: The name of each cluster to what its commands need for `-M`.
            clock: Says when to ask again.
            metrics: Are given the names.
        """
        self._scontrol = scontrol
        self._clusters = clusters
        self._clock = clock
        self._metrics = metrics

    async def run(self) -> None:
        """Ask for ever; a slurmctld that does not answer takes nothing away from what is known."""
        while True:
            await self._clock.sleep(ROUND_SECONDS if await self.round() else RETRY_SECONDS)

    async def round(self) -> bool:
        """Ask once, and return whether each cluster has answered."""
        known = {}
        for name, argument in self._clusters.items():
            if (partitions := await self._scontrol.partitions(argument)) is not None:
                known[name] = tuple(partitions)
        self._metrics.known_partitions = {**self._metrics.known_partitions, **known}
        return len(known) == len(self._clusters)
