"""The blocks of commands in docs/install.md: which test runs each as it stands, or why no test can."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.systemd import breaks

if TYPE_CHECKING:
    from tests.systemd.machine import Machine

PAGE = "docs/install.md"


@dataclass(frozen=True, slots=True)
class NotRun:
    """A block that no test runs.

    Attributes:
        reason: Why not.
    """

    reason: str


RUN_BY: dict[str, str | NotRun] = {
    "apt-get install ./dist/slurmwatchd_*_all.deb": "test_an_upgrade_starts_it_again_with_events_on_their_way",
    "apt-get install ./dist/slurmwatchd_*~deb12_*.deb": "test_an_upgrade_starts_it_again_with_events_on_their_way",
    "runuser -u slurmwatchd -- slurmwatchd check": "test_it_becomes_ready_once_enabled",
    "dnf install ./dist/slurmwatchd-*.rpm": NotRun(
        "needs an Enterprise Linux; test_rpm installs the file with rpm on a Debian and runs its service"
    ),
    "python3 -m venv /opt/slurmwatchd": "test_a_clone_installed_step_by_step_delivers",
    "python3.11 -m pip wheel --wheel-dir wheelhouse .                                  # there": (
        "test_a_clone_installed_step_by_step_delivers"
    ),
    "/opt/slurmwatchd/bin/slurmwatchd install-service": "test_a_clone_installed_step_by_step_delivers",
    "install -m 0644 packaging/systemd/slurmwatchd.sysusers.conf /usr/lib/sysusers.d/slurmwatchd.conf": (
        "test_a_clone_installed_step_by_step_delivers"
    ),
    "sacctmgr add user slurmwatchd account=root adminlevel=Operator": (
        "test_a_clone_installed_step_by_step_delivers"
    ),
    "runuser -u slurmwatchd -- sacct -a -X -S now-1hour | wc -l": "test_a_clone_installed_step_by_step_delivers",
    "install -D -m 0644 packaging/slurmwatchd.toml /etc/slurmwatchd/slurmwatchd.toml": (
        "test_a_clone_installed_step_by_step_delivers"
    ),
    "systemctl daemon-reload": "test_a_clone_installed_step_by_step_delivers",
    "install -m 0644 packaging/logrotate/slurmwatchd /etc/logrotate.d/slurmwatchd": (
        "test_a_clone_installed_step_by_step_delivers"
    ),
    "install -m 0644 packaging/prometheus/slurmwatchd.rules.yml /etc/prometheus/slurmwatchd.rules.yml": (
        "test_a_clone_installed_step_by_step_delivers"
    ),
    "promtool check config /etc/prometheus/prometheus.yml && systemctl reload prometheus": (
        "test_a_clone_installed_step_by_step_delivers"
    ),
    "usermod -aG slurmwatchd vector": "test_a_clone_installed_step_by_step_delivers",
    "install -m 0644 packaging/shippers/rsyslog.conf /etc/rsyslog.d/slurmwatchd.conf": (
        "test_a_clone_installed_step_by_step_delivers"
    ),
    "systemctl stop slurmwatchd": "test_a_clone_installed_step_by_step_delivers",
    "install -D -m 0644 packaging/man/slurmwatchd.1 /usr/local/share/man/man1/slurmwatchd.1": (
        "test_a_clone_installed_step_by_step_delivers"
    ),
    "/opt/slurmwatchd/bin/pip install --upgrade .": "test_a_clone_installed_step_by_step_delivers",
    "install -o munge -g munge -m 0400 munge.key /etc/munge/munge.key": "test_with_munge",
    "install -D -o slurm -g slurm -m 0600 slurm.key /etc/slurm/slurm.key": "test_with_sackd_configless",
    """echo 'SACKD_OPTIONS="--conf-server head:6817"' > /etc/default/sackd""": "test_with_sackd_configless",
    "runuser -u slurmwatchd -- env SLURM_CONF_SERVER=head:6817 sacct -X": "test_configless_without_sackd",
    "umask 027": "test_with_a_token_and_no_munge",
    "make deb": NotRun(
        "needs podman and an image of Debian from a registry; test_the_image_is_made_of runs the Containerfile's "
        "own commands on a machine"
    ),
}
"""The first line of each block to the test in this folder that runs the block."""


def blocks() -> dict[str, str]:
    """Return every block of commands of the page, by its first line.

    Raises:
        AssertionError: Two blocks begin alike.
    """
    found: dict[str, str] = {}
    for block in re.findall(r"(?:^    .*\n)+", _without_fences(breaks.read(PAGE)), re.MULTILINE):
        lines = [line.removeprefix("    ") for line in block.splitlines()]
        assert lines[0] not in found, f"two blocks begin with {lines[0]!r}"
        found[lines[0]] = "\n".join(lines) + "\n"
    return found


def configuration(language: str, mark: str) -> str:
    """Return the fenced example of a language, such as `toml`, that has a mark in it."""
    (text,) = [
        text
        for text in re.findall(rf"^```{language}\n(.*?)^```$", breaks.read(PAGE), re.MULTILINE | re.DOTALL)
        if mark in text
    ]
    return str(text)


def _without_fences(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


@dataclass
class Reader:
    """An operator who follows the page on a machine, in the order of its blocks or another.

    Attributes:
        machine: Where.
        test: Which test this is; at its end it has run what `RUN_BY` says.
        folder: Where the operator stands.
        replaced: What a test must have otherwise than the page, such as a port, and by what.
    """

    machine: Machine
    test: str
    folder: str = "/root"
    environment: dict[str, str] = field(default_factory=dict)
    replaced: dict[str, str] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)

    def follow(self, beginning: str, types: str = "") -> str:
        """Run the block that begins so, stop at the first command that fails, and return what is printed.

        Args:
            beginning: How its first line begins.
            types: What the operator answers when a command asks.

        Raises:
            AssertionError: There is no such block, or it failed.
        """
        (first,) = [line for line in blocks() if line.startswith(beginning)]
        text = blocks()[first]
        for old, new in self.replaced.items():
            text = text.replace(old, new)
        script = f"cd {self.folder}\n{text}"
        path = self.machine.root / "root/block.sh"
        path.write_text(script, encoding="utf-8")
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        # On a terminal, which `systemctl edit` wants.
        terminal = f"printf '{types}' | script -qefc 'env {' '.join(variables)} sh -eu /root/block.sh' /dev/null"
        printed = self.machine.run("sh", "-c", terminal, timeout=600)
        self.done.add(first)
        return printed

    def finish(self) -> None:
        """See that the test has run every block that it is to run.

        Raises:
            AssertionError: It has not.
        """
        assert self.done == {first for first, test in RUN_BY.items() if test == self.test}
