"""A second, small cluster on the slurmdbd of one that is up: what `-M` is for."""

from __future__ import annotations

import os
import re
import shutil
import signal
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.real_slurm import configuration, untidy
from tests.real_slurm.daemons import Daemon, find_jobs, wait_until
from tests.real_slurm.ports import free_block

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.real_slurm.cluster import RealCluster

NODES = 2
NAME = "willow"


@contextmanager
def second_cluster(first: RealCluster) -> Iterator[RealCluster]:
    """Bring up a slurmctld and two slurmd that account to the first one's slurmdbd; end them afterwards.

    Raises:
        ClusterError: They do not come up.
    """
    cluster = _lay_out(first)
    daemons = _daemons(cluster)
    for what in (("cluster", NAME), ("account", "physics"), ("user", "root", "account=physics")):
        where = () if what[0] == "cluster" else (f"cluster={NAME}",)
        first.run("sacctmgr", "-i", "add", *what, *where, check=False)
    try:
        for daemon in daemons:
            daemon.start()
        wait_until(lambda: _nodes(cluster) == NODES, f"{NODES} nodes of {NAME}", explain=daemons[0].tail)
        yield cluster
    finally:
        _end(cluster)


def _end(cluster: RealCluster) -> None:
    """End its jobs and daemons at once; those of an earlier call that was cut short too."""
    for pid in find_jobs(cluster.run_dir, f"SLURM_CONF={cluster.conf}"):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for daemon in _daemons(cluster):
        daemon.stop(signal.SIGKILL)


def _nodes(cluster: RealCluster) -> int:
    answer = cluster.run("sinfo", "-h", "-t", "idle", "-p", "main", "-o", "%D", check=False)
    return sum(int(line) for line in answer.stdout.split())


def _lay_out(first: RealCluster) -> RealCluster:
    """Write the second cluster's configuration: the first one's, with names, folders and ports of its own."""
    run = first.run_dir / "second"
    cluster = replace(
        first,
        release=replace(first.release, cluster=NAME),
        run_dir=run,
        bin_dir=first.bin_dir.with_name(f"{first.bin_dir.name}-second"),
        conf=run / "etc" / "slurm.conf",
    )
    _end(cluster)
    shutil.rmtree(run, ignore_errors=True)
    port = free_block(NODES + 1)
    text = first.conf.read_text(encoding="utf-8").replace(f"{first.run_dir}/", f"{run}/")
    for pattern, filled in (
        (rf"\b{first.name}\[1-8\]", f"{NAME}[1-{NODES}]"),
        (rf"\b{first.name}\b", NAME),
        (r"SlurmctldPort=\d+", f"SlurmctldPort={port}"),
        (r"Port=\[[^]]*\]", f"Port=[{port + 1}-{port + NODES}]"),
    ):
        text = re.sub(pattern, filled, text)
    others = {
        name: (first.conf.parent / name).read_text(encoding="utf-8") for name in ("cgroup.conf", "gres.conf")
    }
    configuration.lay_out(run, {"slurm.conf": text, **others}, first.root)
    configuration.write_wrappers(cluster.bin_dir, cluster.conf, first.root, untidy.habits(first.release).wrapper)
    return cluster


def _daemons(cluster: RealCluster) -> list[Daemon]:
    """slurmctld and the slurmds, in the order they start."""

    def daemon(program: str, log: str, *options: str) -> Daemon:
        return Daemon(
            name=program,
            argv=tuple(cluster.root.argv(f"/usr/sbin/{program}", *options)),
            pid_file=cluster.run_dir / f"{log}.pid",
            marks=(f"SLURM_CONF={cluster.conf}", *options[1:]),
            log=cluster.run_dir / "log" / f"{log}.log",
            environment=(("SLURM_CONF", str(cluster.conf)),),
        )

    nodes = [f"{NAME}{number}" for number in range(1, NODES + 1)]
    return [daemon("slurmctld", "slurmctld"), *(daemon("slurmd", f"slurmd-{node}", "-N", node) for node in nodes)]
