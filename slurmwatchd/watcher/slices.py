"""How long a stretch one sacct call asks for: what the policy says, what slurmdbd bears, what slurmdbd allows."""

import math
from dataclasses import replace

from slurmwatchd.model.clock import Clock
from slurmwatchd.model.ledger import Ledger
from slurmwatchd.model.policy import MIN_SLICE_SECONDS, ReadPolicy
from slurmwatchd.sources.sacctmgr import Limits, Sacctmgr
from slurmwatchd.telemetry.log import get_logger
from slurmwatchd.telemetry.metrics import Metrics

LIMITS_SECONDS = 3600.0
"""How often slurmdbd's limits are asked for."""

_log = get_logger(__name__)


class Slices:
    """The length of one cluster's windows, and the limits it follows from."""

    def __init__(
        self, cluster: str, sacctmgr: Sacctmgr, clock: Clock, metrics: Metrics, policy: ReadPolicy
    ) -> None:
        """Begin with what the policy says; nothing is asked yet."""
        self.cluster = cluster
        self._sacctmgr = sacctmgr
        self._clock = clock
        self._metrics = metrics
        self._seconds = policy.slice_seconds
        self._asked = -math.inf
        self.limits = Limits()

    def cut(self, policy: ReadPolicy) -> ReadPolicy:
        """Return the policy with slices as short as slurmdbd wants them now."""
        slice_seconds = min(policy.slice_seconds, self._seconds)
        if self.limits.query_seconds is not None:
            # A poll asks for twice its window, see `window_arguments`.
            slice_seconds = min(slice_seconds, max(MIN_SLICE_SECONDS, self.limits.query_seconds // 2))
        return replace(
            policy,
            slice_seconds=slice_seconds,
            overlap=min(policy.overlap, slice_seconds // 2),
            longest=self.limits.query_seconds,
        )

    @property
    def are_shortest(self) -> bool:
        """Whether less cannot be asked for."""
        return self._seconds <= MIN_SLICE_SECONDS

    def too_long(self, policy: ReadPolicy) -> None:
        """Ask for half as much after a window that was too much: for slurmdbd, or for the disk of the spool."""
        self._seconds = max(MIN_SLICE_SECONDS, min(self._seconds, policy.slice_seconds) // 2)
        _log.warning("slices shortened", cluster=self.cluster, seconds=self._seconds)

    def succeeded(self, window_seconds: int, policy: ReadPolicy) -> None:
        """Grow back slowly: what was too wide a minute ago is likely to be so now.

        Args:
            window_seconds: The length of the window that was answered: a poll of some seconds says nothing about
                slices.
            policy: Which says how long slices may become.
        """
        if window_seconds >= self._seconds:
            self._seconds = min(policy.slice_seconds, self._seconds * 2)

    async def ask_limits(self, ledger: Ledger, now: int) -> None:
        """Ask now and then under which limits slurmdbd answers; say so where they cost records."""
        if self._clock.monotonic() - self._asked < LIMITS_SECONDS:
            return
        limits = await self._sacctmgr.limits()
        if limits is None:
            return
        self.limits, self._asked = limits, self._clock.monotonic()
        lost = 0
        if limits.purge_seconds is not None:
            purged = now - limits.purge_seconds
            lost = sum(max(0, min(end, purged) - start) for start, end in ledger.gaps(now))
        self._metrics.purged_gap.labels(self.cluster).set(lost)
        if lost:
            _log.error(
                "unread jobs purged by slurmdbd, lost",
                cluster=self.cluster,
                seconds=lost,
                purge_job_after_seconds=limits.purge_seconds,
            )
