"""A sink's files against the store: every event's line there once, and no other."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from sqlite3 import Row
from typing import Any

import anyio.to_thread
import orjson

from slurmwatchd.errors import VerifyError
from slurmwatchd.model.records import Event, EventKind, FoundBy
from slurmwatchd.operations.verify.files import FileLine, OpenFiles
from slurmwatchd.sinks.selection import Selection
from slurmwatchd.store import bodies, event_log, selections
from slurmwatchd.store.read.second_process import ComparisonReader

STRETCH_EVENTS = 10
"""So many events that are missing one after the other are one finding: a file is gone, or was another one then."""

_BATCH_LINES = 5000

_LINES = "CREATE TEMP TABLE lines (id TEXT, seq INTEGER, file INTEGER, line INTEGER)"
_FAULTS = (
    "CREATE TEMP TABLE faults (what TEXT, id TEXT, seq INTEGER, file INTEGER, line INTEGER, last_seq INTEGER, "
    "events INTEGER, since INTEGER, until INTEGER)"
)

_TWICE = (
    "INSERT INTO faults (what, id, seq, file, line) SELECT '{what}', id, seq, file, line FROM lines WHERE id IN "
    "(SELECT id FROM lines GROUP BY id HAVING count(*) > 1) ORDER BY id, file, line"
)
# A line says at which position its event stands; where it does not, or where the store was rebuilt since, the id
# is looked for among all events. Lines up to the last event that was removed are neither known nor unknown: of
# those only some stay, where a cluster keeps its own for longer.
_UNKNOWN = (
    "INSERT INTO faults (what, id, seq, file, line) SELECT '{what}', id, seq, file, line FROM lines "  # noqa: S608 - constants
    f"WHERE NOT EXISTS (SELECT 1 FROM {bodies.TABLES} WHERE events.seq = lines.seq AND {bodies.ID} = lines.id) "
    "AND coalesce(seq, ?1) >= ?1"
)
_KNOWN_AFTER_ALL = (
    "DELETE FROM faults WHERE what = '{what}' AND id IN "  # noqa: S608 - constants
    f"(SELECT {bodies.ID} AS named FROM {bodies.TABLES} "
    "WHERE named IN (SELECT id FROM faults WHERE what = '{what}'))"
)
# Of an earlier store, and not met again yet.
_TOLD = (
    "DELETE FROM faults WHERE what = '{what}' AND replace(id, '-', '') IN "
    "(SELECT lower(hex(id)) FROM told WHERE sink = ?)"
)
_STRETCH = (
    "events.seq >= ? AND events.seq > ? AND events.seq <= ? AND events.observed >= ? AND events.observed < ?"
)
_MISSING = (
    f"INSERT INTO faults (what, id, seq) SELECT '{{what}}', {bodies.ID} AS named, events.seq FROM {bodies.TABLES} "  # noqa: S608 - constants
    f"WHERE {_STRETCH} AND NOT EXISTS (SELECT 1 FROM lines WHERE lines.id = named)"
)
_EVENTS = f"SELECT count(*) FROM events WHERE {_STRETCH}"  # noqa: S608 - a constant
_EACH_EVENT = (
    f"SELECT events.seq, {bodies.ID} AS id, events.kind, events.revision, events.time, events.observed, "  # noqa: S608
    f"events.found_by, {bodies.BODY} AS body, nodes, events.changed, "
    f"EXISTS (SELECT 1 FROM lines WHERE lines.id = {bodies.ID}) AS is_there "
    f"FROM {bodies.TABLES} LEFT JOIN nodelists ON nodelists.id = events.nodelist WHERE {_STRETCH}"
)
# Missing events with none that is there between them.
_GONE = (
    f"(SELECT events.seq, events.observed, NOT EXISTS (SELECT 1 FROM lines WHERE lines.id = {bodies.ID}) AS gone "  # noqa: S608
    f"FROM {bodies.TABLES} WHERE {_STRETCH})"
)
_HELD = "CREATE TEMP TABLE held (seq INTEGER, observed INTEGER, gone INTEGER)"
# Missing events with none that is there between them.
_STRETCHES = (
    "INSERT INTO faults (what, seq, last_seq, events, since, until) "
    "SELECT '{what}', min(seq), max(seq), count(*), min(observed), max(observed) "
    "FROM (SELECT seq, observed, gone, row_number() OVER (ORDER BY seq) "
    "- row_number() OVER (PARTITION BY gone ORDER BY seq) AS island FROM {source}) "
    "WHERE gone GROUP BY island HAVING count(*) >= {events}"
)
_IN_STRETCH = (
    "DELETE FROM faults WHERE what = '{missing}' AND EXISTS (SELECT 1 FROM faults AS stretch "
    "WHERE stretch.what = '{what}' AND faults.seq BETWEEN stretch.seq AND stretch.last_seq)"
)
_KNOWN = f"events.seq NOTNULL AND {bodies.ID} = faults.id"
"""Whether the event at a line's position is the line's."""
_FINDINGS = (
    "SELECT faults.what, faults.id, faults.seq, faults.file, faults.line, faults.last_seq, "  # noqa: S608 - constants
    f"faults.events, faults.since, faults.until, iif({_KNOWN}, events.kind, NULL) AS kind, "
    f"iif({_KNOWN}, {bodies.BODY}, NULL) AS body FROM faults LEFT JOIN events ON events.seq = faults.seq "
    f"{bodies.BESIDE} "
    "ORDER BY faults.what, faults.seq, faults.file, faults.line LIMIT ?"
)


class LineFault(StrEnum):
    """What is wrong with a line."""

    MISSING = "missing"
    STRETCH = "stretch missing"
    TWICE = "twice"
    UNKNOWN = "unknown"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDifference:
    """One event that is not in the files just once, one line that is no event, or many events that are missing.

    Attributes:
        id: The event's; None where the line is not JSON with an id, and for many.
        seq: The event's position; the first one's of many.
        file: Where the line is; None for one that is missing.
        line: Its number, from 1.
        last_seq: The last one's position of many; with how many there are, and when they were first seen.
        kind: `job_ended` and so on; with the job and its submission, as far as the store knows the event.
    """

    what: LineFault
    id: str | None
    seq: int | None
    file: Path | None
    line: int | None
    last_seq: int | None
    events: int | None
    since: int | None
    until: int | None
    cluster: str | None
    job_id: str | None
    submit: str | None
    kind: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesRead:
    """What was looked at.

    Attributes:
        files: In the order they were written.
        left_out: Rotated files last written before the stretch.
        lines: How many lines the files hold.
        events: How many events of the stretch must be there.
    """

    files: tuple[Path, ...]
    left_out: tuple[Path, ...]
    lines: int
    events: int


class SinkFiles:
    """One sink's files and what the store says must be in them."""

    def __init__(self, reader: ComparisonReader, sink: str, path: Path, *, selection: Selection) -> None:
        """Prepare; nothing is opened."""
        self._reader = reader
        self._sink = sink
        self._path = path
        self._selection = selection
        self._files: list[Path] = []

    async def compare(self, since: int, until: int, *, seen: Callable[[int], None]) -> FilesRead:
        """Read the files and compare them with the events first seen in a stretch of time.

        The cursor is read first: what is delivered meanwhile may be in the files, and is not missed there.

        Args:
            since: Epoch seconds.
            until: The second behind the stretch.
            seen: Called now and then with how many lines were read.

        Raises:
            VerifyError: The sink was never delivered to, or a file cannot be read.
            StoreBusyError: The store cannot be read now.
        """
        cursors = await self._reader.read("SELECT seq, began FROM cursors WHERE sink = ?", (self._sink,))
        if not cursors:
            raise VerifyError(f"sink {self._sink}: nothing was ever delivered to it")
        await self._reader.note("DROP TABLE IF EXISTS temp.lines")
        await self._reader.note("DROP TABLE IF EXISTS temp.faults")
        await self._reader.note(_LINES)
        await self._reader.note(_FAULTS)
        count, left_out = await self._take(since, seen)
        await self._reader.note("CREATE INDEX temp.lines_by_id ON lines (id)")
        began = cursors[0]["began"]
        if began is None:
            rows = await self._reader.read("SELECT coalesce(min(seq), 1) - 1 FROM lines")
            began = rows[0][0]
        first = await event_log.first_since(self._reader, since)
        events = await self._hold((first, began, cursors[0]["seq"], since, until))
        await self._reader.note(_TWICE.format(what=LineFault.TWICE))
        oldest = await self._reader.read(
            "SELECT max(coalesce((SELECT min(seq) FROM events), "
            "(SELECT CAST(value AS INTEGER) + 1 FROM meta WHERE key = 'last seq'), 0), "
            "coalesce((SELECT CAST(value AS INTEGER) + 1 FROM meta WHERE key = 'pruned seq'), 0))"
        )
        await self._reader.note(_UNKNOWN.format(what=LineFault.UNKNOWN), [(oldest[0][0],)])
        if await self._reader.read("SELECT 1 FROM faults WHERE what = ? LIMIT 1", (LineFault.UNKNOWN.value,)):
            await self._reader.note(_KNOWN_AFTER_ALL.format(what=LineFault.UNKNOWN))
            await self._reader.note(_TOLD.format(what=LineFault.UNKNOWN), [(self._sink,)])
        return FilesRead(files=tuple(self._files), left_out=tuple(left_out), lines=count, events=events)

    async def count(self) -> int:
        """Return how many findings there are."""
        return int((await self._reader.read("SELECT count(*) FROM faults"))[0][0])

    async def findings(self, limit: int) -> AsyncIterator[FileDifference]:
        """Give the findings: invalid, missing, twice, unknown."""
        async for page in self._reader.pages(_FINDINGS, (limit,)):
            for row in page:
                yield self._finding(dict(row))

    def _finding(self, row: dict[str, Any]) -> FileDifference:
        record = orjson.loads(row.pop("body") or b"{}")
        attempt = {name: record.get(name) for name in ("cluster", "job_id", "submit")}
        file = None if row["file"] is None else self._files[row["file"]]
        return FileDifference(**{**row, **attempt, "what": LineFault(row["what"]), "file": file})

    async def _take(self, since: int, seen: Callable[[int], None]) -> tuple[int, list[Path]]:
        """Read every line into a temporary table; those that are no events are faults at once.

        Returns:
            How many lines there are, and the files that were left out.
        """
        count, opened = 0, OpenFiles(self._path, since=since)
        with opened as files:
            self._files = opened.paths
            for number, lines in enumerate(files):
                while batch := await anyio.to_thread.run_sync(_some, lines):
                    await self._reader.note(
                        "INSERT INTO lines VALUES (?, ?, ?, ?)",
                        [(line.id, line.seq, number, line.number) for line in batch if line.id is not None],
                    )
                    await self._reader.note(
                        "INSERT INTO faults (what, file, line) VALUES (?, ?, ?)",
                        [(LineFault.INVALID.value, number, line.number) for line in batch if line.id is None],
                    )
                    count += len(batch)
                    seen(count)
        return count, opened.left_out

    async def _hold(self, stretch: tuple[int, ...]) -> int:
        """Note the events of a stretch that are for the sink and not in its files; return how many are for it."""
        asked = [
            (since.seq, Selection(since.settings)) for since in await selections.load(self._reader, self._sink)
        ]
        if not asked:
            # The store says so where anything but this was ever asked for.
            only = {name: value for name, value in self._selection.settings.items() if name == "backfill"}
            asked = [(0, Selection(only))]
        if all(selection.is_everything for _, selection in asked):
            await self._reader.note(_MISSING.format(what=LineFault.MISSING), [stretch])
            await self._join(_GONE, stretch)
            return int((await self._reader.read(_EVENTS, stretch))[0][0])
        await self._reader.note("DROP TABLE IF EXISTS temp.held")
        await self._reader.note(_HELD)
        count = 0
        async for page in self._reader.pages(_EACH_EVENT, stretch):
            taken = await anyio.to_thread.run_sync(_taken, page, asked)
            count += len(taken)
            held = [(row["seq"], row["observed"], not row["is_there"]) for row in taken]
            await self._reader.note("INSERT INTO held VALUES (?, ?, ?)", held)
            missing = [(LineFault.MISSING.value, row["id"], row["seq"]) for row in taken if not row["is_there"]]
            await self._reader.note("INSERT INTO faults (what, id, seq) VALUES (?, ?, ?)", missing)
        await self._join("held", ())
        return count

    async def _join(self, source: str, parameters: tuple[int, ...]) -> None:
        """Make one finding of many events that are missing one after the other."""
        if await self._reader.read("SELECT 1 FROM faults WHERE what = ? LIMIT 1", (LineFault.MISSING.value,)):
            sql = _STRETCHES.format(what=LineFault.STRETCH, events=STRETCH_EVENTS, source=source)
            await self._reader.note(sql, [parameters])
            await self._reader.note(_IN_STRETCH.format(missing=LineFault.MISSING, what=LineFault.STRETCH))


def _taken(rows: Sequence[Row], asked: Sequence[tuple[int, Selection]]) -> list[Row]:
    """Return the rows of the events that are for the sink, each by what was asked for at its position."""
    taken = []
    for row in rows:
        event = Event(
            row["seq"], row["id"], EventKind(row["kind"]), row["revision"], row["time"], row["observed"],
            FoundBy(row["found_by"]), row["body"], row["nodes"], row["changed"],
        )  # fmt: skip
        selection = next(selection for seq, selection in reversed(asked) if seq < event.seq)
        if selection.takes(event):
            taken.append(row)
    return taken


def _some(lines: Iterator[FileLine]) -> list[FileLine]:
    return list(islice(lines, _BATCH_LINES))
