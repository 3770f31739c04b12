"""From `exec` to the first sacct, and what a `once` costs that gets no further, since its sacct fails at once."""

from __future__ import annotations

import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.configuration import written
from tests.bench.measuring import ended

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.programs import Program
    from tests.bench.results import Result
    from tests.bench.setting import Setting

ROUNDS = 3
"""Times as many pairs as of long runs."""


@dataclass(frozen=True, slots=True)
class Start:
    """What passed until the first sacct, in seconds, and the CPU seconds of the whole process."""

    wall: float
    cpu: float


def measure(setting: Setting) -> Iterator[Result]:
    """Start both in turn; the first of each, which compiles its modules, does not count."""
    for program in setting.programs:
        start(program)
    watch = setting.stopwatch("")
    found: tuple[list[Start], list[Start]] = ([], [])
    for _ in range(ROUNDS * setting.pairs):
        for program, its in zip(setting.programs, found, strict=True):
            its.append(start(program))
    walls = [[one.wall * 1000 for one in its] for its in found]
    yield watch.result("start", 0, *walls, against=setting.then.name)
    yield watch.result(
        "start-cpu", 0, *[[one.cpu * 1000 for one in its] for its in found], against=setting.then.name
    )


def start(program: Program) -> Start:
    """Run a `once` whose commands only note when they were first called."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bin").mkdir()
        for command in ("sacct", "scontrol", "sdiag", "sacctmgr"):
            # The shell makes the file by itself, without another process.
            note = f"[ -e {folder}/called ] || : >{folder}/called\n" if command == "sacct" else ""
            script = folder / "bin" / command
            script.write_text(f"#!/bin/sh\n{note}exit 1\n", encoding="utf-8")
            script.chmod(0o755)
        config = written(folder, folder / "bin")
        began = time.time()
        process = subprocess.Popen(
            program.argv("once", "--config", str(config)),
            cwd=folder,
            env=program.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        used = ended(process)
        return Start((folder / "called").stat().st_mtime - began, used)
