"""A day of the archive, made of what the store has and what its old file has and the store no longer.

The store's word counts for every attempt that it still has; what it has pruned is taken over from the old file. So
a late revision of one attempt costs none of the others, and a store that was lost costs the archive nothing.

Memory is bounded: attempts are read some hundred at a time, and a row group is written once it weighs enough.
"""

import filecmp
import os
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import orjson

from slurmwatchd.errors import StoreError
from slurmwatchd.model.columns import ColumnKind, row
from slurmwatchd.store.archive import arrow, layout
from slurmwatchd.store.archive.layout import DAY_SECONDS, DayFile
from slurmwatchd.store.archive.moved import moved_from
from slurmwatchd.store.archive.publish import publish
from slurmwatchd.store.json_array import json_array
from slurmwatchd.store.read.reader import Record, StoreReader

GROUP_BYTES = 16 << 20
"""A row group is written once its columns weigh so much in memory."""

GROUP_ROWS = 50_000
"""Or once it has so many attempts."""

_PAGE = 250
_MAX_INTEGER = 1 << 63

_IDS = (
    'SELECT id, revision FROM jobs WHERE cluster = ?1 AND "end" >= ?2 AND "end" < ?3 '
    'UNION ALL SELECT id, revision FROM jobs WHERE cluster = ?1 AND "end" IS NULL AND submit >= ?2 AND submit < ?3'
)
_ORDERED = (
    f'SELECT jobs.id, jobs.revision FROM ({_IDS}) AS found JOIN jobs USING (id) ORDER BY jobs."end", jobs.id'  # noqa: S608 - constants
)
_ELSEWHERE = "SELECT DISTINCT job FROM archive_moves WHERE cluster = ? AND day <> ?"
_IN_STORE = (
    "SELECT wanted.key FROM json_each(?2) AS wanted JOIN jobs ON jobs.cluster = ?1 "
    "AND jobs.job_id_raw = json_extract(wanted.value, '$[0]') AND jobs.submit = json_extract(wanted.value, '$[1]')"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What became of a day.

    Attributes:
        number: Of its file now.
        attempts: How many it has; with none there is no file.
        withheld: How many of the store's are still in the file of another day, and come when that is written.
        moved: Row id and day of those of them of which the store did not know that.
    """

    cluster: str
    day: int
    number: int
    attempts: int
    bytes: int
    withheld: int
    moved: Sequence[tuple[int, int]] = ()


class DayWriter:
    """Writes days, one after the other."""

    def __init__(self, dataset: Path, folder: Path, store: StoreReader, *, rest: float = 0.0) -> None:
        """Prepare.

        Args:
            dataset: The archive.
            folder: The one beside it, held by `workshop`.
            store: Open for reading.
            rest: After each page it rests this many times as long as the page took, so that others come first.
        """
        # An extra, and half a second.
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.parquet as pq  # noqa: PLC0415

        self._pa, self._pq = pa, pq
        self._dataset = dataset
        self._folder = folder
        self._store = store
        self._rest = rest

    def write(self, cluster: str, day: int, *, number: int = 0) -> Written:
        """Write a day, and put it in the place of its old file.

        Args:
            cluster: Whose.
            day: Days since 1970-01-01.
            number: The highest that the day's file ever had, as far as the store knows.

        Raises:
            StoreError: The old file was written by a newer slurmwatchd, or is none.
            StoreBusyError: The store cannot be read now.
            OSError: The file cannot be written.
        """
        old = layout.file_of(self._dataset, cluster, day)
        number = max(number, old.number if old else 0)
        part = self._folder / layout.file_name(cluster, number + 1)
        # Of one moment of the store: what moves here between the two looks would be in both days' files.
        with self._store.snapshot():
            moved = moved_from(self._pa, self._pq, self._store, cluster, day, layout.files(self._dataset))
            attempts, withheld = self._compose(cluster, day, old, part, moved)
        size = part.stat().st_size
        if not attempts:
            part.unlink()
            publish(self._dataset, self._folder, old, None, self._name(cluster, day, number))
            size = 0
        elif old is not None and filecmp.cmp(old.path, part, shallow=False):
            # A crash came between the file and the note that it is there: it is not to change its name again.
            part.unlink()
        else:
            number += 1
            publish(self._dataset, self._folder, old, part, self._name(cluster, day, number))
            part.unlink(missing_ok=True)
        return Written(
            cluster=cluster, day=day, number=number, attempts=attempts, bytes=size, withheld=withheld,
            moved=list(moved.items()),
        )  # fmt: skip

    def stale(self, file: DayFile) -> bool:
        """Return whether a file has other columns than it would get today."""
        return bool(self._pq.read_schema(file.path).remove_metadata() != arrow.schema(self._pa))

    def measured(self, file: DayFile) -> tuple[int, int]:
        """Return how many attempts a file has, and how many bytes."""
        return self._pq.read_metadata(file.path).num_rows, file.path.stat().st_size

    def _name(self, cluster: str, day: int, number: int) -> str:
        return f"{layout.folder_name(day)}/{layout.file_name(cluster, number)}"

    def _compose(
        self, cluster: str, day: int, old: DayFile | None, part: Path, moved: Collection[int]
    ) -> tuple[int, int]:
        """Write all that belongs into the day; return how many attempts, and how many were left to another day."""
        start = day * DAY_SECONDS
        with part.open("wb") as stream:
            elsewhere = {*moved} | {found[0] for found in self._store.rows(_ELSEWHERE, (cluster, day))}
            found = self._store.rows(_ORDERED, (cluster, start, start + DAY_SECONDS))
            here = [(job, revision) for job, revision in found if job not in elsewhere]
            groups = _Groups(self._pa, self._pq, stream)
            with closing(groups):
                for batch in self._kept(cluster, old) if old is not None else ():
                    groups.add(batch)
                for begin in range(0, len(here), _PAGE):
                    began = time.monotonic()
                    page = here[begin : begin + _PAGE]
                    records = self._store.fetch([job for job, _ in page], nodes=True, usage=True)
                    groups.add(batch_of(self._pa, records, [revision for _, revision in page]))
                    time.sleep(self._rest * (time.monotonic() - began))
            stream.flush()
            os.fsync(stream.fileno())
        return groups.rows, len(found) - len(here)

    def _kept(self, cluster: str, old: DayFile) -> Iterator[Any]:
        """Give what the old file has and the store has not, with the columns of today."""
        try:
            file = self._pq.ParquetFile(old.path)
        except self._pa.ArrowInvalid as error:
            raise StoreError(f"{old.path}: is no Parquet file that can be read: {error}") from error
        with file:
            wanted = arrow.schema(self._pa)
            if unknown := set(file.schema_arrow.names) - set(wanted.names):
                text = f"has columns that this slurmwatchd does not know ({', '.join(sorted(unknown))})"
                raise StoreError(f"{old.path}: {text}: use a newer slurmwatchd")
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                keys = [table.column("job_id_raw").to_pylist(), arrow.epochs(self._pa, table.column("submit"))]
                known = {
                    found[0]
                    for found in self._store.rows(_IN_STORE, (cluster, json_array(zip(*keys, strict=True))))
                }
                mask = self._pa.array([place not in known for place in range(table.num_rows)], self._pa.bool_())
                yield from arrow.filled(self._pa, table.filter(mask), wanted.names).to_batches()


class _Groups:
    """Collects rows until they make a row group."""

    def __init__(self, pa: ModuleType, pq: ModuleType, stream: Any) -> None:  # noqa: ANN401 - a file
        self._pa = pa
        self._writer = pq.ParquetWriter(
            stream, arrow.schema(pa), compression="zstd", write_page_checksum=True, store_schema=True
        )
        self._held: list[Any] = []
        self._weight = 0
        self._waiting = 0
        self.rows = 0

    def add(self, batch: Any) -> None:  # noqa: ANN401 - a pyarrow.RecordBatch
        """Take rows of the archive's schema."""
        self._held.append(batch)
        self._weight += batch.nbytes
        self._waiting += batch.num_rows
        if self._weight >= GROUP_BYTES or self._waiting >= GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        """Write the rest and the footer."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._waiting:
            table = self._pa.Table.from_batches(self._held)
            self._writer.write_table(table, row_group_size=table.num_rows)
        self.rows += self._waiting
        self._held, self._weight, self._waiting = [], 0, 0


def batch_of(pa: ModuleType, records: Sequence[Record], revisions: Sequence[int]) -> Any:  # noqa: ANN401
    """Return records as rows of the archive; a value that no column can hold goes to `raw`, as text."""
    columns = list(zip(*map(_row, records, revisions), strict=True))
    arrays = []
    for values, (name, kind) in zip(columns, arrow.archived().items(), strict=True):
        try:
            arrays.append(arrow.array(pa, values, kind))
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            return batch_of(pa, [_with_raw(pa, record, name, kind) for record in records], revisions)
    return pa.record_batch(arrays, schema=arrow.schema(pa))


def _row(record: Record, revision: int) -> list[Any]:
    steps = record.get("steps")
    return [*row(record), None if steps is None else orjson.dumps(steps).decode(), revision]


def _with_raw(pa: ModuleType, record: Record, name: str, kind: ColumnKind) -> Record:
    """Return a record in which a field fits its column."""
    owner, _, field = name.partition("_") if name.startswith("usage_") else ("", "", name)
    place = record.get(owner) if owner else record
    if not place or place.get(field) is None:
        return record
    try:
        arrow.array(pa, [place[field]], kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        changed = {key: value for key, value in place.items() if key != field}
        changed["raw"] = {**place.get("raw", {}), field: str(place[field])}
        return {**record, owner: changed} if owner else changed
    return record
