"""Asking sacct for what is due: a window whole or by its differences, the open jobs, those that vanished."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from slurmwatchd.model.attempts import NOTHING, AttemptBatch, AttemptKey
from slurmwatchd.model.ledger import Ledger
from slurmwatchd.model.policy import ReadPolicy
from slurmwatchd.model.records import FoundBy
from slurmwatchd.model.windows import Window
from slurmwatchd.sources.sacct.arguments import job_argument
from slurmwatchd.sources.sacct.client import ParsedRows, SacctAnswer
from slurmwatchd.sources.sacct.fields import Layout
from slurmwatchd.store import known_attempts
from slurmwatchd.watcher.anchors import KEYS, Anchors, silence
from slurmwatchd.watcher.open_jobs import ASK_ROWS, OpenJobs, has_ended
from slurmwatchd.watcher.storer import FetchedAnswer, WatcherParts


@dataclass(frozen=True, slots=True)
class GatheredRows:
    """Some rows picked out of larger answers: few enough to be kept in memory. An `SacctAnswer`."""

    seconds: float
    slots: frozenset[str]
    readings: AttemptBatch = NOTHING
    size: int = 0

    async def rows(self) -> AsyncIterator[ParsedRows]:
        """See `SacctAnswer.rows`."""
        if self.readings:
            yield ParsedRows(self.readings)


class Fetcher:
    """Asks one cluster's sacct."""

    def __init__(self, cluster: str, parts: WatcherParts, roll_call: OpenJobs, anchors: Anchors) -> None:
        """Prepare; nothing is run."""
        self.cluster = cluster
        self._parts = parts
        self._roll_call = roll_call
        self._anchors = anchors

    async def fetch(
        self, window: Window, ledger: Ledger, policy: ReadPolicy, *, pending: bool = False
    ) -> FetchedAnswer | None:
        """Ask; the answer is complete when this returns, and open until its resources are closed.

        Args:
            window: What is due.
            ledger: As it stands before.
            policy: By which it was named.
            pending: Whether an earlier answer is on its way to the store: the window's anchor may be in it, and is
                looked for a little beyond its edge.

        Returns:
            The answer, and the ledger as it will stand once that is stored; None where no one is left to ask for.

        Raises:
            SacctError: There is no complete answer.
            SilenceError: One that was asked for by name, or listed, does not show what it must.
        """
        metrics, clock = self._parts.metrics, self._parts.clock
        began, read_at = clock.monotonic(), int(clock.now())
        self._parts.layouts.revise(policy.revise)
        async with AsyncExitStack() as stack:
            layout = await self._parts.layouts.current(check=window.head)
            if window.found_by is FoundBy.OPEN_SET:
                fetched = await self._ask_open_set(window, ledger, read_at, stack)
            else:
                metrics.polls.labels(self.cluster).inc()
                try:
                    if pending:
                        reached = replace(
                            window, until=min(window.end + policy.overlap, max(ledger.newest, window.end))
                        )
                    else:
                        reached = await self._anchors.reach(window, ledger, policy)
                    fetched = await self._ask_window(reached, ledger, layout, read_at, stack)
                finally:
                    metrics.poll_seconds.labels(self.cluster).observe(clock.monotonic() - began)
            return fetched and replace(fetched, resources=stack.pop_all())
        raise AssertionError("unreachable: the stack swallows nothing")

    async def _ask_window(
        self, window: Window, ledger: Ledger, layout: Layout, read_at: int, stack: AsyncExitStack
    ) -> FetchedAnswer:
        done = ledger.read(*window.covered(ledger.horizon), read_at)
        if window.found_by is FoundBy.REREAD:
            compared = await self._compare(window, layout, read_at)
            if compared is not None:
                answer, unchanged = compared
                return FetchedAnswer(window, answer, read_at, done, unchanged=unchanged)
        whole = await stack.enter_async_context(self._parts.sacct.ended_in(window, layout))
        return FetchedAnswer(window, whole, read_at, done)

    async def _compare(self, window: Window, layout: Layout, now: int) -> tuple[SacctAnswer, int] | None:
        """Ask for the fields that can show a change, and for whole records of what is new or changed.

        Returns:
            The whole records, and how many attempts are as the store has them; None where asking for the whole
            window is simpler: much has changed, a row has no key, or one does not answer to its name.
        """
        seconds, unchanged = 0.0, 0
        wanted: dict[AttemptKey, str] = {}
        async with self._parts.sacct.ended_in(window, layout.few()) as few:
            seconds += few.seconds
            async for rows in few.rows():
                differing, same = await known_attempts.differing(self._parts.database, self.cluster, rows.readings)
                unchanged += same
                wanted.update(zip(differing.keys, differing.columns["job_id"], strict=True))
                if rows.rejected or len(wanted) > ASK_ROWS:
                    return None
        if not wanted:
            return GatheredRows(seconds, layout.slots), unchanged
        if any("[" in job_id for job_id in wanted.values()):
            # An array that never started answers only with all of its tasks.
            return None
        named = await self._ask_by_name(list(wanted.values()), wanted, layout, now)
        if len(named.readings) < len(wanted):
            return None
        return replace(named, seconds=seconds + named.seconds), unchanged

    async def _ask_open_set(
        self, window: Window, ledger: Ledger, now: int, stack: AsyncExitStack
    ) -> FetchedAnswer | None:
        self._roll_call.begun(now, absent=window.absent)
        anchor = await self._anchors.newest(now)
        if not window.absent:
            since = None if anchor is None else anchor.end
            listing = await stack.enter_async_context(self._parts.sacct.open_at(now, KEYS, since=since))
            return FetchedAnswer(window, listing, now, ledger, anchor=anchor)
        missing = await self._roll_call.missing(now)
        if not missing:
            return None
        asked = [job_argument(job.job_id, job.job_id_raw) for job in missing]
        keys = {(job.job_id_raw, job.submit): job.submit for job in missing}
        layout = await self._parts.layouts.current(check=False)
        if anchor is not None:
            asked.append(job_argument(anchor.job_id, anchor.job_id_raw))
            keys[anchor.key] = anchor.submit
        named = await self._ask_by_name(asked, keys, layout, now)
        if anchor is not None and not named.readings:
            raise silence()
        standing = enumerate(named.readings.values("job_id_raw", "submit", "state", "end"))
        ended = [
            place
            for place, (job_id_raw, submit, state, end) in standing
            if has_ended(state, end) and (anchor is None or (job_id_raw, submit) != anchor.key)
        ]
        named = replace(named, readings=named.readings.take(ended))
        return FetchedAnswer(window, named, now, ledger, missing=missing)

    async def _ask_by_name(
        self, job_ids: Sequence[str], keys: Collection[AttemptKey], layout: Layout, now: int
    ) -> GatheredRows:
        """Return the whole records of some attempts, as far as they answer, and of no others."""
        since = min(submit for _, submit in keys)
        async with self._parts.sacct.named(job_ids, layout, since=since, now=now) as answer:
            readings = AttemptBatch.joined([rows.readings async for rows in answer.rows()])
            # Sacct may repeat a row; the last stands.
            found = {key: place for place, key in enumerate(readings.keys) if key in keys}
            return GatheredRows(answer.seconds, answer.slots, readings.take(list(found.values())))
