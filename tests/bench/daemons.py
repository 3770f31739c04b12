"""Daemons that run side by side through the same stretch of time, and what each uses meanwhile."""

from __future__ import annotations

import subprocess
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench.configuration import written
from tests.bench.measuring import cpu_seconds, shared_out_bytes
from tests.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.bench.programs import Program
READY = '"event":"ready"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """One daemon that runs.

    Attributes:
        process: It.
        folder: Where its store (`store.db`), its lines (`jobs.jsonl`) and its log (`log`) are.
    """

    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def cpu_seconds(self) -> float:
        """Return its own CPU seconds, those of sacct apart."""
        return cpu_seconds(self.process.pid)[0]

    @property
    def memory_bytes(self) -> int:
        """Return its proportional set size."""
        return shared_out_bytes(self.process.pid)

    @property
    def is_ready(self) -> bool:
        """Return whether it has polled."""
        return READY in (self.folder / "log").read_text(encoding="utf-8")

    @property
    def lines(self) -> int:
        """Return how many lines it has written."""
        file = self.folder / "jobs.jsonl"
        return file.read_bytes().count(b"\n") if file.exists() else 0


@contextmanager
def running(
    program: Program,
    folder: Path,
    bin_dir: Path,
    *,
    interval: float = 30,
    mode: str = "summary",
    conf: str = "",
    more: str = "",
    web: str = "",
) -> Iterator[Daemon]:
    """Run a daemon for a while, from its first poll on.

    Args:
        program: Which.
        folder: Its own; there may be a store in it.
        bin_dir: Slurm's commands.
        interval: Seconds between two polls.
        mode: `[steps] mode`.
        conf: slurm.conf.
        more: More keys of `[poll]`.
        web: `[web] listen`; empty: no server.

    Raises:
        RuntimeError: It ended by itself, or read nothing.
    """
    poll = f'interval = "{interval}s"\n{more}'
    log_as_json = '[log]\nformat = "json"\n'
    config = written(folder, bin_dir, conf=conf, poll=poll, mode=mode, metrics=True, web=web, more=log_as_json)
    with (folder / "log").open("wb") as log, ExitStack() as stack:
        process = stack.enter_context(
            subprocess.Popen(
                program.argv("run", "--config", str(config)),
                cwd=folder,
                env=program.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        )
        stack.callback(process.terminate)
        daemon = Daemon(process=process, folder=folder)
        patience = Patience()
        while not daemon.is_ready:
            if process.poll() is not None or patience.is_over():
                raise RuntimeError((folder / "log").read_text(encoding="utf-8")[-2000:])
            time.sleep(0.1)
        yield daemon


def used(daemons: Sequence[Daemon], seconds: float) -> list[float]:
    """Wait, and return the CPU seconds that each used meanwhile."""
    before = [daemon.cpu_seconds for daemon in daemons]
    time.sleep(seconds)
    return [daemon.cpu_seconds - cpu for daemon, cpu in zip(daemons, before, strict=True)]
