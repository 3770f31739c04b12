"""A sink's JSON-lines files: the current one and those rotated away, read line by line."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import orjson

from slurmwatchd.config.file_stamps import file_identity
from slurmwatchd.errors import VerifyError
from slurmwatchd.sinks.forms.reading import head_of, identity_of
from slurmwatchd.sinks.rotated_files import DAMAGES, UnknownPackingError, opened, rotated_names

MAX_LINE_BYTES = 64 << 20
"""A longer line is none of ours; it is not read into memory whole."""

MAX_SEQ = 2**63 - 1

_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class FileLine:
    """One line of a file.

    Attributes:
        number: From 1.
        id: The event's; None where the line is no JSON object with one.
        seq: The event's position in the store that wrote it; None where the format has none.
    """

    number: int
    id: str | None
    seq: int | None


def files_of(path: Path, *, since: int) -> tuple[list[Path], list[Path]]:
    """Return the file and what was rotated away from it, the oldest first.

    Args:
        path: The current file; it need not be there.
        since: Rotated files that were last written before this moment are left out.

    Returns:
        The files to read, and those left out.
    """
    rotated = rotated_names(path)
    found = [name for when, name in rotated if when >= since]
    left_out = [name for when, name in rotated if when < since]
    return [*found, *([path] if path.exists() else [])], left_out


class OpenFiles:
    """The files, all opened before the first is read: a rotation meanwhile changes names, not what is read.

    After one that comes while they are opened they are opened anew: none is left out, and none is read twice.

    Attributes:
        paths: Their names, in the order in which they are read; those of when they were opened.
        left_out: The rotated files that are not read, see `files_of`.
    """

    def __init__(self, path: Path, *, since: int) -> None:
        """See `files_of`; `with` opens them."""
        self._path = path
        self._since = since
        self._stack = ExitStack()
        self._files: list[IO[bytes]] = []
        self.paths: list[Path] = []
        self.left_out: list[Path] = []

    def __enter__(self) -> Iterator[Iterator[FileLine]]:
        """Open all of them; return the lines of each.

        Raises:
            VerifyError: One cannot be opened, or they are renamed again and again.
        """
        for _ in range(_ATTEMPTS):
            if self._open():
                return (lines(path, file) for path, file in zip(self.paths, self._files, strict=True))
            self._stack.close()
        raise VerifyError(f"{self._path}: the files are renamed again and again; try later")

    def __exit__(self, *_: object) -> None:
        """Close all of them."""
        self._stack.close()

    def _open(self) -> bool:
        """Open the files that there are; return whether these are all there are."""
        self._files = []
        try:
            self.paths, self.left_out = files_of(self._path, since=self._since)
            for path in self.paths:
                self._files.append(self._stack.enter_context(_opened(path)))
            there = [file_identity(path) for path in files_of(self._path, since=self._since)[0]]
        except FileNotFoundError:
            return False
        return there == [file_identity(file.fileno()) for file in self._files]


def lines(path: Path, file: IO[bytes]) -> Iterator[FileLine]:
    """Read a file line by line; what stands behind its last line end is not a line yet.

    Raises:
        VerifyError: It cannot be read, or unpacked.
    """
    number = 0
    try:
        while text := file.readline(MAX_LINE_BYTES):
            number += 1
            if text.endswith(b"\n"):
                yield _line(number, text)
            elif len(text) == MAX_LINE_BYTES:
                while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                    pass
                yield FileLine(number, None, None)
    except DAMAGES as error:
        raise VerifyError(f"{path}: cannot be read: {error}") from error


def _line(number: int, text: bytes) -> FileLine:
    try:
        fields = orjson.loads(text)
    except orjson.JSONDecodeError:
        return FileLine(number, None, None)
    identity = identity_of(fields)
    if identity is None:
        return FileLine(number, None, None)
    seq = head_of(fields).get("seq")
    return FileLine(number, identity, seq if isinstance(seq, int) and 0 <= seq <= MAX_SEQ else None)


def _opened(path: Path) -> IO[bytes]:
    try:
        return opened(path)
    except UnknownPackingError as error:
        raise VerifyError(str(error)) from error
    except FileNotFoundError:
        raise
    except OSError as error:
        raise VerifyError(f"{path}: cannot be opened: {error.strerror}") from error
