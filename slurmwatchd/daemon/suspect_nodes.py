"""The worst nodes on `/metrics`: `nodes --suspect` of the last day, now and then, off the event loop."""

from pathlib import Path

import anyio.to_thread

from slurmwatchd.config.units import DAY
from slurmwatchd.errors import StoreError, TransientError
from slurmwatchd.model.clock import Clock
from slurmwatchd.store.read.reader import StoreReader
from slurmwatchd.telemetry.log import get_logger
from slurmwatchd.telemetry.metrics import Metrics

SPAN_SECONDS = DAY
ROUND_SECONDS = 60.0
REST = 50.0
"""It rests this many times as long as a search took: a fiftieth of a processor at most."""

_log = get_logger(__name__)


class SuspectNodes:
    """Keeps the worst nodes in the metrics."""

    def __init__(self, store: Path, limit: int, *, clock: Clock, metrics: Metrics) -> None:
        """Prepare; nothing is read.

        Args:
            store: The store's file.
            limit: How many nodes of a cluster are shown at most; 0: none, and none are looked for. May be changed.
            clock: Says which day is the last.
            metrics: Are given the nodes.
        """
        self._store = store
        self.limit = limit
        self._clock = clock
        self._metrics = metrics

    async def run(self) -> None:
        """Look for ever."""
        while True:
            began = self._clock.monotonic()
            await self.round()
            took = self._clock.monotonic() - began
            await self._clock.sleep(max(ROUND_SECONDS, REST * took))

    async def round(self) -> None:
        """Look once; a store that cannot be read now leaves the nodes as they were."""
        limit = self.limit
        if not limit:
            self._metrics.suspects.show({})
            return
        now = int(self._clock.now())
        try:
            found = await anyio.to_thread.run_sync(self._scores, now, limit)
        except (StoreError, TransientError) as error:
            _log.debug("suspect nodes not looked for", error=str(error))
            return
        self._metrics.suspects.show(found)

    def _scores(self, now: int, limit: int) -> dict[str, dict[str, float]]:
        # Only a daemon with a web server looks for them.
        from slurmwatchd.store.read.suspects import suspects  # noqa: PLC0415

        with StoreReader(self._store) as reader:
            found = {name: suspects(reader, name, now - SPAN_SECONDS, now) for name in reader.clusters()}
        return {name: {worst.node: worst.score for worst in nodes[:limit]} for name, nodes in found.items()}
