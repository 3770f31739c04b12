"""Which file a name stands for, and whether it has changed since tokens, certificates or `web.yml` were read."""

import os
from pathlib import Path

FileIdentity = tuple[int, int]
"""Device and inode."""


def file_identity(file: Path | int) -> FileIdentity | None:
    """Return which file has a name, or a descriptor, whatever it is called later; None where there is none."""
    try:
        found = os.stat(file)  # noqa: PTH116 - of a descriptor too
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def stamp(path: Path) -> object:
    """Return what changes whenever a file is written, replaced or taken away; it compares and hashes."""
    try:
        found = os.stat(path)  # noqa: PTH116 - asked with each request: half the time
    except OSError as error:
        return error.errno
    return found.st_ino, found.st_dev, found.st_size, found.st_mtime_ns, found.st_ctime_ns
