"""Brings a cluster up and takes it down again. Idempotent; needs root.

The order: packages, munge and MariaDB, the release's root, ports, configuration, slurmdbd, slurmctld, slurmd.
Everything is judged by what runs, not by what an earlier call wrote down.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from tests.real_slurm import configuration, untidy
from tests.real_slurm.cluster import RealCluster
from tests.real_slurm.configuration import NODES, PORTS
from tests.real_slurm.daemons import ClusterError, Daemon, find_jobs, wait_until
from tests.real_slurm.database import Database
from tests.real_slurm.packages import announce
from tests.real_slurm.ports import free_block, is_free
from tests.real_slurm.releases import RELEASES, Places, Release, release
from tests.real_slurm.roots import Root, prepare_root
from tests.real_slurm.services import Services

if TYPE_CHECKING:
    from collections.abc import Iterator

JOBS_END_SECONDS = 15
STOP_SECONDS = 20
UP_STATES = ("idle", "mixed", "allocated", "completing")


def up(version: str, places: Places | None = None, *, fresh: bool = False) -> RealCluster:
    """Bring a cluster up, or find it up.

    Args:
        version: The release: `24.11`.
        places: Where everything is kept.
        fresh: Whether a cluster that was down starts with nothing: no job, no record, no log of earlier times.

    Raises:
        CannotInstallError: The software could not be had.
        ClusterError: Anything else went wrong.
        PermissionError: Not root.
    """
    places = places or Places.from_environment()
    wanted = release(version)
    if os.geteuid() != 0:
        raise PermissionError("a real Slurm needs root: it starts slurmd")
    with _locked(places):
        root = prepare_root(wanted, places)
        services = Services(places.run)
        services.up()
        root.mount(places.run)
        if fresh and not is_up(version, places):
            services.drop_database(wanted.database)
            shutil.rmtree(places.of(wanted), ignore_errors=True)
        services.create_database(wanted.database)
        _configure(wanted, places, root, services)
        cluster = _cluster(wanted, places, root)
        _start(cluster)
        return cluster


def down(version: str, places: Places | None = None) -> None:
    """End a cluster's jobs and daemons, and with the last cluster munge and MariaDB too."""
    places = places or Places.from_environment()
    wanted = release(version)
    if not places.run.is_dir():
        return
    with _locked(places):
        root = _known_root(wanted, places)
        if root is not None:
            _stop(_cluster(wanted, places, root))
            root.unmount(places.run)
        if not any(is_up(other.version, places) for other in RELEASES.values()):
            Services(places.run).down()


def is_up(version: str, places: Places | None = None) -> bool:
    """Whether any daemon of a cluster runs."""
    places = places or Places.from_environment()
    run = places.of(release(version))
    return any(daemon.pid is not None for daemon in _daemons(run, release(version), Root(Path("/"))))


def _start(cluster: RealCluster) -> None:
    slurmdbd, *others = _daemons(cluster.run_dir, cluster.release, cluster.root)
    fresh = slurmdbd.pid is None
    cluster.start_slurmdbd()
    if fresh:
        _register(cluster)
    for daemon in others:
        daemon.start()
    wait_until(lambda: _nodes_up(cluster) == NODES, f"{NODES} nodes of {cluster.name}", explain=others[0].tail)


def _register(cluster: RealCluster) -> None:
    """Tell slurmdbd of the cluster and two users; what it knows already it says so, which is fine."""
    for what in (
        ("cluster", cluster.name),
        ("account", "physics"),
        ("account", "chemistry"),
        ("user", "root", "account=physics"),
        ("user", "daemon", "account=chemistry"),
    ):
        cluster.run("sacctmgr", "-i", "add", *what, check=False)


def _nodes_up(cluster: RealCluster) -> int:
    answer = cluster.run("sinfo", "-h", "-t", ",".join(UP_STATES), "-o", "%D", check=False, timeout_seconds=20)
    numbers = [int(line) for line in answer.stdout.split()]
    return max(numbers, default=0) if len(numbers) == 1 else sum(numbers)


