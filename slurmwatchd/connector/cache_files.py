"""Cache files: what they are is known by name when they are written, by content when they are read."""

import gzip
import os
from pathlib import Path

_MAGIC = b"\x1f\x8b"
_PACKED = ".gz"


def is_json(path: Path) -> bool:
    """Return whether a file of this name holds JSON, packed or not."""
    return path.name.removesuffix(_PACKED).endswith(".json")


def read(path: Path) -> str:
    r"""Return the text in a file, unpacked; bytes that are no UTF-8 stand as `\xff` in it.

    Raises:
        OSError: It cannot be read, or its packing is damaged.
    """
    data = path.read_bytes()
    if data.startswith(_MAGIC):
        data = gzip.decompress(data)
    return data.decode(errors="backslashreplace")


def write(path: Path, text: str) -> None:
    """Replace a file, packed where its name says so: as a whole, or not at all.

    Raises:
        OSError: It cannot be written.
    """
    data = text.encode(errors="backslashreplace")
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_bytes(gzip.compress(data, mtime=0) if path.name.endswith(_PACKED) else data)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
