"""Rotation of our own, for sites without logrotate: `jobs.jsonl.1`, `jobs.jsonl.2.gz` and so on.

The names are logrotate's, and so is what is done: rename, and let the next write make the file again. The newest
rotated file stays as it is, since a shipper may still read it. Each step can be the last one before a crash:
nothing is removed that does not stand complete under another name.
"""

import gzip
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PIECE_BYTES = 1 << 20
_LEVEL = 6
"""Of gzip: 9 takes thrice as long and saves a fiftieth."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a file is rotated, and what becomes of the old ones.

    Attributes:
        size_bytes: Rotated once it is so large; 0: not for its size.
        every_seconds: Rotated when such a stretch of time ends, days from midnight UTC on; 0: never.
        keep: How many rotated files there are.
        compress: All of them but the newest, by gzip.
    """

    size_bytes: int
    every_seconds: int
    keep: int
    compress: bool

    @property
    def is_wanted(self) -> bool:
        """Whether files are rotated at all."""
        return bool(self.size_bytes or self.every_seconds)

    def is_due(self, *, size: int, written_at: int, now: int) -> bool:
        """Return whether a file must be rotated before more is written to it.

        Args:
            size: Bytes in it.
            written_at: When it was written last, epoch seconds.
            now: When what comes next was seen, epoch seconds.
        """
        if self.size_bytes and size >= self.size_bytes:
            return True
        return bool(self.every_seconds) and written_at // self.every_seconds < now // self.every_seconds

    def rotate(self, path: Path) -> None:
        """Give a file and its predecessors their next names.

        Raises:
            OSError: Not possible; what was renamed by then is found under its new name.
        """
        numbered = dict(_numbered(path))
        run = 0
        while run + 1 in numbered:
            run += 1
        for number in range(run, 0, -1):
            for file in numbered[number]:
                file.rename(_named(path, number + 1, file))
        path.rename(f"{path}.1")
        sync_folder(path.parent)

    def tidy(self, path: Path) -> None:
        """Remove what is too old, and compress what is not; also what a crash has left undone.

        Raises:
            OSError: Not possible; nothing is lost.
        """
        for number, files in _numbered(path):
            plain = [file for file in files if file.suffix != ".gz"]
            packed = [file for file in files if file.suffix == ".gz"]
            if number > self.keep:
                for file in files:
                    file.unlink()
            elif plain and packed:
                # A packed file gets its name when it is complete.
                plain[0].unlink()
            elif plain and self.compress and number > 1:
                _pack(plain[0])


def sync_folder(folder: Path) -> None:
    """Make the names in a folder as durable as the lines are."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _numbered(path: Path) -> Iterator[tuple[int, list[Path]]]:
    """Give the numbers that a file was rotated to, and the files of each: one, or a plain and a packed one."""
    name = re.compile(re.escape(path.name) + r"\.([1-9][0-9]{0,5})(\.gz)?")
    found: dict[int, list[Path]] = {}
    # Before the first event there may be no folder.
    for file in path.parent.iterdir() if path.parent.is_dir() else ():
        if (match := name.fullmatch(file.name)) and file.is_file():
            found.setdefault(int(match[1]), []).append(file)
    yield from sorted(found.items())


def _named(path: Path, number: int, file: Path) -> Path:
    return path.with_name(f"{path.name}.{number}{'.gz' if file.suffix == '.gz' else ''}")


def _pack(file: Path) -> None:
    """Compress a file: the old one goes when the new one is on the disk, with its times and rights."""
    packed = file.with_name(f"{file.name}.gz")
    # Not a name that a shipper's pattern, or our own look at rotated files, takes for a rotated file.
    partial = file.with_name(f".{packed.name}.part")
    with file.open("rb") as source:
        found = os.fstat(source.fileno())
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as target:
            with gzip.GzipFile("", "wb", _LEVEL, target, int(found.st_mtime)) as stream:
                shutil.copyfileobj(source, stream, _PIECE_BYTES)
            target.flush()
            os.fchmod(descriptor, found.st_mode & 0o777)
            if os.geteuid() == 0:
                os.fchown(descriptor, found.st_uid, found.st_gid)
            os.fsync(descriptor)
    os.utime(partial, ns=(found.st_atime_ns, found.st_mtime_ns))
    partial.rename(packed)
    sync_folder(file.parent)
    file.unlink()
