"""One SQLite file, one writer: opening, migrating, and the transaction everything else is done in.

What stands in the tables is the business of the modules beside this one; they are given a `Database`.
"""

import fcntl
import os
import re
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import TypeVar

import aiosqlite
import anyio

from slurmwatchd.errors import StoreBusyError, StoreError

APPLICATION_ID = 0x534C5744
"""`SLWD`, in the file's header: says whose file it is."""

WRITE_TIMEOUT_SECONDS = 120.0
BUSY_TIMEOUT_MS = 30_000

_FETCH_ROWS = 250

_MIGRATION = re.compile(r"(\d{4})_\w+\.sql")

T = TypeVar("T")


class Database:
    """The store's file, open. Make one with `open_database`."""

    def __init__(self, path: Path, writer: aiosqlite.Connection, reader: aiosqlite.Connection) -> None:
        """Wrap two connections: one that writes, one that reads beside it (WAL lets both go on)."""
        self.path = path
        self._writer = writer
        self._reader = reader
        self._lock = anyio.Lock()

    async def write(self, work: Callable[[aiosqlite.Connection], Awaitable[T]]) -> T:
        """Run `work` in one transaction: all of it, or nothing.

        Cancelling the caller does not cut a transaction in two: an await that aiosqlite is told to give up
        leaves its SQL in the queue of the connection's thread, so the whole of it is shielded, under a
        deadline of its own.

        Raises:
            StoreBusyError: The file is locked, its disk is full, or the deadline passed; rolled back.
        """
        async with self._lock:
            try:
                with anyio.fail_after(WRITE_TIMEOUT_SECONDS, shield=True):
                    result = await self._transaction(work)
            except TimeoutError:
                raise StoreBusyError(f"{self.path}: a write took over {WRITE_TIMEOUT_SECONDS:g} s") from None
            except sqlite3.OperationalError as error:
                raise StoreBusyError(f"{self.path}: {error}") from error
        return result

    async def read(self, sql: str, parameters: tuple[object, ...] = ()) -> list[sqlite3.Row]:
        """Return all rows of a query that sees what is committed; queries bound their own size.

        Raises:
            StoreBusyError: The file cannot be read now.
        """
        try:
            # Shielded like a write: a cancelled await would leave its answer for the next one to trip over.
            with anyio.CancelScope(shield=True):
                rows = list(await self._reader.execute_fetchall(sql, parameters))
        except sqlite3.OperationalError as error:
            raise StoreBusyError(f"{self.path}: {error}") from error
        return rows

    async def read_until(
        self, sql: str, parameters: tuple[object, ...], *, size: Callable[[sqlite3.Row], int], max_bytes: int
    ) -> list[sqlite3.Row]:
        """Return rows of a query, in order, until they weigh enough: at least one, where there is one.

        Args:
            sql: The query.
            parameters: Its parameters.
            size: Says how many bytes a row weighs.
            max_bytes: Reading stops once the rows so far weigh this much.

        Raises:
            StoreBusyError: The file cannot be read now.
        """
        rows: list[sqlite3.Row] = []
        weight = 0
        try:
            with anyio.CancelScope(shield=True):
                async with self._reader.execute(sql, parameters) as cursor:
                    while weight < max_bytes:
                        some = list(await cursor.fetchmany(_FETCH_ROWS))
                        if not some:
                            break
                        rows += some
                        weight += sum(map(size, some))
        except sqlite3.OperationalError as error:
            raise StoreBusyError(f"{self.path}: {error}") from error
        return rows

    async def _transaction(self, work: Callable[[aiosqlite.Connection], Awaitable[T]]) -> T:
        try:
            await self._writer.execute("BEGIN IMMEDIATE")
            result = await work(self._writer)
            # The deadline does not hold for this: what is given up half-way here would be committed all the same.
            with anyio.CancelScope(shield=True):
                await self._writer.execute("COMMIT")
        except BaseException:
            # After an error such as a full disk SQLite may have rolled back by itself already.
            with anyio.CancelScope(shield=True), suppress(sqlite3.Error):
                await self._writer.execute("ROLLBACK")
            raise
        return result


