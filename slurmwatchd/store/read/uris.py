"""How the store is opened beside whoever has it."""

import os
from pathlib import Path

from slurmwatchd.errors import StoreError


def no_store(path: Path) -> StoreError:
    """Return the error for a store that is not there."""
    return StoreError(f"{path}: there is no store yet; `slurmwatchd run` creates it")


def uri_for_reading(path: Path) -> str:
    """Return SQLite's name for a store that is to be read.

    SQLite makes two files beside a database of this kind even to read it. Whoever may not make them there can read
    what a daemon has open, as they are there then; and the file alone (`immutable`) where nobody has it open.
    """
    wal = path.with_name(f"{path.name}-wal")
    alone = not wal.exists() and not os.access(path.parent, os.W_OK, effective_ids=True)
    return f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if alone else ''}"


def uri_for_requests(path: Path) -> str:
    """Return SQLite's name for a store that is there, to be read and written."""
    return f"{path.absolute().as_uri()}?mode=rw"
