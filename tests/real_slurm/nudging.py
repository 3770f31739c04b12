"""A real slurmctld that nudges a daemon at each end of a job, in the way that docs/operations.md describes."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.real_slurm.cluster import RealCluster

_PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
_SCRIPT = re.compile(r"```sh\n(#!/bin/sh\n# /etc/slurm/nudge-slurmwatchd.*?)```", re.DOTALL)
_SOCKET = "/var/lib/slurmwatchd/slurmwatchd.db.nudge"
_KEY = "EpilogSlurmctld"


def give_to_slurm(cluster: RealCluster, folder: Path) -> None:
    """Let SlurmUser own the folder of a store: a daemon of root's gives its socket to the folder's owner.

    Args:
        cluster: Whose SlurmUser.
        folder: Below `cluster.run_dir`, which slurmctld sees at the same path whatever root it lives in.
    """
    os.chown(folder, *cluster.root.user("slurm"))


@contextmanager
def nudged(cluster: RealCluster, socket: Path) -> Iterator[None]:
    """Have slurmctld run the page's script, for a while.

    Raises:
        LookupError: The page has no such script, or slurmctld does not take it.
    """
    match = _SCRIPT.search(_PAGE.read_text(encoding="utf-8"))
    if match is None or _SOCKET not in match[1]:
        raise LookupError(f"{_PAGE}: no script for {_KEY}")
    script = cluster.conf.with_name("nudge-slurmwatchd")
    script.write_text(match[1].replace(_SOCKET, str(socket)), encoding="utf-8")
    script.chmod(0o755)
    before = cluster.conf.read_text(encoding="utf-8")
    cluster.conf.write_text(f"{before}{_KEY}={script}\n", encoding="utf-8")
    try:
        # Slurm 22.05 looks only at its start whether there is such a script.
        cluster.restart_slurmctld()
        if str(script) not in cluster.run("scontrol", "show", "config").stdout:
            raise LookupError(f"slurmctld does not run {script}")
        yield
    finally:
        cluster.conf.write_text(before, encoding="utf-8")
        cluster.restart_slurmctld()
