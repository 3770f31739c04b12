"""Rows of the archive as records in the wire format: what the store would have said of them, byte for byte."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import orjson

from slurmwatchd.model.columns import USAGE, ColumnKind
from slurmwatchd.store.archive import arrow

Record = dict[str, Any]


def records_of(pa: ModuleType, pc: ModuleType, table: Any) -> list[Record]:  # noqa: ANN401 - a pyarrow.Table
    """Return rows as records in the wire format, as the store has them."""
    names: list[str] = []
    columns: list[list[Any]] = []
    used: list[str] = []
    uses: list[list[Any]] = []
    there = dict(zip(table.column_names, table.columns, strict=True))
    for name, kind in arrow.archived().items():
        column = there.get(name)
        if column is None or (column.null_count == table.num_rows and name != "start"):
            continue
        values = _values(pa, pc, column, kind)
        if name.startswith(USAGE):
            used.append(name.removeprefix(USAGE))
            uses.append(values)
        else:
            names.append(name)
            columns.append(values)
    records = _joined(names, columns)
    if used:
        for record, usage in zip(records, _joined(used, uses), strict=True):
            if usage:
                record["usage"] = usage
            # As in a record of the store, what was used comes last.
            if arrow.STEPS in record:
                record[arrow.STEPS] = record.pop(arrow.STEPS)
    return records


def _joined(names: Sequence[str], columns: Sequence[Sequence[Any]]) -> list[Record]:
    """Return a mapping for each row, without what it has not."""
    records = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    for name, values in zip(names, columns, strict=True):
        # Only the start says something by being null: that the attempt never started.
        if name != "start" and None in values:
            for record, value in zip(records, values, strict=True):
                if value is None:
                    del record[name]
    return records


def _values(pa: ModuleType, pc: ModuleType, column: Any, kind: ColumnKind) -> list[Any]:  # noqa: ANN401 - pyarrow's
    if kind is ColumnKind.TIME:
        return _times(pa, pc, column)
    values: list[Any] = column.to_pylist()
    return _objects(values) if kind is ColumnKind.JSON else values


def _times(pa: ModuleType, pc: ModuleType, column: Any) -> list[str | None]:  # noqa: ANN401 - pyarrow's
    """Return times as RFC 3339. They are UTC; without a zone Arrow writes them in an eighth of the time."""
    texts = column.cast(pa.timestamp("s")).cast(pa.string())
    dated = pc.binary_replace_slice(texts, start=10, stop=11, replacement="T")
    return pc.binary_join_element_wise(dated, "Z", "").to_pylist()  # type: ignore[no-any-return]


def _objects(texts: Sequence[str | None]) -> list[Any]:
    """Return what JSON texts hold. Most rows share a few texts, each parsed once; no row shares its object."""
    known: dict[str, dict[str, Any]] = {}
    found: list[Any] = []
    for text in texts:
        if text is None:
            found.append(None)
        elif (value := known.get(text)) is not None:
            found.append(value.copy())
        else:
            value = orjson.loads(text)
            # A copy shares what lies deeper: an object of plain values has one opening brace, its first letter.
            if text.rfind("{") == 0 and "[" not in text:
                known[text] = value.copy()
            found.append(value)
    return found
