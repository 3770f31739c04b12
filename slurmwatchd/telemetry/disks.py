"""Full disks: said once in the log, shown by `/-/ready` and a metric, taken back when disk has space again."""

from slurmwatchd.telemetry.health import Health
from slurmwatchd.telemetry.log import get_logger
from slurmwatchd.telemetry.metrics import Metrics

_log = get_logger(__name__)


class Disks:
    """What each part that writes says of its disk."""

    def __init__(self, health: Health, metrics: Metrics) -> None:
        """Report to these two; nothing is full yet."""
        self.health = health
        self._metrics = metrics

    def full(self, part: str, reason: str) -> None:
        """Note that a part waits for room.

        Args:
            part: `store`, `spool` or `sink NAME`.
            reason: One line with the path.
        """
        if part not in self.health.full:
            _log.error("disk full, waiting for space", part=part, error=reason)
        self.health.full[part] = reason
        self._metrics.disk_full.labels(part).set(1)

    def room(self, part: str) -> None:
        """Note that a part could write."""
        if self.health.full.pop(part, None) is not None:
            _log.info("disk has space again", part=part)
        self._metrics.disk_full.labels(part).set(0)
