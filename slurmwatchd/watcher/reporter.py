"""What one cluster's readings came to, for metrics, health and log; nothing is decided here.

And what Slurm's commands complain of.
"""

from collections.abc import Sequence

from slurmwatchd.errors import StoreBusyError, StoreFullError
from slurmwatchd.model.clock import Clock, rfc3339
from slurmwatchd.sources.complaints import REMEDY
from slurmwatchd.telemetry.health import ClusterHealth
from slurmwatchd.telemetry.log import Repeats, get_logger
from slurmwatchd.telemetry.metrics import Metrics
from slurmwatchd.watcher.storer import FetchedAnswer, StoreResult

_log = get_logger(__name__)


class Reporter:
    """Reports on one cluster."""

    def __init__(self, cluster: str, *, clock: Clock, metrics: Metrics, health: ClusterHealth) -> None:
        """Begin with a cluster that has not answered."""
        self.cluster = cluster
        self._clock = clock
        self._metrics = metrics
        self._health = health
        self._repeats = Repeats()
        self._told_failure = False
        metrics.up.labels(cluster).set(0)
        # The series is there from the start: an alert on its age is to hold before the first success, too.
        metrics.last_poll.labels(cluster).set(0)
        self.probing(False)

    def read(self, fetched: FetchedAnswer, stored: StoreResult, watermark: int) -> None:
        """Report a complete reading."""
        metrics, health, window, total = self._metrics, self._health, fetched.window, stored.total
        if self._told_failure:
            self._told_failure = False
            _log.info("sacct answers again", cluster=self.cluster, failures=health.failures)
            self._repeats.reset()
        now = int(self._clock.now())
        health.error, health.failures, health.attempted, health.last_ok = "", 0, True, now
        health.watermark = watermark
        health.new += total.new
        metrics.up.labels(self.cluster).set(1)
        metrics.last_poll.labels(self.cluster).set(now)
        metrics.watermark.labels(self.cluster).set(watermark)
        log = _log.info if total.new or total.revised else _log.debug
        log(
            "window read",
            cluster=self.cluster,
            found_by=window.found_by,
            start=rfc3339(window.start),
            end=rfc3339(window.end),
            rows=stored.rows,
            new=total.new,
            revised=total.revised,
            rejected=total.rejected,
            sacct_seconds=round(fetched.answer.seconds, 3),
        )

    def failed(self, error: BaseException) -> None:
        """Report a reading, or a probe, that failed."""
        health = self._health
        health.error, health.attempted = str(error), True
        health.failures += 1
        if not isinstance(error, StoreBusyError):
            self._metrics.up.labels(self.cluster).set(0)
        self._metrics.poll_failures.labels(self.cluster, type(error).__name__).inc()
        # A full disk is reported once, by `Disks`.
        is_full = isinstance(error, StoreFullError)
        is_news = not is_full and self._repeats.is_news(str(error), self._clock.monotonic())
        self._told_failure |= is_news
        log = _log.warning if is_news else _log.debug
        log("query failed", cluster=self.cluster, failures=health.failures, error=str(error))

    def probing(self, probing: bool) -> None:  # noqa: FBT001 - one value
        """Return whether only a cheap probe is sent from now on."""
        self._health.probing = probing
        self._metrics.breaker_open.labels(self.cluster).set(probing)


def complaints(command: str, lines: Sequence[str]) -> None:
    """Report what Slurm's commands complain of without harm, or that they do no more; see `complaints.Tell`."""
    if lines:
        _log.warning("Slurm commands print errors but work", command=command, lines=" / ".join(lines), todo=REMEDY)
    else:
        _log.info("Slurm commands no longer print errors", command=command)
