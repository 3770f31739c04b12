"""The package beside a real Slurm, both as Debian 12 has them: the hardened service, munge, slurmdbd and a job.

No node runs here, so the job ends by being cancelled while it is pending.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.real_slurm.packages import CannotInstallError
from tests.systemd.images import image
from tests.systemd.machine import Machine, wait_until
from tests.systemd.site import DIST

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.systemd, pytest.mark.timeout(600)]
_PACKAGES = "munge mariadb-server slurm-client slurmctld slurmdbd"
_SLURM_CONF = """\
ClusterName=real
SlurmctldHost=slurmhead
SlurmctldPort={0}
SlurmdPort={1}
SlurmUser=slurm
StateSaveLocation=/var/lib/slurm/slurmctld
SlurmdSpoolDir=/var/lib/slurm/slurmd
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=slurmhead
AccountingStoragePort={2}
NodeName=slurmhead CPUs=1 RealMemory=100
PartitionName=main Nodes=ALL Default=YES State=UP
"""
_SLURMDBD_CONF = """\
DbdHost=slurmhead
DbdPort={2}
SlurmUser=slurm
StorageType=accounting_storage/mysql
StorageUser=slurm
StorageHost=localhost
StorageLoc=slurm_acct_db
LogFile=/var/log/slurm/slurmdbd.log
"""
_BRING_UP = """
mkdir -p /var/lib/slurm/slurmctld /var/lib/slurm/slurmd /var/log/slurm
chown -R slurm: /var/lib/slurm /var/log/slurm /etc/slurm/slurmdbd.conf
chmod 600 /etc/slurm/slurmdbd.conf
systemctl start munge mariadb
mysql -e "CREATE DATABASE slurm_acct_db; CREATE USER slurm@localhost IDENTIFIED VIA unix_socket;
          GRANT ALL ON slurm_acct_db.* TO slurm@localhost"
systemctl start slurmdbd
for try in $(seq 60); do sacctmgr -i add cluster real >/dev/null 2>&1 && break; sleep 1; done
systemctl start slurmctld
for try in $(seq 60); do scontrol ping | grep -q UP && exit; sleep 1; done
journalctl -u slurmdbd -u slurmctld -n 20 --no-pager; exit 1
"""


@pytest.fixture(params=["bookworm"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    """A machine with a real Slurm that runs."""
    try:
        made = Machine(tmp_path, image(request.param))
    except CannotInstallError as error:
        pytest.skip(f"NO SYSTEMD WAS TESTED beside a real Slurm: {error}")
    try:
        made.boot()
        _install_slurm(made)
        yield made
    except CannotInstallError as error:
        pytest.skip(f"NO SYSTEMD WAS TESTED beside a real Slurm: {error}")
    finally:
        made.close()


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def _install_slurm(machine: Machine) -> None:
    root = machine.root
    machine.copy(Path("/etc/resolv.conf"), "/etc/resolv.conf")
    (root / "etc/hosts").write_text("127.0.0.1 localhost slurmhead\n")
    (root / "etc/dpkg/dpkg.cfg.d/test").write_text("force-unsafe-io\n")
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    machine.run("apt-get", "update", "-q", timeout=300)
    machine.run("apt-get", "install", "-y", "-q", "--no-install-recommends", *_PACKAGES.split(), timeout=300)
    policy.unlink()
    ports = _free_ports(3)
    (root / "etc/slurm/slurm.conf").write_text(_SLURM_CONF.format(*ports))
    (root / "etc/slurm/slurmdbd.conf").write_text(_SLURMDBD_CONF.format(*ports))
    (root / "etc/mysql/mariadb.conf.d/99-test.cnf").write_text("[mysqld]\nskip-networking\n")
    machine.shell(_BRING_UP)


def _told(machine: Machine) -> list[dict[str, Any]]:
    file = machine.log / "jobs.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_one_install_one_line_of_configuration_one_start_and_a_job_is_in_the_file(machine: Machine) -> None:
    (package,) = DIST.glob("*~deb12_*.deb")
    machine.copy(package, f"/root/{package.name}")
    print(machine.run("apt-get", "install", "-y", "-q", f"/root/{package.name}"))  # noqa: T201 - the transcript
    (port,) = _free_ports(1)
    line = f's/^# listen = .*/listen = "127.0.0.1:{port}"/'
    machine.run("sed", "-i", line, "/etc/slurmwatchd/slurmwatchd.toml")
    print(machine.run("runuser", "-u", "slurmwatchd", "--", "slurmwatchd", "check"))  # noqa: T201
    machine.run("systemctl", "enable", "--now", "slurmwatchd")
    job = machine.run("sbatch", "--parsable", "-D", "/tmp", "-J", "first", "--wrap", "true").strip()
    machine.run("scancel", job)
    wait_until(lambda: bool(_told(machine)), machine.journal)
    event = _told(machine)[0]
    sql = "SELECT id_job, time_submit, time_end FROM slurm_acct_db.real_job_table"
    stored, submit, end = (int(word) for word in machine.run("mysql", "-N", "-e", sql).split())
    print(event, machine.run("systemctl", "status", "--no-pager", "slurmwatchd"))  # noqa: T201
    assert (event["job_id_raw"], event["name"], event["state"]) == (int(job), "first", "CANCELLED")
    assert stored == int(job)
    for name, moment in (("submit", submit), ("end", end)):
        assert event[name] == machine.run("date", "-u", "-d", f"@{moment}", "+%FT%TZ").strip()
