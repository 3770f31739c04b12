"""The service's unit, as `check` compares with it: is it about this configuration, and what does it start with?"""

import os
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click

from slurmwatchd.config.paths import config_path
from slurmwatchd.config.settings import PREFIX
from slurmwatchd.operations.doctor import unit as units
from slurmwatchd.operations.doctor.findings import Finding, failed, ok, warning
from slurmwatchd.operations.doctor.service import CHECK
from slurmwatchd.operations.doctor.unit import DEFAULT_NAME, Unit

_SYSTEMD = Path("/run/systemd/system")
_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Service:
    """A service whose unit reads the configuration in question.

    Attributes:
        unit: Its unit.
        flags: What its command line overrides.
    """

    unit: Unit
    flags: Mapping[str, str | None]

    def environ(self, shell: Mapping[str, str]) -> dict[str, str]:
        """Return the environment for reading the configuration: the shell's, with the service's own variables."""
        ours = {name: value for name, value in shell.items() if not name.startswith(PREFIX)}
        return ours | {name: value for name, value in self.unit.environment.items() if name.startswith(PREFIX)}


def service_of(name: str, file: Path | None, findings: list[Finding]) -> Service | None:
    """Return the service to compare with; None where there is none, and why among the findings.

    Args:
        name: Of the unit, or the path of a unit file; empty: no comparing.
        file: The configuration file of this check.
        findings: Where to note what is to be said.
    """
    if not name:
        return None
    try:
        unit = units.find(name, manager=_manager_environment())
    except OSError as error:
        findings.append(failed(CHECK, f"{name}: {error.strerror}", "set another in --unit"))
        return None
    if unit is None:
        text = f"{name} is not installed here: checked in this shell's environment, without a sandbox"
        findings.append(ok(CHECK, text) if name == DEFAULT_NAME else failed(CHECK, text, "set another in --unit"))
        return None
    flags = _flags(unit, findings)
    if flags is None:
        return None
    named = flags.get("path")
    theirs = Path(named) if named else config_path(unit.environment)
    if _real(theirs) != _real(file):
        text = f"{unit.name} reads {theirs or 'no file'}, and this check {file or 'none'}: not compared"
        findings.append(warning(CHECK, text, f"to check the service: slurmwatchd check --config {theirs}"))
        return None
    if _needs_reload(unit):
        text = f"{unit.name} changed on disk, but systemd has not loaded it yet"
        findings.append(warning(CHECK, text, "as root: systemctl daemon-reload, then systemctl restart it"))
    return Service(unit, {key: value for key, value in flags.items() if key != "path"})


def _flags(unit: Unit, findings: list[Finding]) -> dict[str, str | None] | None:
    """Return the flags of `slurmwatchd run` in the unit; None where it can never start."""
    # It brings the whole daemon along, which most of this has no use for.
    from slurmwatchd.cli.commands import run  # noqa: PLC0415

    lines = unit.commands("ExecStart")
    if not lines:
        findings.append(failed(CHECK, f"{unit.name} has no ExecStart", "install packaging/systemd/"))
        return None
    words = lines[-1]
    if "run" not in words:
        text = f"{unit.name} starts {words[0]}, which is not `slurmwatchd run`: what it adds is unknown"
        findings.append(warning(CHECK, text, "check that it passes on what slurmwatchd needs"))
        return {}
    try:
        context = run.command.make_context("run", words[words.index("run") + 1 :])
    except click.ClickException as error:
        text = f"{unit.name}: ExecStart's command line is wrong: {error.format_message()}"
        findings.append(failed(CHECK, text, f"as root: systemctl edit {unit.name}"))
        return None
    return {name: None if value is None else str(value) for name, value in context.params.items()}


def _manager_environment() -> dict[str, str]:
    """Return what systemd hands on to every service; nothing where it does not run or does not say."""
    found = {}
    for line in _systemctl("show-environment").splitlines():
        name, _, value = line.partition("=")
        # Values of another kind are quoted, and none that matters here is.
        if name and not value.startswith("$'"):
            found[name] = value
    return found


def _needs_reload(unit: Unit) -> bool:
    return _systemctl("show", unit.name, "-P", "NeedDaemonReload").strip() == "yes"


def _systemctl(*arguments: str) -> str:
    if not _SYSTEMD.is_dir():
        return ""
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            ["systemctl", "--no-pager", *arguments],  # noqa: S607 - where the system has it
            check=True, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return done.stdout
    return ""


def _real(path: Path | None) -> str:
    return os.path.realpath(path) if path else ""
