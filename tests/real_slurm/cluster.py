"""A running real cluster, as the tests use it. `bringup.up` makes one."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.patience import HANGS_SECONDS
from tests.real_slurm import volume
from tests.real_slurm.daemons import ClusterError, Daemon, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.real_slurm.database import Argument, Database
    from tests.real_slurm.releases import Release
    from tests.real_slurm.roots import Root

COMMANDS = (
    "sacct",
    "sacctmgr",
    "sreport",
    "salloc",
    "sbatch",
    "scancel",
    "scontrol",
    "scrontab",
    "sdiag",
    "sinfo",
    "squeue",
    "srun",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RealCluster:
    """slurmdbd, slurmctld and eight slurmd of one release, running."""

    release: Release
    root: Root = field(repr=False)
    run_dir: Path
    bin_dir: Path
    conf: Path
    config: Path
    database: Database = field(repr=False)
    slurmdbd: Daemon = field(repr=False)
    slurmctld: Daemon = field(repr=False)

    @property
    def version(self) -> str:
        """The release: `24.11`."""
        return self.release.version

    @property
    def name(self) -> str:
        """The cluster's name, as slurmdbd knows it."""
        return self.release.cluster

    def run(
        self,
        *argv: str,
        stdin: str = "",
        check: bool = True,
        timeout_seconds: float = HANGS_SECONDS,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run one of Slurm's commands: `run("squeue", "-h")`.

        Surrogates in an argument reach Slurm as the bytes they stand for.

        Raises:
            ClusterError: It failed, and `check` is true.
        """
        command, *rest = argv
        done = subprocess.run(
            [str(self.bin_dir / command), *rest],
            check=False,
            cwd="/",
            env={**os.environ, **(environment or {})},
            input=stdin.encode("utf-8", "surrogateescape"),
            capture_output=True,
            timeout=timeout_seconds,
        )
        output, errors = (data.decode("utf-8", "surrogateescape") for data in (done.stdout, done.stderr))
        if check and done.returncode != 0:
            raise ClusterError(f"{' '.join(argv)!r}: exit {done.returncode}: {errors.strip()}")
        return subprocess.CompletedProcess(done.args, done.returncode, output, errors)

    def sql(self, query: str, arguments: Sequence[Argument] = ()) -> list[dict[str, str | None]]:
        """Ask slurmdbd's own tables; `{job_table}` stands for the cluster's table of jobs."""
        tables = {f"{kind}_table": f"`{self.name}_{kind}_table`" for kind in ("job", "step", "assoc", "resv")}
        return self.database.query(query.format(**tables), arguments)

    def load_jobs(self, count: int, start: int, end: int) -> int:
        """Put jobs that ended evenly over [start, end) straight into the job table.

        Args:
            count: How many.
            start: Epoch seconds of the first end.
            end: Epoch seconds no end reaches.

        Returns:
            The first of their job ids, which follow each other.
        """
        return volume.load_jobs(self.sql, self.release, count, start, end)

    def load_steps(self, first_id: int, count: int) -> None:
        """Give loaded jobs three steps each: batch, extern, and one of srun."""
        volume.load_steps(self.sql, first_id, count)

    def copy_steps(self, job_id: int, count: int) -> None:
        """Give a loaded job that has steps so many more, copies of its step 0."""
        volume.copy_steps(self.sql, job_id, count)

    def remove_jobs(self, first_id: int, count: int) -> None:
        """Take loaded jobs out again, with their steps."""
        self.sql(
            "delete step from {step_table} step join {job_table} job using (job_db_inx) "
            "where job.id_job >= %s and job.id_job < %s",
            (first_id, first_id + count),
        )
        self.sql("delete from {job_table} where id_job >= %s and id_job < %s", (first_id, first_id + count))

    @contextmanager
    def statements_limited(self, seconds: float) -> Iterator[None]:
        """Let MariaDB end statements that take longer, for a while; slurmdbd connects anew for each call."""
        self.limit_statements(seconds)
        try:
            yield
        finally:
            self.limit_statements(0)

    def limit_statements(self, seconds: float) -> None:
        """Set the limit of a statement's time (`max_statement_time`) for new connections; 0 lifts it."""
        self.sql(f"set global max_statement_time = {seconds}")

    def silence_queries(self) -> None:
        """Let MariaDB end each query of slurmdbd's that finds a job, once its rows are on their way.

        Such a limit alone is a lottery: few rows come in time, or not even the query's header does, of which sacct
        complains. With thousands of past reservations, each of which slurmdbd's query holds against each job, the
        header comes in time and no row does: sacct prints its header and exits 0, always (22.05.8 and 26.05.5).
        """
        self.limit_statements(volume.SILENCING_SECONDS)
        volume.load_reservations(self.sql)

    def unsilence_queries(self) -> None:
        """Lift the limit of statements, and take the reservations out again, if there are any."""
        self.limit_statements(0)
        volume.remove_reservations(self.sql)

    def stop_slurmdbd(self) -> None:
        """Stop slurmdbd in order; slurmctld keeps what it cannot deliver."""
        self.slurmdbd.stop()

    def kill_slurmdbd(self) -> None:
        """End slurmdbd with SIGKILL."""
        self.slurmdbd.stop(signal.SIGKILL)

    def start_slurmdbd(self) -> None:
        """Start slurmdbd and wait until it answers."""
        self.slurmdbd.start()
        self.wait_until(self.slurmdbd_answers, "slurmdbd to answer", explain=self.slurmdbd.tail)

    def restart_slurmctld(self) -> None:
        """Stop slurmctld in order, start it on the configuration that is there now, and wait until it answers."""
        self.slurmctld.stop()
        self.slurmctld.start()
        self.wait_until(
            lambda: self.run("scontrol", "ping", check=False, timeout_seconds=30).returncode == 0,
            "slurmctld to answer",
            explain=self.slurmctld.tail,
        )

    def slurmdbd_answers(self) -> bool:
        """Whether a client gets an answer from slurmdbd."""
        answer = self.run("sacctmgr", "-n", "list", "cluster", check=False, timeout_seconds=30)
        return answer.returncode == 0

    def undelivered(self) -> int:
        """How many records slurmctld still holds for slurmdbd."""
        for line in self.run("sdiag").stdout.splitlines():
            if line.startswith("DBD Agent queue size:"):
                return int(line.partition(":")[2])
        raise ClusterError("sdiag did not tell the DBD agent's queue")

    def wait_until(
        self,
        condition: Callable[[], object],
        what: str,
        timeout_seconds: float = HANGS_SECONDS,
        explain: Callable[[], str] = str,
        progress: Callable[[], object] = lambda: None,
    ) -> None:
        """Wait for a condition; see `daemons.wait_until`.

        Raises:
            ClusterError: It did not come true in time.
        """
        wait_until(condition, f"{what} on Slurm {self.version}", timeout_seconds, explain, progress)
