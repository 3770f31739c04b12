"""From the end of a job on a real cluster to its line in the file, without a nudge and with one.

Both programs watch the same jobs at an interval of 5 s. Then slurmctld nudges this tree's daemon, which by itself
would poll every 30 s. A job notes the moment of its end itself, as its last act: Slurm's own has whole seconds.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tests.bench.bench_ingest import tidy
from tests.bench.daemons import Daemon, running
from tests.patience import Patience
from tests.real_slurm import bringup, jobs
from tests.real_slurm.nudging import give_to_slurm, nudged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.programs import Program
    from tests.bench.results import Result
    from tests.bench.setting import Setting
    from tests.real_slurm.cluster import RealCluster

ENDS = 200
AT_ONCE = 6
INTERVAL = 5.0
NUDGED_INTERVAL = 30.0
LOOK_SECONDS = 0.01


class Lines:
    """Reads a growing file, and remembers when each attempt's line was first there."""

    def __init__(self, file: Path) -> None:
        """Prepare to read."""
        self._file = file
        self.seen: dict[int, float] = {}

    def watch(self, over: threading.Event) -> None:
        """Read until it is over."""
        left = b""
        while not self._file.exists():
            if over.wait(LOOK_SECONDS):
                return
        with self._file.open("rb") as file:
            while not over.wait(LOOK_SECONDS):
                *lines, left = (left + file.read()).split(b"\n")
                now = time.time()
                for line in lines:
                    self.seen.setdefault(json.loads(line)["job_id_raw"], now)


def measure(setting: Setting) -> Iterator[Result]:
    """Let jobs end, and look when their lines come."""
    if not setting.slurm:
        click.echo("the lateness of lines is measured on a real Slurm only: left out")
        return
    was_up = bringup.is_up(setting.slurm)
    cluster = tidy(setting.slurm)
    try:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=cluster.run_dir)))
            folder.chmod(0o755)
            watch = setting.stopwatch(f"Slurm {setting.slurm}")
            daemons = [
                stack.enter_context(_daemon(cluster, program, folder, name=name))
                for name, program in zip(("then", "now"), setting.programs, strict=True)
            ]
            late = lateness(cluster, folder, daemons)
            yield watch.result("late", ENDS, *late, against=setting.then.name)
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=cluster.run_dir)))
            folder.chmod(0o755)
            watch = setting.stopwatch(f"Slurm {setting.slurm}")
            daemon = stack.enter_context(
                _daemon(cluster, setting.now, folder, name="now", interval=NUDGED_INTERVAL)
            )
            stack.enter_context(nudged(cluster, daemon.folder / "store.db.nudge"))
            late = lateness(cluster, folder, [daemon])
            yield watch.result("late-nudged", ENDS, [], *late, against="")
    finally:
        if not was_up:
            bringup.down(setting.slurm)


def lateness(cluster: RealCluster, folder: Path, daemons: list[Daemon]) -> list[list[float]]:
    """Let jobs end, and return for each daemon how many seconds after its end each job's line was there.

    Raises:
        RuntimeError: A line never came.
    """
    ends = folder / f"ends-{time.time_ns()}"
    ends.mkdir()
    over = threading.Event()
    files = [Lines(daemon.folder / "jobs.jsonl") for daemon in daemons]
    threads = [threading.Thread(target=lines.watch, args=(over,)) for lines in files]
    for thread in threads:
        thread.start()
    try:
        # Ends are spread over all moments of an interval.
        script = "sleep $((2 + SLURM_ARRAY_TASK_ID * 7 % 11)).$((SLURM_ARRAY_TASK_ID * 37 % 100))\n"
        script += f"date +%s.%N >{ends}/$SLURM_JOB_ID"
        jobs.batch(cluster, f"--array=0-{ENDS - 1}%{AT_ONCE}", "--job-name=late", script=script)
        patience = Patience(lambda: [len(lines.seen) for lines in files])
        while any(len(lines.seen) < ENDS for lines in files):
            if patience.is_over():
                raise RuntimeError(f"lines of {[len(lines.seen) for lines in files]} of {ENDS} jobs")
            time.sleep(1)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    ended = {int(file.name): float(file.read_text(encoding="ascii")) for file in ends.iterdir()}
    return [[lines.seen[job] - end for job, end in ended.items()] for lines in files]


@contextmanager
def _daemon(
    cluster: RealCluster, program: Program, folder: Path, *, interval: float = INTERVAL, name: str
) -> Iterator[Daemon]:
    home = folder / name
    home.mkdir()
    give_to_slurm(cluster, home)
    conf = str(cluster.conf)
    more = 'since = "5s"'
    with running(program, home, cluster.bin_dir, interval=interval, mode="off", conf=conf, more=more) as daemon:
        yield daemon
