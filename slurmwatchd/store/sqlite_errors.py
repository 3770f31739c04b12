"""What SQLite's errors mean: damage, no room, or a lock that another program holds."""

import sqlite3


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether SQLite says that the file is not what it should be."""
    return code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_full(error: sqlite3.Error) -> bool:
    """Return whether SQLite found no room; on a full disk an I/O error may be all it reports."""
    if code(error) == sqlite3.SQLITE_FULL:
        return True
    # A quota, a limit on the size of files, or no room for the shared memory beside the store.
    return getattr(error, "sqlite_errorcode", 0) in (sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)


def is_locked(error: sqlite3.Error) -> bool:
    """Return whether another program has the file to itself at the moment."""
    return code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def code(error: sqlite3.Error) -> int:
    """Return the primary result code; 0 if the error has none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
