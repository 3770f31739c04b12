"""Where the contract is tested: one simulated or one real cluster, asked in the same words."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from simslurm import SimCluster, install_commands
from simslurm.schema import STEP_IDS
from simslurm.troubles import CONTROL_MACHINE
from slurmwatchd.model.attempts import AttemptBatch
from slurmwatchd.model.windows import Window
from slurmwatchd.sources.commands import Commands
from slurmwatchd.sources.process import SystemProcessRunner, child_environment
from slurmwatchd.sources.sacct.client import ParsedRows, Sacct
from slurmwatchd.sources.sacct.fields import Layout
from tests.contract import cast
from tests.contract import life as lives
from tests.patience import HANGS_SECONDS
from tests.real_slurm import untidy
from tests.real_slurm.configuration import write_wrappers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from slurmwatchd.sources.sacct.client import SacctAnswer
    from tests.real_slurm.cluster import RealCluster

Done = subprocess.CompletedProcess[bytes]

ORDINARY, ORDINARY_UID = "daemon", 1
"""A user who is nobody in slurmdbd's eyes: Debian's `daemon`."""

RANGE_SECONDS = 86_400
"""The widest window of an ordinary user while rights are restricted."""


class Site:
    """A cluster with the cast in its accounting."""

    def __init__(self, bin_dir: Path, folder: Path, cluster: str, version: str) -> None:
        """Prepare; the cast is written by the subclasses."""
        self.bin_dir = bin_dir
        self.folder = folder
        self.cluster = cluster
        self.version = version
        year, month, patch = version.split(".")[:3]
        self.full = (int(year), int(month), int(patch))
        self.release = self.full[:2]
        self._life: lives.Life | None = None
        self._layout: Layout | None = None

    def run(self, command: str, *arguments: str, uid: int = 0, **environ: str | None) -> Done:
        """Run a command with the environment the daemon would give it."""
        raise NotImplementedError

    def ask(self, *arguments: str, **environ: str | None) -> str:
        """Run sacct, which must succeed, and return what it prints."""
        done = self.run("sacct", *arguments, uid=0, **environ)
        assert (done.returncode, done.stderr) == (0, b""), done
        return done.stdout.decode()

    def ended(self, start: int, end: int, fields: str, *options: str) -> list[str]:
        """The lines of all attempts that ended in [start, end], both included."""
        window = ("-s", "CA,CD,F,NF,PR,TO,BF,DL,OOM,RQ,RS,RV", "-S", f"uts{start}", "-E", f"uts{end}")
        return self.ask("-a", "-X", "-D", "-n", "-P", *window, *options, "-o", fields).splitlines()

    def job(self, number: int, fields: str, *options: str, **environ: str | None) -> str:
        """The line of one attempt of the cast, without its steps."""
        id_ = str(cast.FIRST_ID + number)
        return self.ask("-X", "-D", "-n", "-P", "-j", id_, *options, "-o", fields, **environ).rstrip("\n")

    def jobs(self, fields: str, *numbers: int) -> list[str]:
        """The lines of some attempts of the cast, in the order asked for, without their steps."""
        ids = {str(cast.FIRST_ID + number): place for place, number in enumerate(numbers)}
        ask = ("-X", "-D", "-n", "-P", "--noconvert", "-j", ",".join(ids))
        lines = [line.partition("|") for line in self.ask(*ask, "-o", f"jobidraw,{fields}").splitlines()]
        found = {ids[job]: rest for job, _, rest in lines}
        return [found[place] for place in range(len(numbers))]

    @property
    def commands(self) -> Commands:
        """The daemon's own way to run commands here."""
        return Commands.of(SystemProcessRunner(), bin_dir=str(self.bin_dir), environ=dict(os.environ))

    @property
    def sacct(self) -> Sacct:
        """The daemon's own sacct."""
        return Sacct(self.commands, timeout_seconds=HANGS_SECONDS, spool_dir=self.folder)

    async def layout(self) -> Layout:
        """What the daemon asks this sacct for."""
        if self._layout is None:
            self._layout = Layout(await self.sacct.available_fields())
        return self._layout

    async def read(self, start: int, end: int) -> ParsedRows:
        """What the daemon reads of a half-open window."""
        async with self.sacct.ended_in(Window(start, end), await self.layout()) as answer:
            return await _all_rows(answer)

    async def read_open(self, now: int) -> ParsedRows:
        """What the daemon reads of the open jobs."""
        async with self.sacct.open_at(now, await self.layout()) as answer:
            return await _all_rows(answer)

    async def read_named(self, job_ids: Sequence[str], since: int) -> ParsedRows:
        """What the daemon reads of jobs it asks for by their ids."""
        async with self.sacct.named(job_ids, await self.layout(), since=since, now=int(time.time())) as answer:
            return await _all_rows(answer)

    def life(self) -> lives.Life:
        """What became of jobs that really ran (or would have, in the simulator); played once."""
        if self._life is None:
            self._life = self._play()
        return self._life

    def slurmdbd_down(self) -> AbstractContextManager[None]:
        """Stop slurmdbd for a while."""
        raise NotImplementedError

    def restricted(self) -> AbstractContextManager[None]:
        """Give slurmdbd a MaxQueryTimeRange of RANGE_SECONDS, PrivateData=jobs and PurgeJobAfter=1000months."""
        raise NotImplementedError

    def complaining(self) -> AbstractContextManager[Path]:
        """Give a folder of commands whose slurm.conf has a key that Slurm ignores, and complains of."""
        raise NotImplementedError

    def _play(self) -> lives.Life:
        raise NotImplementedError


