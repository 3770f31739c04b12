"""A real Slurm in a machine, of Debian's packages: munge, MariaDB, slurmdbd, slurmctld and one slurmd."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.systemd.machine import UNIT, wait_until
from tests.systemd.site import CONFIGURATION

if TYPE_CHECKING:
    from tests.systemd.machine import Machine

PACKAGES = ("mariadb-server", "munge", "slurm-client", "slurm-wlm-jwt-plugin", "slurmctld", "slurmd", "slurmdbd")
_APT_SECONDS = 600
_SLURM_CONF = """\
ClusterName=real
SlurmctldHost=slurmhead
SlurmctldPort={0}
SlurmdPort={1}
AuthAltTypes=auth/jwt
AuthAltParameters=jwt_key=/var/lib/slurm/jwt.key
SlurmUser=slurm
StateSaveLocation=/var/lib/slurm/slurmctld
SlurmdSpoolDir=/var/lib/slurm/slurmd
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=slurmhead
AccountingStoragePort={2}
SlurmdParameters=config_overrides
NodeName=slurmhead CPUs=1 RealMemory=100
PartitionName=main Nodes=ALL Default=YES State=UP
"""
_SLURMDBD_CONF = """\
DbdHost=slurmhead
DbdPort={2}
AuthAltTypes=auth/jwt
AuthAltParameters=jwt_key=/var/lib/slurm/jwt.key
SlurmUser=slurm
StorageType=accounting_storage/mysql
StorageUser=slurm
StorageHost=localhost
StorageLoc=slurm_acct_db
LogFile=/var/log/slurm/slurmdbd.log
"""
# Nothing here needs cgroups. 22.05 cannot disable them, but with v1 it does not look whether there are any.
_CGROUP_CONF = {"bookworm": "CgroupPlugin=cgroup/v1\n", "trixie": "CgroupPlugin=disabled\n"}
_BRING_UP = """
mkdir -p /var/lib/slurm/slurmctld /var/lib/slurm/slurmd /var/log/slurm
head -c 32 /dev/urandom >/var/lib/slurm/jwt.key
chown -R slurm: /var/lib/slurm /var/log/slurm /etc/slurm/slurmdbd.conf
chmod 600 /etc/slurm/slurmdbd.conf /var/lib/slurm/jwt.key
systemctl start munge mariadb
mariadb -e "CREATE DATABASE slurm_acct_db; CREATE USER slurm@localhost IDENTIFIED VIA unix_socket;
            GRANT ALL ON slurm_acct_db.* TO slurm@localhost"
systemctl start slurmdbd
for try in $(seq 120); do sacctmgr -i add cluster real >/dev/null 2>&1 && break; sleep 1; done
systemctl start slurmctld slurmd
for try in $(seq 120); do sinfo -h -t idle -o %D | grep -qx 1 && exit; sleep 1; done
sinfo; journalctl -u slurmdbd -u slurmctld -u slurmd -n 30 --no-pager; exit 1
"""


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback that no program has now."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def install_slurm(machine: Machine, suite: str) -> int:
    """Install Slurm on a machine that is on, and wait until its node is idle.

    Returns:
        The port of slurmctld.

    Raises:
        AssertionError: It does not come up; its logs are in the text.
    """
    root = machine.root
    machine.copy(Path("/etc/resolv.conf"), "/etc/resolv.conf")
    (root / "etc/hosts").write_text("127.0.0.1 localhost slurmhead\n")
    # This disk need not survive a power cut.
    (root / "etc/dpkg/dpkg.cfg.d/test").write_text("force-unsafe-io\n")
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    machine.run("apt-get", "update", "-q", timeout=_APT_SECONDS)
    machine.run("apt-get", "install", "-y", "-q", "--no-install-recommends", *PACKAGES, timeout=_APT_SECONDS)
    policy.unlink()
    ports = free_ports(3)
    (root / "etc/slurm/slurm.conf").write_text(_SLURM_CONF.format(*ports))
    (root / "etc/slurm/slurmdbd.conf").write_text(_SLURMDBD_CONF.format(*ports))
    (root / "etc/slurm/cgroup.conf").write_text(_CGROUP_CONF[suite])
    (root / "etc/mysql/mariadb.conf.d/99-test.cnf").write_text("[mysqld]\nskip-networking\n")
    machine.shell(_BRING_UP)
    return ports[0]


@dataclass
class Head:
    """A machine with a real Slurm, and slurmwatchd on it.

    Attributes:
        machine: The machine.
        suite: Its Debian suite.
        package: The slurmwatchd for it.
        port: Where slurmwatchd listens; free on the host.
        slurmctld: The port of slurmctld.
    """

    machine: Machine
    suite: str
    package: Path
    port: int
    slurmctld: int

    def configure(self, more: str = "") -> None:
        """Write slurmwatchd's configuration."""
        text = f'[poll]\ninterval = "1s"\n[web]\nlisten = "127.0.0.1:{self.port}"\n{more}'
        (self.machine.root / CONFIGURATION.removeprefix("/")).write_text(text)

    def drop_in(self, text: str = "", unit: str = UNIT) -> None:
        """Give a unit a drop-in, or take it away."""
        folder = self.machine.root / f"etc/systemd/system/{unit}.d"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "test.conf").write_text(text)
        self.machine.run("systemctl", "daemon-reload")

    def end_a_job(self, name: str, conf: str = "") -> None:
        """Cancel a job that waits.

        Args:
            name: The job's.
            conf: The slurm.conf for sbatch and scancel, if they do not find one.
        """
        told = ("env", f"SLURM_CONF={conf}") if conf else ()
        options = ("--parsable", "--hold", "--chdir=/tmp", f"--job-name={name}", "--wrap=true")
        job = self.machine.run(*told, "sbatch", *options).strip()
        self.machine.run(*told, "scancel", job)

    def a_job_ends_and_is_delivered(
        self, name: str, file: str = "/var/log/slurmwatchd/jobs.jsonl", conf: str = ""
    ) -> None:
        """End a job, and wait until the daemon has delivered it.

        Args:
            name: The job's.
            file: Where to find it.
            conf: See `end_a_job`.
        """
        self.end_a_job(name, conf)
        path = self.machine.root / file.removeprefix("/")
        line = f'"name":"{name}"'
        wait_until(lambda: path.exists() and line in path.read_text(), self.machine.journal)

    def check(self) -> str:
        """Have `slurmwatchd check` examine the service."""
        return self.machine.run("runuser", "-u", "slurmwatchd", "--", "slurmwatchd", "check")


def delivered(machine: Machine) -> list[dict[str, Any]]:
    """Return the events in the machine's file; a line that is just being written is left out."""
    file = machine.log / "jobs.jsonl"
    return [json.loads(line) for line in file.read_bytes().split(b"\n")[:-1]] if file.exists() else []
