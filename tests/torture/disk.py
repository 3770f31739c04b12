"""Disks that are full on request: small file systems in memory, for root; and ballast that fills them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

SIZE = "96m"
_PRIVATE = "SLURMWATCH_TORTURE_MOUNTS"
_BALLAST = "ballast"
_PIECE = 1 << 16
_START_SECONDS = 10.0


def enter_private_mounts() -> bool:
    """Start this program anew where its mounts are its own and end with it; return whether it may mount now."""
    if os.environ.get(_PRIVATE):
        return True
    unshare = shutil.which("unshare")
    if os.geteuid() != 0 or unshare is None:
        return False
    if subprocess.run([unshare, "--mount", "true"], check=False, capture_output=True).returncode != 0:
        return False
    os.environ[_PRIVATE] = "1"
    argv = [unshare, "--mount", sys.executable, "-m", "tests.torture", *sys.argv[1:]]
    return os.execv(unshare, argv)  # noqa: S606 - no shell is wanted


class SmallDisk:
    """A folder that is a file system of its own."""

    def __init__(self, folder: Path) -> None:
        """Mount it."""
        folder.mkdir(mode=0o750)
        argv = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=750", "torture", str(folder)]
        subprocess.run(argv, check=True)
        self.folder = folder
        self.is_full = False
        self._freed = -_START_SECONDS

    @property
    def was_full_lately(self) -> bool:
        """Whether a daemon that ends now may have met a full disk when it started."""
        return self.is_full or time.monotonic() - self._freed < _START_SECONDS

    def fill(self, leave: int) -> None:
        """Take all room but some bytes."""
        self.is_full = True
        with (self.folder / _BALLAST).open("ab", buffering=0) as ballast, suppress(OSError):
            while (free := _free(self.folder)) > leave:
                ballast.write(bytes(min(_PIECE, free - leave)))

    def free(self) -> None:
        """Give the room back."""
        (self.folder / _BALLAST).unlink(missing_ok=True)
        if self.is_full:
            self.is_full, self._freed = False, time.monotonic()

    def keep(self, folder: Path) -> None:
        """Copy everything out, as it is gone with this process, and what looks at it sees the copy."""
        self.free()
        shutil.copytree(self.folder, folder, ignore=_sockets)


def _sockets(folder: str, names: list[str]) -> list[str]:
    """Return what cannot be copied."""
    return [name for name in names if (Path(folder) / name).is_socket()]


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
