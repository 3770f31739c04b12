"""The store against sacct: row by row, on key, state, start and end."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from slurmwatchd.model.attempts import AttemptBatch
from slurmwatchd.model.clock import Clock
from slurmwatchd.model.ledger import Ledger
from slurmwatchd.model.policy import ReadPolicy
from slurmwatchd.model.records import Rejected
from slurmwatchd.model.windows import Window
from slurmwatchd.operations.slice_walk import walk
from slurmwatchd.operations.verify.scope import Span
from slurmwatchd.sources.sacct.client import Sacct, SacctAnswer
from slurmwatchd.store.known_attempts import KnownAttempt
from slurmwatchd.store.quarantine import SEPARATOR
from slurmwatchd.store.read.second_process import ComparisonReader
from slurmwatchd.watcher.anchors import Anchors

_SHOWN = (
    "CREATE TEMP TABLE shown (job_id_raw INTEGER, submit INTEGER, job_id TEXT, state TEXT, "
    'start INTEGER, "end" INTEGER, PRIMARY KEY (job_id_raw, submit)) WITHOUT ROWID'
)

_DIFFERENCES = (
    "CREATE TEMP TABLE differences (cluster TEXT, job_id_raw INTEGER, submit INTEGER, job_id TEXT, "
    "what TEXT, store ANY, sacct ANY, UNIQUE (cluster, job_id_raw, submit, what))"
)

_MISSING = (
    "SELECT shown.* FROM shown LEFT JOIN jobs ON jobs.cluster = ? AND jobs.job_id_raw = shown.job_id_raw "
    "AND jobs.submit = shown.submit WHERE jobs.id IS NULL"
)

# What the store has learnt since sacct was asked is newer than the answer, and no difference.
_DIFFERING = (
    "INSERT OR IGNORE INTO differences SELECT jobs.cluster, jobs.job_id_raw, jobs.submit, jobs.job_id, '{name}', "
    'jobs."{name}", shown."{name}" FROM shown '
    "JOIN jobs ON jobs.cluster = ?1 AND jobs.job_id_raw = shown.job_id_raw AND jobs.submit = shown.submit "
    "LEFT JOIN events ON events.seq = jobs.seq "
    'WHERE jobs."{name}" IS NOT shown."{name}" AND coalesce(events.observed, 0) < ?2'
)

_ABSENT = (
    "INSERT OR IGNORE INTO differences SELECT jobs.cluster, jobs.job_id_raw, jobs.submit, jobs.job_id, "
    "'{what}', jobs.\"end\", NULL FROM jobs LEFT JOIN events ON events.seq = jobs.seq "
    'WHERE jobs.cluster = ?1 AND jobs."end" >= ?2 AND jobs."end" < ?3 AND coalesce(events.observed, 0) < ?4 '
    "AND NOT EXISTS (SELECT 1 FROM shown WHERE shown.job_id_raw = jobs.job_id_raw AND shown.submit = jobs.submit)"
)

# An attempt whose end differs is shown by sacct in another slice than the store has it in.
_MOVED = (
    "DELETE FROM differences WHERE what = '{what}' AND EXISTS (SELECT 1 FROM differences AS other "
    "WHERE other.cluster = differences.cluster AND other.job_id_raw = differences.job_id_raw "
    "AND other.submit = differences.submit AND other.what != '{what}')"
)

_NOT_SHOWN = (
    'SELECT jobs.job_id_raw, jobs.submit, jobs.job_id, jobs."end", jobs.id FROM differences JOIN jobs '
    "ON jobs.cluster = differences.cluster AND jobs.job_id_raw = differences.job_id_raw "
    "AND jobs.submit = differences.submit WHERE differences.cluster = ? AND what = '{what}'"
)


class DifferenceKind(StrEnum):
    """How an attempt differs."""

    NOT_IN_STORE = "not in store"
    NOT_IN_SACCT = "not in sacct"
    UNREADABLE = "cannot be keyed"
    STATE = "state"
    START = "start"
    END = "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountingDifference:
    """One thing that is not the same.

    Attributes:
        job_id: As sacct prints it; of a row that cannot be keyed what it printed.
        job_id_raw: None for a row that cannot be keyed.
        submit: Epoch seconds.
        store: What the store has: a state, or epoch seconds; of a job sacct does not show its end.
        sacct: What sacct shows; of a job the store does not have its end.
    """

    cluster: str
    job_id: str
    job_id_raw: int | None
    submit: int | None
    what: DifferenceKind
    store: str | int | None
    sacct: str | int | None


@dataclass(slots=True, kw_only=True)
class ComparedRows:
    """What was looked at.

    Attributes:
        rows: How many rows sacct printed.
        quarantined: How many of those stand in the quarantine.
    """

    rows: int = 0
    quarantined: int = 0


class Comparison:
    """The differences of one or more clusters; they stay in a temporary table."""

    def __init__(self, reader: ComparisonReader, clock: Clock) -> None:
        """Prepare; `begin` makes the tables."""
        self._reader = reader
        self._clock = clock

    async def begin(self) -> None:
        """Make the temporary tables."""
        await self._reader.note(_SHOWN)
        await self._reader.note(_DIFFERENCES)

    async def compare(
        self,
        cluster: str,
        sacct: Sacct,
        spans: Sequence[Span],
        *,
        ledger: Ledger,
        policy: ReadPolicy,
        timeout_seconds: float,
        seen: Callable[[Window, ComparedRows], None],
        held: bool = True,
    ) -> ComparedRows:
        """Ask sacct for stretches of end times and compare each slice with the store.

        Args:
            cluster: Its name in the store.
            sacct: Its accounting.
            spans: What to compare.
            ledger: What was read of it.
            policy: How much one call may ask for.
            timeout_seconds: Of one call.
            seen: Called after each slice.
            held: Whether each answer must show an attempt that the store has.

        Raises:
            SacctError: Sacct failed.
            SilenceError: Its answers do not show what they must.
            StoreBusyError: The store cannot be read now.
        """
        tally = ComparedRows()

        async def visit(window: Window, answer: SacctAnswer) -> None:
            # The call began this long ago; what came into the store since then is not held against it.
            asked = int(self._clock.now() - answer.seconds) - 1
            await self._reader.note("DELETE FROM shown")
            count = 0
            async for rows in answer.rows():
                await self._show(rows.readings)
                await self._note_unreadable(cluster, rows.rejected, tally)
                count += rows.count
            tally.rows += count
            await self._compare_slice(cluster, window, asked, tally)
            seen(window, tally)

        await walk(
            sacct,
            spans,
            visit,
            anchors=Anchors(cluster, self._reader) if held else None,
            ledger=ledger,
            policy=policy,
            timeout_seconds=timeout_seconds,
            clock=self._clock,
        )
        await self._reader.note(_MOVED.format(what=DifferenceKind.NOT_IN_SACCT))
        return tally

    async def count(self) -> int:
        """Return how many differences there are."""
        return int((await self._reader.read("SELECT count(*) FROM differences"))[0][0])

    async def differences(self, limit: int) -> AsyncIterator[AccountingDifference]:
        """Give the differences, by cluster and job."""
        sql = "SELECT * FROM differences ORDER BY cluster, job_id_raw, submit, what LIMIT ?"
        async for page in self._reader.pages(sql, (limit,)):
            for row in page:
                yield AccountingDifference(**{**dict(row), "what": DifferenceKind(row["what"])})

    async def not_in_sacct(self, cluster: str) -> list[KnownAttempt]:
        """Return the attempts of a cluster that sacct does not show although the store has them."""
        rows = await self._reader.read(_NOT_SHOWN.format(what=DifferenceKind.NOT_IN_SACCT), (cluster,))
        return [KnownAttempt(*row) for row in rows]

    async def _show(self, readings: AttemptBatch) -> None:
        """Remember what sacct prints; it repeats a row when its reservation has several revisions (Bug 7745)."""
        shown = readings.values("job_id_raw", "submit", "job_id", "state", "start", "end")
        await self._reader.note("INSERT OR IGNORE INTO shown VALUES (?, ?, ?, ?, ?, ?)", list(shown))

    async def _compare_slice(self, cluster: str, window: Window, asked: int, tally: ComparedRows) -> None:
        async for page in self._reader.pages(_MISSING, (cluster,)):
            for row in page:
                key = (cluster, row["job_id_raw"], row["submit"], row["job_id"])
                if await self._is_quarantined([str(part).encode() for part in key]):
                    tally.quarantined += 1
                else:
                    await self._note(*key, DifferenceKind.NOT_IN_STORE, None, row["end"])
        for what in (DifferenceKind.STATE, DifferenceKind.START, DifferenceKind.END):
            await self._reader.note(_DIFFERING.format(name=what), [(cluster, asked)])
        await self._reader.note(
            _ABSENT.format(what=DifferenceKind.NOT_IN_SACCT), [(cluster, window.start, window.end, asked)]
        )

    async def _note_unreadable(self, cluster: str, rejected: Sequence[Rejected], tally: ComparedRows) -> None:
        for row in rejected:
            if await self._is_quarantined(row.row[:4]):
                tally.quarantined += 1
                continue
            printed = " ".join(value.decode(errors="backslashreplace") for value in row.row[1:4])
            await self._note(cluster, None, None, printed, DifferenceKind.UNREADABLE, None, row.reason)

    async def _note(self, *difference: object) -> None:
        cluster, job_id_raw, submit, job_id, what, store, sacct = difference
        await self._reader.note(
            "INSERT OR IGNORE INTO differences VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(cluster, job_id_raw, submit, job_id, str(what), store, sacct)],
        )

    async def _is_quarantined(self, key: Sequence[bytes]) -> bool:
        """Return whether a row that begins with these values is in the quarantine; they are its first fields."""
        begin = SEPARATOR.join([*key, b""])
        rows = await self._reader.read(
            "SELECT 1 FROM quarantine WHERE row >= ? AND row < ? LIMIT 1", (begin, begin[:-1] + b"\x01")
        )
        return bool(rows)
