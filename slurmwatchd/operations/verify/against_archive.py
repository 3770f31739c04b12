"""The archive against the store, and against itself: every file whole, every attempt once, none missing.

What the store still has must stand in the files as the store has it, unless its day waits to be written. What the
store has pruned can only be held to the archive's own rules. Keys go to a temporary database: memory is flat.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from slurmwatchd.errors import VerifyError
from slurmwatchd.operations.verify.scope import Span
from slurmwatchd.store.archive import arrow, layout
from slurmwatchd.store.archive.layout import DAY_SECONDS, DayFile, day_of
from slurmwatchd.store.read.reader import StoreReader

_SEEN = (
    "CREATE TABLE seen (cluster TEXT, job INTEGER, submit INTEGER, file TEXT, "
    "PRIMARY KEY (cluster, job, submit)) WITHOUT ROWID"
)
_DAYS = "SELECT cluster, day, number, attempts, first_seq FROM archive_days"
_STORED = (
    "SELECT job_id_raw, submit, job_id, state, revision, "
    "EXISTS (SELECT 1 FROM archive_moves WHERE archive_moves.job = jobs.id) AS is_elsewhere "
    'FROM jobs WHERE cluster = ?1 AND "end" >= ?2 AND "end" < ?3 UNION ALL '
    "SELECT job_id_raw, submit, job_id, state, revision, 0 "
    'FROM jobs WHERE cluster = ?1 AND "end" IS NULL AND submit >= ?2 AND submit < ?3'
)
_COLUMNS = ("cluster", "job_id_raw", "job_id", "submit", "end", "state", "revision")


class ArchiveFault(StrEnum):
    """What is wrong."""

    MISSING = "missing"
    DIFFERS = "differs"
    TWICE = "twice"
    MISPLACED = "misplaced"
    UNREADABLE = "unreadable"
    COLUMNS = "columns"
    NO_FILE = "no file"
    STRANGE = "strange file"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveFinding:
    """One fault.

    Attributes:
        file: The file, from the dataset on; None where it should be and is not.
        job_id: The attempt's, with its submission, epoch seconds; None for a whole file.
        text: More about it.
    """

    what: ArchiveFault
    cluster: str | None
    day: str | None
    file: str | None
    job_id: str | None = None
    submit: int | None = None
    text: str = ""


@dataclass(slots=True, kw_only=True)
class ArchiveRead:
    """What was looked at.

    Attributes:
        waiting: Days that are still to be written: the store has more of them than their files.
    """

    files: int = 0
    attempts: int = 0
    waiting: int = 0


class ArchiveCheck:
    """One comparison."""

    def __init__(self, dataset: Path, store: StoreReader, scratch: Path) -> None:
        """Prepare.

        Args:
            dataset: The archive.
            store: Open for reading.
            scratch: A folder for a temporary database.
        """
        # An extra, and not quick to import.
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.parquet as pq  # noqa: PLC0415

        self._pa, self._pq = pa, pq
        self._dataset = dataset
        self._store = store
        self._scratch = scratch
        self.read = ArchiveRead()

    def findings(self, stretch: Span | None) -> Iterator[ArchiveFinding]:
        """Give every fault of the days in a stretch of ends; None: of all.

        Raises:
            VerifyError: The dataset cannot be read.
            StoreBusyError: The store cannot be read now.
        """
        try:
            files = layout.files(self._dataset)
            yield from self._strangers({file.path for file in files})
        except OSError as error:
            raise VerifyError(f"{error.filename or self._dataset}: {error.strerror}") from error
        noted = {(row["cluster"], row["day"]): row for row in self._store.rows(_DAYS)}
        there = {(file.cluster, file.day) for file in files}
        for (cluster, day), row in noted.items():
            if _is_in(day, stretch):
                self.read.waiting += row["first_seq"] is not None
                if row["attempts"] and (cluster, day) not in there:
                    yield ArchiveFinding(
                        what=ArchiveFault.NO_FILE, cluster=cluster, day=layout.day_text(day), file=None,
                        text=f"{row['attempts']} attempts were written, number {row['number']}",
                    )  # fmt: skip
        with closing(sqlite3.connect(self._scratch / "archive.db", isolation_level=None)) as seen:
            seen.execute("PRAGMA journal_mode = OFF")
            seen.execute(_SEEN)
            for file in files:
                if _is_in(file.day, stretch):
                    yield from self._file(file, seen)

    def _strangers(self, known: set[Path]) -> Iterator[ArchiveFinding]:
        """Give what lies in the dataset and is no file of ours, or a second one of a day."""
        of_day: set[tuple[str, int]] = set()
        for file in sorted(known):
            for one in layout.files_of_day(self._dataset, file.parent.name):
                if one.path == file and (one.cluster, one.day) in of_day:
                    yield self._about(one, ArchiveFault.STRANGE, text="the day has another file")
                elif one.path == file:
                    of_day.add((one.cluster, one.day))
        for path in sorted(self._dataset.rglob("*")) if self._dataset.is_dir() else ():
            if path not in known and not path.is_dir():
                name = str(path.relative_to(self._dataset))
                yield ArchiveFinding(what=ArchiveFault.STRANGE, cluster=None, day=None, file=name)

    def _file(self, file: DayFile, seen: sqlite3.Connection) -> Iterator[ArchiveFinding]:
        """Read all of a file, checksums included, and compare it with the store's day as it is at that moment."""
        try:
            with self._store.snapshot():
                start = file.day * DAY_SECONDS
                stored = self._store.rows(_STORED, (file.cluster, start, start + DAY_SECONDS))
                noted = {(row["cluster"], row["day"]): row for row in self._store.rows(_DAYS)}
            with self._pq.ParquetFile(file.path, page_checksum_verification=True) as opened:
                if opened.schema_arrow.remove_metadata() != arrow.schema(self._pa):
                    yield self._about(
                        file, ArchiveFault.COLUMNS, text="not those of this version: restart the daemon"
                    )
                rows: dict[tuple[int, int], tuple[str, str, int]] = {}
                for group in range(opened.num_row_groups):
                    # All of it, so that every page's checksum is looked at.
                    table = opened.read_row_group(group)
                    yield from self._rows(file, table.select(list(_COLUMNS)), rows, seen)
        except FileNotFoundError:
            # The daemon has written the day again meanwhile.
            newer = layout.file_of(self._dataset, file.cluster, file.day)
            if newer is not None and newer.path != file.path:
                yield from self._file(newer, seen)
            return
        except (OSError, self._pa.ArrowInvalid) as error:
            yield self._about(file, ArchiveFault.UNREADABLE, text=" ".join(str(error).split()))
            return
        self.read.files += 1
        day = noted.get((file.cluster, file.day))
        if day is not None and day["first_seq"] is None and day["number"] == file.number:
            yield from self._against(file, rows, stored)

    def _rows(
        self,
        file: DayFile,
        table: Any,  # noqa: ANN401 - a pyarrow.Table
        rows: dict[tuple[int, int], tuple[str, str, int]],
        seen: sqlite3.Connection,
    ) -> Iterator[ArchiveFinding]:
        """Take the keys of a row group, and give those that should not be there."""
        self.read.attempts += table.num_rows
        name = self._name(file)
        for row in table.to_pylist():
            submit = int(row["submit"].timestamp())
            end = submit if row["end"] is None else int(row["end"].timestamp())
            job = {"job_id": row["job_id"], "submit": submit}
            if (row["cluster"], day_of(end)) != (file.cluster, file.day):
                yield self._about(file, ArchiveFault.MISPLACED, **job)
            added = seen.execute(
                "INSERT OR IGNORE INTO seen VALUES (?, ?, ?, ?)", (row["cluster"], row["job_id_raw"], submit, name)
            )
            if not added.rowcount:
                where = seen.execute(
                    "SELECT file FROM seen WHERE cluster = ? AND job = ? AND submit = ?",
                    (row["cluster"], row["job_id_raw"], submit),
                ).fetchone()[0]
                yield self._about(file, ArchiveFault.TWICE, text=f"also in {where}", **job)
            rows[row["job_id_raw"], submit] = (row["job_id"], row["state"], row["revision"])

    def _against(
        self, file: DayFile, rows: dict[tuple[int, int], tuple[str, str, int]], stored: list[sqlite3.Row]
    ) -> Iterator[ArchiveFinding]:
        """Hold a day that waits for nothing to what the store has of it."""
        for row in stored:
            job = {"job_id": row["job_id"], "submit": row["submit"]}
            archived = rows.get((row["job_id_raw"], row["submit"]))
            if row["is_elsewhere"]:
                continue
            if archived is None:
                yield self._about(file, ArchiveFault.MISSING, **job)
            elif archived[1:] != (row["state"], row["revision"]):
                text = (
                    f"{archived[1]} in revision {archived[2]}, the store has {row['state']} in {row['revision']}"
                )
                yield self._about(file, ArchiveFault.DIFFERS, text=text, **job)

    def _about(self, file: DayFile, what: ArchiveFault, **more: Any) -> ArchiveFinding:  # noqa: ANN401 - of a finding
        return ArchiveFinding(
            what=what, cluster=file.cluster, day=layout.day_text(file.day), file=self._name(file), **more
        )

    def _name(self, file: DayFile) -> str:
        return str(file.path.relative_to(self._dataset))


def _is_in(day: int, stretch: Span | None) -> bool:
    if stretch is None:
        return True
    return day * DAY_SECONDS < stretch[1] and (day + 1) * DAY_SECONDS > stretch[0]
