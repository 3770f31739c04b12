"""Installs Debian packages on the host and whole Debian suites into folders.

The mirror is the one this machine's apt already uses, or `REAL_SLURM_MIRROR`.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MIRROR_VARIABLE = "REAL_SLURM_MIRROR"
SOURCES = Path("/etc/apt")
POLICY = Path("/usr/sbin/policy-rc.d")
SLURM_PACKAGES = ("slurm-wlm", "slurmdbd", "slurm-client", "slurm-wlm-jwt-plugin")
INSTALL_TIMEOUT_SECONDS = 1200
APT_OPTIONS = ("-y", "-q", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300")


class CannotInstallError(Exception):
    """The software could not be had: no network, no package, no room. Says nothing about Slurm itself."""


def install(commands: dict[str, str]) -> None:
    """Install on the host the packages whose command is not there yet.

    Args:
        commands: Absolute path of a command to the package that brings it.

    Raises:
        CannotInstallError: apt failed; the message carries the end of what it printed.
    """
    missing = sorted({package for command, package in commands.items() if not Path(command).exists()})
    if not missing:
        return
    announce(f"installing {' '.join(missing)}")
    with _services_stay_down():
        argv = ["/usr/bin/apt-get", "install", *APT_OPTIONS, *missing]
        if not _succeeds(argv):
            _run(["/usr/bin/apt-get", "update", "-q"])
            _run(argv)
    absent = [command for command in commands if not Path(command).exists()]
    if absent:
        raise CannotInstallError(f"installed {' '.join(missing)}, yet {', '.join(absent)} is not there")


def unpack_suite(suite: str, target: Path) -> None:
    """Unpack a Debian suite with Slurm in it into a folder, all or nothing.

    Raises:
        CannotInstallError: debootstrap failed, or no mirror is known.
    """
    if target.is_dir():
        return
    install({"/usr/sbin/debootstrap": "debootstrap"})
    partial = target.with_name(target.name + ".partial")
    _discard(partial)
    partial.parent.mkdir(parents=True, exist_ok=True)
    announce(f"unpacking Debian {suite} into {target}")
    include = "--include=" + ",".join(SLURM_PACKAGES)
    try:
        _run(["/usr/sbin/debootstrap", "--variant=minbase", include, suite, str(partial), mirror()])
    except CannotInstallError:
        _discard(partial)
        raise
    shutil.rmtree(partial / "var/cache/apt/archives", ignore_errors=True)
    partial.rename(target)


def mirror() -> str:
    """The Debian mirror: from the environment, else the first one in apt's own sources.

    Raises:
        CannotInstallError: Neither names one.
    """
    named = os.environ.get(MIRROR_VARIABLE)
    if named:
        return named
    files = [*SOURCES.glob("sources.list.d/*.sources"), SOURCES / "sources.list"]
    files += SOURCES.glob("sources.list.d/*.list")
    for path in sorted(files, key=lambda file: "debian" not in file.name):
        if path.is_file():
            found = re.search(
                r"^(?:URIs:\s*|deb\s+(?:\[[^]]*\]\s+)?)(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE
            )
            if found:
                return found[1]
    raise CannotInstallError(f"no Debian mirror in {SOURCES}: set {MIRROR_VARIABLE}")


def announce(text: str) -> None:
    """Say on standard error what takes its time."""
    sys.stderr.write(f"real-slurm: {text}\n")
    sys.stderr.flush()


@contextlib.contextmanager
def _services_stay_down() -> Iterator[None]:
    """Forbid, while packages are installed, that their scripts start a system-wide service."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)


def _discard(folder: Path) -> None:
    """Remove a half-made root; debootstrap may have left its own mounts below it."""
    if not folder.exists():
        return
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    below = [line.split()[4] for line in mounts if line.split()[4].startswith(f"{folder}/")]
    for point in reversed(below):
        subprocess.run(["/usr/bin/umount", "--lazy", point], check=False, stdin=subprocess.DEVNULL)
    shutil.rmtree(folder)


def _succeeds(argv: list[str]) -> bool:
    try:
        _run(argv)
    except CannotInstallError:
        return False
    return True


def _run(argv: list[str]) -> None:
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C")
    try:
        done = subprocess.run(
            argv,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            timeout=INSTALL_TIMEOUT_SECONDS,
            encoding="utf-8",
            errors="replace",
        )
    except FileNotFoundError as error:
        raise CannotInstallError(f"{argv[0]} is not here: this needs a Debian machine") from error
    except subprocess.TimeoutExpired as error:
        raise CannotInstallError(f"{' '.join(argv)}: no end after {INSTALL_TIMEOUT_SECONDS} s") from error
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-15:])
        raise CannotInstallError(f"{' '.join(argv)}: exit {done.returncode}\n{tail}")
