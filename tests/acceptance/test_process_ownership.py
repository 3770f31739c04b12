"""Files that root made, and files that the service may not open: given away, or named with what root does."""

import grp
import os
import pwd
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.process import DaemonProcess
from tests.integration.asked import run

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")

NOBODY = pwd.getpwuid(65534)
GROUP = grp.getgrgid(os.getegid()).gr_name


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may enter, with modules loaded that another user could not read."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@contextmanager
def as_nobody() -> Iterator[None]:
    """Be another user altogether: the real one too, by which `access` judges; the saved one leads back."""
    os.setresuid(NOBODY.pw_uid, NOBODY.pw_uid, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


def configuration(folder: Path) -> Path:
    file = folder / "slurmwatchd.toml"
    file.write_text(
        f'[slurm]\nbin_dir = "{folder}/bin"\n[store]\npath = "{folder}/state/store.db"\n[web]\nlisten = ""\n'
        f'[sinks.jobs]\ntype = "jsonl"\npath = "{folder}/log/jobs.jsonl"\n'
    )
    return file


def test_what_root_makes_in_the_services_folders_is_the_services(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        for made in (daemon.store.parent, daemon.file.parent):
            made.mkdir()
            os.chown(made, NOBODY.pw_uid, NOBODY.pw_gid)
        daemon.ended(job_name="one")
        done = daemon.run("once")
        assert done.returncode == 0, done.stderr
        files = [*daemon.store.parent.iterdir(), *daemon.file.parent.iterdir()]
        assert {file.name for file in files} == {"slurmwatchd.db", "slurmwatchd.db.lock", "jobs.jsonl"}
        assert {(file.owner(), file.stat().st_gid) for file in files} == {(NOBODY.pw_name, NOBODY.pw_gid)}


def test_files_beside_an_open_store_belong_to_its_owner(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.store.parent.mkdir()
        os.chown(daemon.store.parent, NOBODY.pw_uid, NOBODY.pw_gid)
        daemon.start_ready()
        names = {file.name: file.owner() for file in daemon.store.parent.iterdir()}
        endings = ("", "-wal", "-shm", ".lock", ".nudge")
        assert names == dict.fromkeys([f"slurmwatchd.db{ending}" for ending in endings], NOBODY.pw_name)


def test_what_root_makes_in_folders_of_its_own_stays_its_own(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        assert daemon.run("once").returncode == 0
        assert {file.owner() for file in daemon.store.parent.iterdir()} == {"root"}


def test_a_configuration_that_the_user_may_not_read(folder: Path) -> None:
    file = configuration(folder)
    assert run("check", "--config-only", "--config", file).code == 0
    file.chmod(0o600)
    with as_nobody():
        ran = run("check", "--config-only", "--config", file)
    assert ran.code == 78
    assert ran.err == (
        f"slurmwatchd: {file}: cannot be read: Permission denied: {file} (root:{GROUP}, mode 0600) is closed to "
        f"the user {NOBODY.pw_name}; as root: chgrp {GROUP} {file} && chmod g+r {file}\n"
    )
    file.chmod(0o644)
    folder.chmod(0o700)
    with as_nobody():
        ran = run("check", "--config-only", "--config", file)
    folder.chmod(0o755)
    assert ran.code == 78
    assert f"as root: chgrp {GROUP} {folder} && chmod g+rx {folder}\n" in ran.err


@pytest.mark.parametrize("closed", ["store.db", "store.db.lock", "store.db-wal", "."])
def test_a_store_that_the_user_may_not_open_names_the_file_and_chown(folder: Path, closed: str) -> None:
    file = configuration(folder)
    state = folder / "state"
    state.mkdir()
    for name in ("store.db", "store.db.lock", "store.db-wal"):
        (state / name).touch()
        os.chown(state / name, NOBODY.pw_uid, NOBODY.pw_gid)
    os.chown(state, NOBODY.pw_uid, NOBODY.pw_gid)
    sacct = folder / "bin" / "sacct"
    sacct.parent.mkdir()
    sacct.write_text("#!/bin/sh\n")
    sacct.chmod(0o755)
    target = state / closed
    os.chown(target, 0, 0)
    target.chmod(0o755 if closed == "." else 0o640)
    # Modules are loaded by root once, as the other user need not be able to read the library.
    assert run("run", "--config", file, "--store", folder).code == 1
    with as_nobody():
        ran = run("run", "--config", file)
    mode = "0755" if closed == "." else "0640"
    assert ran.code == 1
    assert ran.err == (
        f"slurmwatchd: {target}: cannot be opened: Permission denied: {target} (root:root, mode {mode}) is closed "
        f"to the user {NOBODY.pw_name}; as root: chown {NOBODY.pw_name}: {target}\n"
    )
