"""Damage to the store's file: how the daemon looks for it at the start, and how it sets a damaged store aside.

What a look at the start may cost is bounded, however large the store: the small tables whole, the ends of the
large ones, and, where the last daemon died instead of closing the store, all of it for some seconds. What that
misses is met when it is read or written, and noted then.
"""

import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path

import aiosqlite
import anyio

from slurmwatchd.store import sqlite_errors
from slurmwatchd.telemetry.log import get_logger

THOROUGH_SECONDS = 20.0
"""How long a store that was not closed is looked over: some ten gigabytes of one that is in memory."""

_MAGIC = b"SQLite format 3\x00"
_APPLICATION_ID = slice(68, 72)
_HEADER_BYTES = 100

_SMALL = ("dictionaries", "meta", "cursors", "sink_state", "horizons", "coverage", "layouts")
_LARGE = ("jobs", "events", "nodelists", "nodes", "ledger", "quarantine")

_log = get_logger(__name__)


def was_ours(path: Path, application_id: int) -> bool:
    """Return whether a file that cannot be read as a database was a store of ours.

    It bears our mark in its first bytes, or they are zeros as after a power cut.
    """
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if header.startswith(_MAGIC):
        return int.from_bytes(header[_APPLICATION_ID], "big") == application_id
    return bool(header) and not any(header)


async def examine(connection: aiosqlite.Connection, *, thorough: bool) -> None:
    """Look a store over; what is not looked at is left to be met in use.

    Args:
        connection: Outside a transaction.
        thorough: Whether it was not closed by whoever had it last.

    Raises:
        sqlite3.DatabaseError: It is damaged.
    """
    for table in _SMALL:
        await _expect_ok(connection, f"PRAGMA quick_check('{table}')")
    for table in _LARGE:
        for order in ("ASC", "DESC"):
            await connection.execute_fetchall(f"SELECT * FROM {table} ORDER BY rowid {order} LIMIT 1")  # noqa: S608 - constants
    if thorough:
        await _look_for(THOROUGH_SECONDS, connection)


async def _look_for(seconds: float, connection: aiosqlite.Connection) -> None:
    """Check all of it, as far as some seconds go."""
    began = time.monotonic()
    failure: sqlite3.DatabaseError | None = None

    async def interrupt() -> None:
        # It stops what is running at that moment, which in the first one may be nothing.
        while True:
            await anyio.sleep(seconds)
            await connection.interrupt()

    async with anyio.create_task_group() as group:
        group.start_soon(interrupt)
        try:
            await _expect_ok(connection, "PRAGMA quick_check(1)")
        except sqlite3.DatabaseError as error:
            failure = error
        group.cancel_scope.cancel()
    if failure is None:
        _log.info("store not closed cleanly, checked", seconds=round(time.monotonic() - began, 1))
    elif sqlite_errors.code(failure) == sqlite3.SQLITE_INTERRUPT:
        _log.warning("store not closed cleanly, too large to check whole", seconds=round(seconds))
    else:
        raise failure


async def _expect_ok(connection: aiosqlite.Connection, check: str) -> None:
    rows = [str(row[0]) for row in await connection.execute_fetchall(check)]
    if rows != ["ok"]:
        error = sqlite3.DatabaseError("; ".join(rows)[:500])
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


async def try_room(connection: aiosqlite.Connection) -> None:
    """Write something small, inside a transaction: it fails where there is no room."""
    await connection.execute(
        "INSERT INTO meta VALUES ('last room', ?1) ON CONFLICT (key) DO UPDATE SET value = ?1", (str(time.time()),)
    )


def set_aside(path: Path) -> Path | None:
    """Rename a store with what belongs to it: `slurmwatchd.db.corrupt-20261123T150742Z`.

    Returns:
        Its new name; None where there is no store to rename.
    """
    if not path.exists():
        return None
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.corrupt-{stamp}-{number}")
    # The store itself last: as long as it has its name, it is still to be set aside.
    for suffix in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return aside
