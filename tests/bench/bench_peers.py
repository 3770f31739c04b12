"""What other programs take for the same: slurm2sql, pytokio, ClusterShell and python-hostlist.

Each reads the same as this tree, in turn with it: a window of a simulated site, the text that sacct prints of it,
and the node lists in that. They are installed into an environment of their own, in versions that are pinned here.
What is counted is their own CPU time, that of Python's start and of sacct apart.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.bench_store import fill
from tests.bench.setting import place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.bench.results import Result
    from tests.bench.setting import Place, Setting

SLURM2SQL, PYTOKIO = "slurm2sql 0.9.9", "pytokio 0.13.0"
CLUSTERSHELL, HOSTLIST = "ClusterShell 1.10.1", "python-hostlist 2.3.0"
REQUIREMENTS = [peer.replace(" ", "==") for peer in (SLURM2SQL, PYTOKIO, CLUSTERSHELL, HOSTLIST)]
"""Of the peers' environment; pandas and numpy as pytokio can still use them."""

REQUIREMENTS += ["pandas==2.3.3", "numpy==2.2.6"]
MOST = 20_000
"""Attempts: enough, and the slowest of the peers takes milliseconds for each."""

FIELDS = "JobIDRaw,Start,End,Submit,Elapsed,State,User,NodeList"
TASKS = Path(__file__).with_name("peers.py")


def measure(setting: Setting) -> Iterator[Result]:
    """Have each read the same, in turn with this tree."""
    jobs = min(MOST, setting.jobs)
    site = place(setting.folder, jobs)
    peers = _environment(setting.folder / "peers")
    bin_dir = str(site.folder / "bin")

    def run(peer: str, *words: str) -> float:
        """Run a task of a peer's, or of this tree's."""
        python = str(peers / "bin" / "python") if peer else sys.executable
        return _seconds(python, setting.now.environment() if not peer else dict(os.environ), words)

    with tempfile.TemporaryDirectory(dir=setting.folder) as name:
        folder = Path(name)
        text, lists = _material(site, folder)
        count = lists.read_text(encoding="utf-8").count("\n")
        since = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(site.made - site.hours * 3600 - 60))

        def store() -> float:
            with tempfile.TemporaryDirectory(dir=folder) as place_of_store:
                return fill(setting.now, site, "summary", Path(place_of_store)).cpu * jobs / 1e6

        def asked(row: str, number: int, peer: str, theirs: Sequence[str], ours: Callable[[], float]) -> Result:
            watch = setting.stopwatch("simslurm" if peer is SLURM2SQL else "")
            costs: tuple[list[float], list[float]] = ([], [])
            for _ in range(setting.pairs):
                costs[0].append(run(peer, *theirs) / number * 1e6)
                costs[1].append(ours() / number * 1e6)
            return watch.result(row, number, *costs, against=peer)

        yield asked("peer-slurm2sql", jobs, SLURM2SQL, ("slurm2sql", bin_dir, since), store)
        yield asked("peer-pytokio", jobs, PYTOKIO, ("pytokio", str(text)), lambda: run("", "connector", str(text)))
        for row, peer, task in (
            ("peer-clustershell", CLUSTERSHELL, "clustershell"),
            ("peer-hostlist", HOSTLIST, "hostlist"),
        ):
            yield asked(row, count, peer, (task, str(lists)), lambda: run("", "nodelists", str(lists)))


def _environment(folder: Path) -> Path:
    """Return an environment that has the peers."""
    if not (folder / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
        subprocess.run([*pip, *REQUIREMENTS], check=True)
    return folder


def _material(site: Place, folder: Path) -> tuple[Path, Path]:
    """Write what sacct prints of a site, and each node list of it that has to be expanded."""
    text, lists = folder / "sacct.txt", folder / "lists.txt"
    argv = [str(site.folder / "bin" / "sacct"), "-a", "-D", "-X", "-P", "-S", f"now-{site.since_seconds}seconds"]
    with text.open("wb") as file:
        subprocess.run([*argv, "-o", FIELDS], check=True, stdout=file)
    names = {line.rpartition("|")[2] for line in text.read_text(encoding="utf-8").splitlines()[1:]}
    lists.write_text("".join(f"{name}\n" for name in sorted(names) if "[" in name), encoding="utf-8")
    return text, lists


def _seconds(python: str, environment: dict[str, str], words: Sequence[str]) -> float:
    """Run a task, and return the CPU seconds that it printed."""
    done = subprocess.run([python, str(TASKS), *words], check=True, env=environment, stdout=subprocess.PIPE)
    return float(done.stdout.split()[-1])
