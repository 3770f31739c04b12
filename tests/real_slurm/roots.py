"""Where a release's programs live: the host itself, or a Debian suite unpacked into a folder."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.real_slurm.daemons import ClusterError
from tests.real_slurm.packages import SLURM_PACKAGES, CannotInstallError, install, unpack_suite

if TYPE_CHECKING:
    from tests.real_slurm.releases import Places, Release

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
SYSTEM_FOLDERS = ("/proc", "/sys")


@dataclass(frozen=True, slots=True)
class Root:
    """A file system to run programs in."""

    path: Path

    @property
    def is_host(self) -> bool:
        """Whether this is the machine's own file system."""
        return self.path == Path("/")

    def argv(self, *command: str, user: str = "") -> list[str]:
        """The command as it is run from outside, as a user of this root where one is named."""
        if user:
            return ["/usr/sbin/chroot", f"--userspec={user}", str(self.path), *command]
        return list(command) if self.is_host else ["/usr/sbin/chroot", str(self.path), *command]

    def mount(self, run: Path) -> None:
        """Make the folders a chroot needs visible in it; those already mounted stay as they are.

        Raises:
            ClusterError: This machine does not let us mount.
        """
        if self.is_host:
            return
        for folder in (*SYSTEM_FOLDERS, str(run)):
            self._bind(folder)
        for device in DEVICES:
            if not (self.path / "dev" / device).is_char_device():
                (self.path / "dev" / device).touch()
                self._bind(f"/dev/{device}")
        shutil.copy("/etc/hosts", self.path / "etc/hosts")

    def unmount(self, run: Path) -> None:
        """Take the run folder out of the chroot, and the rest too where no process lives in it."""
        if self.is_host:
            return
        inside = [str(run)]
        if not any(_root_of(process) == str(self.path) for process in Path("/proc").glob("[0-9]*")):
            inside += [*SYSTEM_FOLDERS, *(f"/dev/{device}" for device in DEVICES)]
        mounted = _mount_points()
        for point in (f"{self.path}{folder}" for folder in inside):
            if point in mounted:
                subprocess.run(["/usr/bin/umount", point], check=False, stdin=subprocess.DEVNULL)

    def user(self, name: str) -> tuple[int, int]:
        """The uid and gid of a user of this root.

        Raises:
            LookupError: There is no such user.
        """
        for line in (self.path / "etc/passwd").read_text(encoding="utf-8").splitlines():
            fields = line.split(":")
            if fields[0] == name:
                return int(fields[2]), int(fields[3])
        raise LookupError(f"no user {name} in {self.path}/etc/passwd")

    def user_name(self, uid: int) -> str | None:
        """The name of a uid in this root."""
        for line in (self.path / "etc/passwd").read_text(encoding="utf-8").splitlines():
            fields = line.split(":")
            if int(fields[2]) == uid:
                return fields[0]
        return None

    def _bind(self, folder: str) -> None:
        inside = f"{self.path}{folder}"
        if inside in _mount_points():
            return
        if not Path(inside).exists():
            Path(inside).mkdir(parents=True)
        argv = ["/usr/bin/mount", "--bind", "--make-private", folder, inside]
        done = subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            raise ClusterError(f"{done.stderr.strip()}: a container needs CAP_SYS_ADMIN for this release")


def prepare_root(release: Release, places: Places) -> Root:
    """Install a release where it is not yet.

    Raises:
        CannotInstallError: apt or debootstrap failed, or brought another version.
    """
    if _host_suite() == release.suite:
        root = Root(Path("/"))
        install(
            {
                "/usr/sbin/slurmctld": SLURM_PACKAGES[0],
                "/usr/sbin/slurmdbd": SLURM_PACKAGES[1],
                "/usr/bin/sacct": SLURM_PACKAGES[2],
                f"/usr/share/doc/{SLURM_PACKAGES[3]}": SLURM_PACKAGES[3],
            }
        )
    else:
        root = Root(places.chroot(release))
        unpack_suite(release.suite, root.path)
    argv = root.argv("/usr/sbin/slurmctld", "-V")
    printed = subprocess.run(argv, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
    if f" {release.version}." not in printed:
        raise CannotInstallError(f"Debian {release.suite} brought {printed.strip()!r}, not {release.version}")
    return root


def _host_suite() -> str:
    path = Path("/etc/os-release")
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    found = re.search(r'^VERSION_CODENAME="?([a-z]+)', text, re.MULTILINE)
    return found[1] if found else ""


def _mount_points() -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return [line.split()[4].replace("\\040", " ") for line in lines]


def _root_of(process: Path) -> str:
    try:
        return str((process / "root").readlink())
    except OSError:
        return ""
