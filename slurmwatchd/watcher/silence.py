"""Whether an answer can be all there is: judged by the attempts that it must show.

sacct prints a header, nothing else, and exits 0 where a query failed inside slurmdbd, where the cluster's name is
unknown to slurmdbd, and where the user lost the right to see other people's jobs (PrivateData). So each answer is
held to show what is known to have ended in the stretch that was asked for (`anchors.py`):

- It shows all of that: it is complete.
- It shows none of it: it is asked again as far as more of what is known, and fails where that is not shown either.
- It shows some of it: slurmdbd's answers are whole or empty, so the others are gone (deleted, purged), or hidden
  from this user. A second answer must agree, and what is missing must not answer to its name. A few that are gone
  are noted (`gone`) and the reading goes on; where most are, it fails for a day at most.
- Nothing is known to have ended there, nor within reach: rows prove it whole. Without rows it is asked again
  together with its neighbourhood, wider and wider, until there is a row. Where there is none at all, slurmctld is
  asked whether any job was ever submitted, and slurmdbd for the newest of them by number.

What an answer cannot show is asked of slurmdbd besides: whether it knows the cluster, and what this user may see.

An answer that fails keeps its rows, and its window is not taken as read. It is asked for again, and the doubtful
stretch is read again afterwards (`outage.py`).
"""

import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from slurmwatchd.errors import SilenceError
from slurmwatchd.model.attempts import AttemptKey
from slurmwatchd.model.clock import Clock
from slurmwatchd.model.ledger import Ledger
from slurmwatchd.model.policy import ReadPolicy
from slurmwatchd.model.windows import Window
from slurmwatchd.sources.sacct.arguments import job_argument
from slurmwatchd.sources.sacct.client import Sacct
from slurmwatchd.sources.sacctmgr import NO_PRIVILEGES, UNKNOWN_CLUSTER, Sacctmgr, Standing
from slurmwatchd.store import known_attempts
from slurmwatchd.store.database import Database
from slurmwatchd.store.known_attempts import KnownAttempt
from slurmwatchd.telemetry.health import ClusterHealth
from slurmwatchd.telemetry.log import get_logger
from slurmwatchd.telemetry.metrics import Metrics
from slurmwatchd.watcher.anchors import KEYS, MORE, SILENT, SILENT_TEXT, Anchors
from slurmwatchd.watcher.name_lists import NAMES, NAMES_TEXT

ROWS_GONE = "rows_gone"
REASONS = {
    UNKNOWN_CLUSTER: "slurmdbd does not know a cluster of this name",
    NO_PRIVILEGES: "PrivateData hides other people's jobs from this user: give it AdminLevel=Operator",
    ROWS_GONE: "slurmdbd no longer shows attempts that it showed before; if they were deleted, the daemon"
    " continues by itself after a day, or at once with `slurmwatchd verify --accept-deleted`",
    SILENT: SILENT_TEXT,
    NAMES: NAMES_TEXT,
}
"""What may be suspected, and how it is reported."""

STANDING_SECONDS = 300.0
"""How long what slurmdbd says of cluster and user vouches for an empty answer, where nothing is known yet."""

PATIENCE_SECONDS = 86_400
"""How long rows that are gone, where nothing else is wrong, keep the watermark from moving."""

PURGE_MARGIN_SECONDS = 3600
"""An anchor was submitted at least so long after what may be purged."""

ASK_ROWS = 20
"""So many of what is missing are asked for by name."""

SINGLE_IDS = 3
"""So many of them are asked for one by one."""

