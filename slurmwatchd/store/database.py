"""One SQLite file, one writer: opening, migrating, and the transaction everything else is done in.

What stands in the tables is the business of the modules beside this one; they are given a `Database`.
"""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import aiosqlite
import anyio

from slurmwatchd.config import ownership
from slurmwatchd.config.paths import real_path
from slurmwatchd.errors import StoreBusyError, StoreCorruptError, StoreError, StoreFullError
from slurmwatchd.model.waits import waits_added
from slurmwatchd.store import sqlite_errors
from slurmwatchd.store.bodies import Bodies
from slurmwatchd.store.dictionaries import Packer
from slurmwatchd.store.lockfile import LockFile, ShutdownState
from slurmwatchd.store.opening import Mode, OpenFile, open_file
from slurmwatchd.store.recent_events import RecentEvents
from slurmwatchd.store.recent_nodelists import RecentNodelists
from slurmwatchd.store.repair import damage
from slurmwatchd.store.schema import APPLICATION_ID, migrations
from slurmwatchd.store.shared_lock import SharedLock
from slurmwatchd.store.unpacking import Unpacker
from slurmwatchd.telemetry.log import get_logger

if TYPE_CHECKING:
    from slurmwatchd.model.sums import Group

WRITE_TIMEOUT_SECONDS = 120.0

_FIRST_ROWS = 250
_MOST_ROWS = 1000
"""How many rows are fetched at a time: few until their weight is known, then more, since each fetch waits for the
connection's thread."""

_CHUNK_ROWS = 64
_READER_CACHE_KIB = 4096
_WRITER_CACHE_KIB = 16384
"""Indexes by user and by node list are written all over: what does not fit is read again for every batch."""

_log = get_logger(__name__)

T = TypeVar("T")

_Connection = tuple[aiosqlite.Connection, Bodies]

OnDiskFull = Callable[[StoreFullError | None], None]
"""Called when the store's disk is full, and with None when it has space again."""


