"""Events appended to a file as JSON lines, for log shippers to tail; each line once, whatever dies.

The file is only ever appended to, and bytes a shipper may have read are never changed. Lines are made from
the store alone, so after a crash the bytes behind the remembered offset are a prefix of what is due next:
lines found there are not written again, and one that was cut off is completed. See `jsonl_tail.py` for that.
"""

import errno
import fcntl
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import anyio.to_thread
import orjson
from pydantic import BeforeValidator, Field, PlainSerializer

from slurmwatchd.config.file_stamps import file_identity
from slurmwatchd.config.file_systems import NETWORK_TYPES, kind_of
from slurmwatchd.config.ownership import give_to_folder_owner, reason
from slurmwatchd.config.settings import WholeDuration
from slurmwatchd.config.units import check_file, format_size, parse_size
from slurmwatchd.errors import SinkError, SinkFullError, is_full_error
from slurmwatchd.model.records import Event
from slurmwatchd.sinks.base import Sink, SinkKind
from slurmwatchd.sinks.forms.form import EventForm
from slurmwatchd.sinks.forms.options import FormOptions
from slurmwatchd.sinks.forms.reading import identity_of
from slurmwatchd.sinks.jsonl_files import EventLine, lines
from slurmwatchd.sinks.jsonl_tail import FilePosition, Residue, find_by_mark, find_line, newest_copy, rotated_after
from slurmwatchd.sinks.rotating import Rotation, sync_folder
from slurmwatchd.telemetry.log import get_logger
from slurmwatchd.telemetry.metrics import Metrics

MODE = 0o640

_STATE_KEY = "file"

_log = get_logger(__name__)


class JsonlOptions(FormOptions):
    """A file of JSON lines."""

    type: Literal["jsonl"]
    path: Annotated[Path, BeforeValidator(check_file)]
    """The file. The daemon creates a missing folder, and a new file after rotation or removal."""
    rotate_size: Annotated[int, BeforeValidator(parse_size), PlainSerializer(format_size)] = 0
    """At this size the sink renames the file to `.1` and begins a new one; `"0B"`: not for its size. For sites
    without logrotate; never use both."""
    rotate_every: WholeDuration = Field(0, ge=0)
    """The sink renames the file at the first event of a new period: `"1d"` is each day from midnight UTC, `"0s"`
    never."""
    rotate_keep: int = Field(30, ge=1, le=100_000)
    """How many renamed files the sink keeps; it removes older ones."""
    rotate_compress: bool = True
    """The sink compresses renamed files with gzip, except the newest."""

    def files(self) -> tuple[str, ...]:
        """Return the path."""
        return (os.path.realpath(self.path),)

    def rotation(self) -> Rotation:
        """Return when the file is renamed, and what becomes of the old ones."""
        return Rotation(self.rotate_size, self.rotate_every, self.rotate_keep, self.rotate_compress)


