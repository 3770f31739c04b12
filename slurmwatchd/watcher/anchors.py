"""Anchors: attempts that are known to be there, so that an answer which shows one is complete.

slurmdbd sends an empty list, and sacct prints its header and exits 0, where a query failed while its rows were on
their way (MariaDB's `max_statement_time` is one cause; measured on 22.05.8, 24.11.5 and 26.05.5). Its answers were
whole or empty, never partial. So every question reaches to an attempt that the store has, and an answer without
any such attempt proves nothing.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from slurmwatchd.errors import SilenceError
from slurmwatchd.model.attempts import AttemptBatch, AttemptKey
from slurmwatchd.model.ledger import Ledger
from slurmwatchd.model.policy import ReadPolicy
from slurmwatchd.model.windows import Window, reaching
from slurmwatchd.sources.sacct.client import ParsedRows, Sacct, SacctAnswer
from slurmwatchd.sources.sacct.fields import Layout
from slurmwatchd.store import known_attempts
from slurmwatchd.store.known_attempts import KnownAttempt, Readable

SILENT = "silent"
"""The reason of a `SilenceError`: sacct printed a header and nothing that is known to be there."""

SILENT_TEXT = (
    "sacct exits 0 without the attempts that its answer must show: a query failed inside slurmdbd, see its log"
)

KEYS = Layout(("Cluster", "JobIDRaw", "Submit", "JobID", "State", "End"))
"""What is asked for where only it matters who is shown."""

WIDER = 4
"""By so much the neighbourhood grows with each question, so that the first that has rows has not many."""

MORE = (0, 10, 100)
"""How many attempts further an answer without its anchor is asked again: slurmdbd may have lost the nearest."""


class Anchors:
    """The attempts of one cluster that answers are held to show."""

    def __init__(self, cluster: str, store: Readable) -> None:
        """Begin with all that the store has. `cluster` is its name there."""
        self.cluster = cluster
        self.kept_since = 0
        """What was submitted earlier may have been purged, and is no anchor; epoch seconds."""
        self._store = store
        self._row_at: int | None = None

    async def reach(self, window: Window, ledger: Ledger, policy: ReadPolicy, *, more: int = 0) -> Window:
        """Return the window asked for as far as an anchor; as it is, where it holds one or none is within reach.

        Args:
            window: What is due.
            ledger: What was read, of which nothing is on its way to the store.
            policy: How much one call may ask for.
            more: How many more known attempts the answer is to hold, if the nearest is not to be seen.
        """
        if not more and await self.count(window.start, window.end):
            return window
        before = await self.end_before(window.start, more=more)
        behind = await known_attempts.end_behind(
            self._store, self.cluster, window.end, submitted_since=self.kept_since, more=more
        )
        return reaching(window, ledger, policy, before=before, behind=behind) or window

    async def count(self, start: int, end: int) -> int:
        """Return how many attempts slurmdbd should show that ended in `[start, end)`."""
        return await known_attempts.ended_count(
            self._store, self.cluster, start, end, submitted_since=self.kept_since
        )

    async def count_shown(self, keys: Sequence[AttemptKey], start: int, end: int) -> int:
        """Return how many of those attempts stand among some keys."""
        return await known_attempts.shown_count(
            self._store, self.cluster, keys, start, end, submitted_since=self.kept_since
        )

    async def within(self, start: int, end: int) -> list[KnownAttempt]:
        """Return those attempts."""
        return await known_attempts.ended_within(
            self._store, self.cluster, start, end, submitted_since=self.kept_since
        )

    async def end_before(self, moment: int, *, more: int = 0) -> int | None:
        """Return the end of the newest known attempt that ended before a moment; of one `more` places older."""
        return await known_attempts.end_before(
            self._store, self.cluster, moment, submitted_since=self.kept_since, more=more
        )

    async def oldest_since(self, moment: int) -> int | None:
        """Return the end of the oldest known attempt that ended at a moment or later."""
        return await known_attempts.end_behind(self._store, self.cluster, moment, submitted_since=self.kept_since)

    async def newest(self, before: int) -> KnownAttempt | None:
        """Return the attempt that ended last before a moment, of those that ran; None where none is known."""
        return await known_attempts.newest_started(
            self._store, self.cluster, before, submitted_since=self.kept_since
        )

    async def among(self, keys: set[tuple[int, int]]) -> set[tuple[int, int]]:
        """Return those of some attempts that the store has."""
        return await known_attempts.stored_keys(self._store, self.cluster, keys)

    @asynccontextmanager
    async def ask(
        self,
        sacct: Sacct,
        window: Window,
        layout: Layout,
        ledger: Ledger,
        policy: ReadPolicy,
        *,
        now: int,
        more: int = 0,
    ) -> AsyncIterator[SacctAnswer]:
        """Ask for a window as far as an anchor, and give what ended in the window itself.

        Args:
            sacct: Whom to ask.
            window: What to read.
            layout: The fields to ask for.
            ledger: What was read.
            policy: How much one call may ask for.
            now: Epoch seconds.
            more: See `reach`.

        Raises:
            SacctError: There is no complete answer.
            SilenceError: It does not show what it must: raised by the answer's `rows` at their end, or after.
        """
        reached = await self.reach(window, ledger, policy, more=more)
        known = await self.count(*reached.asked)
        async with sacct.ended_in(reached, layout) as answer:
            held = _Held(answer, self, reached, known)
            yield held
        if known or held.has_rows or await self.widen(sacct, window, policy, now=now):
            return
        if await self.oldest_since(0) is not None:
            raise silence()

    async def shown_in(self, sacct: Sacct, window: Window) -> dict[AttemptKey, int | None]:
        """Return the attempts that sacct shows in a window, with their ends."""
        shown: dict[AttemptKey, int | None] = {}
        async with sacct.ended_in(window, KEYS) as answer:
            async for rows in answer.rows():
                shown.update(zip(rows.readings.keys, rows.readings.columns["end"], strict=True))
        return shown

    async def widen(self, sacct: Sacct, window: Window, policy: ReadPolicy, *, now: int) -> bool:
        """Ask for an empty window again, together with its neighbourhood, wider and wider until there is a row.

        That answer is whole, so what it shows of the window is all there is.

        Returns:
            Whether there is any row; if not, slurmdbd has none at all, or allows no wider question.

        Raises:
            SacctError: There is no complete answer.
            SilenceError: The wider answer has rows in the window.
        """
        since, until = window.asked
        size = max(until - since, policy.slice_seconds)
        begin = since - size if self._row_at is None else min(self._row_at, since - 1)
        end = until
        while True:
            begin, end = max(begin, 0), max(until, min(end, now))
            if policy.longest is not None and end - begin > policy.longest:
                return True
            shown = await self.shown_in(sacct, Window(begin, end))
            ends = [moment for moment in shown.values() if moment is not None]
            if any(since <= moment < until for moment in ends):
                raise silence()
            if ends:
                self._row_at = max((moment for moment in ends if moment < since), default=None)
                return True
            if begin == 0 and end >= now:
                self._row_at = 0
                return False
            size *= WIDER
            begin, end = since - size, until + size


class _Held:
    """An answer that must show an anchor. An `SacctAnswer`."""

    def __init__(self, answer: SacctAnswer, anchors: Anchors, window: Window, known: int) -> None:
        self.seconds = answer.seconds
        self.slots = answer.slots
        self.size = answer.size
        self._answer = answer
        self._anchors = anchors
        self._window = window
        self._known = known
        self.has_rows = False

    async def rows(self) -> AsyncIterator[ParsedRows]:
        """See `SacctAnswer.rows`.

        Raises:
            SilenceError: Nothing that is known was among them, although there must be.
        """
        shown = not self._known
        async for rows in self._answer.rows():
            self.has_rows = True
            shown = shown or bool(await self._anchors.among(set(rows.readings.keys)))
            yield ParsedRows(within(rows.readings, self._window.start, self._window.end), rows.rejected)
        if not shown:
            raise silence()


def silence() -> SilenceError:
    """Return the error that an answer shows nothing of what it must."""
    return SilenceError(SILENT_TEXT, reason=SILENT)


def within(readings: AttemptBatch, start: int, end: int | None) -> AttemptBatch:
    """Return the attempts that ended in `[start, end)`, or since the start, and those without an end."""
    ends = readings.columns["end"]
    places = [
        place
        for place, moment in enumerate(ends)
        if moment is None or (start <= moment and (end is None or moment < end))
    ]
    return readings if len(places) == len(ends) else readings.take(places)
