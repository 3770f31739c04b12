"""What the benchmarks of the table have in common: two programs, a number of attempts, a folder, a Slurm."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simslurm import SimCluster, install_commands
from tests.bench.results import Stopwatch
from tests.bench.site import Site

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench.programs import Program

MARGIN_SECONDS = 600
JOBS_AN_HOUR = 42_000
"""A million a day: so many end in an hour of the simulated site."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a benchmark gets.

    Attributes:
        then: The program that is compared with.
        now: This tree's.
        jobs: How many attempts.
        pairs: How many pairs of runs.
        minutes: How long a daemon idles.
        modes: `[steps] mode` of the ingests.
        folder: Where large things are kept that several benchmarks use.
        slurm: The release of a real Slurm, or empty: simslurm.
    """

    then: Program
    now: Program
    jobs: int
    pairs: int
    minutes: float
    modes: tuple[str, ...]
    folder: Path
    slurm: str

    @property
    def programs(self) -> tuple[Program, Program]:
        """Both, in the order they are run."""
        return self.then, self.now

    def stopwatch(self, where: str = "simslurm") -> Stopwatch:
        """Return a stopwatch that makes results of this tree."""
        return Stopwatch(self.now.name, where)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A simulated cluster with a site's jobs.

    Attributes:
        folder: Has `bin` with its commands.
        jobs: How many attempts it has.
        hours: They ended so many hours before it was made, at most.
        made: When, epoch seconds.
    """

    folder: Path
    jobs: int
    hours: int
    made: int

    @property
    def since_seconds(self) -> int:
        """Return how long ago the first of them may have ended."""
        return int(time.time()) - self.made + self.hours * 3600 + MARGIN_SECONDS


def place(folder: Path, jobs: int) -> Place:
    """Make a simulated cluster whose jobs are a site's, or take the one of that folder."""
    hours = max(1, -(-jobs // JOBS_AN_HOUR))
    home = folder / f"site-{jobs}"
    if not (home / "bin").exists():
        home.mkdir(parents=True)
        now = int(time.time())
        with SimCluster.create(home / "slurm.db") as cluster:
            Site(cluster).load(jobs, now - hours * 3600, now - MARGIN_SECONDS)
        (home / "made").write_text(f"{now}\n", encoding="ascii")
        install_commands(home / "bin", home / "slurm.db")
    return Place(folder=home, jobs=jobs, hours=hours, made=int((home / "made").read_text(encoding="ascii")))
