"""The programs that are compared: this tree, and another commit in a worktree of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]
BASELINE = "10edf5e"
"""The commit that all targets are ratios to."""


@dataclass(frozen=True, slots=True)
class Program:
    """One slurmwatchd.

    Attributes:
        name: The commit, as a person wrote it.
        tree: Its checkout, with tests.
        library: Where it is installed, for PYTHONPATH.
    """

    name: str
    tree: Path
    library: Path

    def argv(self, command: str, *words: str) -> list[str]:
        """Return a command line of it."""
        return [sys.executable, "-m", "slurmwatchd", command, *words]

    def environment(self) -> dict[str, str]:
        """Return what it is run with: no settings of the caller's."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SLURMWATCHD_")}
        # Python would look for modules where it is started, too.
        return {**inherited, "PYTHONPATH": str(self.library), "PYTHONSAFEPATH": "1"}


THIS = Program("this tree", REPOSITORY, REPOSITORY)
"""As it is now, also while somebody edits it."""


@contextmanager
def compared(against: str = BASELINE) -> Iterator[tuple[Program, Program]]:
    """Give another commit and this tree, both installed, for a while."""
    with checkout(against) as other, tempfile.TemporaryDirectory() as name:
        now = _commit(REPOSITORY)
        yield (
            Program(against, other, _installed(other, Path(name) / "then")),
            Program(now, REPOSITORY, _installed(REPOSITORY, Path(name) / "now")),
        )


def _commit(tree: Path) -> str:
    """Return the commit of a checkout, with a plus where files differ from it."""
    git = ("git", "-C", str(tree))
    name = subprocess.run([*git, "rev-parse", "--short", "HEAD"], check=True, capture_output=True, text=True)
    changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "slurmwatchd"], check=False).returncode
    return name.stdout.strip() + ("+" if changed else "")


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """Check another commit out, for a while."""
    git = ("git", "-C", str(REPOSITORY), "worktree")
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), commit], check=True)
        try:
            _describe(tree)
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def _describe(tree: Path) -> None:
    """Give a checkout the entry points of its own: those that are installed are of this one."""
    with (tree / "pyproject.toml").open("rb") as file:
        groups = tomllib.load(file)["project"]["entry-points"]
    about = tree / "slurmwatchd-0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: slurmwatchd\nVersion: 0\n", encoding="utf-8")
    lines = [
        line
        for group, points in groups.items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in points.items()))
    ]
    (about / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _installed(tree: Path, library: Path) -> Path:
    """Install a program without what it needs, which is here."""
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--quiet",
        "--disable-pip-version-check",
        "install",
        "--no-deps",
        "--no-build-isolation",
    ]
    subprocess.run([*pip, "--target", str(library), str(tree)], check=True)
    return library
