"""Troubles of the database behind slurmdbd: made for real on a real cluster, set on a simulated one.

On a real one 20,000 rows are loaded: MariaDB needs tens of milliseconds to send them and less than one to send a
few, so that a limit between the two decides. A busy machine may need as long for a few as well, now and then: what
must be answered under the limit is asked again until it is.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from tests.contract.sites import RealSite, SimSite
from tests.patience import HANGS_SECONDS, Patience
from tests.real_slurm.breaking import BreakingProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simslurm import JobKey
    from tests.contract.sites import Done, Site

START = 1_690_000_000
"""Epoch seconds; the loaded rows end one a second from here on, where nothing else does."""

LIMIT_SECONDS = 0.012
FEW = 10
"""Rows, or steps, that are answered under the limit."""

LIST_BYTES = 200
"""Behind so many bytes an answer breaks off: slurmdbd has said hello, and the list has begun."""


def answered(ask: Callable[[], Done]) -> Done:
    """Ask until there is more than a header, for as long as a test may wait."""
    patience = Patience()
    while (done := ask()).stdout.count(b"\n") <= 1 and not patience.is_over():
        pass
    return done


class Trouble:
    """What can be wrong behind sacct, each for a while.

    Attributes:
        rows: How many jobs are loaded, one ended each second from START.
        first: The first one's id; the others follow. The second has as many steps as there are jobs.
    """

    rows: int
    first: int

    def limited(self) -> AbstractContextManager[None]:
        """Give statements a limit that an answer of FEW rows keeps and one of all rows does not."""
        raise NotImplementedError

    def opened(self) -> AbstractContextManager[None]:
        """Let as many jobs be open as are loaded."""
        raise NotImplementedError

    def without(self, names: str) -> AbstractContextManager[None]:
        """Take a list of names away from slurmdbd: `tres` or `qos`."""
        raise NotImplementedError

    def lost(self, *arguments: str) -> Done:
        """Run sacct, and break its connection to slurmdbd while the answer arrives."""
        raise NotImplementedError

    def close(self) -> None:
        """Take everything away again."""


class SimTrouble(Trouble):
    """A simulated cluster's."""

    rows = 40

    def __init__(self, site: SimSite) -> None:
        """Load."""
        self._site, self._cluster = site, site.simulated
        self._keys: list[JobKey] = []
        self.first = 1_000_000
        with self._cluster.batch():
            for number in range(self.rows):
                end = START + number
                self._keys.append(
                    self._cluster.add_job(
                        id_job=self.first + number, time_submit=end - 9, time_start=end - 5, time_end=end
                    )
                )
            for step in range(self.rows):
                self._cluster.add_step(self._keys[1], step, time_start=START - 5, time_end=START + 1)

    @contextmanager
    def limited(self) -> Iterator[None]:
        """See `Trouble.limited`."""
        self._cluster.set_statement_limit(windows=FEW, open_jobs=FEW, steps=FEW)
        try:
            yield
        finally:
            self._cluster.set_statement_limit()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """See `Trouble.opened`."""
        with self._cluster.batch():
            keys = [
                self._cluster.add_job(id_job=2_000_000 + number, time_eligible=START, time_submit=START)
                for number in range(self.rows)
            ]
        try:
            yield
        finally:
            for key in keys:
                self._cluster.delete_job(key)

    @contextmanager
    def without(self, names: str) -> Iterator[None]:
        """See `Trouble.without`."""
        self._cluster.lose_names(tres=names == "tres", qos=names == "qos")
        try:
            yield
        finally:
            self._cluster.lose_names()

    def lost(self, *arguments: str) -> Done:
        """See `Trouble.lost`."""
        self._cluster.add_fault("sacct", "lost")
        return self._site.run("sacct", *arguments)

    def close(self) -> None:
        """See `Trouble.close`."""
        for key in self._keys:
            self._cluster.delete_job(key)


class RealTrouble(Trouble):
    """A real cluster's."""

    rows = 20_000

    def __init__(self, site: RealSite) -> None:
        """Load."""
        self._site, self._real = site, site.real
        self.first = self._real.load_jobs(self.rows, START, START + self.rows)
        self._real.load_steps(self.first + 1, 1)
        self._real.copy_steps(self.first + 1, self.rows)

    @contextmanager
    def limited(self) -> Iterator[None]:
        """See `Trouble.limited`."""
        with self._real.statements_limited(LIMIT_SECONDS):
            yield

    @contextmanager
    def opened(self) -> Iterator[None]:
        """See `Trouble.opened`."""
        mine = f"id_job >= {self.first} and id_job < {self.first + self.rows}"
        self._real.sql(
            f"update {{job_table}} set mod_time = time_end, priority = state, time_end = 0, state = 1 where {mine}"  # noqa: S608 - ours
        )
        try:
            yield
        finally:
            self._real.sql(f"update {{job_table}} set time_end = mod_time, state = priority where {mine}")  # noqa: S608

    @contextmanager
    def without(self, names: str) -> Iterator[None]:
        """See `Trouble.without`."""
        table = f"{names}_table"
        self._real.sql(f"rename table {table} to {table}_away")
        try:
            yield
        finally:
            self._real.sql(f"rename table {table}_away to {table}")

    def lost(self, *arguments: str) -> Done:
        """See `Trouble.lost`."""
        conf = self._real.conf.with_name("breaking.conf")
        text = self._real.conf.read_text("utf-8")
        port = text.partition("AccountingStoragePort=")[2].partition("\n")[0]
        with BreakingProxy(int(port), LIST_BYTES) as proxy:
            conf.write_text(text.replace(f"StoragePort={port}", f"StoragePort={proxy.port}"), "utf-8")
            argv = self._real.root.argv("/usr/bin/sacct", *arguments)
            done = subprocess.run(
                argv, check=False, stdin=subprocess.DEVNULL, capture_output=True, timeout=HANGS_SECONDS,
                env={**os.environ, "SLURM_CONF": str(conf)},
            )  # fmt: skip
        conf.unlink()
        return done

    def close(self) -> None:
        """See `Trouble.close`."""
        self._real.remove_jobs(self.first, self.rows)


def trouble_of(site: Site) -> Trouble:
    """Prepare the troubles of a site."""
    if isinstance(site, SimSite):
        return SimTrouble(site)
    assert isinstance(site, RealSite)
    return RealTrouble(site)
