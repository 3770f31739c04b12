"""Whether a file has changed since it was read: tokens, certificates and `web.yml` are read again then."""

import os
from pathlib import Path


def stamp(path: Path) -> object:
    """Return what changes whenever a file is written, replaced or taken away; it compares and hashes."""
    try:
        found = os.stat(path)  # noqa: PTH116 - asked with each request: half the time
    except OSError as error:
        return error.errno
    return found.st_ino, found.st_dev, found.st_size, found.st_mtime_ns, found.st_ctime_ns