def _stop(cluster: RealCluster) -> None:
    slurmdbd, slurmctld, *slurmds = _daemons(cluster.run_dir, cluster.release, cluster.root)
    mark = f"SLURM_CONF={cluster.conf}"
    if slurmctld.pid is not None:
        for state in ("PENDING", "RUNNING", "SUSPENDED"):
            cluster.run("scancel", "--quiet", f"--state={state}", check=False, timeout_seconds=20)
        with contextlib.suppress(ClusterError):
            wait_until(lambda: not find_jobs(cluster.run_dir, mark), "jobs to end", JOBS_END_SECONDS)
    for daemon in (slurmctld, *slurmds, slurmdbd):
        for pid in find_jobs(cluster.run_dir, mark) if daemon is not slurmctld else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            daemon.stop(timeout_seconds=STOP_SECONDS)
        except ClusterError as error:
            announce(f"{error}\nkilling it")
            daemon.stop(signal.SIGKILL)


def _daemons(run: Path, wanted: Release, root: Root) -> list[Daemon]:
    """slurmdbd, slurmctld and the slurmds, in the order they start."""
    conf = run / "etc" / "slurm.conf"
    environment = (("SLURM_CONF", str(conf)),)

    def daemon(program: str, log: str, *options: str) -> Daemon:
        return Daemon(
            name=program,
            argv=tuple(root.argv(f"/usr/sbin/{program}", *options)),
            pid_file=run / f"{log}.pid",
            marks=(f"SLURM_CONF={conf}", *options[1:]),
            log=run / "log" / f"{log}.log",
            environment=environment,
        )

    nodes = [f"{wanted.cluster}{number}" for number in range(1, NODES + 1)]
    first = [daemon("slurmdbd", "slurmdbd"), daemon("slurmctld", "slurmctld")]
    return first + [daemon("slurmd", f"slurmd-{node}", "-N", node) for node in nodes]


def _configure(wanted: Release, places: Places, root: Root, services: Services) -> None:
    """Write the configuration; where it changes, whatever runs on the old one ends first."""
    run = places.of(wanted)
    files = configuration.render(wanted, places, services, _first_port(wanted, places, root))
    if configuration.differs(run, files):
        _stop(_cluster(wanted, places, root))
        configuration.lay_out(run, files, root)
    says = untidy.habits(wanted).wrapper
    configuration.write_wrappers(places.bin_dir(wanted), run / "etc" / "slurm.conf", root, says)


def _first_port(wanted: Release, places: Places, root: Root) -> int:
    """The first of the cluster's ports: the known one while its daemons run or it is still free."""
    run = places.of(wanted)
    note = run / "first-port"
    if note.exists():
        first = int(note.read_text(encoding="ascii"))
        running = any(daemon.pid is not None for daemon in _daemons(run, wanted, root))
        if running or all(is_free(port) for port in range(first, first + PORTS)):
            return first
        announce(f"somebody else uses the ports of {wanted.version}: taking others")
    run.mkdir(parents=True, exist_ok=True)
    first = free_block(PORTS)
    note.write_text(f"{first}\n", encoding="ascii")
    return first


def _cluster(wanted: Release, places: Places, root: Root) -> RealCluster:
    run = places.of(wanted)
    slurmdbd, slurmctld, *_ = _daemons(run, wanted, root)
    return RealCluster(
        release=wanted,
        root=root,
        run_dir=run,
        bin_dir=places.bin_dir(wanted),
        conf=run / "etc" / "slurm.conf",
        config=run / "etc" / "slurmwatchd.toml",
        database=Database(Services(places.run).database_socket, wanted.database),
        slurmdbd=slurmdbd,
        slurmctld=slurmctld,
    )


def _known_root(wanted: Release, places: Places) -> Root | None:
    """The root a cluster was brought up in, without installing anything."""
    wrapper = places.bin_dir(wanted) / "sacct"
    if not wrapper.exists():
        return None
    chroot = places.chroot(wanted)
    return Root(chroot) if str(chroot) in wrapper.read_text(encoding="utf-8") else Root(Path("/"))


@contextlib.contextmanager
def _locked(places: Places) -> Iterator[None]:
    """Let one process at a time change the base."""
    places.run.mkdir(parents=True, exist_ok=True)
    with (places.base / "lock").open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
