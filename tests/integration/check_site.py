"""A simulated site for `check` to look at, and users with fewer rights."""

import json
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from simslurm import SimCluster, install_commands
from tests.acceptance.process import free_port
from tests.integration.asked import run

OWN_NAME = pwd.getpwuid(os.geteuid()).pw_name


class Site:
    """A simulated Slurm, a configuration, and what `check` says of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cluster = SimCluster.create(folder / "slurm.db", version="24.11.5")
        self.bin = folder / "bin"
        install_commands(self.bin, self.cluster.path)
        self.port = free_port()
        self.more = ""
        self.no_bin_dir = False

    def ask(self, *arguments: object) -> tuple[int, dict[str, tuple[str, str, str]]]:
        """Return the exit code, and of each check its mark, text and what to do."""
        file = self.folder / "slurmwatchd.toml"
        file.write_text(
            f'[slurm]\nbin_dir = "{"" if self.no_bin_dir else self.bin}"\n{self.more}\n'
            f'[store]\npath = "{self.folder}/state/store.db"\n'
            f'[sinks.jobs]\ntype = "jsonl"\npath = "{self.folder}/log/jobs.jsonl"\n'
            f'[web]\nlisten = "127.0.0.1:{self.port}"\n'
        )
        # A service that is installed on the machine of the tests is none of theirs.
        ran = run("check", "--config", file, "--json", *(arguments or ("--unit", "")))
        told = json.loads(ran.out)
        assert told["ok"] is (ran.code == 0)
        return ran.code, {row["check"]: (row["mark"], row["text"], row["todo"]) for row in told["findings"]}


@contextmanager
def ordinary_user(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Be nobody special, as far as the program can tell."""
    with monkeypatch.context() as patch:
        patch.setattr("slurmwatchd.sources.sacctmgr.os.geteuid", lambda: 65534)
        yield


@contextmanager
def somebody_else() -> Iterator[None]:
    """Be nobody to the kernel too, where tests run as root, whom no folder stops."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