class SimSite(Site):
    """A simulated cluster."""

    def __init__(self, folder: Path, version: str) -> None:
        """Make it and write the cast."""
        self.simulated = SimCluster.create(folder / "sim.db", cluster="sim", version=version)
        install_commands(folder / "bin", self.simulated.path)
        super().__init__(folder / "bin", folder, "sim", version)
        with self.simulated.batch():
            for row in cast.everybody():
                if self.release >= row.since:
                    self.simulated.add_attempt(row.columns, row.steps)

    def run(self, command: str, *arguments: str, uid: int = 0, **environ: str | None) -> Done:
        """See `Site.run`."""
        environment = _environment(environ)
        if uid:
            self.simulated.set_caller(uid)
        try:
            return subprocess.run(
                [str(self.bin_dir / command), *arguments],
                check=False, stdin=subprocess.DEVNULL, capture_output=True, env=environment, timeout=HANGS_SECONDS,
            )  # fmt: skip
        finally:
            if uid:
                self.simulated.set_caller(0)

    @contextmanager
    def slurmdbd_down(self) -> Iterator[None]:
        """See `Site.slurmdbd_down`."""
        self.simulated.set_slurmdbd_down()
        self.simulated.set_dbd_agent_queue(3)
        try:
            yield
        finally:
            self.simulated.set_slurmdbd_down(down=False)
            self.simulated.set_dbd_agent_queue(0)

    @contextmanager
    def restricted(self) -> Iterator[None]:
        """See `Site.restricted`."""
        self.simulated.set_max_query_time_range(RANGE_SECONDS)
        self.simulated.set_private_data("jobs")
        self.simulated.set_purge_job_after("1000 months")
        try:
            yield
        finally:
            self.simulated.set_max_query_time_range(None)
            self.simulated.set_private_data()
            self.simulated.set_purge_job_after("")

    @contextmanager
    def complaining(self) -> Iterator[Path]:
        """See `Site.complaining`."""
        self.simulated.set_complaints(CONTROL_MACHINE)
        try:
            yield self.bin_dir
        finally:
            self.simulated.set_complaints()

    def _play(self) -> lives.Life:
        return lives.simulated(self.simulated)

    def close(self) -> None:
        """Let go of the database."""
        self.simulated.close()


