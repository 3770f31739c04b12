"""A machine whose PID 1 is a real systemd, in namespaces of its own over a Debian image. It shares the network.

Its disk is an overlay, so the image stays as it is. Two of its folders are folders of ours, so that tests reach
them from outside, also while it is off: /var/log/slurmwatchd, a file system in memory that can be filled, and
/var/lib/slurmwatchd/slurm, where the simulated Slurm is. Its own mounts end with it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.patience import HANGS_SECONDS, Patience
from tests.real_slurm.packages import CannotInstallError

if TYPE_CHECKING:
    from collections.abc import Callable

UNIT = "slurmwatchd.service"
_INSIDE = Path(__file__).with_name("inside.sh")
_FOLDERS = ("disk", "work", "root", "log", "slurm", "cgroup")
_LOG_SIZE = "200m"


class Machine:
    """A machine, off at first.

    Attributes:
        log: Its /var/log/slurmwatchd.
        slurm: Its /var/lib/slurmwatchd/slurm.
    """

    def __init__(self, folder: Path, image: Path) -> None:
        """Lay out its disk."""
        self._folder = folder
        for name in _FOLDERS:
            (folder / name).mkdir()
        (folder / "console").touch()
        (folder / "image").symlink_to(image)
        self.log, self.slurm = folder / "log", folder / "slurm"
        _mount("-t", "tmpfs", "-o", f"size={_LOG_SIZE},mode=0750", "events", str(self.log))
        _mount("-t", "cgroup2", "cgroup2", str(folder / "cgroup"))
        self._cgroup = folder / "cgroup" / f"slurmwatchd-test-{os.getpid()}-{folder.name}"
        self._outer: subprocess.Popen[bytes] | None = None
        self._init = 0

    @property
    def root(self) -> Path:
        """Its root, as seen from outside while it is on."""
        return Path(f"/proc/{self._init}/root")

    def boot(self) -> None:
        """Switch it on and wait until systemd has started all there is.

        Raises:
            CannotInstallError: Namespaces or mounts are forbidden here.
        """
        self._cgroup.mkdir(exist_ok=True)
        spaces = "--pid --mount --uts --ipc --cgroup --fork --kill-child"
        script = f'echo $$ >"$1/cgroup.procs" && exec unshare {spaces} "$2" "$3"'
        argv = ["sh", "-c", script, "boot", str(self._cgroup), str(_INSIDE), str(self._folder)]
        with (self._folder / "console").open("ab") as console:
            self._outer = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=console, stderr=console)
        children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children")

        def is_up() -> bool:
            if self._outer is None or self._outer.poll() is not None:
                raise CannotInstallError(f"no machine can be booted here: {self.console()[-300:]}")
            with contextlib.suppress(FileNotFoundError, ValueError):
                self._init = int(children.read_text())
            if not self._init or Path(f"/proc/{self._init}/comm").read_text() != "systemd\n":
                return False
            return self.run("systemctl", "is-system-running", check=False).strip() in {"running", "degraded"}

        def told() -> str:
            jobs = self.run("systemctl", "list-jobs", "--no-pager", check=False) if self._init else ""
            return f"{self.console()}\n{jobs}"

        wait_until(is_up, told)

    def power_off(self) -> None:
        """Have systemd end everything and itself."""
        assert self._outer is not None
        self.run("systemctl", "poweroff", check=False)
        self._outer.wait(timeout=HANGS_SECONDS)
        self._outer, self._init = None, 0

    def close(self) -> None:
        """Switch it off at once, and leave nothing of it."""
        if self._outer is not None:
            if self._init:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._init, signal.SIGKILL)
            self._outer.kill()
            self._outer.wait(timeout=HANGS_SECONDS)
        for folder, _, _ in os.walk(self._cgroup, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()
        for name in ("log", "cgroup"):
            subprocess.run(["/usr/bin/umount", str(self._folder / name)], check=True)
        shutil.rmtree(self._folder)

    def console(self) -> str:
        """What it has printed so far."""
        return (self._folder / "console").read_text(errors="replace")

    def run(self, *argv: str, check: bool = True, timeout: float = HANGS_SECONDS) -> str:
        """Run a command in it, as its root, and return what it printed.

        Raises:
            AssertionError: It failed.
        """
        done = self.call(*argv, timeout=timeout)
        assert done.returncode == 0 or not check, f"{argv}: {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def call(self, *argv: str, timeout: float = HANGS_SECONDS) -> subprocess.CompletedProcess[str]:
        """Run a command in it and return how it ended."""
        enter = [
            "nsenter",
            f"--target={self._init}",
            "--mount",
            "--uts",
            "--ipc",
            "--pid",
            "--cgroup",
            "--root",
            "--wd",
        ]
        environ = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "DEBIAN_FRONTEND": "noninteractive",
        }
        return subprocess.run(
            [*enter, "--", *argv],
            check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environ, timeout=timeout,
            start_new_session=True,
        )  # fmt: skip

    def shell(self, script: str) -> str:
        """Run a script in it."""
        return self.run("sh", "-euc", script)

    def copy(self, path: Path, to: str) -> None:
        """Copy a file of ours into it."""
        shutil.copy(path, self.root / to.removeprefix("/"))

    def unit(self, name: str) -> str:
        """Return a property of the service's unit."""
        return self.run("systemctl", "show", UNIT, "--property", name, "--value").strip()

    def is_active(self) -> bool:
        """Whether systemd says that the service is ready and runs."""
        return self.unit("ActiveState") == "active"

    def main_pid(self) -> int:
        """Return the service's process, as the machine counts; 0 where it has none."""
        return int(self.unit("MainPID"))

    def kill(self, signal_name: str) -> int:
        """Send the service's process a signal, as soon as it has one, and return which it was."""
        # 0 would be a whole group of processes.
        wait_until(lambda: self.main_pid() > 1, self.journal)
        pid = self.main_pid()
        self.run("kill", f"-{signal_name}", str(pid))
        return pid

    def journal(self, *options: str) -> str:
        """Return what the service has logged."""
        return self.run("journalctl", "--unit", UNIT, "--no-pager", "--output=cat", *options)


def wait_until(
    condition: Callable[[], bool], told: Callable[[], str], *, progress: Callable[[], object] = lambda: None
) -> None:
    """Wait for something to hold.

    Args:
        condition: What.
        told: What to say where it does not.
        progress: Returns something else whenever a step was done.
    """
    patience = Patience(progress)
    while not condition():
        assert not patience.is_over(), told()
        time.sleep(0.2)


def _mount(*arguments: str) -> None:
    done = subprocess.run(["/usr/bin/mount", *arguments], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise CannotInstallError(f"this machine does not let us mount: {done.stderr.strip()}")
