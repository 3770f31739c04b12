"""Lists of steps that prove themselves: asked for whole, and in halves where sacct shows none of a list.

A list of job numbers (`sacct -j`) fails as silently as a window does, and one job with many steps is enough: if
MariaDB ends the statement for its steps, the whole list comes back empty, exit status 0 (measured on 22.05.8,
24.11.5 and 26.05.5). So the list is halved until the job is found that costs the others their answer. It is put
off, and does not count as asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from slurmwatchd.errors import SacctTooWideError
from slurmwatchd.model.usage import UsageAnswer, UsageRequest, asked
from slurmwatchd.sources.sacct.step_fields import Key
from slurmwatchd.sources.sacct.steps import StepSource
from slurmwatchd.store import usage_queue
from slurmwatchd.store.database import Database
from slurmwatchd.watcher.anchors import silence

FEW_JOBS = 10
"""So many attempts are asked for without their steps, to see whether slurmdbd has them: a list that short was
never cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepsAnswer:
    """What became of a list.

    Attributes:
        told: Key to what an attempt used; those that slurmdbd no longer has are in neither.
        unanswered: Attempts that slurmdbd has, and whose steps it does not give.
    """

    told: Mapping[Key, UsageAnswer] = field(default_factory=dict)
    unanswered: frozenset[Key] = frozenset()


class StepLists:
    """The lists of one cluster's steps."""

    def __init__(self, cluster: str, source: StepSource, database: Database, *, timeout_seconds: float) -> None:
        """Prepare; nothing is run.

        Args:
            cluster: Its name in the store.
            source: Whom to ask.
            database: Knows an attempt that slurmdbd must show.
            timeout_seconds: Of one list.
        """
        self.cluster = cluster
        self._source = source
        self._database = database
        self._timeout_seconds = timeout_seconds

    async def ask(self, attempts: Sequence[UsageRequest], *, now: int) -> StepsAnswer:
        """Ask for the steps of some attempts.

        Args:
            attempts: At least one, all of which started.
            now: Epoch seconds.

        Raises:
            SacctError: No proved answer.
            SilenceError: Not even an attempt that is known to be there is shown.
        """
        try:
            told = await self._source.usage_of(attempts, now=now, timeout_seconds=self._timeout_seconds)
        except SacctTooWideError:
            # MariaDB ended the statement before its first row: the same as an empty answer, and known to be one.
            told = {}
        if told:
            return StepsAnswer(told=told)
        if len(attempts) <= FEW_JOBS:
            there = await self._source.shown(attempts, now=now, timeout_seconds=self._timeout_seconds)
            if not there:
                await self._hold_to_anchor(attempts, now)
                return StepsAnswer()
            if len(attempts) == 1:
                return StepsAnswer(unanswered=frozenset(there))
        middle = len(attempts) // 2
        first = await self.ask(attempts[:middle], now=now)
        second = await self.ask(attempts[middle:], now=now)
        return StepsAnswer(told={**first.told, **second.told}, unanswered=first.unanswered | second.unanswered)

    async def _hold_to_anchor(self, attempts: Sequence[UsageRequest], now: int) -> None:
        """Ask for an attempt that is known to be there.

        Raises:
            SilenceError: It is not shown, so nothing follows from those that are not.
        """
        without = [attempt.job for attempt in attempts]
        anchor = await usage_queue.newest_ended(self._database, self.cluster, without=without)
        if anchor is not None:
            held = [asked(anchor.job, orjson.loads(anchor.body), anchor.submit)]
            if await self._source.shown(held, now=now, timeout_seconds=self._timeout_seconds):
                return
        raise silence()
