"""One cluster: name the window, have it fetched, have it stored, and go on after whatever fails.

While one answer is being stored the next is already being fetched; sacct never runs twice at once for a
cluster. What was planned but not stored is forgotten when anything fails: the next round starts from the
ledger in the store, which moved only with the rows it covers.
"""

import math
from dataclasses import replace

import anyio
from anyio.abc import ObjectReceiveStream, ObjectSendStream

from slurmwatchd.errors import (
    ClockError,
    CommandError,
    SacctTimeoutError,
    SacctTooWideError,
    SilenceError,
    SlurmNotFoundError,
    StoreFullError,
    TransientError,
    first_cause,
)
from slurmwatchd.model.clock import Backoff, rfc3339
from slurmwatchd.model.ledger import BackfillRemainder, Ledger
from slurmwatchd.model.policy import ReadPolicy
from slurmwatchd.model.records import FoundBy
from slurmwatchd.model.windows import Window, due, next_head
from slurmwatchd.store import backfills
from slurmwatchd.store import ledger as ledger_store
from slurmwatchd.telemetry.disks import Disks
from slurmwatchd.telemetry.health import ClusterHealth
from slurmwatchd.watcher.anchors import SILENT, Anchors
from slurmwatchd.watcher.failed_windows import FailedWindows
from slurmwatchd.watcher.fetcher import Fetcher
from slurmwatchd.watcher.half_written import HalfWrittenRows
from slurmwatchd.watcher.open_jobs import OpenJobs
from slurmwatchd.watcher.outage import Outage
from slurmwatchd.watcher.pause import Pause
from slurmwatchd.watcher.reporter import Reporter
from slurmwatchd.watcher.silence import SilenceCheck
from slurmwatchd.watcher.slices import Slices
from slurmwatchd.watcher.storer import FetchedAnswer, Storer, StoreResult, WatcherParts, hand_over
from slurmwatchd.watcher.usage_collector import UsageCollector

PROBE_FAILURES = 3
"""After so many failures in a row slurmdbd is asked something small before it is asked for a window again."""

BACKFILL_FAILURES = 5
"""After so many failures in a row a backfill that no daemon works off gives up; it goes on where it stopped."""


