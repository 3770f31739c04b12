"""Columns as Arrow has them: the types, the archive's one schema, and values that fit them.

`pa` is the module pyarrow, handed in by whoever has imported it: it is an extra, and half a second of a command's
time.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from types import ModuleType
from typing import Any

from slurmwatchd.model.columns import ColumnKind, columns

KEY = ("job_id_raw", "submit")
Key = tuple[int, int]
"""job_id_raw and submit, epoch seconds: an attempt of one cluster."""

Known = Callable[[], Collection[Key]]
"""Gives keys of a file's attempts that do not count, since the store has them; called only once a row answers."""

STEPS = "steps"
REVISION = "revision"

_ALL_BITS = (1 << 64) - 1


@cache
def archived() -> Mapping[str, ColumnKind]:
    """Return the columns of the archive: those of an export, the steps, and the revision that the row is of."""
    return {**columns(), STEPS: ColumnKind.JSON, REVISION: ColumnKind.INTEGER}


@cache
def types(pa: ModuleType) -> Mapping[ColumnKind, Any]:
    """Return the Arrow type of each kind."""
    return {
        ColumnKind.TEXT: pa.string(),
        ColumnKind.JSON: pa.string(),
        ColumnKind.INTEGER: pa.int64(),
        ColumnKind.NUMBER: pa.float64(),
        ColumnKind.TRUTH: pa.bool_(),
        ColumnKind.TIME: pa.timestamp("ms", tz="UTC"),
        ColumnKind.TEXTS: pa.list_(pa.string()),
    }


@cache
def schema(pa: ModuleType) -> Any:  # noqa: ANN401 - a pyarrow.Schema
    """Return the schema of every file of the archive."""
    return pa.schema([(name, types(pa)[kind]) for name, kind in archived().items()])


def array(pa: ModuleType, values: Sequence[Any] | None, kind: ColumnKind, rows: int = 0) -> Any:  # noqa: ANN401
    """Return values as a column, a pyarrow.Array; times are RFC 3339 text.

    Args:
        pa: The module pyarrow.
        values: The values; None: nothing in any row.
        kind: What they are.
        rows: How many rows that is, where there are no values.

    Raises:
        pyarrow.ArrowInvalid: A value does not fit.
        OverflowError: A number is too large.
    """
    if values is None:
        return pa.nulls(rows, types(pa)[kind])
    if kind is ColumnKind.TIME:
        moments = _milliseconds(values)
        if moments is None:
            return pa.array(values, pa.string()).cast(types(pa)[kind])
        return pa.array(moments, types(pa)[kind])
    return pa.array(values, types(pa)[kind])


def _milliseconds(times: Sequence[Any]) -> list[int | None] | None:
    """Return times as milliseconds since 1970; None where one is not spelled as the store spells them.

    To have Arrow read texts takes twenty megabytes for all that Arrow can compute.
    """
    hours, within = _HOURS, _WITHIN_HOUR
    try:
        return [None if time is None else hours[time[:13]] + within[time[13:]] for time in times]
    except (KeyError, TypeError, ValueError):
        return None


class _Hours(dict[str, int]):
    """When hours begin, milliseconds since 1970, by the text before the minutes: `2026-11-20T08`."""

    def __missing__(self, hour: str) -> int:
        moment = datetime.fromisoformat(f"{hour}:00:00+00:00")
        if moment.isoformat() != f"{hour}:00:00+00:00":
            raise ValueError(hour)
        if len(self) >= _MANY_HOURS:
            self.clear()
        self[hour] = found = (moment - _EPOCH) // _MILLISECOND
        return found


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_MANY_HOURS = 20_000
"""So many are remembered: bounds memory, not correctness."""
_HOURS = _Hours()
_WITHIN_HOUR = {f":{second // 60:02d}:{second % 60:02d}Z": second * 1000 for second in range(3600)}


def filled(pa: ModuleType, table: Any, names: Sequence[str]) -> Any:  # noqa: ANN401 - a pyarrow.Table
    """Return columns of a table of an older file, in this order; those that it lacks are empty."""
    fields = [schema(pa).field(name) for name in names]
    columns = [
        table.column(field.name).cast(field.type)
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in fields
    ]
    return pa.table(columns, schema=pa.schema(fields))


def counting(pa: ModuleType, first: int, count: int) -> Any:  # noqa: ANN401 - a pyarrow.Array
    """Return the numbers from `first` on, so many of them."""
    import pyarrow.compute as pc  # noqa: PLC0415 - as `pa`

    return pc.add(pc.cumulative_sum(pa.repeat(pa.scalar(1, pa.int64()), count)), first - 1)


def packed(pa: ModuleType, table: Any) -> Any:  # noqa: ANN401 - pyarrow's
    """Return the keys of rows as one number each, which pyarrow compares all at once: both parts have 32 bits."""
    import pyarrow.compute as pc  # noqa: PLC0415 - as `pa`

    submit = pc.divide(table["submit"].cast(pa.int64()), 1000)
    return pc.bit_wise_or(pc.shift_left(table["job_id_raw"], 32), submit)


def packed_keys(pa: ModuleType, keys: Collection[Key]) -> Any:  # noqa: ANN401 - pyarrow's
    """Return keys as `packed` has them."""
    numbers = ((job << 32 | submit) & _ALL_BITS for job, submit in keys)
    return pa.array((number - (number >> 63 << 64) for number in numbers), pa.int64())


def epochs(pa: ModuleType, column: Any) -> list[Any]:  # noqa: ANN401 - a column of times
    """Return a column of times as epoch seconds."""
    moments = column.cast(pa.int64()).to_pylist()
    return [None if moment is None else moment // 1000 for moment in moments]
