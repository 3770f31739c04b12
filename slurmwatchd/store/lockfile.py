"""The file beside the store that says who has it, and in what state it was left.

A file of its own and not the database: SQLite drops every POSIX lock of the process on the database when any
descriptor of it is closed. Its first line is the holder's pid, its second the state.
"""

import fcntl
import os
import re
from enum import StrEnum
from pathlib import Path
from typing import Self

from slurmwatchd.config.ownership import give_to_folder_owner, reason
from slurmwatchd.config.paths import lock_path
from slurmwatchd.errors import StoreError, StoreInUseError


class ShutdownState(StrEnum):
    """How a store was left."""

    UNKNOWN = ""
    """No daemon ever opened it, or one of a release that did not say."""
    OPEN = "open"
    """In use; without a holder: its daemon died."""
    CLOSED = "closed"
    """Closed in order."""
    CORRUPT = "corrupt"
    """Damage was met while it was in use."""
    REBUILDING = "rebuilding"
    """A new one is being made; the word behind it is the name of the one set aside."""


_LOCKS = Path("/proc/locks")
_FLOCK = re.compile(r"^\d+: FLOCK .* (\d+) \S+:(\d+) ", re.MULTILINE)


def holder(store: Path) -> int | None:
    """Return the process that holds a store, or None.

    /proc/locks is read instead of trying the lock: even for a moment it would turn away a daemon that starts.
    """
    lock = lock_path(store)
    try:
        inode = lock.stat().st_ino
        pid = int(lock.read_text(encoding="ascii").split()[0])
        held = {(int(owner), int(number)) for owner, number in _FLOCK.findall(_LOCKS.read_text(encoding="ascii"))}
    except (OSError, ValueError, IndexError):
        return None
    return pid if (pid, inode) in held else None


def in_use(store: Path, pid: object) -> StoreInUseError:
    """Return the error for a store that another process has."""
    return StoreInUseError(f"{store}: is in use by another slurmwatchd, pid {pid}")


class LockFile:
    """Holds a store for as long as it is entered."""

    def __init__(self, store: Path) -> None:
        """Name the file; nothing is opened."""
        self._store = store
        self._path = lock_path(store)
        self._descriptor = -1
        self.left = ShutdownState.UNKNOWN
        """How the store was left by whoever had it before; then, how it is now."""
        self.aside: str = ""
        """With `REBUILDING`: the name of the store that was set aside."""

    def __enter__(self) -> Self:
        """Take the lock.

        Raises:
            StoreInUseError: Another process has it.
            StoreError: Its folder cannot be written.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            give_to_folder_owner(self._descriptor, self._path.parent)
        except OSError as error:
            raise StoreError(f"{self._path}: cannot be opened: {reason(self._path, error)}") from error
        pid, _, rest = os.pread(self._descriptor, 1024, 0).decode(errors="replace").partition("\n")
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            owner = pid.strip() or "unknown"
            raise in_use(self._store, owner) from None
        state, _, self.aside = rest.strip().partition(" ")
        self.left = ShutdownState(state) if state in set(ShutdownState) else ShutdownState.UNKNOWN
        self.mark(self.left, self.aside)
        return self

    def mark(self, state: ShutdownState, aside: str = "") -> None:
        """Write down, durably, how the store is now.

        Raises:
            StoreError: It cannot be written.
        """
        # Padded to a fixed size and written over in place: on a full disk there is no room for another one.
        text = f"{os.getpid()}\n{f'{state} {aside}'.strip()}"
        try:
            os.pwrite(self._descriptor, f"{text:<511}\n".encode(), 0)
            os.fdatasync(self._descriptor)
        except OSError as error:
            raise StoreError(f"{self._path}: cannot be written: {error.strerror}") from error
        self.left, self.aside = state, aside

    def __exit__(self, *_: object) -> None:
        """Let go; the file stays, with its state."""
        if self.left is ShutdownState.OPEN:
            self.mark(ShutdownState.CLOSED)
        os.close(self._descriptor)
