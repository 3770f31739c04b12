"""What real sites have and clean clusters lack, spread over the releases so that all of it is somewhere.

Every cluster has typed GPUs, MIG names with points and licences. What each has besides stands in `HABITS`; nothing
of it is wrong enough to stop Slurm, and nothing of it may stop a daemon that watches.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.real_slurm.releases import Release

TIDY_VARIABLE = "REAL_SLURM_TIDY"
"""Set to 1, no command complains of anything: neither slurm.conf nor a wrapper."""

GPU, MIG = "a100", "a100_1g.5gb"
GPUS, MIGS = 4, 7
"""Of each node."""

LICENCE, LICENCES = "matlab", 50

EVERYWHERE = f"""
GresTypes=gpu
AccountingStorageTRES=gres/gpu,gres/gpu:{GPU},gres/gpu:{MIG},license/{LICENCE}
Licenses={LICENCE}:{LICENCES}
"""

DEVICES = tuple(f"{kind}-{number}" for kind, count in ((GPU, GPUS), (MIG, MIGS)) for number in range(count))
"""Empty files that stand for the GPUs: slurmd counts none that has no file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What one cluster does in its own way.

    Attributes:
        old_controller: slurm.conf has `ControlMachine` beside `SlurmctldHost`, of which every command complains.
        topology: What slurm.conf says of each node's processors; 22.05 complains where they do not multiply.
        wrapper: What the site's wrapper of each command writes to stderr; empty for none.
        cron: Whether users may have cron jobs.
    """

    old_controller: bool
    topology: str
    wrapper: str
    cron: bool


_TIDY = "CPUs=16"
# Of this 22.05 complains, and makes them the 16 they are.
_NONSENSE = "CPUs=17 Sockets=2 CoresPerSocket=8 ThreadsPerCore=1"

HABITS = {
    "22.05": Habits(old_controller=True, topology=_NONSENSE, wrapper="", cron=False),
    "24.11": Habits(
        old_controller=False, topology=_TIDY, wrapper="site: Slurm moves to new hosts on Monday", cron=True
    ),
    "26.05": Habits(old_controller=True, topology=_TIDY, wrapper="", cron=True),
}


def habits(release: Release) -> Habits:
    """What a release's cluster does; nothing that draws a complaint where the environment asks for tidy ones."""
    found = HABITS[release.version]
    if os.environ.get(TIDY_VARIABLE) == "1":
        return Habits(old_controller=False, topology=_TIDY, wrapper="", cron=found.cron)
    return found


def settings(release: Release) -> str:
    """The lines of slurm.conf that make a cluster untidy."""
    found = habits(release)
    lines = EVERYWHERE
    if found.old_controller:
        lines += "ControlMachine=retired\n"
    if found.cron:
        lines += "ScronParameters=enable\n"
    return lines.strip()


def tidied(conf: str) -> str:
    """Take out of a slurm.conf what commands complain of."""
    return re.sub(r"(?m)^ControlMachine=.*\n", "", conf).replace(_NONSENSE, _TIDY)


def gres(folder: Path) -> str:
    """Write gres.conf.

    Args:
        folder: Where the files of `DEVICES` are.
    """
    return "".join(
        f"Name=gpu Type={kind} File={folder}/{kind}-[0-{count - 1}]\n"
        for kind, count in ((GPU, GPUS), (MIG, MIGS))
    )


def node_settings(release: Release) -> str:
    """What slurm.conf says of each node besides its name and its port."""
    return f"{habits(release).topology} Gres=gpu:{GPU}:{GPUS},gpu:{MIG}:{MIGS}"