class JsonlSink(Sink):
    """One file."""

    def __init__(self, name: str, options: JsonlOptions, metrics: Metrics) -> None:
        """Prepare; nothing is opened."""
        self._name = name
        self._path = options.path
        self._form = EventForm(name, options)
        self._rotation = options.rotation()
        self._is_tidy = not self._rotation.is_wanted
        self._torn = metrics.jsonl_torn.labels(name)
        self._descriptor = -1
        self._mark: FilePosition | None = None
        self._written: FilePosition | None = None
        self._said: set[str] = set()
        self._rotated = 0

    async def open(self, state: Mapping[str, bytes]) -> None:
        """Remember where the file ended when the cursor last moved; read the key of the pseudonyms."""
        await anyio.to_thread.run_sync(self._prepare)
        self._mark = FilePosition.decode(state[_STATE_KEY]) if _STATE_KEY in state else None

    async def write(self, events: Sequence[Event]) -> Mapping[str, bytes]:
        """Append what is not there yet, and wait for the disk."""
        try:
            self._written = await anyio.to_thread.run_sync(self._append, events)
        except OSError as error:
            self._close()
            if is_full_error(error):
                raise SinkFullError(
                    f"{self._path}: {error.strerror}: the daemon continues when there is room"
                ) from error
            file = Path(error.filename or self._path)
            raise SinkError(f"{file}: {reason(file, error)}") from error
        return {_STATE_KEY: self._written.encode()}

    def committed(self) -> None:
        """Take what is in the file as behind the cursor."""
        self._mark = self._written
        self._said.clear()

    def _prepare(self) -> None:
        self._form.prepare()
        kind = kind_of(self._path.absolute().parent)
        if kind in NETWORK_TYPES:
            self._warn(
                "the file is on a network file system: put it on a local disk, where locks hold and lines stay",
                path=str(self._path),
                kind=kind,
            )

    def _warn(self, event: str, **fields: object) -> None:
        """Log what was found, once for all tries to deliver the same events."""
        if event not in self._said:
            self._said.add(event)
            _log.warning(event, sink=self._name, **fields)

    async def close(self) -> None:
        """Close the file; the next write opens it by its name."""
        self._close()

    def _append(self, events: Sequence[Event]) -> FilePosition:
        """Bring the file up to the last of some events; runs in a worker thread.

        Whatever fails half-way is found again at the next call, by comparing with the file.
        """
        due = self._form.lines(events)
        if self._rotation.is_wanted:
            self._rotate(events[-1].observed)
        if self._mark is not None and not self._mark.is_at(self._path):
            due, mark = self._finish_rotated(self._mark, due)
            if not due and mark is not None:
                return mark
        self._open()
        due, offset = self._settle(self._descriptor, self._start(due), due)
        if due:
            _write_all(self._descriptor, b"".join(due))
            offset = os.fstat(self._descriptor).st_size
        os.fdatasync(self._descriptor)
        return FilePosition.at(self._descriptor, offset)

    def _rotate(self, now: int) -> None:
        """Rename the file where it is time to, and all that is in it is behind the cursor.

        What fails is logged and holds no event up: they go on into the same file.
        """
        try:
            if self._mark is not None and self._mark.is_at(self._path):
                found = self._path.stat()
                written_at = int(found.st_mtime)
                if found.st_size == self._mark.offset and self._rotation.is_due(
                    size=found.st_size, written_at=written_at, now=now
                ):
                    self._rotation.rotate(self._path)
                    self._is_tidy = False
            if not self._is_tidy:
                self._rotation.tidy(self._path)
                self._is_tidy = True
        except OSError as error:
            self._warn("the file cannot be rotated", path=str(self._path), error=str(error))

    def _finish_rotated(self, mark: FilePosition, due: list[bytes]) -> tuple[list[bytes], FilePosition | None]:
        """Look into the file written last, renamed since, for lines that the cursor does not know of."""
        self._close()
        rotated = find_by_mark(self._path, mark)
        if rotated is None:
            self._warn("last file written not found", path=str(self._path))
            # The next file may get its inode.
            self._mark = None
            return due, None
        if mark.inode != self._rotated:
            self._rotated = mark.inode
            _log.info("file rotated", sink=self._name, path=str(self._path), rotated=str(rotated))
        due, reached = self._settle_file(rotated, due, mark)
        if due:
            # Where writing failed half-way and the file was rotated again, more of it is in the files between.
            for later in rotated_after(self._path, rotated):
                due, end = self._settle_file(later, due, None)
                reached = end or reached
                if not due:
                    break
        return due, reached

    def _settle_file(
        self, path: Path, due: list[bytes], mark: FilePosition | None
    ) -> tuple[list[bytes], FilePosition | None]:
        """Settle a rotated file from a mark on; without one, from where the first line due stands in it."""
        descriptor, may_write = _open_rotated(path)
        try:
            offset = mark.offset if mark is not None else find_line(descriptor, due[0])
            if offset is None:
                return due, None
            due, offset = self._settle(descriptor, offset, due, may_write=may_write)
            os.fdatasync(descriptor)
            return due, FilePosition.at(descriptor, offset)
        finally:
            os.close(descriptor)

    def _start(self, due: list[bytes]) -> int:
        """Return where, in the file now open, the bytes begin that the cursor does not know of."""
        size = os.fstat(self._descriptor).st_size
        if self._mark is None:
            # The cursor never moved: there may have been a crash right after the very first write.
            begun = find_line(self._descriptor, due[0])
            if begun is not None:
                return begun
            # A file of an earlier life: what is in it is not compared, but our first line gets a line of its own.
            if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
                _write_all(self._descriptor, b"\n")
                self._torn.inc()
                size += 1
            return size
        if not self._mark.matches(self._descriptor):
            return 0
        if size < self._mark.offset:
            self._tell_truncated(self._mark)
            return 0
        return self._mark.offset

    def _tell_truncated(self, mark: FilePosition) -> None:
        """Say that the file was emptied by another program, and whether a copy of it has all that was written."""
        copy = newest_copy(self._path, mark)
        if copy is None:
            self._warn(
                "file was truncated by another program, and no copy beside it has all that was written: "
                "`slurmwatchd verify --sink` names what is missing",
                path=str(self._path),
                bytes=mark.offset,
            )
        else:
            self._warn(
                "file was truncated by another program, which had copied all of it: next time a line may be lost; "
                "use `create` instead of `copytruncate`",
                path=str(self._path),
                copy=str(copy),
            )

    def _settle(
        self, descriptor: int, offset: int, due: list[bytes], *, may_write: bool = True
    ) -> tuple[list[bytes], int]:
        """Compare what stands behind an offset with what is due; complete a line that was cut off.

        In a file that someone has closed to us such a line stays as it is, and its event goes to the next file.

        Returns:
            What must still be written, and the offset up to which the file is accounted for.
        """
        residue = Residue(descriptor, offset)
        taken = 0
        while taken < len(due) and residue.takes(due[taken]):
            taken += 1
        due = due[taken:]
        if residue.is_exhausted or not due:
            return due, residue.offset
        if not residue.is_prefix_of(due[0]):
            return self._pass_foreign(descriptor, residue, due, may_write=may_write)
        if not may_write:
            self._torn.inc()
            self._warn("truncated line in a rotated file cannot be completed")
            return due, residue.offset
        # Logged when it is done: on a full disk it is tried again and again.
        _write_all(descriptor, due[0][residue.remaining :])
        self._torn.inc()
        _log.info("truncated line completed", sink=self._name, id=_id_of(due[0]))
        return due[1:], residue.offset + len(due[0])

    def _pass_foreign(
        self, descriptor: int, residue: Residue, due: list[bytes], *, may_write: bool
    ) -> tuple[list[bytes], int]:
        """Deal with bytes that are not what is due: another program's, or ours under an older configuration.

        Events whose ids stand in them are not written again; a line without an end is ended.
        """
        ids = residue.ids()
        fresh = [line for line in due if _id_of(line) not in ids]
        end = residue.offset + residue.remaining
        if may_write and not residue.ends_a_line:
            _write_all(descriptor, b"\n")
            end += 1
        if fresh:
            self._torn.inc()
            self._warn(
                "unexpected bytes at the end of the file",
                path=str(self._path),
                bytes=residue.remaining,
                known_ids=len(ids),
            )
        # Where all that is due is there, what is due next may be there too: it is looked for from here again.
        return fresh, end if fresh else residue.offset

    def _open(self) -> None:
        """Have the file open that is at the path now, locked for us."""
        if self._descriptor >= 0 and file_identity(self._path) != file_identity(self._descriptor):
            self._close()
        if self._descriptor >= 0:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise SinkError(f"{self._path}: another process writes to this file") from None
        self._descriptor = descriptor
        give_to_folder_owner(descriptor, self._path.parent)
        if os.fstat(descriptor).st_size == 0:
            sync_folder(self._path.parent)

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _id_of(line: bytes) -> str:
    return str(identity_of(orjson.loads(line)))


def _open_rotated(path: Path) -> tuple[int, bool]:
    """Open a file that has another name by now; return whether it may be written, too.

    Whoever rotates may close it to us, or keep it on a file system that is read only: most often nothing is to be
    written there.
    """
    flags = os.O_APPEND | os.O_CLOEXEC
    try:
        return os.open(path, os.O_RDWR | flags), True
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
    return os.open(path, os.O_RDONLY | flags), False


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _lines(options: JsonlOptions, others: Collection[Path]) -> Iterator[EventLine]:
    return lines(options.path, others)


KIND = SinkKind(options=JsonlOptions, make=JsonlSink, read_back=_lines)
