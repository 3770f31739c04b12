"""A slurm.conf of the daemon's own, of which every command complains, beside the cluster's."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.real_slurm import untidy
from tests.real_slurm.configuration import write_wrappers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.real_slurm.cluster import RealCluster

CONTROL, BACKUP = "ControlMachine=nowhere\n", "BackupController=nowhere\n"
"""Lines that Slurm ignores, and says so."""


class ComplainingConf:
    """A copy of a cluster's slurm.conf that changes while the cluster runs on the original.

    Attributes:
        path: The copy.
        cluster: The cluster as its commands see it through the copy.
    """

    def __init__(self, cluster: RealCluster, folder: Path) -> None:
        self._original = cluster.conf
        self.path = cluster.conf.with_name("complaining.conf")
        self.cluster = replace(cluster, conf=self.path, bin_dir=folder / "bin")
        write_wrappers(self.cluster.bin_dir, self.path, cluster.root)

    def write(self, *lines: str) -> None:
        """Put lines before all others that Slurm ignores, or none."""
        fresh = self.path.with_suffix(".new")
        fresh.write_text("".join(lines) + untidy.tidied(self._original.read_text("utf-8")), "utf-8")
        fresh.replace(self.path)


@contextmanager
def complaining_conf(cluster: RealCluster, folder: Path) -> Iterator[ComplainingConf]:
    """Make the copy, of which no command complains yet; remove it at the end."""
    made = ComplainingConf(cluster, folder)
    made.write()
    try:
        yield made
    finally:
        made.path.unlink()
