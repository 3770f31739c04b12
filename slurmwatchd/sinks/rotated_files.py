"""A file and what was rotated away from it: under which names, in which order, and how each is unpacked.

Names are those of logrotate and of the sink's own rotation: `jobs.jsonl.1`, `jobs.jsonl-20261123.gz`.
"""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import IO, Any

_UNPACKING: dict[str, Callable[..., Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".lzma": lzma.open,
}
_UNKNOWN = frozenset({".zst", ".lz4", ".lzo", ".Z", ".zip", ".br"})
_PACKED = _UNPACKING.keys() | _UNKNOWN


class UnknownPackingError(Exception):
    """A file is packed in a way that is not known here."""


def rotated_names(path: Path, others: Collection[Path] = ()) -> list[tuple[float, Path]]:
    """Return (last written, name) of what was rotated away from a path, the oldest first.

    Args:
        path: The file's name while it is written.
        others: Files of other sinks, which may be called alike.
    """
    found = path.parent.glob(escaped(path.name) + "[.-][0-9]*")
    rotated = sorted((name.stat().st_mtime, name) for name in found if name not in others and name.is_file())
    names = {name for _, name in rotated}
    # While logrotate packs a file it is there twice.
    return [
        (when, name) for when, name in rotated if name.suffix not in _PACKED or name.with_suffix("") not in names
    ]


def escaped(name: str) -> str:
    """Return a pattern of `glob` that only a name itself matches."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in name)


def opened(path: Path) -> IO[bytes]:
    """Open a file to be read, unpacked where it is packed; see `DAMAGES` for what reading it may raise.

    Raises:
        UnknownPackingError: It cannot be unpacked here.
        OSError: It cannot be opened.
    """
    if path.suffix in _UNKNOWN:
        raise UnknownPackingError(f"{path}: unsupported compression; decompress the file first")
    file: IO[bytes] = _UNPACKING.get(path.suffix, open)(path, "rb")
    return file


DAMAGES = (EOFError, lzma.LZMAError, zlib.error, OSError)
"""What reading a packed file may raise."""


def is_damage(error: Exception) -> bool:
    """Return whether one of these means that the file is damaged, and not that it cannot be read."""
    # Of gzip and bz2 OSError is also the error for what they cannot unpack; it has no number then.
    return not isinstance(error, OSError) or error.errno is None
