"""Columns as Arrow has them: the types, the archive's one schema, and values that fit them.

`pa` is the module pyarrow, handed in by whoever has imported it: it is an extra, and half a second of a command's
time.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from types import ModuleType
from typing import Any

from slurmwatchd.model.columns import ColumnKind, columns

STEPS = "steps"
REVISION = "revision"


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


def array(pa: ModuleType, values: Sequence[Any], kind: ColumnKind) -> Any:  # noqa: ANN401 - a pyarrow.Array
    """Return values as a column; times are RFC 3339 text.

    Raises:
        pyarrow.ArrowInvalid: A value does not fit.
        OverflowError: A number is too large.
    """
    if kind is ColumnKind.TIME:
        return pa.array(values, pa.string()).cast(types(pa)[kind])
    return pa.array(values, types(pa)[kind])
