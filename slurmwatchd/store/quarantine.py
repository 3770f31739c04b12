"""Rows that cannot be keyed: kept whole, with the reason, until a newer program can read them."""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import aiosqlite

from slurmwatchd.model.records import Rejected
from slurmwatchd.store.database import Database
from slurmwatchd.store.json_array import IN_ARRAY, json_array
from slurmwatchd.store.read.second_process import AnyStore

SEPARATOR = b"\x00"
"""Between a row's values: sacct prints C strings, which hold none."""

COLUMNS = "id, cluster, observed, reason, fields, row"

PAGE_ROWS = 500
_PAGE_BYTES = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """One row.

    Attributes:
        observed: When it was first met, epoch seconds.
        fields: The names that were asked for, in order.
        row: The values, as sacct printed them.
    """

    id: int
    cluster: str
    observed: int
    reason: str
    fields: tuple[str, ...] = field(repr=False)
    row: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def of(cls, found: sqlite3.Row) -> "Quarantined":
        """Make one from its columns."""
        return cls(
            id=found["id"],
            cluster=found["cluster"],
            observed=found["observed"],
            reason=found["reason"],
            fields=tuple(found["fields"].split()),
            row=tuple(found["row"].split(SEPARATOR)),
        )


async def keep(
    connection: aiosqlite.Connection, cluster: str, rejected: Sequence[Rejected], *, observed: int
) -> int:
    """Write rows that have no key, and return how many are new: the same row read again stands there once."""
    rows = [(cluster, observed, row.reason, " ".join(row.fields), SEPARATOR.join(row.row)) for row in rejected]
    async with connection.executemany(
        "INSERT OR IGNORE INTO quarantine (cluster, observed, reason, fields, row) VALUES (?, ?, ?, ?, ?)", rows
    ) as cursor:
        return cursor.rowcount


async def release(connection: aiosqlite.Connection, ids: Iterable[int]) -> None:
    """Delete rows, inside the transaction in which what they say is kept."""
    await connection.executemany("DELETE FROM quarantine WHERE id = ?", [(number,) for number in ids])


async def ask(database: AnyStore, ids: Sequence[int] | None, *, now: int) -> list[int]:
    """Ask to have rows read again; returns the ids of those that are there.

    Args:
        database: The store.
        ids: Which; None: all.
        now: Epoch seconds.
    """
    which = "" if ids is None else " WHERE id IN (SELECT value FROM json_each(?2))"
    parameters = (now,) if ids is None else (now, json_array(ids))

    async def work(connection: aiosqlite.Connection) -> list[int]:
        rows = await connection.execute_fetchall(
            f"UPDATE quarantine SET asked = ?1{which} RETURNING id",  # noqa: S608 - constants
            parameters,
        )
        return [row[0] for row in rows]

    return await database.write(work)


async def asked(database: Database) -> list[Quarantined]:
    """Return rows that are to be read again: some hundreds at most, and no more than a few megabytes of them."""
    rows = await database.read_until(
        f"SELECT {COLUMNS} FROM quarantine WHERE asked IS NOT NULL ORDER BY id LIMIT {PAGE_ROWS}",  # noqa: S608 - constants
        (),
        weigh=lambda rows: sum(len(row["row"]) for row in rows),
        max_bytes=_PAGE_BYTES,
    )
    return [Quarantined.of(row) for row in rows]


async def waiting(database: AnyStore, ids: Sequence[int]) -> int:
    """Return how many of some rows are still to be read again."""
    rows = await database.read(
        f"SELECT count(*) FROM quarantine WHERE asked IS NOT NULL AND id {IN_ARRAY}",  # noqa: S608 - a constant
        (json_array(ids),),
    )
    return int(rows[0][0])


async def left(database: AnyStore, ids: Sequence[int]) -> int:
    """Return how many of some rows are there."""
    rows = await database.read(
        f"SELECT count(*) FROM quarantine WHERE id {IN_ARRAY}",  # noqa: S608 - a constant
        (json_array(ids),),
    )
    return int(rows[0][0])


async def refuse(database: Database, reasons: Iterable[tuple[int, str]]) -> None:
    """Leave rows where they are, with the reason of today; no one waits for them any more."""
    parameters = [(reason, number) for number, reason in reasons]

    async def work(connection: aiosqlite.Connection) -> None:
        await connection.executemany("UPDATE quarantine SET reason = ?, asked = NULL WHERE id = ?", parameters)

    await database.write(work)
