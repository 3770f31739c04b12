"""The archive survives the death of its writer before any line; see `killed_archive.py`."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory, where there is one: hundreds of deaths, each with a dozen of syncs."""
    memory = Path("/dev/shm")
    base = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=base) as path:
        yield Path(path)


@pytest.mark.heavy
@pytest.mark.parametrize(("mode", "least"), [("exchange", 150), ("in-turn", 60)])
def test_killed_before_any_line_it_leaves_a_whole_archive_and_goes_on(folder: Path, mode: str, least: int) -> None:
    argv = [sys.executable, "-m", "tests.torture.killed_archive", str(folder), mode]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["faults"] == []
    assert report["deaths"] >= least
