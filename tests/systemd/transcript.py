"""Print what an operator sees who installs the package on a fresh Debian beside a real Slurm.

    make transcript SUITE=bookworm

The machine has what apt and systemd need, not even Python; a real Slurm is installed on it beforehand, as a site's
own. It fails if the job that ends at last is not in the file.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.real_slurm.packages import CannotInstallError
from tests.systemd.images import image
from tests.systemd.machine import Machine, wait_until
from tests.systemd.site import DIST, PACKAGES
from tests.systemd.slurm import PACKAGES as SLURM
from tests.systemd.slurm import delivered, free_ports, install_slurm

_APT_SECONDS = 600


def say(text: str) -> None:
    """Print at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Terminal:
    """Root's terminal on the machine, of which everything is printed."""

    def __init__(self, machine: Machine) -> None:
        """Sit down at it."""
        self._machine = machine

    def type(self, command: str) -> str:
        """Run a command line, and print and return what it prints.

        Raises:
            AssertionError: It failed.
        """
        say(f"root@slurmhead:~# {command}")
        argv = ("sh", "-c", f"cd /root; exec 2>&1; {command}")
        done = self._machine.call(*argv, timeout=_APT_SECONDS)
        # Without dpkg's progress, which a terminal would print over.
        say("".join(line for line in done.stdout.splitlines(keepends=True) if "(Reading database" not in line))
        assert done.returncode == 0, f"exit status {done.returncode}"
        return done.stdout


def show(machine: Machine, suite: str) -> None:
    """Install, configure, start, let a job end, and find it in the file."""
    machine.boot()
    terminal = Terminal(machine)
    terminal.type(
        ". /etc/os-release; echo $PRETTY_NAME, $(dpkg-query -f . -W | wc -c) packages; ls /usr/bin/python3 || true"
    )
    say(f"(the site's Slurm: apt-get install {' '.join(SLURM)}; its configuration; its start)\n")
    install_slurm(machine, suite)
    terminal.type("sinfo -V; sinfo")
    (package,) = DIST.glob(PACKAGES[suite])
    machine.copy(package, f"/root/{package.name}")
    (port,) = free_ports(1)
    terminal.type("apt-get install -y ./slurmwatchd_*.deb")
    terminal.type(f"sed -i 's/^# listen = .*/listen = \"127.0.0.1:{port}\"/' /etc/slurmwatchd/slurmwatchd.toml")
    terminal.type("systemctl enable --now slurmwatchd")
    terminal.type("sbatch --chdir=/tmp --job-name=first --wrap='sleep 3'")
    wait_until(lambda: any(event["event"] == "job_usage" for event in delivered(machine)), machine.journal)
    terminal.type("sacct -X -o jobid,jobname,state,exitcode,start,end")
    assert '"name":"first"' in terminal.type("cat /var/log/slurmwatchd/jobs.jsonl")
    assert "first" in terminal.type("slurmwatchd jobs")
    terminal.type("runuser -u slurmwatchd -- slurmwatchd check")
    terminal.type("systemctl status --no-pager --full slurmwatchd")
    terminal.type("systemd-analyze security --no-pager slurmwatchd | tail -n 1")


def main(suite: str) -> None:
    """Print the transcript of a suite."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "machine"
        folder.mkdir()
        machine = Machine(folder, image(suite, bare=True))
        try:
            show(machine, suite)
        finally:
            machine.close()


if __name__ == "__main__":
    if sys.argv[1:] not in [[suite] for suite in PACKAGES]:
        sys.exit(f"usage: python -m tests.systemd.transcript {'|'.join(PACKAGES)}")
    try:
        main(sys.argv[1])
    except CannotInstallError as error:
        sys.exit(str(error))
