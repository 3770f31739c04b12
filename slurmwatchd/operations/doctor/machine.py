"""Files and the port: can the service write its files, on a disk of this machine, and is there room?"""

import os
import shlex
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from slurmwatchd.config.file_systems import NETWORK_TYPES, kind_of
from slurmwatchd.config.paths import is_there
from slurmwatchd.config.settings import Config
from slurmwatchd.config.units import split_address, spoken_duration
from slurmwatchd.errors import StoreBusyError, StoreError
from slurmwatchd.operations.doctor.findings import Finding, failed, ok, warning
from slurmwatchd.sources.sacctmgr import process_user
from slurmwatchd.store.archive import layout
from slurmwatchd.store.read import status
from slurmwatchd.store.read.reader import StoreReader

LITTLE_BYTES = 1 << 30
NO_BYTES = 64 << 20

_AS_SERVICE = "run this check as the service's user"


def examine(config: Config, daemon_at: Callable[[], int | None]) -> Iterator[Finding]:
    """Look at the store, the sinks' files and the web address.

    Args:
        config: Where they are.
        daemon_at: Returns the process that answers at the web address and has the store; None where it is not one.
    """
    yield from _allowed("store", config.store.path, _store(config))
    for name, options in config.sinks.items():
        for file in map(Path, getattr(options, "files", tuple)()):
            yield from _allowed(f"sink {name}", file, _sink(f"sink {name}", file))
    if config.archive.folder is not None:
        yield from _allowed("archive", config.archive.folder, _archive(config.archive.folder))
    yield _port(config.web.listen, daemon_at)


def _allowed(check: str, path: Path, findings: Iterator[Finding]) -> Iterator[Finding]:
    """Give findings about a file; where the user may not even look for it, say who forbids it."""
    try:
        yield from findings
    except PermissionError:
        text = f"{path} cannot be checked: no permission to enter {_closed(path.absolute())}"
        yield failed(check, text, f"let the user {process_user()} in, or {_AS_SERVICE}")


def _closed(path: Path) -> Path:
    """Return the folder on the way to a file that lets no one look inside."""
    for step in reversed(path.parents):
        try:
            step.stat()
        except PermissionError:
            return step.parent
    return path.parent


def _store(config: Config) -> Iterator[Finding]:
    path, now = config.store.path, int(time.time())
    if is_there(path):
        slurm, held = config.slurm, dict[str, int]()
        try:
            with StoreReader(path) as store, suppress(StoreBusyError):
                held |= status.held(store, slurm.clusters, slurm.conf, retain=config.store.retain, now=now)
        except StoreError as error:
            yield failed("store", str(error), "set another file in store.path, or move this one away")
            return
        for cluster, seconds in held.items():
            over = spoken_duration(seconds)
            text = f"attempts of {cluster} stay {over} longer than store.retain, since later ones are not read yet"
            yield warning("retention", text, f"see slurmwatchd status; {status.LET_GO}")
    yield from _file("store", path, on_network=failed)


def _sink(check: str, path: Path) -> Iterator[Finding]:
    if path.is_dir():
        yield failed(check, f"{path} is a folder", "set a file in it")
        return
    yield from _file(check, path, on_network=warning)


def _archive(folder: Path) -> Iterator[Finding]:
    """Look at the dataset and the folder beside it: both are made below the same one, and are on one disk."""
    beside = layout.beside(folder)
    for path in (folder, beside):
        if is_there(path) and not path.is_dir():
            yield failed("archive", f"{path} is not a folder", "set another folder in archive.path")
            return
    if os.path.ismount(folder):
        text = f"{folder} is a mount point, so that no file can be moved to it from {beside}"
        yield failed("archive", text, "set a folder in it in archive.path")
        return
    closed = [path for path in (folder, beside) if is_there(path) and not os.access(path, os.W_OK | os.X_OK)]
    if closed:
        todo = f"let the user {process_user()} write there, or {_AS_SERVICE}"
        yield failed("archive", f"{folder} cannot be written: {closed[0]} forbids it", todo)
        return
    yield from _file("archive", beside if is_there(folder) else folder, on_network=warning)


def _file(check: str, path: Path, *, on_network: Callable[[str, str, str], Finding]) -> Iterator[Finding]:
    """Look at where a file is, or will be made."""
    folder = next(parent for parent in path.absolute().parents if is_there(parent))
    if not folder.is_dir():
        yield failed(check, f"{folder} is not a folder", "choose another path")
        return
    target = path if is_there(path) else folder
    if not os.access(target, os.W_OK | (os.X_OK if target is folder else 0)) or not os.access(folder, os.W_OK):
        yield failed(check, f"{path} cannot be written: {target} forbids it", _todo(path, folder))
        return
    kind = kind_of(folder)
    if kind in NETWORK_TYPES:
        yield on_network(check, f"{folder} is on another machine ({kind})", "put it on a local disk")
        return
    yield _room(check, path, folder, kind)


def _todo(path: Path, folder: Path) -> str:
    """Say how the user comes to write a file; a folder above the missing one is not to be theirs for that."""
    if folder == path.absolute().parent:
        return f"let the user {process_user()} write there, or {_AS_SERVICE}"
    missing = shlex.quote(str(path.absolute().parent))
    return f"as root: install -d -o {process_user()} -m 0750 {missing}; or {_AS_SERVICE}"


def _room(check: str, path: Path, folder: Path, kind: str) -> Finding:
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    gigabytes = f"{free / (1 << 30):.1f} GiB free"
    text = f"{path}: writable, {kind or 'file system not known'}, {gigabytes}"
    if free < NO_BYTES or (found.f_files and not found.f_favail):
        return failed(check, f"{path}: its disk is full: {gigabytes}", "free space, or choose another disk")
    if free < LITTLE_BYTES:
        return warning(check, text, "free space: a million attempts need about a gigabyte")
    return ok(check, text)


def _port(listen: str, daemon_at: Callable[[], int | None]) -> Finding:
    if not listen:
        return ok("port", "no web server is configured")
    host, port = split_address(listen)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
        except OSError as error:
            if (pid := daemon_at()) is not None:
                return ok("port", f"{listen} is in use by slurmwatchd itself, pid {pid}")
            return failed("port", f"{listen}: {error.strerror}", "set another address in web.listen")
    return ok("port", f"{listen} is free")
