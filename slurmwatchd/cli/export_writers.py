"""Records as files for other programs: JSON lines, CSV, Parquet; some thousand at a time, however many there are.

JSON lines hold records as the store has them. CSV and Parquet have the same columns: each field of the record, the
nodes, and each field of the usage with `usage_` before its name. What is an object in the record (`alloc_tres`,
`raw`) is JSON text there, so that nothing is lost; in CSV lists are JSON text too.
"""

import csv
import io
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import IO, TYPE_CHECKING, Any, Protocol, get_args, get_origin, get_type_hints

import orjson

from slurmwatchd.errors import FatalError
from slurmwatchd.model.formats import TIME_FIELDS
from slurmwatchd.model.records import JobRecord, JobUsage

if TYPE_CHECKING:
    import pyarrow as pa

Record = Mapping[str, Any]

ROW_GROUP = 20_000
"""Records in one row group of a Parquet file: what is held in memory at most."""


class Format(StrEnum):
    """What files can be written."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


class Kind(StrEnum):
    """What the values of a column are."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    TRUTH = "truth"
    TIME = "time"
    TEXTS = "texts"
    JSON = "json"


_USAGE = "usage_"
_NOT_PLAIN = (Kind.JSON, Kind.TEXTS, Kind.TRUTH)


class MissingExtraError(FatalError):
    """A library that is not part of the plain installation is needed."""


class Writer(Protocol):
    """Writes records into one stream; the stream is its caller's."""

    def write(self, records: Sequence[Record]) -> None:
        """Write some records."""
        ...

    def close(self) -> None:
        """Write what is held back, and what ends the file."""
        ...


def writer_of(form: Format, stream: IO[bytes]) -> Writer:
    """Return a writer into a binary stream.

    Raises:
        MissingExtraError: It is for Parquet, and pyarrow is not installed.
    """
    kinds: dict[Format, Callable[[IO[bytes]], Writer]] = {
        Format.JSONL: JsonlWriter,
        Format.CSV: CsvWriter,
        Format.PARQUET: ParquetWriter,
    }
    return kinds[form](stream)


@cache
def columns() -> Mapping[str, Kind]:
    """Return the columns of CSV and Parquet, in order, and what they hold."""
    result = {
        name: Kind.TIME if name in TIME_FIELDS else _kind(annotation)
        for name, annotation in get_type_hints(JobRecord).items()
    }
    result["nodes"] = Kind.TEXTS
    hints = get_type_hints(JobUsage)
    return result | {f"{_USAGE}{name}": _kind(hints[name]) for name in JobUsage._fields}


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
        try:
            # Half a second to import, and an extra.
            import pyarrow as pa  # noqa: PLC0415
            import pyarrow.parquet as pq  # noqa: PLC0415
        except ImportError as error:
            raise MissingExtraError(
                "Parquet needs pyarrow: install slurmwatchd with its extra [parquet], or pyarrow beside it"
            ) from error
        self._types = {
            Kind.TEXT: pa.string(),
            Kind.JSON: pa.string(),
            Kind.INTEGER: pa.int64(),
            Kind.NUMBER: pa.float64(),
            Kind.TRUTH: pa.bool_(),
            Kind.TIME: pa.timestamp("ms", tz="UTC"),
            Kind.TEXTS: pa.list_(pa.string()),
        }
        self._pa = pa
        self._schema = pa.schema([(name, self._types[kind]) for name, kind in columns().items()])
        self._writer = pq.ParquetWriter(stream, self._schema, compression="zstd")
        self._held: list[list[Any]] = []

    def write(self, records: Sequence[Record]) -> None:
        """Hold records until there are enough for a row group."""
        self._held += map(_flat, records)
        if len(self._held) >= ROW_GROUP:
            self._flush()

    def close(self) -> None:
        """Write the last row group and the footer."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._held:
            arrays = [
                self._array(values, kind)
                for values, kind in zip(zip(*self._held, strict=True), columns().values(), strict=True)
            ]
            self._held.clear()
            self._writer.write_batch(self._pa.record_batch(arrays, schema=self._schema))

    def _array(self, values: Sequence[Any], kind: Kind) -> "pa.Array[Any]":
        if kind is Kind.TIME:
            return self._pa.array(values, self._pa.string()).cast(self._types[kind])
        return self._pa.array(values, self._types[kind])


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where what stands in a row: looked up once, since a row has seventy values and a store millions of rows."""

    fields: tuple[str, ...]
    usage: tuple[str, ...]
    objects: tuple[int, ...]
    lists: tuple[int, ...]
    truths: tuple[int, ...]


@cache
def _plan() -> _Plan:
    names, kinds = tuple(columns()), tuple(columns().values())
    return _Plan(
        tuple(name for name in names if not name.startswith(_USAGE)),
        tuple(name.removeprefix(_USAGE) for name in names if name.startswith(_USAGE)),
        *(tuple(at for at, kind in enumerate(kinds) if kind is wanted) for wanted in _NOT_PLAIN),
    )


def _flat(record: Record) -> list[Any]:
    """Return a record's values in the order of `columns`, objects as JSON text."""
    plan = _plan()
    values = [*map(record.get, plan.fields), *map((record.get("usage") or {}).get, plan.usage)]
    for at in plan.objects:
        if values[at] is not None:
            values[at] = orjson.dumps(values[at]).decode()
    for at in plan.lists:
        if isinstance(values[at], str):
            values[at] = [values[at]]
    return values


def _csv_row(record: Record) -> list[Any]:
    values = _flat(record)
    for at in (*_plan().lists, *_plan().truths):
        if values[at] is not None:
            values[at] = orjson.dumps(values[at]).decode()
    return values


def _kind(annotation: Any) -> Kind:  # noqa: ANN401 - any annotation
    """Say what a field of this type holds."""
    if isinstance(annotation, types.UnionType) or type(None) in get_args(annotation):
        annotation = next(part for part in get_args(annotation) if part is not types.NoneType)
    plain = {str: Kind.TEXT, bool: Kind.TRUTH, int: Kind.INTEGER, float: Kind.NUMBER}
    if annotation in plain:
        return plain[annotation]
    origin = get_origin(annotation)
    return Kind.JSON if isinstance(origin, type) and issubclass(origin, Mapping) else Kind.TEXTS
