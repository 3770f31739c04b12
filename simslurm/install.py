"""Puts the stand-in commands into a folder, each a script that carries all it needs."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

COMMANDS = ("sacct", "scontrol", "sacctmgr", "sdiag")

# -I and -S keep Python from looking at the environment and at site-packages: half the start-up time.
_SCRIPT = """\
#!/bin/sh
exec {python} -I -S -c {program} "$0" "$@"
"""
_PROGRAM = "import sys; sys.path.append({root!r}); from {module} import main; main({database!r}, {version!r})"


def install_commands(
    bin_dir: str | os.PathLike[str], database_path: str | os.PathLike[str], *, version: str | None = None
) -> None:
    """Write `sacct`, `scontrol`, `sacctmgr` and `sdiag` into a folder.

    Args:
        bin_dir: The folder; it is made where it is missing.
        database_path: The simulated accounting database they ask.
        version: The Slurm they play, whatever the database says; None follows the database.
    """
    folder = Path(bin_dir)
    folder.mkdir(parents=True, exist_ok=True)
    package = __name__.rpartition(".")[0]
    root = Path(__file__).resolve().parents[package.count(".") + 1]
    for command in COMMANDS:
        program = _PROGRAM.format(
            root=str(root),
            module=f"{package}.{command}",
            database=str(Path(database_path).resolve()),
            version=version,
        )
        script = folder / command
        # Written beside and renamed, so that no one runs half a script.
        fresh = folder / f".{command}.new"
        fresh.write_text(_SCRIPT.format(python=shlex.quote(sys.executable), program=shlex.quote(program)))
        fresh.chmod(0o755)
        fresh.replace(script)