@asynccontextmanager
async def open_database(path: Path) -> AsyncIterator[Database]:
    """Open the store for a daemon, making or migrating it where needed.

    Raises:
        StoreError: Another daemon has it, it is no store of ours, it was made by a newer program, or its
            folder cannot be written.
    """
    with _locked(path):
        writer = await _connect(path)
        try:
            await _migrate(path, writer)
            reader = await _connect(path)
            try:
                await reader.execute("PRAGMA query_only = 1")
                yield Database(path, writer, reader)
            finally:
                with anyio.CancelScope(shield=True):
                    await reader.close()
        finally:
            with anyio.CancelScope(shield=True):
                await writer.close()


async def _connect(path: Path) -> aiosqlite.Connection:
    try:
        connection = await aiosqlite.connect(path, isolation_level=None)
    except sqlite3.Error as error:
        raise StoreError(f"{path}: cannot be opened: {error}") from error
    connection.row_factory = sqlite3.Row
    try:
        await connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        await connection.execute("PRAGMA journal_mode = WAL")
        await connection.execute("PRAGMA synchronous = FULL")
        await connection.execute("PRAGMA foreign_keys = 0")
        await connection.execute("PRAGMA cache_size = -8192")
        await connection.execute("PRAGMA journal_size_limit = 67108864")
    except sqlite3.Error as error:
        await connection.close()
        raise StoreError(f"{path}: cannot be used as a store: {error}") from error
    return connection


def migrations() -> list[tuple[int, str]]:
    """Return (number, SQL) of every migration shipped, ascending."""
    folder = resources.files("slurmwatchd.store") / "migrations"
    found = []
    for entry in folder.iterdir():
        match = _MIGRATION.fullmatch(entry.name)
        if match:
            found.append((int(match[1]), entry.read_text(encoding="utf-8")))
    return sorted(found)


async def _migrate(path: Path, connection: aiosqlite.Connection) -> None:
    """Bring the file to the newest schema; each migration is one transaction."""
    steps = migrations()
    have = await _pragma(connection, "user_version")
    application = await _pragma(connection, "application_id")
    tables = await connection.execute_fetchall("SELECT 1 FROM sqlite_master LIMIT 1")
    if application not in (0, APPLICATION_ID) or (application == 0 and list(tables)):
        raise StoreError(f"{path}: is an SQLite database, but not a store of slurmwatchd")
    newest = steps[-1][0]
    if have > newest:
        raise StoreError(
            f"{path}: has schema {have}, and this slurmwatchd knows up to {newest}: use a newer slurmwatchd"
        )
    for number, sql in steps:
        if number > have:
            await connection.executescript(
                f"BEGIN IMMEDIATE;\n{sql}\n"
                f"PRAGMA application_id = {APPLICATION_ID};\nPRAGMA user_version = {number};\nCOMMIT;"
            )


async def _pragma(connection: aiosqlite.Connection, name: str) -> int:
    rows = list(await connection.execute_fetchall(f"PRAGMA {name}"))
    return int(rows[0][0])


class _locked:  # noqa: N801 - used as a function, `with _locked(path)`
    """Hold the store's lock file, with our pid in it, for as long as the store is open.

    A file of its own and not the database: SQLite drops every POSIX lock of the process on the database
    when any descriptor of it is closed.
    """

    def __init__(self, path: Path) -> None:
        self._store = path
        self._path = path.with_name(path.name + ".lock")
        self._descriptor = -1

    def __enter__(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise StoreError(f"{self._path}: cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.pread(self._descriptor, 64, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._descriptor)
            raise StoreError(f"{self._store}: is in use by another slurmwatchd, pid {owner}") from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
