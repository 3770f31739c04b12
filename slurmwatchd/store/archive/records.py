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
    for name, kind in arrow.archived().items():
        if name not in table.column_names:
            continue
        column = table.column(name)
        if column.null_count == table.num_rows and name != "start":
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
        seconds = column.cast(pa.timestamp("s", tz="UTC"))
        return pc.strftime(seconds, format="%Y-%m-%dT%H:%M:%SZ").to_pylist()  # type: ignore[no-any-return]
    values = column.to_pylist()
    if kind is ColumnKind.JSON:
        return [None if value is None else orjson.loads(value) for value in values]
    return values  # type: ignore[no-any-return]