LAST_IDS = 50
"""So many of the newest job ids are asked for, where slurmdbd shows no end at all."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRows:
    """What an answer showed.

    Attributes:
        window: As it was asked.
        rows: How many rows there were.
        known: How many attempts were known to have ended in the stretch asked for, before the answer was stored.
        shown: How many of those the answer had.
        new: How many attempts it had that were not in the store.
    """

    window: Window
    rows: int
    known: int
    shown: int
    new: int

    @property
    def proves_itself(self) -> bool:
        """Whether nothing that is known is missing, and something is known."""
        return self.shown >= self.known > 0


@dataclass(frozen=True, slots=True)
class _Missing:
    """Attempts that an answer does not show, and how many are known to have ended in the stretch asked for."""

    attempts: Sequence[KnownAttempt]
    known: int


class SilenceCheck:
    """Whether what slurmdbd shows of one cluster can be taken for all there is."""

    def __init__(  # noqa: PLR0913 - all that it may ask
        self,
        cluster: str,
        *,
        anchors: Anchors,
        sacct: Sacct,
        sacctmgr: Sacctmgr,
        job_numbers: Callable[[], Awaitable[range | None]],
        database: Database,
        clock: Clock,
        metrics: Metrics,
        health: ClusterHealth,
    ) -> None:
        """Begin without suspicion."""
        self.cluster = cluster
        self._anchors = anchors
        self._sacct = sacct
        self._sacctmgr = sacctmgr
        self._job_numbers = job_numbers
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._health = health
        self._trusted_until = -math.inf
        self._missing_since: dict[int, float] = {}
        self._tell("")

    @property
    def reason(self) -> str:
        """One of `REASONS`; empty where there is no suspicion."""
        return self._reason

    async def examine(self, answer: ShownRows, ledger: Ledger, policy: ReadPolicy) -> None:
        """Judge an answer that is in the store, except for its place in the ledger.

        Args:
            answer: What it showed.
            ledger: As it stands after it.
            policy: How much one call may ask for.

        Raises:
            SilenceError: It cannot be all there is.
            SacctError: What speaks for it could not be asked for.
        """
        if not answer.proves_itself:
            with self.telling():
                if answer.known:
                    await self._judge(answer, answer.window, ledger, policy)
                else:
                    await self._judge_without_anchor(answer, ledger, policy)
        if self._reason:
            self._tell("")

    async def _judge(self, answer: ShownRows, reached: Window, ledger: Ledger, policy: ReadPolicy) -> None:
        """Judge an answer that does not show all that is known, by what a wider question shows."""
        missing = await self._missing(answer, reached, ledger, policy)
        if missing.attempts:
            await self._explain(missing)

    async def probe(self) -> None:
        """Ask for attempts that were shown before, by their ends.

        Raises:
            SilenceError: None is shown, or what else was suspected is still so.
            SacctError: Sacct failed.
        """
        with self.telling():
            await self._probe()

    async def _probe(self) -> None:
        until = int(self._clock.now()) + 1
        since = await self._anchors.end_before(until, more=MORE[-1])
        if since is None:
            self._check(await self._standing())
            return
        known = await self._anchors.within(since, until)
        shown = await self._anchors.shown_in(
            self._sacct, Window(since, max(attempt.end or since for attempt in known) + 1)
        )
        if known and not any(attempt.key in shown for attempt in known):
            await self._explain(_Missing(known, known=len(known)))

    async def _judge_without_anchor(self, answer: ShownRows, ledger: Ledger, policy: ReadPolicy) -> None:
        """Judge an answer of whose stretch nothing was known: rows prove it, since none is partial."""
        if answer.rows:
            return
        reached = await self._anchors.reach(answer.window, ledger, policy)
        if reached.asked != answer.window.asked:
            # Its anchor was on its way to the store when it was asked for.
            await self._judge(answer, reached, ledger, policy)
            return
        is_shown = await self._anchors.widen(self._sacct, answer.window, policy, now=int(self._clock.now()))
        if self._clock.monotonic() >= self._trusted_until:
            self._check(await self._standing())
        if not is_shown:
            await self._ask_by_number(answer.window)

    def _check(self, standing: Standing) -> None:
        """Believe empty answers for a while, if slurmdbd knows the cluster and hides nothing."""
        if standing.fault:
            raise _silence(standing.fault)
        self._trusted_until = self._clock.monotonic() + STANDING_SECONDS

    async def _standing(self) -> Standing:
        """Ask what slurmdbd knows of cluster and user, and since when it keeps what it has."""
        standing = await self._sacctmgr.standing()
        if standing.limits is not None and standing.limits.purge_seconds is not None:
            purged = int(self._clock.now()) - standing.limits.purge_seconds
            self._anchors.kept_since = purged + PURGE_MARGIN_SECONDS
        return standing

    async def _ask_by_number(self, window: Window) -> None:
        """Where slurmdbd shows no end at all, ask for the newest jobs by number: none of them may have ended.

        Raises:
            SilenceError: One has, or attempts are known that should be shown.
        """
        if await self._anchors.oldest_since(0) is not None:
            await self._probe()
        if await self._anchors.oldest_since(0) is not None:
            # They are shown by themselves, and were not among everything that ever ended.
            raise _silence(SILENT)
        given = await self._job_numbers()
        numbers = given[-LAST_IDS:] if given else ()
        if not numbers:
            return
        _, until = window.asked
        # Singly too: a long list fails as silently as a window does.
        singly = numbers[-SINGLE_IDS:] if len(numbers) > 1 else ()
        for some in (numbers, *([number] for number in singly)):
            if await self._shows_end(some, until):
                raise _silence(SILENT)

    async def _shows_end(self, numbers: Sequence[int], until: int) -> bool:
        """Return whether one of some jobs, by their numbers, ended before a moment."""
        now, found = int(self._clock.now()), False
        async with self._sacct.named(list(map(str, numbers)), KEYS, since=0, now=now) as answer:
            async for rows in answer.rows():
                found = found or any(end is not None and end < until for end in rows.readings.columns["end"])
        return found

    async def _missing(self, answer: ShownRows, reached: Window, ledger: Ledger, policy: ReadPolicy) -> "_Missing":
        """Ask again for the keys alone, as far as something known answers, and return what is known and not shown.

        Raises:
            SilenceError: Nothing known answers, or more is shown than before.
        """
        since, until = answer.window.asked
        for more in MORE:
            window = await self._anchors.reach(answer.window, ledger, policy, more=more) if more else reached
            known = await self._anchors.within(*window.asked)
            shown = await self._anchors.shown_in(self._sacct, window)
            met = await self._anchors.among(set(shown))
            if any(end is not None and since <= end < until and key not in met for key, end in shown.items()):
                raise _silence(SILENT)
            own = [attempt for attempt in known if attempt.end is not None and since <= attempt.end < until]
            if sum(attempt.key in met for attempt in own) > answer.shown + answer.new:
                raise _silence(SILENT)
            if met:
                return _Missing([attempt for attempt in known if attempt.key not in met], known=len(known))
        return _Missing(known, known=len(known))

    async def _explain(self, missing: "_Missing") -> None:
        """Find out what became of attempts that are not shown: gone, hidden, or there all the same.

        Raises:
            SilenceError: They are there, they may be hidden, or most of all that are known are gone.
        """
        if await self._answer_by_name(missing.attempts):
            raise _silence(SILENT)
        standing = await self._standing()
        if standing.fault:
            raise _silence(standing.fault)
        kept = [attempt for attempt in missing.attempts if attempt.submit >= self._anchors.kept_since]
        if not kept:
            return
        if standing.sees_all is not True or 2 * len(kept) > missing.known:
            now = self._clock.monotonic()
            if now - self._missing_since.setdefault(kept[0].job, now) < PATIENCE_SECONDS:
                raise _silence(ROWS_GONE)
            # Those of other windows go on waiting from when they were missed first, and not one after the other.
            del self._missing_since[kept[0].job]
        await self._note_gone(kept)

    async def _answer_by_name(self, attempts: Sequence[KnownAttempt]) -> bool:
        """Return whether one of some attempts answers to its name, and still says that it ended when it did."""
        # Fewer at a time where none answers: a long list fails as silently as a window does.
        for number in (ASK_ROWS, 1):
            shown = await self._named(attempts[-number:])
            if shown:
                ends = {known.key: known.end for known in attempts}
                return any(end is not None and ends.get(key) == end for key, end in shown.items())
        return False

    async def _named(self, attempts: Sequence[KnownAttempt]) -> dict[AttemptKey, int | None]:
        """Return what answers to the names of some attempts, with its end."""
        asked = [job_argument(known.job_id, known.job_id_raw) for known in attempts]
        now, since = int(self._clock.now()), min(known.submit for known in attempts)
        async with self._sacct.named(asked, KEYS, since=since, now=now) as answer:
            shown: dict[AttemptKey, int | None] = {}
            async for rows in answer.rows():
                shown.update(zip(rows.readings.keys, rows.readings.columns["end"], strict=True))
            return shown

    async def _note_gone(self, attempts: Sequence[KnownAttempt]) -> None:
        """Hold no answer to these any more."""
        jobs = [attempt.job for attempt in attempts]
        await known_attempts.note_gone(self._database, jobs, now=int(self._clock.now()))
        self._metrics.gone.labels(self.cluster).inc(len(jobs))
        _log.warning(
            "known attempts gone from slurmdbd",
            cluster=self.cluster,
            attempts=len(jobs),
            job_ids=" ".join(attempt.job_id for attempt in attempts[:10]),
        )

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Show wherever it is looked for that an answer cannot be believed, if that is raised inside."""
        try:
            yield
        except SilenceError as error:
            self._tell(error.reason)
            raise

    def _tell(self, reason: str) -> None:
        """Show the suspicion, or that there is none, wherever it is looked for."""
        self._reason = reason
        self._health.suspicion = REASONS.get(reason, "")
        for name in REASONS:
            self._metrics.suspicion.labels(self.cluster, name).set(name == reason)


def _silence(reason: str) -> SilenceError:
    return SilenceError(REASONS[reason], reason=reason)
