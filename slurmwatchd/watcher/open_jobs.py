"""The open jobs, listed now and then: who vanished from the list without an end is asked for by name.

An end that lies far in the past when slurmdbd learns of it shows in no window that is still read: a job killed
while suspended ends when it was suspended, a runaway job that is set right ends when it began, and an end that
slurmdbd itself does not know is in no window at all. All of them were seen open before.
"""

import math
from collections.abc import Sequence

from slurmwatchd.model.ledger import Ledger
from slurmwatchd.model.policy import ReadPolicy
from slurmwatchd.sources.sacct.client import SacctAnswer
from slurmwatchd.store import open_jobs
from slurmwatchd.store.database import Database
from slurmwatchd.store.known_attempts import KnownAttempt
from slurmwatchd.telemetry.metrics import Metrics
from slurmwatchd.watcher.anchors import silence

ASK_ROWS = 500
"""So many are asked for in one call; fewer after one that failed."""

AGAIN_SECONDS = 3600
"""A job that is neither listed nor ended (held after it was seen, say) is asked for again after this."""

GRACE_SECONDS = 5
"""How long after a further poll a job that vanished is asked for: the poll finds all that ended as usual."""

_ENDED = frozenset({
    "COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "DEADLINE",
    "OUT_OF_MEMORY", "REQUEUED", "RESIZING", "REVOKED",
})  # fmt: skip


def has_ended(state: str, end: int | None) -> bool:
    """Return whether an attempt is over, also where slurmdbd does not know since when (`End=Unknown`)."""
    return end is not None or state in _ENDED


class OpenJobs:
    """The open jobs of one cluster; what is known of them is in the store, so it outlives the daemon."""

    def __init__(self, cluster: str, database: Database, metrics: Metrics) -> None:
        """Prepare; `begin` reads where the store stands."""
        self.cluster = cluster
        self._database = database
        self._metrics = metrics
        self._grace = GRACE_SECONDS
        self._listed_at = -math.inf
        self._ask_at = math.inf
        self._asking = False
        self._wanted: Sequence[KnownAttempt] = ()
        self._most = ASK_ROWS
        self._not_before = -math.inf

    async def begin(self, policy: ReadPolicy, now: int) -> None:
        """Begin a round of readings by these rules, with nothing under way."""
        self._grace = math.ceil(policy.interval) + GRACE_SECONDS
        if self._asking:
            await self._put_off(now)
        self._asking = False
        await self._load()

    async def _put_off(self, now: int) -> None:
        """After asking failed, let other things come first, and ask for fewer; one that failed alone waits."""
        self._not_before = now + self._grace
        if self._wanted:
            self._most = max(1, len(self._wanted) // 2)
        if len(self._wanted) == 1:
            await open_jobs.mark_asked(self._database, self.cluster, [job.key for job in self._wanted], now)

    async def _load(self) -> None:
        """Read from the store when someone is to be asked for."""
        roll = await open_jobs.stand(self._database, self.cluster, grace=self._grace, again=AGAIN_SECONDS)
        # While an answer is on its way to the store, the store still has these as not asked for.
        is_none = roll.ask_at is None or self._asking
        self._ask_at = math.inf if is_none else max(roll.ask_at or 0, self._not_before)
        self._metrics.open_jobs.labels(self.cluster).set(roll.open)
        self._metrics.missing_jobs.labels(self.cluster).set(roll.missing)

    def mark(self, ledger: Ledger) -> Ledger:
        """Return the ledger with what `windows.due` must know of the open jobs."""
        return ledger._replace(listed_at=self._listed_at, ask_at=self._ask_at)

    def begun(self, now: int, *, absent: bool) -> None:
        """Note that a listing, or the asking, is under way: if it fails, other things come first."""
        if absent:
            self._ask_at, self._asking, self._wanted = math.inf, True, ()
        else:
            self._listed_at = now

    async def missing(self, now: int) -> list[KnownAttempt]:
        """Return whom to ask for now; no one, where the polls have found their ends meanwhile."""
        self._wanted = jobs = await open_jobs.missing(
            self._database, self.cluster, now, grace=self._grace, again=AGAIN_SECONDS, limit=self._most
        )
        if not jobs:
            await self.asked((), now)
            self._ask_at = max(self._ask_at, now + GRACE_SECONDS)
        return jobs

    async def listed(self, answer: SacctAnswer, now: int, *, anchor: KnownAttempt | None) -> int:
        """Take a listing in; return how many jobs are open.

        Args:
            answer: The listing.
            now: Epoch seconds.
            anchor: An attempt that ended, and that the listing must show; None where none is known.

        Raises:
            SilenceError: It does not show the anchor: what was listed before stands.
            SacctOutputError: It is not complete: what was listed before stands.
            StoreBusyError: The store cannot be written now.
        """
        count, first, is_shown = 0, True, anchor is None
        async for rows in answer.rows():
            is_shown = is_shown or (anchor is not None and anchor.key in rows.readings.keys)
            jobs = rows.readings.values("job_id_raw", "submit", "job_id", "state", "end")
            # What has ended by now with a known end is the polls' business.
            listed = [
                open_jobs.ListedJob(job_id_raw, submit, job_id, not has_ended(state, end))
                for job_id_raw, submit, job_id, state, end in jobs
                if end is None
            ]
            await open_jobs.gather(self._database, self.cluster, listed, first=first)
            count, first = count + len(listed), False
        if first:
            await open_jobs.gather(self._database, self.cluster, (), first=True)
        if not is_shown:
            raise silence()
        await open_jobs.conclude(self._database, self.cluster, now)
        # By a clock that was ahead it would be far away.
        self._not_before = min(self._not_before, now + self._grace)
        await self._load()
        return count

    async def asked(self, jobs: Sequence[KnownAttempt], now: int) -> None:
        """Note that these were asked for, and that what had ended is in the store."""
        await open_jobs.mark_asked(
            self._database, self.cluster, [(job.job_id_raw, job.submit) for job in jobs], now
        )
        self._asking = False
        if jobs:
            self._most = min(ASK_ROWS, 2 * self._most)
        await self._load()
