"""One cluster's usage: ask for the steps of stored attempts, deliver what is complete, ask again for the rest.

This has the lowest rank of all that asks sacct. The watcher calls `work` when no window is due, one list at a
time, and a list is as long as fits before the next poll by what lists have cost so far: a poll does not find sacct
busy. Who waits stands in the store, so a restart forgets nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import anyio.to_thread
import orjson

from slurmwatchd.errors import SlurmNotFoundError, StoreFullError, TransientError
from slurmwatchd.model.clock import Backoff, Clock, rfc3339
from slurmwatchd.model.records import JobUsage, StepRecord
from slurmwatchd.model.usage import UsageAnswer, UsageRequest, asked, summed
from slurmwatchd.sources.sacct.steps import StepSource
from slurmwatchd.store import usage as usage_store
from slurmwatchd.store import usage_queue as waiting_store
from slurmwatchd.store.database import Database
from slurmwatchd.store.intake import Intake
from slurmwatchd.store.usage import UsageResults
from slurmwatchd.store.usage_queue import WaitingAttempt
from slurmwatchd.telemetry.log import Repeats, get_logger
from slurmwatchd.telemetry.metrics import Metrics
from slurmwatchd.watcher.step_lists import StepLists, StepsAnswer

RETRY_SECONDS = (300, 600)
"""How long an incomplete answer is left alone: 5 and 15 minutes after the first. Then the event goes out."""

PUT_OFF_SECONDS = 300
"""How long an attempt waits whose steps sacct does not give although it shows the job."""

LIST_JOBS = 3000
"""The longest list. From here on sacct takes about the same for each job more, whatever the length."""

FIRST_JOBS = 300
"""The first list, before it is known what one costs."""

LEAST_JOBS = 20
SHARE = 0.5
"""How much of the time before the next poll a list may take, by what the last one cost."""

TIMEOUT_SECONDS = 60.0
"""For one list; what is not answered by then is asked for again in shorter ones."""

QUEUE_JOBS = 500_000
"""While lists fail, no more than this wait: the oldest are delivered without usage, `complete` false."""

_COUNT_SECONDS = 10.0

_USAGE_FIELDS = JobUsage._fields

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageCollectorParts:
    """What a collector works with."""

    source: StepSource
    database: Database
    intake: Intake
    clock: Clock
    metrics: Metrics
    committed: Callable[[], None]
    """Called after each transaction that made events: wakes the sinks."""


class UsageCollector:
    """Brings the usage of one cluster's attempts into the store."""

    def __init__(self, cluster: str, parts: UsageCollectorParts) -> None:
        """Prepare; nothing is run. `cluster` is its name in the store and in labels."""
        self.cluster = cluster
        self._parts = parts
        self._lists = StepLists(cluster, parts.source, parts.database, timeout_seconds=TIMEOUT_SECONDS)
        self._backoff = Backoff(first_seconds=30.0, ceiling_seconds=900.0)
        self._resume = 0.0
        self._longest = FIRST_JOBS
        self._seconds_per_job = 0.0
        self._counted = 0.0
        self._repeats = Repeats()

    async def work(self, seconds: float) -> bool:
        """Ask for one list, unless there is nothing to ask or lists failed a moment ago.

        Args:
            seconds: Until sacct is needed for something else.

        Returns:
            Whether anything was done: if so there may be more to do.
        """
        if self._parts.clock.monotonic() < self._resume:
            return False
        try:
            return await self._step(self._length(seconds))
        except (TransientError, SlurmNotFoundError) as error:
            await self._failed(error)
            return False

    async def drain(self) -> None:
        """Ask for all that is due now.

        Raises:
            TransientError: A list failed; what it asked for keeps waiting.
        """
        while await self._step(self._longest):
            pass

    async def _step(self, length: int) -> bool:
        parts = self._parts
        now = int(parts.clock.now())
        waiting = await waiting_store.due(parts.database, self.cluster, now=now, limit=length)
        if waiting:
            wanted = await anyio.to_thread.run_sync(_asked, waiting)
            answer = await self._ask([attempt for attempt in wanted if attempt.started], now)
            await self._tell(waiting, wanted, answer, now)
        await self._count(force=not waiting)
        return bool(waiting)

    async def _ask(self, attempts: Sequence[UsageRequest], now: int) -> StepsAnswer:
        """Ask sacct for the steps of attempts; those that never started have none."""
        if not attempts:
            return StepsAnswer()
        parts = self._parts
        began = parts.clock.monotonic()
        try:
            answer = await self._lists.ask(attempts, now=now)
        finally:
            seconds = parts.clock.monotonic() - began
            parts.metrics.step_lists.labels(self.cluster).inc()
            parts.metrics.sacct_seconds.labels(self.cluster).inc(seconds)
            parts.metrics.step_seconds.labels(self.cluster).inc(seconds)
        self._backoff.reset()
        self._repeats.reset()
        self._seconds_per_job = seconds / len(attempts)
        self._longest = min(LIST_JOBS, self._longest * 2)
        return answer

    async def _tell(
        self, waiting: Sequence[WaitingAttempt], wanted: Sequence[UsageRequest], answer: StepsAnswer, now: int
    ) -> None:
        """Commit what is complete, or was asked for often enough; date the rest."""
        told: dict[int, tuple[int, bytes]] = {}
        later: dict[int, int] = {}
        put_off: dict[int, int] = {}
        usages: list[JobUsage] = []
        for entry, attempt in zip(waiting, wanted, strict=True):
            key = (attempt.job_id_raw, attempt.submit)
            if key in answer.unanswered:
                put_off[entry.job] = now + PUT_OFF_SECONDS
                continue
            used = answer.told.get(key) or UsageAnswer(usage=summed(attempt, None))
            # What a backfill finds has had its time: what is not there now will not come.
            last = entry.asked >= len(RETRY_SECONDS) or entry.urgency == waiting_store.PAST
            if used.usage.complete or last:
                told[entry.job] = (entry.seq, ending(used))
                usages.append(used.usage)
            else:
                later[entry.job] = now + RETRY_SECONDS[entry.asked]
        results = UsageResults(told=told, later=later, observed=now, put_off=put_off)
        self._note(await usage_store.tell(self._parts.intake, results), usages, len(later))
        if put_off:
            log = _log.warning if self._repeats.is_news("put off", self._parts.clock.monotonic()) else _log.debug
            log("sacct gives no steps of jobs that it shows", cluster=self.cluster, jobs=len(put_off))

    def _note(self, made: int, usages: Sequence[JobUsage], later: int) -> None:
        """Report to metrics, sinks and the log what a list brought."""
        metrics = self._parts.metrics
        incomplete = sum(not usage.complete for usage in usages)
        metrics.usages.labels(self.cluster).inc(made)
        metrics.usages_incomplete.labels(self.cluster).inc(incomplete)
        metrics.unparsed.labels(self.cluster).inc(sum(len(usage.raw) for usage in usages if usage.raw))
        if made:
            metrics.store_seq.set(self._parts.intake.last_seq)
            self._parts.committed()
        _log.debug("steps read", cluster=self.cluster, reported=made, incomplete=incomplete, later=later)

    async def _failed(self, error: TransientError | SlurmNotFoundError) -> None:
        """Wait longer, ask for less; while that goes on, let no more wait than there is room for."""
        parts = self._parts
        wait = self._backoff.next()
        self._resume = parts.clock.monotonic() + wait
        self._longest = max(LEAST_JOBS, self._longest // 2)
        parts.metrics.step_failures.labels(self.cluster).inc()
        log = _log.warning if self._repeats.is_news(str(error), parts.clock.monotonic()) else _log.debug
        log("step query failed", cluster=self.cluster, again_in_seconds=round(wait), error=str(error))
        try:
            await self._give_up()
            await self._count(force=True)
        except TransientError as busy:
            log = _log.debug if isinstance(busy, StoreFullError) else _log.warning
            log("usage not stored", cluster=self.cluster, error=str(busy))

    async def _give_up(self) -> None:
        """Deliver the oldest of too many without usage."""
        parts = self._parts
        excess = await waiting_store.count(parts.database, self.cluster) - QUEUE_JOBS
        if excess <= 0:
            return
        now = int(parts.clock.now())
        waiting = await waiting_store.due(parts.database, self.cluster, now=now, limit=min(excess, LIST_JOBS))
        told = {entry.job: (entry.seq, ending(UsageAnswer(usage=JobUsage(complete=False)))) for entry in waiting}
        made = await usage_store.tell(parts.intake, UsageResults(told=told, later={}, observed=now))
        self._note(made, [JobUsage(complete=False)] * made, 0)
        _log.error("usage queue full, oldest attempts reported without usage", jobs=made)

    async def _count(self, *, force: bool) -> None:
        """Show how many wait; not after each list, as it reads the index of all of them."""
        now = self._parts.clock.monotonic()
        if force or now - self._counted >= _COUNT_SECONDS:
            self._counted = now
            waiting = await waiting_store.count(self._parts.database, self.cluster)
            self._parts.metrics.usage_waiting.labels(self.cluster).set(waiting)

    def _length(self, seconds: float) -> int:
        """Return how many attempts a list may have that is to be answered within a share of some seconds."""
        if not self._seconds_per_job:
            return self._longest
        return max(LEAST_JOBS, min(self._longest, int(SHARE * seconds / self._seconds_per_job)))


def _asked(waiting: Sequence[WaitingAttempt]) -> list[UsageRequest]:
    return [asked(entry.job, orjson.loads(entry.body), entry.submit) for entry in waiting]


def ending(told: UsageAnswer) -> bytes:
    """Return what is appended to a record to make a `job_usage` of it, from the comma on."""
    usage = zip(_USAGE_FIELDS, told.usage, strict=True)
    text = b',"usage":' + orjson.dumps({name: value for name, value in usage if value is not None})
    return text + (b',"steps":' + orjson.dumps(list(map(_step_on_wire, told.steps))) if told.steps else b"")


def _step_on_wire(step: StepRecord) -> dict[str, object]:
    """Return what stands on the wire: absent is absent, times are RFC 3339."""
    on_wire: dict[str, object] = {
        name: value for name, value in zip(StepRecord._fields, step, strict=True) if value is not None
    }
    for name, moment in (("start", step.start), ("end", step.end)):
        if moment is not None:
            on_wire[name] = rfc3339(moment)
    return on_wire
