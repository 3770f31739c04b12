"""The Slurm releases the tests run on, and where each keeps its files on this machine.

Nothing here starts or installs anything: `packages` installs, `bringup` starts.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

BASE_VARIABLE = "REAL_SLURM_BASE"
CACHE_VARIABLE = "REAL_SLURM_CACHE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One Slurm release, the Debian suite that carries it, and the cluster's name."""

    version: str
    suite: str
    cluster: str

    @property
    def number(self) -> tuple[int, int]:
        """The release as numbers that compare: `(24, 11)`."""
        year, month = self.version.split(".")
        return int(year), int(month)

    @property
    def database(self) -> str:
        """The name of its slurmdbd's database."""
        return f"slurm_{self.cluster}"


RELEASES = {
    release.version: release
    for release in (
        Release(version="22.05", suite="bookworm", cluster="larch"),
        Release(version="24.11", suite="trixie", cluster="maple"),
        Release(version="26.05", suite="sid", cluster="rowan"),
    )
}


def release(version: str) -> Release:
    """Find a release by its version.

    Raises:
        ValueError: There is no such release here.
    """
    try:
        return RELEASES[version]
    except KeyError:
        raise ValueError(f"no Slurm {version} here: choose from {', '.join(RELEASES)}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The folders of one base: everything the clusters write is below `base`.

    `run` is bound into the chroots at its own path, so a path below it means the same inside and outside.
    """

    base: Path
    cache: Path

    @classmethod
    def from_environment(cls) -> Places:
        """Take the folders from the environment, else from the temporary folder."""
        base = Path(os.environ.get(BASE_VARIABLE) or Path(tempfile.gettempdir()) / "slurmwatchd-real-slurm")
        cache = Path(os.environ.get(CACHE_VARIABLE) or base / "cache")
        return cls(base=base.absolute(), cache=cache.absolute())

    @property
    def run(self) -> Path:
        """What lives as long as the daemons do: configuration, state, sockets, logs."""
        return self.base / "run"

    def of(self, release: Release) -> Path:
        """The run folder of one release."""
        return self.run / release.version

    def bin_dir(self, release: Release) -> Path:
        """The folder of wrappers (`sacct`, `sbatch` ...) of one release."""
        return self.base / f"bin-{release.version}"

    def chroot(self, release: Release) -> Path:
        """Where a release that is not the host's own is unpacked."""
        return self.cache / f"debian-{release.suite}"
