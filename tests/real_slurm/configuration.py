"""Writes what a cluster is made of: Slurm's configuration, a slurmwatchd's, and wrappers of the commands."""

from __future__ import annotations

import os
import shlex
import socket
import string
from pathlib import Path
from typing import TYPE_CHECKING

from tests.real_slurm import untidy
from tests.real_slurm.cluster import COMMANDS
from tests.real_slurm.services import STORAGE_PASSWORD, STORAGE_USER, Services

if TYPE_CHECKING:
    from tests.real_slurm.releases import Places, Release
    from tests.real_slurm.roots import Root

TEMPLATES = Path(__file__).parent / "templates"
NODES = 8
PORTS = NODES + 3  # slurmctld, slurmdbd, slurmd each, the ready-made slurmwatchd
CREDENTIAL_SECONDS = 10
KEY_FILE = "jwt.key"
_KEY_BYTES = 32


def render(wanted: Release, places: Places, services: Services, first_port: int) -> dict[str, str]:
    """Fill in the templates: file name to text."""
    run = places.of(wanted)
    values = {
        "cluster": wanted.cluster,
        "host": socket.gethostname().partition(".")[0],
        "run": str(run),
        "munge_socket": str(services.munge_socket),
        "credential_seconds": str(CREDENTIAL_SECONDS),
        "controller_port": str(first_port),
        "dbd_port": str(first_port + 1),
        "first_node_port": str(first_port + 2),
        "last_node_port": str(first_port + 1 + NODES),
        "web_port": str(first_port + 2 + NODES),
        "database": wanted.database,
        "database_port": str(services.database_port),
        "storage_user": STORAGE_USER,
        "storage_password": STORAGE_PASSWORD,
        "bin_dir": str(places.bin_dir(wanted)),
        "conf": str(run / "etc" / "slurm.conf"),
        "token_key": str(run / "etc" / KEY_FILE),
        "watch": str(run / "watch"),
        "untidy_settings": untidy.settings(wanted),
        "node_settings": untidy.node_settings(wanted),
    }
    files = {
        path.stem: string.Template(path.read_text(encoding="utf-8")).substitute(values)
        for path in TEMPLATES.glob("*.in")
    }
    # Nothing here needs cgroups. 22.05 cannot disable them, but with v1 it does not look whether there are any.
    plugin = "disabled" if wanted.number >= (23, 11) else "cgroup/v1"
    return {**files, "cgroup.conf": f"CgroupPlugin={plugin}\n", "gres.conf": untidy.gres(run / "gpus")}


def differs(run: Path, files: dict[str, str]) -> bool:
    """Whether any file on disk is not what it should be."""
    return any(_read(run / "etc" / name) != text for name, text in files.items())


def lay_out(run: Path, files: dict[str, str], root: Root) -> None:
    """Make the run folder, owned by Slurm's user, and write the files into it."""
    uid, gid = root.user("slurm")
    for folder in ("etc", "state", "spool", "log", "watch", "gpus", "."):
        (run / folder).mkdir(parents=True, exist_ok=True)
        os.chown(run / folder, uid, gid)
    for device in untidy.DEVICES:
        (run / "gpus" / device).touch()
    for name, text in files.items():
        path = run / "etc" / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600 if name == "slurmdbd.conf" else 0o644)
        os.chown(path, uid, gid)
    key = run / "etc" / KEY_FILE
    if not key.exists():
        key.write_bytes(os.urandom(_KEY_BYTES))
    key.chmod(0o600)
    os.chown(key, uid, gid)


def write_wrappers(bin_dir: Path, conf: Path, root: Root, says: str = "", user: str = "") -> None:
    """Write a script a command, which runs it in its root with its own configuration.

    Args:
        bin_dir: Where to.
        conf: slurm.conf.
        root: Where Slurm's programs live.
        says: What each writes to stderr first.
        user: Who runs it, of that root; empty: the caller.
    """
    bin_dir.mkdir(parents=True, exist_ok=True)
    before = f"echo {shlex.quote(says)} >&2\n" if says else ""
    for command in COMMANDS:
        argv = " ".join(root.argv(f"/usr/bin/{command}", user=user))
        text = f'#!/bin/sh\n{before}SLURM_CONF={conf} exec {argv} "$@"\n'
        path = bin_dir / command
        if _read(path) != text:
            path.write_text(text, encoding="utf-8")
            path.chmod(0o755)


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None
