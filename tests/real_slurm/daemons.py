"""Background processes: started, recognised again, and ended by their own pid only.

A pid file alone proves nothing: after a reboot its number may belong to anybody. A process is ours when its
name and its marks (paths only we use, in its command line or environment) agree.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.patience import HANGS_SECONDS, Patience

if TYPE_CHECKING:
    from collections.abc import Callable

POLL_SECONDS = 0.05


class ClusterError(Exception):
    """Real Slurm did not do what it should; the message carries the end of the log concerned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """One background process."""

    name: str
    argv: tuple[str, ...]
    pid_file: Path
    marks: tuple[str, ...]
    log: Path
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def pid(self) -> int | None:
        """The pid, where the process runs and is ours."""
        try:
            pid = int(self.pid_file.read_text(encoding="ascii").strip() or 0)
        except (OSError, ValueError):
            return None
        return pid if pid > 0 and is_ours(pid, self.name, self.marks) else None

    def start(self, timeout_seconds: float = HANGS_SECONDS) -> None:
        """Start the process unless it runs, and wait until it has written its pid.

        Raises:
            ClusterError: It ended, or wrote no pid in time.
        """
        if self.pid is not None:
            return
        # Slurm's daemons end whatever process an old pid file names.
        self.pid_file.unlink(missing_ok=True)
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", **dict(self.environment)}
        with Path(f"{self.log}.start").open("wb") as output:
            done = subprocess.run(
                self.argv,
                check=False,
                cwd="/",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=timeout_seconds,
            )
        if done.returncode != 0:
            raise ClusterError(f"{self.name}: exit {done.returncode} at start\n{self.tail()}")
        wait_until(lambda: self.pid is not None, f"{self.name} to run", timeout_seconds, self.tail)

    def stop(self, sent: signal.Signals = signal.SIGTERM, timeout_seconds: float = HANGS_SECONDS) -> None:
        """End the process with a signal and wait until it is gone.

        Raises:
            ClusterError: It did not end in time.
        """
        pid = self.pid
        if pid is None:
            return
        os.kill(pid, sent)
        what = f"{self.name} to end"
        wait_until(lambda: not is_ours(pid, self.name, self.marks), what, timeout_seconds, self.tail)

    def tail(self) -> str:
        """The end of what the process logged, for error messages."""
        lines: list[str] = []
        for path in (Path(f"{self.log}.start"), self.log):
            if path.exists():
                lines += path.read_text(encoding="utf-8", errors="replace").splitlines()[-12:]
        return "\n".join(lines)


def is_ours(pid: int, name: str, marks: tuple[str, ...]) -> bool:
    """Whether a pid is a living process of this name that carries all marks."""
    process = Path(f"/proc/{pid}")
    try:
        command = process.joinpath("cmdline").read_bytes()
        known = b"\0" + command + b"\0" + process.joinpath("environ").read_bytes() + b"\0"
        comm = process.joinpath("comm").read_text(encoding="utf-8").strip()
    except OSError:
        return False
    return comm == name[:15] and all(f"\0{mark}\0".encode() in known for mark in marks)


def find_jobs(run: Path, mark: str) -> list[int]:
    """The processes of a cluster's jobs: slurmstepd, which wipes its environment, and what it started."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            name = entry.joinpath("comm").read_text(encoding="utf-8").strip()
            folder = str(entry.joinpath("cwd").readlink())
            environment = b"\0" + entry.joinpath("environ").read_bytes()
        except OSError:
            continue
        is_step = name == "slurmstepd" and folder.endswith(f"{run}/log")
        if is_step or (b"\0SLURM_JOB_ID=" in environment and f"\0{mark}\0".encode() in environment):
            found.append(int(entry.name))
    return found


def wait_until(
    condition: Callable[[], object],
    what: str,
    timeout_seconds: float = HANGS_SECONDS,
    explain: Callable[[], str] = str,
    progress: Callable[[], object] = lambda: None,
) -> None:
    """Wait for a condition.

    Args:
        condition: What has to come true.
        what: Its name, for the error.
        timeout_seconds: How long it may take; with `progress`, how long one step may.
        explain: What more to say where it does not.
        progress: Returns something else whenever a step was done.

    Raises:
        ClusterError: It did not come true in time.
    """
    patience = Patience(progress, seconds=timeout_seconds)
    pause = POLL_SECONDS
    while not condition():
        if patience.is_over():
            raise ClusterError(f"waited {timeout_seconds:.0f} s for {what}\n{explain()}")
        time.sleep(pause)
        pause = min(pause * 1.3, 1.0)
