"""A daemon that has nothing to do: its memory, and its processor time at the default interval.

Both programs idle through the same stretch, on a simulated cluster in which nothing ends, after they have read
1,000 attempts. The processor time of sacct and of the other commands is not in it.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.daemons import running, used
from tests.bench.setting import place
from tests.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.daemons import Daemon
    from tests.bench.results import Result
    from tests.bench.setting import Setting

JOBS = 1000
PART_SECONDS = 120.0


def measure(setting: Setting) -> Iterator[Result]:
    """Let both idle, and look at them every two minutes."""
    watch = setting.stopwatch()
    with ExitStack() as stack:
        site = place(setting.folder, JOBS)
        since = f'since = "{site.since_seconds}s"'
        daemons = []
        for program in setting.programs:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=setting.folder)))
            daemons.append(stack.enter_context(running(program, folder, site.folder / "bin", more=since)))
        for daemon in daemons:
            patience = Patience(partial(_lines, daemon))
            while daemon.lines < 2 * JOBS and not patience.is_over():
                used(daemons, 1)
        # What is done once, or waits for a quiet moment, is done in this.
        used(daemons, PART_SECONDS)
        shares: tuple[list[float], list[float]] = ([], [])
        memory: tuple[list[float], list[float]] = ([], [])
        for _ in range(max(1, int(setting.minutes * 60 / PART_SECONDS))):
            for its, seconds in zip(shares, used(daemons, PART_SECONDS), strict=True):
                its.append(100 * seconds / PART_SECONDS)
            for its_memory, daemon in zip(memory, daemons, strict=True):
                its_memory.append(daemon.memory_bytes / 1e6)
        yield watch.result("idle-memory", JOBS, *memory, against=setting.then.name)
        yield watch.result("idle-cpu", JOBS, *shares, against=setting.then.name)


def _lines(daemon: Daemon) -> int:
    return daemon.lines
