"""Rows on their way into a table, one column of all of them at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from types import MappingProxyType
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
        beside: What else is known of each row, and is not written.
    """

    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    common: Mapping[str, Any] = field(default_factory=dict)
    beside: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, names: Sequence[str], rows: Sequence[tuple[Any, ...]], common: Mapping[str, Any]) -> "BulkRows":
        """Take rows apart."""
        return cls(dict(zip(names, zip(*rows, strict=True), strict=True)), common) if rows else cls()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(next(iter(self.columns.values()), ()))

    def part(self, begin: int, end: int) -> "BulkRows":
        """Return those from one place up to another."""
        columns, beside = (
            {name: values[begin:end] for name, values in some.items()} for some in (self.columns, self.beside)
        )
        return BulkRows(columns, self.common, beside)

    async def insert(self, connection: aiosqlite.Connection, table: str) -> None:
        """Write them, many to a statement; inside a transaction."""
        rows = list(zip(*self.columns.values(), strict=True))
        await insert_rows(connection, table, tuple(self.columns), rows, common=self.common)


async def insert_rows(
    connection: aiosqlite.Connection,
    table: str,
    names: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
    *,
    common: Mapping[str, Any] = MappingProxyType({}),
    ending: str = "",
) -> None:
    """Write rows, many to a statement; inside a transaction.

    Args:
        connection: The store.
        table: Where to.
        names: Its columns.
        rows: A value for each of them.
        common: Other columns to the value that all rows have.
        ending: What the statement ends with: an `ON CONFLICT` clause.
    """
    begin, count, shared = 0, len(rows), tuple(common.values())
    for size in _ROWS_A_STATEMENT:
        end = count - (count - begin) % size
        # Each statement is a way to SQLite's thread and back.
        if begin < end:
            await connection.executemany(
                _statement(table, (*common, *names), len(shared), size, ending),
                [(*shared, *chain.from_iterable(rows[at : at + size])) for at in range(begin, end, size)],
            )
        begin = end


@lru_cache(maxsize=32)
def _statement(table: str, names: tuple[str, ...], common: int, size: int, ending: str) -> str:
    """Return the statement that inserts so many rows; what they have in common is bound once for all of them."""
    marks = [*(f"?{number}" for number in range(1, common + 1)), *"?" * (len(names) - common)]
    columns, row = ", ".join(f'"{name}"' for name in names), f"({', '.join(marks)})"
    return f"INSERT INTO {table} ({columns}) VALUES {', '.join([row] * size)} {ending}"  # noqa: S608 - names from the code
