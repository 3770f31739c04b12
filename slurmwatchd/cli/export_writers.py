"""Records as files for other programs: JSON lines, CSV, Parquet; some thousand at a time, however many there are.

JSON lines hold records as the store has them. CSV and Parquet have the same columns: each field of the record, the
nodes, and each field of the usage with `usage_` before its name. What is an object in the record (`alloc_tres`,
`raw`) is JSON text there, so that nothing is lost; in CSV lists are JSON text too.
"""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import cache, partial
from typing import IO, Any, Protocol

import orjson

from slurmwatchd.errors import FatalError
from slurmwatchd.model.columns import ColumnKind, columns, cut, row
from slurmwatchd.store.archive import arrow
from slurmwatchd.store.archive.pyarrow_alone import import_pyarrow_alone

Record = Mapping[str, Any]

GROUP_BYTES = 3 << 20
"""A row group is written once its columns weigh so much in memory."""

GROUP_ROWS = 20_000
"""Or once it has so many records."""


class ExportFormat(StrEnum):
    """What files can be written."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


class MissingExtraError(FatalError):
    """A library that is not part of the plain installation is needed."""


class ExportWriter(Protocol):
    """Writes records into one stream; the stream is its caller's."""

    def write(self, records: Sequence[Record]) -> None:
        """Write some records."""
        ...

    def close(self) -> None:
        """Write what is held back, and what ends the file."""
        ...


def writer_of(form: ExportFormat, stream: IO[bytes]) -> ExportWriter:
    """Return a writer into a binary stream.

    Raises:
        MissingExtraError: It is for Parquet, and pyarrow is not installed.
    """
    kinds: dict[ExportFormat, Callable[[IO[bytes]], ExportWriter]] = {
        ExportFormat.JSONL: JsonlWriter,
        ExportFormat.CSV: CsvWriter,
        ExportFormat.PARQUET: ParquetWriter,
    }
    return kinds[form](stream)


class JsonlWriter:
    """A record a line."""

    def __init__(self, stream: IO[bytes]) -> None:
        """Write into `stream`."""
        self._stream = stream

    def write(self, records: Sequence[Record]) -> None:
        """Write lines."""
        self._stream.write(
            b"".join([orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records])
        )

    def close(self) -> None:
        """Do nothing: each line is whole."""


class CsvWriter:
    """A header, and a record a line as RFC 4180 has it, with plain newlines."""

    def __init__(self, stream: IO[bytes]) -> None:
        """Write into `stream`, the header first."""
        self._stream = stream
        self._text = io.StringIO()
        self._writer = csv.writer(self._text, lineterminator="\n")
        self._writer.writerow(columns())

    def write(self, records: Sequence[Record]) -> None:
        """Write lines."""
        self._writer.writerows(map(_csv_row, records))
        self._flush()

    def close(self) -> None:
        """Write the header, where there were no records."""
        self._flush()

    def _flush(self) -> None:
        self._stream.write(self._text.getvalue().encode("utf-8", "backslashreplace"))
        self._text.seek(0)
        self._text.truncate()


class ParquetWriter:
    """Parquet by pyarrow, with the same schema whatever the records hold."""

    def __init__(self, stream: IO[bytes]) -> None:
        """Write into `stream`, which need not be seekable.

        Raises:
            MissingExtraError: pyarrow is not installed.
        """
        import_pyarrow_alone()
        try:
            # Half a second to import, and an extra.
            import pyarrow as pa  # noqa: PLC0415
            import pyarrow.parquet as pq  # noqa: PLC0415
        except ImportError as error:
            raise MissingExtraError(
                "Parquet needs pyarrow: install slurmwatchd with its extra [parquet], or pyarrow beside it"
            ) from error
        kinds = arrow.types(pa)
        self._pa = pa
        self._schema = pa.schema([(name, kinds[kind]) for name, kind in columns().items()])
        self._writer = pq.ParquetWriter(stream, self._schema, compression="zstd")
        self._held: list[Any] = []

    def write(self, records: Sequence[Record]) -> None:
        """Hold records until there are enough for a row group: as columns, which take less memory."""
        if not records:
            return
        pairs = zip(cut(records), columns().values(), strict=True)
        # Half of the columns are empty: those of one kind share their memory.
        empty = cache(partial(arrow.array, self._pa, None, rows=len(records)))
        arrays = [empty(kind) if values is None else arrow.array(self._pa, values, kind) for values, kind in pairs]
        self._held.append(self._pa.record_batch(arrays, schema=self._schema))
        rows = sum(batch.num_rows for batch in self._held)
        if rows >= GROUP_ROWS or sum(batch.nbytes for batch in self._held) >= GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        """Write the last row group and the footer."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._held:
            table = self._pa.Table.from_batches(self._held, schema=self._schema)
            self._held.clear()
            self._writer.write_table(table)


def _csv_row(record: Record) -> list[Any]:
    values = row(record)
    for at in _json_columns():
        if values[at] is not None:
            values[at] = orjson.dumps(values[at]).decode()
    return values


@cache
def _json_columns() -> tuple[int, ...]:
    """Return the places of the columns that CSV has as JSON besides those that are so already."""
    return tuple(at for at, kind in enumerate(columns().values()) if kind in {ColumnKind.TEXTS, ColumnKind.TRUTH})
