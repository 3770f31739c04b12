"""What a process costs, read from /proc by whoever started it: seconds, memory, and its children apart."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

SAMPLE_SECONDS = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one process cost.

    Attributes:
        wall_seconds: From its start to its end.
        cpu_seconds: Its own, without its children's.
        start_seconds: Of the wall time, what passed before it began its work; 0 where that was not looked for.
        start_cpu_seconds: Of its own CPU time, what it had used by then.
        children_cpu_seconds: Its children's.
        peak_bytes: The most memory it had.
    """

    wall_seconds: float
    cpu_seconds: float
    start_seconds: float
    start_cpu_seconds: float
    children_cpu_seconds: float
    peak_bytes: int


def measured(
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    begins: Callable[[int], bool] | None = None,
    folder: Path | None = None,
) -> Run:
    """Run a program to its end and measure it, its children apart.

    Args:
        argv: The program.
        environment: Its environment.
        begins: Returns whether the process of this pid begins its work; None: what came before is not looked for.
        folder: Where it is started.

    Raises:
        RuntimeError: It failed, or was never seen to begin.
    """
    started = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=output, env=environment
        )
        peak = 0
        start: tuple[float, float] | None = (0.0, 0.0) if begins is None else None
        while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            peak = max(peak, peak_bytes(process.pid))
            if start is None and begins is not None and begins(process.pid):
                start = time.perf_counter() - started, cpu_seconds(process.pid)[0]
            time.sleep(SAMPLE_SECONDS)
        wall = time.perf_counter() - started
        # A process not yet waited for still has its times in /proc.
        own, children = cpu_seconds(process.pid)
        if process.wait() != 0:
            output.seek(0)
            raise RuntimeError(f"{shlex.join(argv)}: {output.read().decode(errors='replace')[-2000:]}")
    if start is None:
        raise RuntimeError(f"{shlex.join(argv)}: was not seen to begin its work")
    return Run(
        wall_seconds=wall,
        cpu_seconds=own,
        start_seconds=start[0],
        start_cpu_seconds=start[1],
        children_cpu_seconds=children,
        peak_bytes=peak,
    )


def ended(process: subprocess.Popen[bytes]) -> float:
    """Wait for a process, and return its own CPU seconds."""
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    own, _ = cpu_seconds(process.pid)
    process.wait()
    return own


def children(pid: int) -> list[int]:
    """Return the pids of a process's children."""
    found = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            found += (thread / "children").read_text(encoding="utf-8").split()
        except OSError:
            continue
    return [int(child) for child in found]


def cpu_seconds(pid: int) -> tuple[float, float]:
    """Return what a process and the children it waited for have used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    own, own_system, others, others_system = (int(ticks) for ticks in fields[11:15])
    tick = os.sysconf("SC_CLK_TCK")
    return (own + own_system) / tick, (others + others_system) / tick


def peak_bytes(pid: int) -> int:
    """Return the most memory a process had; 0 once it has ended."""
    return _kilobytes(Path(f"/proc/{pid}/status"), "VmHWM:") * 1024


def shared_out_bytes(pid: int) -> int:
    """Return the proportional set size: private memory, and a share of what others map as well."""
    return _kilobytes(Path(f"/proc/{pid}/smaps_rollup"), "Pss:") * 1024


def _kilobytes(path: Path, name: str) -> int:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith(name)), 0)
