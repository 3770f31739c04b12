"""Silence is weak evidence: an answer that is complete in form, and cannot be all there is.

sacct prints a header, nothing else, and exits 0 where the cluster's name is unknown to slurmdbd, where the user
lost the right to see other people's jobs (PrivateData), and after some failures inside slurmdbd. So an answer
that holds nothing, or less than the store has of the same ends, is believed only if slurmdbd still shows a few
attempts that it showed before: the newest of several users, asked for by id. If most of them are gone the
reading counts as failed: its rows are kept, its window is not taken as read, and it is tried again. Once they
are seen again, or others have ended since, it goes on by itself, and the doubtful stretch is read again
(`doubt.py`).

Legitimate emptiness holds nothing up. In a quiet night the witnesses are there. What slurmdbd may have purged
is no witness; without any, slurmdbd is asked whether it knows the cluster and what this user may see, and where
that is well the answer stands. And rows that are simply gone (deleted, or lost when a database was restored)
stop it for a day at most: then the daemon goes on, and the metric keeps telling.
"""

import math

from slurmwatchd.clock import Clock
from slurmwatchd.errors import SilenceError
from slurmwatchd.health import ClusterHealth
from slurmwatchd.log import get_logger
from slurmwatchd.metrics import Metrics
from slurmwatchd.rollcall import LAYOUT
from slurmwatchd.sources.queries import job_argument
from slurmwatchd.sources.sacct import Sacct
from slurmwatchd.sources.sacctmgr import NO_PRIVILEGES, UNKNOWN_CLUSTER, Sacctmgr
from slurmwatchd.store import lookups
from slurmwatchd.store.database import Database
from slurmwatchd.windows import Window

ROWS_GONE = "rows_gone"
REASONS = {
    UNKNOWN_CLUSTER: "slurmdbd does not know a cluster of this name",
    NO_PRIVILEGES: "PrivateData hides other people's jobs from this user: give it AdminLevel=Operator",
    ROWS_GONE: "slurmdbd no longer shows attempts that it showed before",
}
"""What may be suspected, and how it is told."""

WITNESSES = 5
"""So many attempts are asked for, each of another user."""

TRUST_SECONDS = 60.0
"""How long what was seen of slurmdbd's rows vouches for an answer without any."""

STANDING_SECONDS = 300.0
"""The same of what slurmdbd says of cluster and user, where there are no rows yet."""

PATIENCE_SECONDS = 86_400
"""How long rows that are gone, where nothing else is wrong, keep the watermark from moving."""

PURGE_MARGIN_SECONDS = 3600
"""Whoever is to witness was submitted at least so long after what may be purged."""

_log = get_logger(__name__)


class Suspicion:
    """Whether what slurmdbd shows of one cluster can be taken for all there is."""

    def __init__(
        self,
        cluster: str,
        *,
        sacct: Sacct,
        sacctmgr: Sacctmgr,
        database: Database,
        clock: Clock,
        metrics: Metrics,
        health: ClusterHealth,
    ) -> None:
        """Begin without suspicion."""
        self.cluster = cluster
        self._sacct = sacct
        self._sacctmgr = sacctmgr
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._health = health
        self._trusted_until = -math.inf
        self._since: float | None = None
        self._purge_seconds: int | None = None
        self._tell("")

    @property
    def reason(self) -> str:
        """One of `REASONS`; empty where there is no suspicion."""
        return self._reason

    async def examine(self, window: Window, rows: int) -> None:
        """Judge a complete answer by how many rows it has.

        Raises:
            SilenceError: It cannot be all there is.
            SacctError: The witnesses could not be asked for.
        """
        known = await lookups.ended_count(self._database, self.cluster, window.start, window.end)
        fewer = rows < known
        if not self._reason and not fewer:
            if rows:
                self._trusted_until = self._clock.monotonic() + TRUST_SECONDS
                return
            if self._clock.monotonic() < self._trusted_until:
                return
        await self.probe()
        if fewer:
            _log.info("slurmdbd shows fewer rows than before", cluster=self.cluster, rows=rows, before=known)

    async def probe(self) -> None:
        """Ask for attempts that were shown before.

        Raises:
            SilenceError: Most of them are not shown now.
            SacctError: They could not be asked for.
        """
        reason = await self._suspect(int(self._clock.now()))
        self._tell(reason)
        if not reason:
            self._since = None
            return
        self._since = self._clock.monotonic() if self._since is None else self._since
        if reason == ROWS_GONE and self._clock.monotonic() - self._since >= PATIENCE_SECONDS:
            return
        raise SilenceError(REASONS[reason], reason=reason)

    async def _suspect(self, now: int) -> str:
        """Return one of `REASONS`, or nothing where what slurmdbd shows may be all there is."""
        witnesses = await lookups.witnesses(
            self._database, self.cluster, submitted_since=self._kept_since(now), limit=WITNESSES
        )
        if witnesses and 2 * await self._count_visible(witnesses, now) >= len(witnesses):
            self._trusted_until = self._clock.monotonic() + TRUST_SECONDS
            return ""
        standing = await self._sacctmgr.standing()
        if standing.limits is not None:
            self._purge_seconds = standing.limits.purge_seconds
        if not standing.fault and any(known.submit >= self._kept_since(now) for known in witnesses):
            return ROWS_GONE
        self._trusted_until = self._clock.monotonic() + STANDING_SECONDS
        return standing.fault

    def _kept_since(self, now: int) -> int:
        """Return since when what was submitted cannot have been purged yet."""
        return 0 if self._purge_seconds is None else now - self._purge_seconds + PURGE_MARGIN_SECONDS

    async def _count_visible(self, witnesses: list[lookups.Known], now: int) -> int:
        asked = [job_argument(known.job_id, known.job_id_raw) for known in witnesses]
        since = min(known.submit for known in witnesses)
        shown: set[tuple[int, int]] = set()
        async with self._sacct.named(asked, LAYOUT, since=since, now=now) as answer:
            async for rows in answer.rows():
                shown.update(rows.readings.keys)
        return sum((known.job_id_raw, known.submit) in shown for known in witnesses)

    def _tell(self, reason: str) -> None:
        """Show the suspicion, or that there is none, wherever it is looked for."""
        self._reason = reason
        self._health.suspicion = REASONS.get(reason, "")
        for name in REASONS:
            self._metrics.suspicion.labels(self.cluster, name).set(name == reason)
