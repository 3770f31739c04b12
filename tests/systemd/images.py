"""Debian suites as machines are installed from them: a base system with systemd, and nothing of ours."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.real_slurm.packages import CannotInstallError, announce, install, mirror

FOLDER_VARIABLE = "SYSTEMD_IMAGES"
_BOOTABLE = ("systemd", "systemd-sysv", "dbus")
_TOOLS = ("logrotate", "procps", "curl", "python3")
_MASKED = ("console-getty.service", "getty.target", "systemd-udevd.service", "systemd-journald-audit.socket")


def image(suite: str, *, bare: bool = False) -> Path:
    """Return the folder of a suite, unpacked where it is not yet.

    It is kept in `SYSTEMD_IMAGES`, or /var/cache/slurmwatchd-systemd, since unpacking takes minutes.

    Args:
        suite: Debian's name for it: `trixie`.
        bare: Whether it has nothing but what apt and systemd need, not even Python.

    Raises:
        CannotInstallError: This is not root, or debootstrap is not to be had or failed.
    """
    if os.geteuid() != 0:
        raise CannotInstallError("only root can boot a systemd")
    folder = Path(os.environ.get(FOLDER_VARIABLE) or "/var/cache/slurmwatchd-systemd")
    target = folder / (f"{suite}-bare" if bare else suite)
    if target.is_dir():
        return target
    install({"/usr/sbin/debootstrap": "debootstrap"})
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    announce(f"unpacking Debian {suite} into {target}")
    packages = ",".join(_BOOTABLE if bare else (*_BOOTABLE, *_TOOLS))
    argv = ["debootstrap", "--variant=minbase", f"--include={packages}", suite, str(partial), mirror()]
    done = subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise CannotInstallError(f"debootstrap {suite}: exit status {done.returncode}: {done.stdout[-300:]}")
    (partial / "etc/machine-id").write_text("")
    (partial / "etc/hostname").write_text("slurmhead\n")
    units = partial / "etc/systemd/system"
    for unit in _MASKED:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    partial.rename(target)
    return target
