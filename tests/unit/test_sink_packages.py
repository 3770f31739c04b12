"""Sinks of other packages: a broken one is a mistake in the configuration that names it, and no traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import HANGS_SECONDS
from tests.sink_package import ONLY_ONCE, install


def ran(packages: Path, command: str, *sinks: str) -> tuple[int, str]:
    """Exit status of a command with these sinks configured, and what it says on stderr."""
    file = packages.parent / "slurmwatchd.toml"
    tables = "".join(f'[sinks.s{number}]\ntype = "{kind}"\n' for number, kind in enumerate(sinks, 1))
    file.write_text(f'[store]\npath = "{packages.parent}/state/store.db"\n[web]\nlisten = ""\n{tables}')
    done = subprocess.run(
        [sys.executable, "-m", "slurmwatchd", *command.split(), "--config", str(file)],
        check=False, capture_output=True, text=True, timeout=HANGS_SECONDS,
        # There is no sacct: nothing runs on, whatever is wrong.
        env={**os.environ, "PYTHONPATH": str(packages), "PATH": "/nowhere"}, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    return done.returncode, done.stderr.replace(str(file), "FILE")


BROKEN = "slurmwatchd: FILE: sinks.s1.type: mine (slurmwatchd_mine:KIND) cannot be loaded: "


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("KIND = 7", "it is an object of type int, not a SinkKind"),
        (
            "from slurmwatchd.sinks.base import SinkKind\nKIND = SinkKind(options=dict, make=print)",
            "its options, <class 'dict'>, are no subclass of SinkOptions",
        ),
    ],
    ids=["import", "error", "other object", "other options"],
)
def test_a_sink_that_cannot_be_loaded_is_named(tmp_path: Path, module: str, reason: str) -> None:
    packages = install(tmp_path / "packages", module)
    assert ran(packages, "check --config-only", "mine") == (78, f"{BROKEN}{reason}\n")


def test_the_daemon_does_not_start_with_a_sink_that_cannot_be_loaded(tmp_path: Path) -> None:
    reason = "ModuleNotFoundError: No module named 'slurmwatchd_mine'"
    assert ran(install(tmp_path / "packages", None), "run", "mine") == (78, f"{BROKEN}{reason}\n")


def test_a_broken_sink_that_is_not_configured_does_no_harm(tmp_path: Path) -> None:
    packages = install(tmp_path / "packages", "import no_such_library")
    assert ran(packages, "check --config-only", "terminal") == (0, "")
    types = "http, jsonl, kafka, mine, nats, prometheus, terminal"
    told = f"slurmwatchd: FILE: sinks.s1.type: must be one of {types}, not 'nonsense'\n"
    assert ran(packages, "check --config-only", "nonsense") == (78, told)


@pytest.mark.parametrize("command", ["check --config-only", "run"])
def test_a_sink_that_cannot_be_made_is_named(tmp_path: Path, command: str) -> None:
    packages = install(tmp_path / "packages", ONLY_ONCE)
    assert ran(packages, "check --config-only", "mine") == (0, "")
    told = "sinks.s2: this sink of type 'mine' cannot be made: RuntimeError: there is one already"
    assert ran(packages, command, "mine", "mine") == (78, f"slurmwatchd: {told}\n")
    assert not (tmp_path / "state").exists()
