"""A simulated Slurm: sacct, scontrol, sacctmgr and sdiag as real child processes over one SQLite file.

Tests, the demo and the workload generator write jobs with `SimCluster`; `install_commands` puts
commands into a folder that answer from it the way Slurm 20.11 to 26.05 does, with its oddities,
and that fail on request. Nothing here is used where a real Slurm is watched.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .database import Call, JobKey, SimCluster
    from .install import install_commands
    from .workload import Workload

__all__ = ["Call", "JobKey", "SimCluster", "Workload", "install_commands"]

_HOMES = {
    "Call": "database",
    "JobKey": "database",
    "SimCluster": "database",
    "Workload": "workload",
    "install_commands": "install",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is asked for: the stand-in commands need none of them."""
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    from importlib import import_module  # noqa: PLC0415 - nor this

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
