"""The store as seen beside its owner: opened for reading, or for a request, while a daemon may have it.

Positions and row ids are handed out by whoever holds the store's lock (`database.open_database`), so what is
opened here never writes attempts or events. A request is a row or two in a short transaction; the owner does what
it says.
"""

import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

import aiosqlite
import anyio

from slurmwatchd.config.file_stamps import FileIdentity, file_identity
from slurmwatchd.config.paths import lock_path
from slurmwatchd.errors import StoreBusyError, StoreError, TransientError
from slurmwatchd.store.bodies import Bodies
from slurmwatchd.store.database import Database, connect
from slurmwatchd.store.opening import Mode, errors

_PAGE_ROWS = 1000

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
            StoreError: It cannot be read at all.
        """
        with errors(self.path, Mode.COMPARE, self._bodies):
            return list(await self._connection.execute_fetchall(sql, parameters))

    async def pages(self, sql: str, parameters: Sequence[object] = ()) -> AsyncGenerator[list[sqlite3.Row], None]:
        """Give the rows of a query, some at a time, as they were when it began.

        Raises:
            StoreBusyError: The file cannot be read now.
            StoreError: It cannot be read at all.
        """
        with errors(self.path, Mode.COMPARE, self._bodies):
            async with self._connection.execute(sql, parameters) as cursor:
                while page := list(await cursor.fetchmany(_PAGE_ROWS)):
                    yield page

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


class Requester(ComparisonReader):
    """The store, open for requests to whoever has it."""

    def __init__(
        self, path: Path, connection: aiosqlite.Connection, bodies: Bodies, file: FileIdentity | None
    ) -> None:
        """See `open_beside`; `file` is what `file_identity` said before it was opened."""
        super().__init__(path, connection, bodies)
        self._file = file

    def must_be_in_place(self) -> None:
        """Look whether the file is still the store: a daemon sets a damaged one aside, with the requests in it.

        Raises:
            TransientError: Another file has its place, or none.
        """
        if file_identity(self.path) != self._file:
            raise TransientError(
                f"{self.path}: is another store now than the one that has the request; run the same command again"
            )

    async def write(self, work: Callable[[aiosqlite.Connection], Awaitable[T]]) -> T:
        """Run `work` in one transaction: all of it, or nothing.

        Raises:
            StoreBusyError: The file is locked or its disk is full; nothing was written.
        """
        with errors(self.path, Mode.REQUEST, self._bodies):
            return await self._transaction(work)

    async def _transaction(self, work: Callable[[aiosqlite.Connection], Awaitable[T]]) -> T:
        with anyio.CancelScope(shield=True):
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
    async with _connected(path, Mode.COMPARE) as (connection, bodies):
        yield ComparisonReader(path, connection, bodies)


@asynccontextmanager
async def open_beside(path: Path) -> AsyncIterator[Requester]:
    """Open the store for requests to the daemon that has it.

    Raises:
        StoreError: There is none, it cannot be written, or its schema is not this program's.
    """
    file = file_identity(path)
    async with _connected(path, Mode.REQUEST) as (connection, bodies):
        yield Requester(path, connection, bodies, file)


def owner(path: Path) -> int | None:
    """Return the pid of who has the store, or had it last; None where no one ever did."""
    try:
        first = lock_path(path).read_bytes().partition(b"\n")[0].strip()
    except OSError:
        return None
    return int(first) if first.isdigit() else None


@asynccontextmanager
async def _connected(path: Path, mode: Mode) -> AsyncIterator[tuple[aiosqlite.Connection, Bodies]]:
    connection, opened = await connect(path, mode)
    try:
        yield connection, opened.bodies
    finally:
        with anyio.CancelScope(shield=True):
            await connection.close()
