"""Whose file a store is, and the migrations that make its tables. Quick to import: every question needs it."""

import re
import sqlite3
from operator import itemgetter
from pathlib import Path

from slurmwatchd.errors import StoreError

APPLICATION_ID = 0x534C5744
"""`SLWD`, in the file's header: says whose file it is."""

# `importlib.resources` would find it too, at the cost of a sixteenth of all that a question imports.
_FOLDER = Path(__file__).with_name("migrations")
_MIGRATION = re.compile(r"(\d{4})_\w+\.sql")


COVERAGE = 'SELECT start, "end", read_at FROM coverage WHERE cluster = ? ORDER BY start'
"""What was read of a cluster: the fields of a `Stretch`."""


def migrations() -> list[tuple[int, str]]:
    """Return (number, SQL) of every migration shipped, ascending."""
    return [(number, file.read_text(encoding="utf-8")) for number, file in _files()]


def newest() -> int:
    """Return the number of the schema that this program makes."""
    return _files()[-1][0]


def _files() -> list[tuple[int, Path]]:
    found = ((_MIGRATION.fullmatch(file.name), file) for file in _FOLDER.iterdir())
    return sorted(((int(match[1]), file) for match, file in found if match), key=itemgetter(0))


def is_empty(connection: sqlite3.Connection, *, application_id: int) -> bool:
    """Return whether a database has neither a mark nor a table yet: a store may be made in it."""
    return application_id == 0 and connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None


def must_be_known(path: Path, *, application_id: int, version: int) -> None:
    """Refuse a file that is no store, or one of a newer program.

    Args:
        path: Its name, for the error.
        application_id: What the pragma of that name says.
        version: What `user_version` says: the number of its schema.

    Raises:
        StoreError: It is one of these.
    """
    if application_id != APPLICATION_ID:
        raise StoreError(f"{path}: is an SQLite database, but not a store of slurmwatchd")
    if version > newest():
        raise StoreError(
            f"{path}: has schema {version}, and this slurmwatchd knows up to {newest()}: use a newer slurmwatchd"
        )
