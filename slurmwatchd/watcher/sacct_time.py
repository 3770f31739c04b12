"""What the daemon costs slurmdbd: seconds of sacct, ever and in the last hour."""

import time
from collections.abc import Callable

from slurmwatchd.telemetry.metrics import Metrics

_BIN_SECONDS = 60
_BINS = 60


class Budget:
    """The seconds of sacct spent on one cluster, counted by the minute."""

    def __init__(self, cluster: str, metrics: Metrics, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing spent; a scrape asks for the last hour at its own time."""
        self._monotonic = monotonic
        self._minutes: dict[int, float] = {}
        self._total = metrics.sacct_seconds.labels(cluster)
        metrics.sacct_last_hour.labels(cluster).set_function(self.last_hour_seconds)

    def spend(self, seconds: float) -> None:
        """Add one call."""
        minute = int(self._monotonic()) // _BIN_SECONDS
        self._total.inc(seconds)
        self._minutes[minute] = self._minutes.get(minute, 0.0) + seconds
        if len(self._minutes) > 2 * _BINS:
            self._minutes = {kept: spent for kept, spent in self._minutes.items() if kept > minute - _BINS}

    def last_hour_seconds(self) -> float:
        """Return what was spent within the last 60 minutes; called from the thread that renders a scrape."""
        oldest = int(self._monotonic()) // _BIN_SECONDS - _BINS
        return sum(spent for minute, spent in tuple(self._minutes.items()) if minute > oldest)
