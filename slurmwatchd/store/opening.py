"""The one way into the store's file: SQLite's name for it, its pragmas, the check of its schema, and the errors.

A `Mode` says what a process wants with the store. All of this is plain `sqlite3`, so a script that only reads has
no event loop; `database.connect` gives the same connection to aiosqlite.
"""

import errno
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from slurmwatchd.config import ownership
from slurmwatchd.errors import StoreBusyError, StoreCorruptError, StoreError, StoreFullError
from slurmwatchd.store import sqlite_errors
from slurmwatchd.store.bodies import Bodies
from slurmwatchd.store.schema import is_empty, must_be_known, newest

_PAGE_BYTES = 16384


class Mode(Enum):
    """What a process wants with the store."""

    OWN = "own"
    """The process that holds the lock: it creates the file, migrates it, and writes attempts and events."""
    REQUEST = "request"
    """Beside the owner: it reads, and writes the few rows of a request. Only the newest schema."""
    COMPARE = "compare"
    """Beside the owner: it reads, and compares in temporary tables. Only the newest schema."""
    READ = "read"
    """Beside the owner or without one: it reads, also a store that an older version left."""


BUSY_SECONDS = {Mode.OWN: 30.0, Mode.REQUEST: 10.0, Mode.COMPARE: 10.0, Mode.READ: 10.0}
"""How long a statement waits for a lock of another process."""

_PRAGMAS = {
    Mode.OWN: (
        # Takes effect where the file is made: with 4 KiB, inserting costs a fifth more.
        f"page_size = {_PAGE_BYTES}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = 0",
        "journal_size_limit = 67108864",
    ),
    Mode.REQUEST: ("synchronous = FULL",),
}


class OpenFile(NamedTuple):
    """The store's file, open and checked.

    Attributes:
        connection: Any thread may use it, one at a time.
        bodies: What makes events' bodies readable in its SQL.
        version: The number of its schema; 0 if it is new and has no tables yet.
    """

    connection: sqlite3.Connection
    bodies: Bodies
    version: int


def open_file(path: Path, mode: Mode) -> OpenFile:
    """Open the store's file, and make sure that it is a store this program can use.

    Raises:
        StoreError: There is none, it is no store, its schema is not one for this mode, or a right is missing.
        StoreBusyError: Another program keeps it locked.
        StoreFullError: Its disk is full.
        StoreCorruptError: `Mode.OWN`: it is damaged.
    """
    if mode is Mode.OWN:
        _make_writable(path)
    else:
        _must_exist(path, mode)
    bodies = Bodies()
    with errors(path, mode, bodies):
        connection = bodies.connection(
            _uri(path, mode), uri=True, timeout=BUSY_SECONDS[mode], isolation_level=None, check_same_thread=False
        )
        try:
            for pragma in _PRAGMAS.get(mode, ()):
                connection.execute(f"PRAGMA {pragma}")
            version = _checked_version(path, mode, connection)
        except BaseException:
            connection.close()
            raise
    return OpenFile(connection=connection, bodies=bodies, version=version)


@contextmanager
def errors(path: Path, mode: Mode, bodies: Bodies) -> Iterator[None]:
    """Raise SQLite's errors as ours.

    Raises:
        StoreError: The file cannot be used, or, unless this process owns it, is damaged.
        StoreBusyError: Another program keeps it locked.
        StoreFullError: Its disk is full.
        StoreCorruptError: `Mode.OWN`: it is damaged.
    """
    try:
        yield
    except sqlite3.Error as error:
        if damage := bodies.take_damage():
            raise StoreError(f"{path}: {damage}") from error
        is_owner = mode is Mode.OWN
        if sqlite_errors.is_full(error):
            raise StoreFullError(f"{path}: {error}") from error
        if sqlite_errors.is_locked(error):
            holder = ": another program (not slurmwatchd) has it open" if is_owner else ""
            raise StoreBusyError(f"{path}: {error}{holder}") from error
        kind = StoreCorruptError if is_owner and sqlite_errors.is_damage(error) else StoreError
        raise kind(f"{path}: cannot be {'used as a store' if is_owner else 'read'}: {error}") from error


def no_store(path: Path) -> StoreError:
    """Return the error for a store that is not there."""
    return StoreError(f"{path}: there is no store yet; `slurmwatchd run` creates it")


def _uri(path: Path, mode: Mode) -> str:
    """Return SQLite's name for the file.

    SQLite makes two files beside a database of this kind even to read it. A user who may not make them there can
    read what a daemon has open, since they are there then, and otherwise the file alone (`immutable`).
    """
    access = {Mode.OWN: "rwc", Mode.REQUEST: "rw"}.get(mode, "ro")
    wal = path.with_name(f"{path.name}-wal")
    alone = access == "ro" and not wal.exists() and not os.access(path.parent, os.W_OK, effective_ids=True)
    return f"{path.absolute().as_uri()}?mode={access}{'&immutable=1' if alone else ''}"


def _must_exist(path: Path, mode: Mode) -> None:
    try:
        is_file = stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        raise no_store(path) from None
    except OSError as error:
        raise StoreError(f"{path}: cannot be opened: {error.strerror}") from error
    if not is_file:
        raise StoreError(f"{path}: is not a file")
    if mode is Mode.REQUEST and not os.access(path, os.W_OK, effective_ids=True):
        raise StoreError(f"{path}: cannot be written by this user")


def _make_writable(path: Path) -> None:
    """Make sure that this user may write the store and its folder.

    Raises:
        StoreError: It may not; the error has the `chown`.
    """
    try:
        ownership.make_for_folder_owner(path)
        for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            # SQLite does not say which of its files is closed, nor to whom. The rights are looked up: opening and
            # closing a file that SQLite has open would drop its locks.
            if file.exists() and not os.access(file, os.R_OK | os.W_OK, effective_ids=True):
                raise _closed(file)
        if not os.access(path.parent, os.W_OK | os.X_OK, effective_ids=True):
            raise _closed(path.parent)
    except OSError as error:
        file = Path(error.filename or path)
        raise StoreError(f"{file}: cannot be opened: {ownership.reason(file, error)}") from error


def _closed(file: Path) -> OSError:
    is_read_only = os.statvfs(file).f_flag & os.ST_RDONLY
    number = errno.EROFS if is_read_only else errno.EACCES
    return OSError(number, os.strerror(number), str(file))


def _checked_version(path: Path, mode: Mode, connection: sqlite3.Connection) -> int:
    """Return the number of the schema, of a store that this mode can use."""
    application, version = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("application_id", "user_version")
    )
    if mode is Mode.OWN and is_empty(connection, application_id=application):
        return 0
    must_be_known(path, application_id=application, version=version)
    if mode in (Mode.REQUEST, Mode.COMPARE) and version < newest():
        raise StoreError(
            f"{path}: has schema {version}, and this slurmwatchd needs {newest()}: "
            "restart the daemon to migrate it"
        )
    return version