class RealSite(Site):
    """A real cluster; the cast stands in slurmdbd's tables while this is open."""

    def __init__(self, real: RealCluster, folder: Path) -> None:
        """Write the cast."""
        version = real.run("sacct", "-V").stdout.split()[1]
        super().__init__(real.bin_dir, folder, real.name, version)
        self.real = real
        self._account = real.sql("select id_assoc from {assoc_table} where user = 'root' and acct = 'physics'")[0]
        self._complaints: dict[str, list[bytes]] = {}
        self.close()
        self._write_cast()

    def run(self, command: str, *arguments: str, uid: int = 0, **environ: str | None) -> Done:
        """See `Site.run`."""
        environment = _environment(environ)
        argv = [str(self.bin_dir / command), *arguments]
        if uid:
            root = self.real.root
            drop = ["--reuid", str(uid), "--regid", str(uid), "--clear-groups", "--"]
            inside = root.argv("/usr/bin/setpriv", *drop, f"/usr/bin/{command}", *arguments)
            argv = inside
            environment["SLURM_CONF"] = str(self.real.conf)
        done = subprocess.run(
            argv,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment,
            timeout=HANGS_SECONDS,
        )
        done.stderr = self._without_complaints(command, done.stderr)
        return done

    def _without_complaints(self, command: str, stderr: bytes) -> bytes:
        """Take away what the command complains of with -V too: the site is untidy on purpose."""
        if command not in self._complaints:
            printed = subprocess.run(
                [str(self.bin_dir / command), "-V"], check=True, stdin=subprocess.DEVNULL, capture_output=True
            )
            self._complaints[command] = printed.stderr.splitlines(keepends=True)
        for line in self._complaints[command]:
            stderr = stderr.removeprefix(line)
        return stderr

    @contextmanager
    def slurmdbd_down(self) -> Iterator[None]:
        """See `Site.slurmdbd_down`."""
        self.real.stop_slurmdbd()
        try:
            lives.hold_back(self.real)
            yield
        finally:
            self.real.start_slurmdbd()
            self.real.wait_until(lambda: self.real.undelivered() == 0, "the agent's queue to be empty")

    @contextmanager
    def restricted(self) -> Iterator[None]:
        """See `Site.restricted`."""
        file = self.real.run_dir / "etc" / "slurmdbd.conf"
        before = file.read_text(encoding="utf-8")
        limits = "MaxQueryTimeRange=1-00:00:00\nPrivateData=jobs\nPurgeJobAfter=1000months\n"
        file.write_text(before + limits, encoding="utf-8")
        try:
            self._restart()
            yield
        finally:
            file.write_text(before, encoding="utf-8")
            self._restart()

    @contextmanager
    def complaining(self) -> Iterator[Path]:
        """See `Site.complaining`; the cluster's own slurm.conf stays as it is."""
        conf = self.real.conf.with_name("complaining.conf")
        conf.write_text("ControlMachine=nowhere\n" + untidy.tidied(self.real.conf.read_text("utf-8")), "utf-8")
        folder = self.folder / "complaining"
        write_wrappers(folder, conf, self.real.root)
        try:
            yield folder
        finally:
            conf.unlink()

    def close(self) -> None:
        """Take the cast out of the tables."""
        self.real.sql(
            "delete job, step from {job_table} job left join {step_table} step using (job_db_inx) "
            f"where id_job between {cast.FIRST_ID} and {cast.LAST_ID}"
        )

    def _restart(self) -> None:
        self.real.stop_slurmdbd()
        self.real.start_slurmdbd()

    def _play(self) -> lives.Life:
        return lives.real(self.real)

    def _write_cast(self) -> None:
        jobs, steps = self._columns("job"), self._columns("step")
        for row in cast.everybody():
            if self.release < row.since:
                continue
            values = {**_JOB_NEEDS, **self._account, **_renamed(row.columns)}
            self._insert("job", {name: value for name, value in values.items() if name in jobs})
            for step, used in row.steps.items():
                number = STEP_IDS[step] if isinstance(step, str) else step
                index = row.columns["job_db_inx"]
                given = {**_STEP_NEEDS, **used, "id_step": number, "job_db_inx": index}
                self._insert("step", {name: value for name, value in given.items() if name in steps})

    def _columns(self, table: str) -> set[str]:
        rows = self.real.sql(f"describe {{{table}_table}}")
        return {str(row["Field"]) for row in rows}

    def _insert(self, table: str, values: Mapping[str, object]) -> None:
        given = {name: value for name, value in values.items() if value is not None}
        names = ", ".join(f"`{name}`" for name in given)
        marks = ", ".join(["%s"] * len(given))
        arguments = [value if isinstance(value, int | bytes) else str(value) for value in given.values()]
        self.real.sql(f"insert into {{{table}_table}} ({names}) values ({marks})", arguments)  # noqa: S608 - ours


async def _all_rows(answer: SacctAnswer) -> ParsedRows:
    parts = [rows async for rows in answer.rows()]
    return ParsedRows(
        AttemptBatch.joined([rows.readings for rows in parts]),
        tuple(row for rows in parts for row in rows.rejected),
    )


def _environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    """The environment the daemon gives its children, with changes; None takes a variable out."""
    given = {**child_environment(os.environ), **changes}
    return {name: value for name, value in given.items() if value is not None}


_JOB_NEEDS = {
    "id_resv": 0, "id_wckey": 0, "id_qos": 1, "id_group": 0, "het_job_id": 0, "het_job_offset": cast.NO_VAL,
    "state_reason_prev": 0, "priority": 1, "mod_time": 0, "derived_ec": 0, "exit_code": 0,
}  # fmt: skip
_STEP_NEEDS = {"kill_requid": None, "task_cnt": 1, "tres_alloc": "1=1,4=1"}


def _renamed(columns: Mapping[str, object]) -> dict[str, object]:
    """Name the columns as slurmdbd's tables do, where the simulator's database names them otherwise."""
    return {
        "derived_es" if name == "comment" else name: value for name, value in columns.items() if name != "user"
    }
