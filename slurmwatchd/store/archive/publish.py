"""A finished file brought in place: whoever looks sees the old day or the new one, never both, never half of it.

A day's folder is put together beside the dataset, with links to the other clusters' files, and exchanged for the
old one in a single step (`renameat2`). So it makes no difference what dies when. Where the file system cannot do
that, the old file leaves first: a reader may then miss the day for a moment, and after a crash until the next
start.
"""

import ctypes
import errno
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slurmwatchd.store.archive import layout
from slurmwatchd.store.archive.layout import DayFile

LOCK = "lock"

REPLACED = "replaced"
"""Folders that were exchanged for newer ones. Whoever was listing one as that happened still finds what was in it;
it is removed with what is written a minute later or more."""

REPLACED_SECONDS = 60.0

_DISPLACED = "displaced"
_NEXT = "next"
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_UNSUPPORTED = frozenset({
    errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM, errno.EXDEV, errno.EMLINK
})  # fmt: skip


class ArchiveBusyError(OSError):
    """Another process writes into this archive."""


@contextmanager
def workshop(dataset: Path) -> Iterator[Path]:
    """Hold the folder beside the dataset, cleared of what a crash has left there.

    Raises:
        ArchiveBusyError: Another process has it.
        OSError: It cannot be made or written.
    """
    folder = layout.beside(dataset)
    dataset.mkdir(parents=True, exist_ok=True)
    folder.mkdir(exist_ok=True)
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ArchiveBusyError(
                error.errno, "another process writes into this archive", str(dataset)
            ) from error
        _recover(dataset, folder)
        yield folder
    finally:
        os.close(lock)


def publish(dataset: Path, folder: Path, old: DayFile | None, new: Path | None, name: str) -> None:
    """Put a file in the place of a day's old one.

    Args:
        dataset: The archive.
        folder: The one beside it.
        old: What is there; None: nothing.
        new: What takes its place, whole and on the disk, in `folder`; None: nothing, the day is empty.
        name: `day=.../NAME` of the new file.
    """
    place = dataset / name
    day = place.parent
    if old is None:
        if new is not None:
            _first(folder, new, place)
            _sync(dataset)
        shutil.rmtree(folder / _NEXT, ignore_errors=True)
        return
    staged = folder / _NEXT / day.name
    _expire(folder)
    try:
        _stage(staged, day, old, new, place.name)
        _exchange(staged, day)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        _in_turn(folder, old, new if new is None or new.exists() else staged / place.name, place)
    else:
        (folder / REPLACED).mkdir(exist_ok=True)
        staged.rename(folder / REPLACED / f"{time.time_ns()}")
    _sync(dataset)
    for rest in (_NEXT, _DISPLACED):
        shutil.rmtree(folder / rest, ignore_errors=True)


def _first(folder: Path, new: Path, place: Path) -> None:
    """Bring in the first file that a cluster has of a day, with the folder where there is none."""
    if place.parent.is_dir():
        new.rename(place)
        _sync(place.parent)
        return
    staged = folder / _NEXT / place.parent.name
    staged.mkdir(parents=True)
    new.rename(staged / place.name)
    _sync(staged)
    staged.rename(place.parent)


def _stage(staged: Path, day: Path, old: DayFile, new: Path | None, name: str) -> None:
    """Make the day's folder as it is to be: the others' files, and the new one."""
    staged.mkdir(parents=True)
    shutil.copymode(day, staged)
    own = {file.path.name for file in layout.files_of_day(day.parent, day.name) if file.cluster == old.cluster}
    for other in os.scandir(day):
        if other.name not in own:
            (staged / other.name).hardlink_to(other.path)
    if new is not None:
        (staged / name).hardlink_to(new)
    _sync(staged)


def _exchange(staged: Path, day: Path) -> None:
    """Exchange two folders in one step; one that would be empty only goes.

    Raises:
        OSError: With one of `_UNSUPPORTED`: the system or the file system cannot do it.
    """
    if not any(staged.iterdir()):
        day.rename(staged)
        return
    libc = _libc()
    if libc is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    first, second = os.fsencode(staged), os.fsencode(day)
    if libc.renameat2(_AT_FDCWD, first, _AT_FDCWD, second, _RENAME_EXCHANGE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(day))


def _libc() -> ctypes.CDLL | None:
    libc = ctypes.CDLL(None, use_errno=True)
    return libc if hasattr(libc, "renameat2") else None


def _in_turn(folder: Path, old: DayFile, new: Path | None, place: Path) -> None:
    """Take the old file away, then bring in the new one; `_recover` undoes the half of it."""
    away = folder / _DISPLACED / place.parent.name
    away.mkdir(parents=True, exist_ok=True)
    old.path.rename(away / old.path.name)
    if new is not None:
        new.rename(place)
        _sync(place.parent)
    (away / old.path.name).unlink()


def _recover(dataset: Path, folder: Path) -> None:
    """Clear up after a crash."""
    for file in layout.files(folder / _DISPLACED):
        if layout.file_of(dataset, file.cluster, file.day) is None:
            (dataset / layout.folder_name(file.day)).mkdir(exist_ok=True)
            file.path.rename(dataset / layout.folder_name(file.day) / file.path.name)
    _expire(folder)
    for entry in list(os.scandir(folder)):
        if entry.name == REPLACED:
            continue
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        elif entry.name != LOCK:
            Path(entry.path).unlink()


def _expire(folder: Path) -> None:
    """Remove the replaced folders that no one reads any more."""
    replaced = folder / REPLACED
    for entry in list(os.scandir(replaced)) if replaced.is_dir() else ():
        # Its name says when it was replaced; a clock that was set back keeps it no longer than it is wrong.
        if not entry.name.isdigit() or time.time_ns() - int(entry.name) > REPLACED_SECONDS * 1e9:
            shutil.rmtree(entry.path)


def _sync(folder: Path) -> None:
    """Have a folder's entries on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