class Database:
    """The store's file, open. Make one with `open_database`."""

    def __init__(self, path: Path, writer: _Connection, reader: _Connection, lock_file: LockFile) -> None:
        """Wrap two connections: one that writes, one that reads beside it (WAL lets both go on)."""
        self.path = path
        self.noted: OnDiskFull = _ignore
        self.using_lists = SharedLock()
        """Shared from looking up which node lists are known until it is written who uses them."""
        self.recent = RecentEvents()
        """What was committed last, for whoever waits for it."""
        self.recent_nodelists = RecentNodelists()
        """The nodes of the lists that it names."""
        self.packer = Packer()
        """Packs the bodies that are written."""
        self.sum_groups: dict[Group, int] = {}
        """Row ids of groups of sums that are committed, see `sums.add`."""
        self.unpacker = Unpacker()
        """Unpacks those that sinks read back."""
        self._writer, self._bodies_of_writer = writer
        self._reader, self._bodies_of_reader = reader
        self._lock_file = lock_file
        self._lock = anyio.Lock()
        self._full = False

    @property
    def aside(self) -> Path | None:
        """The damaged store that this one is to take the place of; None once `rebuilt` was called."""
        return self.path.with_name(self._lock_file.aside) if self._lock_file.aside else None

    def rebuilt(self) -> None:
        """Note that all that could be had of a damaged store is in this one now."""
        self._lock_file.mark(ShutdownState.OPEN)

    async def has_room(self) -> None:
        """Check, after a write that found the disk full, whether disk has space again.

        Raises:
            StoreFullError: There is none yet.
        """
        if self._full:
            await self.write(damage.try_room)

    async def write(self, work: Callable[[aiosqlite.Connection], Awaitable[T]]) -> T:
        """Run `work` in one transaction: all of it, or nothing.

        Cancelling the caller does not cut a transaction in two: a cancelled await leaves its SQL in the queue of
        aiosqlite's thread, so the whole of it is shielded, under a deadline of its own.

        Raises:
            StoreFullError: Its disk is full; rolled back.
            StoreBusyError: The file is locked, cannot be written, or the deadline passed; rolled back.
            StoreCorruptError: The file is damaged.
        """
        async with self._writing():
            with anyio.fail_after(WRITE_TIMEOUT_SECONDS, shield=True):
                return await self._transaction(work)

    async def write_at_once(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Run a few quick statements in one transaction, as `write` does, by going to SQLite's thread once.

        Each way there and back waits for Python's lock twice.

        Raises:
            StoreFullError: As `write`.
            StoreBusyError: Likewise.
            StoreCorruptError: Likewise.
        """

        def transaction() -> None:
            # One connection, which only this thread uses.
            connection = self._writer._conn  # noqa: SLF001 - aiosqlite has no other way to it
            connection.execute("BEGIN IMMEDIATE")
            try:
                work(connection)
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

        in_its_thread: Callable[..., Awaitable[None]] = self._writer._execute  # noqa: SLF001 - as above
        async with self._writing():
            # Without a deadline: what is given up half-way here would be committed all the same.
            with anyio.CancelScope(shield=True):
                await in_its_thread(transaction)

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[None]:
        """Let one write at a time; say what its errors mean."""
        async with self._lock:
            committed = False
            try:
                yield
                committed = True
            except TimeoutError:
                raise StoreBusyError(f"{self.path}: a write took over {WRITE_TIMEOUT_SECONDS:g} s") from None
            except sqlite3.DatabaseError as error:
                raise self._meaning(error) from error
            finally:
                self.packer.settle(committed=committed)
        if self._full:
            self._full = False
            self.noted(None)

    async def read(self, sql: str, parameters: tuple[object, ...] = ()) -> list[sqlite3.Row]:
        """Return all rows of a query that sees what is committed; queries bound their own size.

        Raises:
            StoreBusyError: The file cannot be read now.
            StoreCorruptError: The file is damaged.
        """
        try:
            # Shielded like a write: a cancelled await would leave its answer for the next one to trip over.
            with anyio.CancelScope(shield=True):
                rows = list(await self._reader.execute_fetchall(sql, parameters))
        except sqlite3.DatabaseError as error:
            raise self._meaning(error) from error
        return rows

    async def read_until(
        self,
        sql: str,
        parameters: tuple[object, ...],
        *,
        weigh: Callable[[Sequence[sqlite3.Row]], int],
        max_bytes: int,
    ) -> list[sqlite3.Row]:
        """Return rows of a query, in order, until they weigh enough: at least one, where there is one.

        Args:
            sql: The query.
            parameters: Its parameters.
            weigh: Says how many bytes some rows weigh together.
            max_bytes: Reading stops once the rows so far weigh this much.

        Raises:
            StoreBusyError: The file cannot be read now.
            StoreCorruptError: The file is damaged.
        """
        rows: list[sqlite3.Row] = []
        weight, count = 0, _FIRST_ROWS
        try:
            with anyio.CancelScope(shield=True):
                async with self._reader.execute(sql, parameters) as cursor:
                    while weight < max_bytes:
                        some = await cursor.fetchmany(count)
                        before = len(rows)
                        rows.extend(some)
                        if len(rows) - before < count:
                            break
                        weight += weigh(rows[before:])
                        fitting = int((max_bytes - weight) / weight * len(rows)) + 1 if weight else _MOST_ROWS
                        count = max(1, min(fitting, 2 * count, _MOST_ROWS))
        except sqlite3.DatabaseError as error:
            raise self._meaning(error) from error
        return rows

    def _meaning(self, error: sqlite3.DatabaseError) -> Exception:
        """Return what an error of SQLite means to us; damage and a full disk are noted."""
        in_body = self._bodies_of_reader.take_damage() or self._bodies_of_writer.take_damage()
        if in_body or sqlite_errors.is_damage(error):
            with suppress(StoreError):
                self._lock_file.mark(ShutdownState.CORRUPT)
            return StoreCorruptError(f"{self.path}: {in_body or error}")
        if sqlite_errors.is_full(error):
            self._full = True
            full = StoreFullError(f"{self.path}: {error}: the daemon continues when there is room")
            self.noted(full)
            return full
        return StoreBusyError(f"{self.path}: {error}") if isinstance(error, sqlite3.OperationalError) else error

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

    A damaged store is set aside, and a new one takes its place; `Database.aside` says so.

    Raises:
        StoreError: Another daemon has it, it is no store of ours, it was made by a newer program, or its
            folder cannot be written.
        StoreBusyError: It cannot be made ready now, for instance because its disk is full.
    """
    # By its own name, or setting it aside would rename a link to it.
    path = real_path(path)
    if path.is_dir():
        raise StoreError(f"{path}: is not a file")
    with LockFile(path) as lock_file:
        if lock_file.left is ShutdownState.CORRUPT:
            _set_aside(path, lock_file, "damage found while in use")
        try:
            writer = await _ready(path, suspect=lock_file.left is ShutdownState.OPEN)
        except StoreCorruptError as error:
            if lock_file.left is ShutdownState.UNKNOWN and not damage.was_ours(path, APPLICATION_ID):
                raise StoreError(str(error)) from error
            _set_aside(path, lock_file, str(error))
            writer = await _ready(path, suspect=False)
        try:
            reader, opened = await connect(path, Mode.OWN)
            try:
                await reader.execute(f"PRAGMA cache_size = -{_READER_CACHE_KIB}")
                await reader.execute("PRAGMA query_only = 1")
                if not lock_file.aside:
                    lock_file.mark(ShutdownState.OPEN)
                database = Database(path, writer, (reader, opened.bodies), lock_file)
                await database.packer.load(database)
                yield database
            finally:
                with anyio.CancelScope(shield=True):
                    await reader.close()
        finally:
            with anyio.CancelScope(shield=True):
                await writer[0].close()


def _set_aside(path: Path, lock_file: LockFile, reason: str) -> None:
    """Give a damaged store another name; noted before and after, so that a crash in between costs nothing."""
    lock_file.mark(ShutdownState.CORRUPT)
    try:
        aside = damage.set_aside(path)
    except OSError as error:
        raise StoreError(
            f"{path}: is damaged, and cannot be set aside: {ownership.reason(path.parent, error)}"
        ) from error
    if aside is not None:
        _log.error("store damaged, moved aside", reason=reason, aside=str(aside))
        lock_file.mark(ShutdownState.REBUILDING, aside.name)


async def _ready(path: Path, *, suspect: bool) -> _Connection:
    """Return a connection to a store of the newest schema, looked over for damage.

    Raises:
        StoreCorruptError: It is damaged.
        StoreError: It cannot be used.
        StoreBusyError: It cannot be written now.
    """
    connection, opened = await connect(path, Mode.OWN)
    try:
        await connection.execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
        await connection.create_function(waits_added.__name__, 2, waits_added, deterministic=True)
        await _migrate(connection, opened.version)
        await damage.examine(connection, thorough=suspect)
    except sqlite3.DatabaseError as error:
        await connection.close()
        if sqlite_errors.is_damage(error):
            raise StoreCorruptError(f"{path}: {error}") from error
        kind = StoreFullError if sqlite_errors.is_full(error) else StoreBusyError
        raise kind(f"{path}: {error}") from error
    except BaseException:
        with anyio.CancelScope(shield=True):
            await connection.close()
        raise
    return connection, opened.bodies


async def connect(path: Path, mode: Mode) -> tuple[aiosqlite.Connection, OpenFile]:
    """Open the store's file as `mode` says, for the event loop.

    Raises:
        StoreError: As `open_file` raises them.
        StoreBusyError: Likewise.
    """
    # Opened beforehand: if aiosqlite fails to open a file, its thread outlives the event loop with a traceback.
    opened = await anyio.to_thread.run_sync(open_file, path, mode)
    opened.connection.row_factory = sqlite3.Row
    return await aiosqlite.Connection(lambda: opened.connection, iter_chunk_size=_CHUNK_ROWS), opened


async def _migrate(connection: aiosqlite.Connection, version: int) -> None:
    """Bring the file to the newest schema; each migration is one transaction, and all of a new store's are one."""
    steps = [(number, sql) for number, sql in migrations() if number > version]
    if version == 0:
        # A transaction is a wait for the disk.
        steps = [(steps[-1][0], "\n".join(sql for _, sql in steps))]
    for number, sql in steps:
        await connection.executescript(
            f"BEGIN IMMEDIATE;\n{sql}\n"
            f"PRAGMA application_id = {APPLICATION_ID};\nPRAGMA user_version = {number};\nCOMMIT;"
        )


def _ignore(_: StoreFullError | None) -> None:
    """Do nothing."""
