"""Rows on their way into a table, one column of all of them at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Any

import aiosqlite

_ROWS_A_STATEMENT = (500, 25, 1)
"""SQLite's module takes and drops Python's lock once a statement: with a row each, it would wait for whoever else
runs, once for every row. A few sizes and no others, since each is a statement that is kept ready."""


@dataclass(frozen=True, slots=True)
class BulkRows:
    """Some rows.

    Attributes:
        columns: Columns of a table to the value of each row.
        common: Other columns to the value that all of them have.
    """

    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    common: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, names: Sequence[str], rows: Sequence[tuple[Any, ...]], common: Mapping[str, Any]) -> "BulkRows":
        """Take rows apart."""
        return cls(dict(zip(names, zip(*rows, strict=True), strict=True)), common) if rows else cls()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(next(iter(self.columns.values()), ()))

    def part(self, begin: int, end: int) -> "BulkRows":
        """Return those from one place up to another."""
        return BulkRows({name: values[begin:end] for name, values in self.columns.items()}, self.common)

    async def insert(self, connection: aiosqlite.Connection, table: str) -> None:
        """Write them, many to a statement; inside a transaction."""
        names, common = (*self.common, *self.columns), tuple(self.common.values())
        begin, count = 0, len(self)
        for size in _ROWS_A_STATEMENT:
            end = count - (count - begin) % size
            parts = [self.part(place, place + size).columns.values() for place in range(begin, end, size)]
            # Each statement is a way to SQLite's thread and back.
            if parts:
                await connection.executemany(
                    _statement(table, names, len(common), size),
                    [(*common, *chain.from_iterable(zip(*part, strict=True))) for part in parts],
                )
            begin = end


@lru_cache(maxsize=16)
def _statement(table: str, names: tuple[str, ...], common: int, size: int) -> str:
    """Return the statement that inserts so many rows; what they have in common is bound once for all of them."""
    marks = [*(f"?{number}" for number in range(1, common + 1)), *"?" * (len(names) - common)]
    columns, row = ", ".join(f'"{name}"' for name in names), f"({', '.join(marks)})"
    return f"INSERT INTO {table} ({columns}) VALUES {', '.join([row] * size)}"  # noqa: S608 - names from the code