class Watcher:
    """Reads one cluster's accounting into the store."""

    def __init__(
        self,
        cluster: str,
        parts: WatcherParts,
        policy: ReadPolicy,
        *,
        since_seconds: int,
        timeout_seconds: float,
        collector: UsageCollector | None = None,
    ) -> None:
        """Prepare; nothing is run.

        Args:
            cluster: Its name in the ledger and in labels.
            parts: What it works with.
            policy: When to read what; `reconfigure` changes it.
            since_seconds: How far back the very first start begins.
            timeout_seconds: Of one sacct call, for the watchdog's patience.
            collector: Asks for usage when no window is due; None where no one wants it.
        """
        self.cluster = cluster
        self._parts = parts
        self._collector = collector
        self._policy = policy
        self._pause = Pause(parts.clock)
        self._is_nudged = False
        self._since_seconds = since_seconds
        self._timeout_seconds = timeout_seconds
        self._patience = 2 * timeout_seconds + 60
        self._backoff = Backoff(first_seconds=min(policy.interval, 5.0), ceiling_seconds=_ceiling(policy))
        self._settling = HalfWrittenRows()
        self._doubt = Outage()
        self._failures = FailedWindows()
        self._asked: Window | None = None
        self._begun = False
        self._disks = Disks(parts.health, parts.metrics)
        self._newest = 0
        self._polls = True
        self._looks_back = False
        self._slices = Slices(cluster, parts.sacctmgr, parts.clock, parts.metrics, policy)
        self._health = health = parts.health.clusters.setdefault(cluster, ClusterHealth())
        self._reporter = Reporter(cluster, clock=parts.clock, metrics=parts.metrics, health=health)
        self._anchors = Anchors(cluster, parts.database)
        self._suspicion = SilenceCheck(
            cluster,
            anchors=self._anchors,
            sacct=parts.sacct,
            sacctmgr=parts.sacctmgr,
            job_numbers=parts.job_numbers,
            database=parts.database,
            clock=parts.clock,
            metrics=parts.metrics,
            health=health,
        )
        self._roll_call = OpenJobs(cluster, parts.database, parts.metrics)
        self._fetcher = Fetcher(cluster, parts, self._roll_call, self._anchors)
        self._storer = Storer(
            cluster,
            parts,
            self._settling,
            self._suspicion,
            self._anchors,
            self._roll_call,
            withhold=lambda ledger: self._withhold(self._kept(ledger, int(parts.clock.now()))),
            alive=lambda: self._tick(0),
        )

    def reconfigure(self, policy: ReadPolicy) -> None:
        """Read by other rules from now on, also where the next poll was to be waited for."""
        self._policy = policy
        self.wake()

    def nudge(self) -> None:
        """Poll at once, whatever the interval; while polls fail, none comes sooner."""
        self._is_nudged = True
        self.wake()

    def wake(self) -> None:
        """Look at once what is due: a request has come."""
        self._pause.wake()

    async def run(self) -> None:
        """Read for ever; what fails is tried again, later each time."""
        self._looks_back = True
        while True:
            error: BaseException | None = None
            try:
                if self._health.probing:
                    await self._probe()
                await self._read_all(forever=True)
            except* (TransientError, SlurmNotFoundError) as group:
                # A sacct that is gone for a while is being upgraded.
                error = first_cause(group)
            if error is not None:
                self._failed(error)
            wait = self._backoff.next()
            if isinstance(error, SacctTimeoutError):
                # slurmdbd goes on with the query of a sacct that was killed: more of them would pile up.
                wait = max(wait, self._timeout_seconds)
            self._tick(wait)
            await self._parts.clock.sleep(wait)

    async def once(self) -> None:
        """Read until nothing is due.

        Raises:
            TransientError: A query failed.
        """
        self._settling.patient = False
        while (error := await self._failure_of_all()) is not None:
            is_shortest = self._slices.are_shortest
            self._failed(error)
            if is_shortest or not isinstance(error, SacctTooWideError):
                raise error
            # The next process would begin with a stretch as long, and be refused as well.
        if self._collector is not None:
            await self._collector.drain()

    async def backfill(self) -> None:
        """Read what backfills have left, and what was never read; look at the present only if no one ever did.

        Raises:
            TransientError: Readings failed again and again; what was read until then is stored.
        """
        self._polls = False
        while (error := await self._failure_of_all()) is not None:
            self._failed(error)
            if self._health.failures > BACKFILL_FAILURES:
                raise error
            await self._parts.clock.sleep(self._backoff.next())
        if self._collector is not None:
            # No daemon may come for a long time.
            await self._collector.drain()

    async def _failure_of_all(self) -> BaseException | None:
        """Read until nothing is due; return what failed, if anything did."""
        error: BaseException | None = None
        try:
            await self._read_all(forever=False)
        except* (TransientError, SlurmNotFoundError) as group:
            error = first_cause(group)
        return error

    async def _probe(self) -> None:
        """Ask something small; whatever it was that failed must work again before a window is asked for.

        Raises:
            TransientError: It does not.
        """
        self._tick(0)
        if self._suspicion.reason:
            await self._suspicion.probe()
        else:
            await self._parts.sacct.answers()

    async def _read_all(self, *, forever: bool) -> None:
        send, receive = anyio.create_memory_object_stream[FetchedAnswer](0)
        async with anyio.create_task_group() as group:
            group.start_soon(self._store_all, receive)
            group.start_soon(self._fetch_all, send, forever)

    async def _fetch_all(self, send: ObjectSendStream[FetchedAnswer], forever: bool) -> None:  # noqa: C901, FBT001 - one loop; start_soon passes by position
        clock = self._parts.clock
        await self._parts.database.has_room()
        horizon = int(clock.now()) - self._since_seconds
        ledger = await ledger_store.load(self._parts.database, self.cluster, horizon=horizon)
        self._newest = ledger.newest
        await self._roll_call.begin(self._policy, int(clock.now()))
        if forever:
            await self._begin(ledger)
        polled, polled_last = forever or not self._polls, self._failures.is_present_last
        previous: FetchedAnswer | None = None
        async with send:
            while True:
                self._tick(0)
                if previous is not None and not previous.is_large:
                    # What is asked for next must show something that is in the store.
                    await previous.stored.wait()
                now = clock.now()
                ledger = await self._knowing(self._as_of(ledger, int(now)))
                rules = self._rules(once_polled=polled and not forever)
                poll, waiting = self._is_nudged or not polled, self._failures.waiting(now) if forever else ()
                window = due(ledger, now, rules, poll=poll, polled_last=polled_last, waiting=waiting)
                if window is None:
                    if not forever:
                        return
                    await self._rest(next_head(ledger, self._policy) - now)
                    continue
                polled_last, self._asked = window.head, window
                if window.head:
                    self._is_nudged = False
                async with anyio.create_task_group() as beside:
                    if window.head:
                        # What is read next must keep them, so nothing is read before they are known.
                        beside.start_soon(self._slices.ask_limits, ledger, int(now))
                    pending = previous is not None and not previous.stored.is_set()
                    fetched = await self._fetcher.fetch(window, ledger, rules, pending=pending)
                    if fetched is None:
                        continue
                    ledger = fetched.ledger.settled(self._policy)
                    previous = replace(fetched, ledger=ledger)
                    if not await hand_over(send, previous):
                        return
                if window.head:
                    polled = True
                    if forever:
                        if previous is not None and not previous.is_large:
                            # What it shows may say that slurmctld's queue is but in flight.
                            await previous.stored.wait()
                        ledger = await self._look_back(ledger, int(now))

    async def _rest(self, seconds: float) -> None:
        """Ask for usage until the next poll is due, or just wait."""
        if self._collector is None or not await self._collector.work(seconds):
            await self._wait(seconds)

    async def _knowing(self, ledger: Ledger) -> Ledger:
        """Return the ledger with what the store knows besides: where anchors begin, what backfills have left."""
        oldest = await self._anchors.oldest_since(ledger.horizon)
        return ledger.wanting(await self._wanted())._replace(oldest=oldest)

    async def _wanted(self) -> list[BackfillRemainder]:
        """Return what backfills have left, by the store."""
        requests = await backfills.unfinished(self._parts.database, self.cluster)
        left = sum(request.reached - request.start for request in requests)
        self._parts.metrics.backfill_left.labels(self.cluster).set(left)
        return [BackfillRemainder(request.id, request.start, request.reached) for request in requests]

    def _rules(self, *, once_polled: bool) -> ReadPolicy:
        """Return the policy with slices as short as slurmdbd wants them now, and without what is not asked for."""
        rules = self._slices.cut(self._policy)
        if not self._polls:
            rules = replace(rules, reread=(), open_set=0)
        # One poll is what was asked for, however long catching up takes.
        return replace(rules, interval=math.inf) if once_polled else rules

    def _as_of(self, ledger: Ledger, now: int) -> Ledger:
        """Return the ledger as it stands now: nothing ahead of the clock, nothing older than is kept.

        Raises:
            ClockError: Reading began ahead of the clock.
        """
        if ledger.horizon > now:
            # Which of the two is wrong, no one can know: to begin again would deliver jobs a second time.
            began = rfc3339(ledger.horizon)
            raise ClockError(f"the clock says {rfc3339(now)}, but reading began at {began}: set the clock right")
        return self._kept(self._roll_call.mark(ledger.until(now)), now)

    def _kept(self, ledger: Ledger, now: int) -> Ledger:
        """Return the ledger without what the store may forget; what is unread, or in doubt, stays however old."""
        retain = self._policy.retain
        return ledger if retain is None else ledger.since(min(now, self._withhold(ledger).watermark) - retain)

    async def _begin(self, ledger: Ledger) -> None:
        """Before the first reading of this process, look whether an outage is still going on."""
        if not self._begun and ledger.stretches:
            self._doubt.begin(ledger.newest, await self._parts.sdiag.queue_size())
        self._begun = True

    async def _look_back(self, ledger: Ledger, now: int) -> Ledger:
        """Return the ledger without what must be read again soon: half-written rows, and what was in doubt."""
        self._settling.tidy(now)
        queue = await self._parts.sdiag.queue_size()
        self._doubt.polled(queue, now, shown=await self._anchors.end_before(now + 1) if queue else None)
        ledger = self._doubt.review(ledger, now, overlap=self._policy.overlap)
        return self._settling.withhold(ledger)

    def _withhold(self, ledger: Ledger) -> Ledger:
        """Return the ledger without half-written rows' ends, and what may be in doubt."""
        settled = self._settling.withhold(ledger)
        if not self._looks_back:
            # No one would take the doubt back: a poll by itself leaves late records to the re-reads.
            return settled
        return self._doubt.withhold(settled, overlap=self._policy.overlap)

    async def _wait(self, seconds: float) -> None:
        """Wait for the next head poll."""
        wait = self._pause.seconds(seconds, self._policy.interval)
        self._tick(wait)
        await self._pause.wait(wait)

    async def _store_all(self, receive: ObjectReceiveStream[FetchedAnswer]) -> None:
        async with receive:
            async for fetched in receive:
                async with fetched.resources:
                    try:
                        stored = await self._storer.store(fetched, self._rules(once_polled=False))
                    except Exception:
                        self._asked = fetched.window
                        raise
                    self._succeeded(fetched, stored)
                fetched.stored.set()
                if stored.total.new and self._collector is not None:
                    # Before the next poll there are steps to query.
                    self._pause.wake()

    def _succeeded(self, fetched: FetchedAnswer, stored: StoreResult) -> None:
        self._backoff.reset()
        self._failures.succeeded(fetched.window)
        if self._asked is not None and self._asked.start == fetched.window.start:
            self._asked = None
        self._disks.room("spool")
        if fetched.window.found_by is not FoundBy.OPEN_SET:
            self._slices.succeeded(fetched.window.seconds, self._policy)
        self._newest = fetched.ledger.newest
        self._reporter.probing(False)
        self._reporter.read(fetched, stored, self._settling.withhold(fetched.ledger).watermark)

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, CommandError):
            self._parts.layouts.doubt(error)
        is_spool_full = isinstance(error, StoreFullError) and "store" not in self._parts.health.full
        if is_spool_full:
            self._disks.full("spool", str(error))
        is_silent = isinstance(error, SilenceError) and error.reason == SILENT
        is_too_long = is_spool_full or is_silent or isinstance(error, SacctTimeoutError | SacctTooWideError)
        is_slurms = isinstance(error, CommandError | SilenceError | SlurmNotFoundError)
        if self._asked is not None and is_slurms:
            is_at_fault = not is_too_long or self._slices.are_shortest
            self._failures.failed(self._asked, self._parts.clock.now(), at_fault=is_at_fault)
        self._asked = None
        if is_too_long:
            self._slices.too_long(self._policy)
        if not isinstance(error, SacctTooWideError):
            # A slurmdbd that refuses a stretch is well: nothing is on its way. In doubt is what ended since the
            # last poll, and no more: what catching up has read is not read again for each query that fails.
            self._doubt.failed(self._newest or int(self._parts.clock.now()))
        self._reporter.failed(error)
        if is_slurms and self._health.failures >= PROBE_FAILURES:
            # Only a cheap probe is sent from now on. Once it is answered one reading is let through, and only its
            # success ends this. A store that cannot be written is no reason for it.
            self._reporter.probing(True)

    def _tick(self, seconds: float) -> None:
        """Promise a sign of life: after a wait, or after the longest that one sacct call may take."""
        self._parts.health.tick(f"watcher {self.cluster}", within_seconds=seconds + self._patience)


def _ceiling(policy: ReadPolicy) -> float:
    """Return the longest pause after failures: slurmdbd's return is to be noticed within about one interval.

    A refused connection costs no one anything; what does cost slurmdbd, a timeout, waits longer anyway.
    """
    return max(policy.interval, 10.0)
