"""The end of a file: where it was when the cursor last moved, and what has come behind that since."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from slurmwatchd.sinks.forms.reading import identity_of
from slurmwatchd.sinks.rotated_files import escaped, rotated_names

_FINGERPRINT_BYTES = 512
_READ_BYTES = 1 << 20
_LONGEST_BYTES = 1 << 24
"""No line of ours is longer, whatever `max_line_bytes` is; the zeros a power loss leaves may be."""
_NO_LINE = b"\0"


@dataclass(frozen=True, slots=True)
class FilePosition:
    """A place in a file.

    Attributes:
        device: With `inode`, which file, under whatever name.
        offset: Bytes; everything before it is behind the cursor.
        fingerprint: Hash of the last bytes before it, since inode numbers are used again.
    """

    device: int
    inode: int
    offset: int
    fingerprint: str

    @classmethod
    def at(cls, descriptor: int, offset: int) -> "FilePosition":
        """Return a place in an open file."""
        found = os.fstat(descriptor)
        return cls(found.st_dev, found.st_ino, offset, _fingerprint(descriptor, offset))

    @classmethod
    def decode(cls, text: bytes) -> "FilePosition":
        """Read what `encode` wrote."""
        return cls(**orjson.loads(text))

    def encode(self) -> bytes:
        """Write it for the store."""
        return orjson.dumps(asdict(self))

    def is_at(self, path: Path) -> bool:
        """Return whether the file now at a path is the one of this mark, by its inode."""
        try:
            found = path.stat()
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino) == (self.device, self.inode)

    def matches(self, descriptor: int) -> bool:
        """Return whether an open file is the one of this mark and has not been replaced by another of its inode.

        A file that is shorter than the mark was truncated and is still the same.
        """
        found = os.fstat(descriptor)
        if (found.st_dev, found.st_ino) != (self.device, self.inode):
            return False
        return found.st_size < self.offset or _fingerprint(descriptor, self.offset) == self.fingerprint


def find_by_mark(path: Path, mark: FilePosition) -> Path | None:
    """Return under which name, beside a path, the file of a mark is now (`jobs.jsonl.1`), or None."""
    for candidate in path.parent.glob(escaped(path.name) + "*"):
        if candidate != path and mark.is_at(candidate):
            descriptor = os.open(candidate, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if mark.matches(descriptor):
                    return candidate
            finally:
                os.close(descriptor)
    return None


def rotated_after(path: Path, rotated: Path) -> list[Path]:
    """Return what was written to a path and renamed after a rotated file was, oldest first.

    Only names as logrotate makes them (`jobs.jsonl.1`, `jobs.jsonl-20261123`): what else begins like the path may
    be another sink's.
    """
    since = rotated.stat().st_mtime
    return [name for modified, name in rotated_names(path) if modified >= since and name != rotated]


def newest_copy(path: Path, mark: FilePosition) -> Path | None:
    """Return the file beside a path that holds all that was written up to a mark, as `copytruncate` makes it."""
    for _, candidate in reversed(rotated_names(path)):
        descriptor = os.open(candidate, os.O_RDONLY | os.O_CLOEXEC)
        try:
            long_enough = os.fstat(descriptor).st_size >= mark.offset
            if long_enough and _fingerprint(descriptor, mark.offset) == mark.fingerprint:
                return candidate
        finally:
            os.close(descriptor)
    return None


def find_line(descriptor: int, line: bytes) -> int | None:
    """Return where a line begins in a file, by its head with the id, or where it was cut off at the file's end.

    Reads the whole file: for where nothing else is known of it.
    """
    wanted = b"\n" + line[: line.find(b",") + 1]
    offset, begin, carried = 0, 0, b"\n"
    while chunk := os.pread(descriptor, _READ_BYTES, offset):
        text = carried + chunk
        base = offset - len(carried)
        if (found := text.find(wanted)) >= 0:
            return base + found + 1
        if (end := text.rfind(b"\n")) >= 0:
            begin = base + end + 1
        carried = text[1 - len(wanted) :]
        offset += len(chunk)
    is_cut_off = begin < offset < begin + len(line) and line.startswith(
        os.pread(descriptor, offset - begin, begin)
    )
    return begin if is_cut_off else None


class Residue:
    """What stands in a file behind an offset, read a line's length at a time."""

    def __init__(self, descriptor: int, offset: int) -> None:
        """Look at a file; it is not read yet."""
        self._descriptor = descriptor
        self.offset = offset
        self._end = os.fstat(descriptor).st_size

    @property
    def remaining(self) -> int:
        """How many bytes were not taken yet."""
        return self._end - self.offset

    @property
    def is_exhausted(self) -> bool:
        """Whether all was taken."""
        return self.remaining <= 0

    @property
    def ends_a_line(self) -> bool:
        """Whether the file's last byte is a line end."""
        return os.pread(self._descriptor, 1, self._end - 1) == b"\n"

    def takes(self, line: bytes) -> bool:
        """Take a line if it stands here whole."""
        if self.remaining < len(line) or os.pread(self._descriptor, len(line), self.offset) != line:
            return False
        self.offset += len(line)
        return True

    def is_prefix_of(self, line: bytes) -> bool:
        """Return whether all that remains is the beginning of a line."""
        if self.remaining >= len(line):
            return False
        return line.startswith(os.pread(self._descriptor, self.remaining, self.offset))

    def ids(self) -> set[str]:
        """Return the ids of the lines that remain and are whole, but perhaps for the last one's end."""
        found = set()
        for line in self._lines():
            try:
                identity = identity_of(orjson.loads(line))
            except orjson.JSONDecodeError:
                continue
            if identity is not None:
                found.add(identity)
        return found

    def _lines(self) -> Iterator[bytes]:
        """Give the lines, without their ends; of one that is too long to be ours, something that is none."""
        pieces: list[bytes] = []
        held = 0
        offset = self.offset
        while offset < self._end:
            chunk = os.pread(self._descriptor, min(_READ_BYTES, self._end - offset), offset)
            if not chunk:
                break
            offset += len(chunk)
            first, *others = chunk.split(b"\n")
            pieces.append(first)
            held += len(first)
            if held > _LONGEST_BYTES:
                pieces = [_NO_LINE]
            if others:
                yield b"".join(pieces)
                yield from others[:-1]
                pieces, held = [others[-1]], len(others[-1])
        yield b"".join(pieces)


def _fingerprint(descriptor: int, offset: int) -> str:
    start = max(0, offset - _FINGERPRINT_BYTES)
    return hashlib.blake2b(os.pread(descriptor, offset - start, start), digest_size=8).hexdigest()
