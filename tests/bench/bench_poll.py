"""A head poll of a few attempts into a store of many, beside the same into a store of 10,000.

Two daemons of this tree run side by side, each on the simulated cluster that its store was read from, and poll
every second; in both clusters the same number of jobs ends at the same time. What is compared is the daemons' own
CPU time. Re-reads are off: they cost what there is to read again.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from simslurm import SimCluster
from tests.bench.bench_store import filled
from tests.bench.daemons import running
from tests.bench.setting import place
from tests.bench.site import Site
from tests.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.daemons import Daemon
    from tests.bench.results import Result
    from tests.bench.setting import Setting

SMALL = 10_000
JOBS_A_POLL = 50
POLLS = 15


def measure(setting: Setting) -> Iterator[Result]:
    """Poll into both stores through the same stretches."""
    watch = setting.stopwatch()
    with ExitStack() as stack:
        daemons, sites = [], []
        for count in (SMALL, setting.jobs):
            home = place(setting.folder, count)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=setting.folder)))
            shutil.copyfile(filled(setting.now, home, "off", setting.folder) / "store.db", folder / "store.db")
            cluster = stack.enter_context(SimCluster.open(home.folder / "slurm.db"))
            sites.append(Site(cluster, seed=int(time.time())))
            bin_dir = home.folder / "bin"
            more = "reread = []"
            started = running(setting.now, folder, bin_dir, interval=1, mode="off", more=more)
            daemons.append(stack.enter_context(started))
        costs: tuple[list[float], list[float]] = ([], [])
        _poll(sites, daemons)
        for _ in range(setting.pairs):
            before = [daemon.cpu_seconds for daemon in daemons]
            for _ in range(POLLS):
                _poll(sites, daemons)
            for its, daemon, cpu in zip(costs, daemons, before, strict=True):
                its.append((daemon.cpu_seconds - cpu) / POLLS * 1000)
        yield watch.result("poll", setting.jobs, *costs, against=f"{SMALL:,} stored")


def _poll(sites: list[Site], daemons: list[Daemon]) -> None:
    """Let jobs end in all clusters, and wait for their lines.

    Raises:
        RuntimeError: They never come.
    """
    wanted = [daemon.lines + JOBS_A_POLL for daemon in daemons]
    now = int(time.time())
    for site in sites:
        site.load(JOBS_A_POLL, now - 2, now - 1)
    patience = Patience(lambda: [daemon.lines for daemon in daemons])
    while any(daemon.lines < lines for daemon, lines in zip(daemons, wanted, strict=True)):
        if patience.is_over():
            raise RuntimeError((daemons[-1].folder / "log").read_text(encoding="utf-8")[-2000:])
        time.sleep(0.05)
