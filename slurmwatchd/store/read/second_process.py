"""The store as seen beside its owner: opened for reading, or for a request, while a daemon may have it.

Positions and row ids are handed out by whoever holds the store's lock (`database.open_database`), so what is
opened here never writes attempts or events. A request is a row or two in a short transaction; the owner does what
it says.
"""

import os
import sqlite3
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

import aiosqlite
import anyio

from slurmwatchd.config.paths import lock_path
from slurmwatchd.errors import StoreBusyError, StoreError
from slurmwatchd.store.bodies import Bodies
from slurmwatchd.store.database import Database
from slurmwatchd.store.read.uris import no_store, uri_for_reading, uri_for_requests
from slurmwatchd.store.schema import must_be_known, newest

_PAGE_ROWS = 1000
_BUSY_TIMEOUT_MS = 10_000

T = TypeVar("T")


class ComparisonReader:
    """The store, open for reading, with temporary tables for what is to be compared with it."""

    def __init__(self, path: Path, connection: aiosqlite.Connection, bodies: Bodies) -> None:
        """Wrap a connection that cannot change the file."""
        self.path = path
        self._connection = connection
        self._bodies = bodies

    async def read(self, sql: str, parameters: Sequence[object] = ()) -> list[sqlite3.Row]:
        """Return all rows of a query; queries bound their own size.

        Raises:
            StoreBusyError: The file cannot be read now.
        """
        try:
            return list(await self._connection.execute_fetchall(sql, parameters))
        except sqlite3.OperationalError as error:
            raise self._meaning(error) from error

    async def pages(self, sql: str, parameters: Sequence[object] = ()) -> AsyncGenerator[list[sqlite3.Row], None]:
        """Give the rows of a query, some at a time, as they were when it began.

        Raises:
            StoreBusyError: The file cannot be read now.
        """
        try:
            async with self._connection.execute(sql, parameters) as cursor:
                while page := list(await cursor.fetchmany(_PAGE_ROWS)):
                    yield page
        except sqlite3.OperationalError as error:
            raise self._meaning(error) from error

    async def note(self, sql: str, rows: Iterable[Sequence[object]] = ((),)) -> None:
        """Run a statement on temporary tables, for each row of parameters.

        Raises:
            StoreBusyError: There is no room for temporary tables.
        """
        try:
            await self._connection.executemany(sql, rows)
        except sqlite3.OperationalError as error:
            if damage := self._bodies.take_damage():
                raise StoreError(f"{self.path}: {damage}") from error
            raise StoreBusyError(f"temporary tables: {error}") from error

    def _meaning(self, error: sqlite3.OperationalError) -> StoreError | StoreBusyError:
        """Return what an error of SQLite means to us."""
        if damage := self._bodies.take_damage():
            return StoreError(f"{self.path}: {damage}")
        return StoreBusyError(f"{self.path}: {error}")


class Requester(ComparisonReader):
    """The store, open for requests to whoever has it."""

    async def write(self, work: Callable[[aiosqlite.Connection], Awaitable[T]]) -> T:
        """Run `work` in one transaction: all of it, or nothing.

        Raises:
            StoreBusyError: The file is locked or its disk is full; nothing was written.
        """
        try:
            with anyio.CancelScope(shield=True):
                result = await self._transaction(work)
        except sqlite3.OperationalError as error:
            raise self._meaning(error) from error
        return result

    async def _transaction(self, work: Callable[[aiosqlite.Connection], Awaitable[T]]) -> T:
        await self._connection.execute("BEGIN IMMEDIATE")
        try:
            result = await work(self._connection)
            await self._connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                await self._connection.execute("ROLLBACK")
            raise
        return result


AnyStore = Database | Requester
"""A store that takes requests: one's own, or that of another."""


@asynccontextmanager
async def open_for_reading(path: Path) -> AsyncIterator[ComparisonReader]:
    """Open the store for reading, whether a daemon has it or not.

    Raises:
        StoreError: There is none, it cannot be read, or its schema is not this program's.
    """
    _must_exist(path)
    async with _opened(path, uri_for_reading(path)) as (connection, bodies):
        yield ComparisonReader(path, connection, bodies)


@asynccontextmanager
async def open_beside(path: Path) -> AsyncIterator[Requester]:
    """Open the store for requests to the daemon that has it.

    Raises:
        StoreError: There is none, it cannot be written, or its schema is not this program's.
    """
    _must_exist(path)
    async with _opened(path, uri_for_requests(path)) as (connection, bodies):
        if not os.access(path, os.W_OK):
            raise StoreError(f"{path}: cannot be written by this user")
        await connection.execute("PRAGMA synchronous = FULL")
        yield Requester(path, connection, bodies)


def owner(path: Path) -> int | None:
    """Return the pid of who has the store, or had it last; None where nobody ever did."""
    try:
        first = lock_path(path).read_bytes().partition(b"\n")[0].strip()
    except OSError:
        return None
    return int(first) if first.isdigit() else None


@asynccontextmanager
async def _opened(path: Path, uri: str) -> AsyncIterator[tuple[aiosqlite.Connection, Bodies]]:
    bodies = Bodies()
    try:
        connection = await aiosqlite.connect(uri, uri=True, isolation_level=None, factory=bodies.connection)
    except sqlite3.Error as error:
        raise StoreError(f"{path}: cannot be opened: {error}") from error
    try:
        connection.row_factory = sqlite3.Row
        await _check_schema(path, connection)
        yield connection, bodies
    finally:
        with anyio.CancelScope(shield=True):
            await connection.close()


def _must_exist(path: Path) -> None:
    try:
        is_file = stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        raise no_store(path) from None
    except OSError as error:
        raise StoreError(f"{path}: cannot be opened: {error.strerror}") from error
    if not is_file:
        raise StoreError(f"{path}: is not a file")


async def _check_schema(path: Path, connection: aiosqlite.Connection) -> None:
    """Refuse what is no store of ours, or one of another schema: its owner brings it to the newest."""
    try:
        await connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
        application = await _pragma(connection, "application_id")
        have = await _pragma(connection, "user_version")
    except sqlite3.Error as error:
        raise StoreError(f"{path}: cannot be read: {error}") from error
    must_be_known(path, application_id=application, version=have)
    if have < newest():
        raise StoreError(
            f"{path}: has schema {have}, and this slurmwatchd needs {newest()}: restart the daemon to migrate it"
        )


async def _pragma(connection: aiosqlite.Connection, name: str) -> int:
    return int(next(iter(await connection.execute_fetchall(f"PRAGMA {name}")))[0])
