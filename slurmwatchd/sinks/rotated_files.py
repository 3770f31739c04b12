"""A file and what was rotated away from it: under which names, in which order, and how each is unpacked.

Names are those of logrotate and of the sink's own rotation: `jobs.jsonl.1`, `jobs.jsonl-20261123.gz`.
"""

import bz2
import gzip
import lzma
import stat
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
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
    rotated = sorted(_dated(name for name in found if name not in others))
    names = {name for _, name in rotated}
    # While logrotate packs a file it is there twice.
    return [
        (when, name) for when, name in rotated if name.suffix not in _PACKED or name.with_suffix("") not in names
    ]


def _dated(names: Iterable[Path]) -> Iterator[tuple[float, Path]]:
    """Give when files were last written; one that was renamed since its name was listed is passed over."""
    for name in names:
        with suppress(FileNotFoundError):
            found = name.stat()
            if stat.S_ISREG(found.st_mode):
                yield found.st_mtime, name


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
