"""docs/install.md beside a real Slurm, block by block, on one machine a suite: the order of the tests counts."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.systemd import breaks
from tests.systemd.images import image
from tests.systemd.machine import UNIT, Machine, wait_until
from tests.systemd.page import Reader, configuration
from tests.systemd.slurm import Head, delivered, free_ports

pytestmark = [pytest.mark.systemd, pytest.mark.timeout(1500)]
REPOSITORY = Path(__file__).parents[2]
APT_SECONDS = 600
NO_MUNGE = "[Service]\nInaccessiblePaths=/run/munge\n"
on_bookworm = pytest.mark.parametrize("head", ["bookworm"], indirect=True)
on_trixie = pytest.mark.parametrize("head", ["trixie"], indirect=True)


def reader(head: Head, test: str, **replaced: str) -> Reader:
    return Reader(head.machine, test, replaced=replaced)


def restart(machine: Machine) -> None:
    machine.run("systemctl", "restart", UNIT)


def apt_install(machine: Machine, *packages: str) -> None:
    machine.run("apt-get", "install", "-y", "-q", "--no-install-recommends", *packages, timeout=APT_SECONDS)


def test_one_install_one_line_of_configuration_one_start_and_a_job_is_in_the_file(head: Head) -> None:
    machine, package = head.machine, head.package
    machine.copy(package, f"/root/{package.name}")
    machine.run("apt-get", "install", "-y", "-q", f"/root/{package.name}", timeout=APT_SECONDS)
    line = f's/^# listen = .*/listen = "127.0.0.1:{head.port}"/'
    machine.run("sed", "-i", line, "/etc/slurmwatchd/slurmwatchd.toml")
    head.check()
    machine.run("systemctl", "enable", "--now", "slurmwatchd")
    job = machine.run("sbatch", "--parsable", "-D", "/tmp", "-J", "first", "--wrap", "true").strip()
    wait_until(lambda: bool(delivered(machine)), machine.journal)
    event = delivered(machine)[0]
    sql = "SELECT id_job, time_submit, time_end FROM slurm_acct_db.real_job_table"
    stored, submit, end = (int(word) for word in machine.run("mariadb", "-N", "-e", sql).split())
    assert (event["job_id_raw"], event["name"], event["state"]) == (int(job), "first", "COMPLETED")
    assert stored == int(job)
    for name, moment in (("submit", submit), ("end", end)):
        assert event[name] == machine.run("date", "-u", "-d", f"@{moment}", "+%FT%TZ").strip()


@on_bookworm
def test_with_munge(head: Head) -> None:
    operator = reader(head, "test_with_munge")
    head.machine.shell("cp /etc/munge/munge.key /etc/slurm/slurm.conf /root; rm /etc/munge/munge.key")
    assert "STATUS:          Success (0)" in operator.follow("install -o munge")
    head.configure()
    restart(head.machine)
    head.a_job_ends_and_is_delivered("by munge")
    operator.finish()


@on_bookworm
def test_with_a_token_and_no_munge(head: Head) -> None:
    operator = reader(head, "test_with_a_token_and_no_munge")
    operator.follow("umask 027")
    assert head.machine.run("stat", "-c", "%U %G %a", "/etc/slurmwatchd/token") == "root slurmwatchd 640\n"
    head.configure(configuration("toml", "jwt_file"))
    head.drop_in(NO_MUNGE)
    restart(head.machine)
    head.a_job_ends_and_is_delivered("by token")
    assert "the rights are those of slurmwatchd, see slurm.jwt_file (/etc/slurmwatchd/token)" in head.check()
    # It was the token.
    head.configure()
    restart(head.machine)
    wait_until(lambda: "query failed" in head.machine.journal("--lines=5"), head.machine.journal)
    head.drop_in()
    operator.finish()


@on_trixie
def test_configless_without_sackd(head: Head) -> None:
    operator = reader(head, "test_configless_without_sackd", **{"head:6817": f"slurmhead:{head.slurmctld}"})
    _move_slurm_conf_to_the_head(head)
    assert head.machine.call("runuser", "-u", "slurmwatchd", "--", "sacct", "-X").returncode != 0
    operator.follow("runuser -u slurmwatchd -- env SLURM_CONF_SERVER")
    text = configuration("toml", "conf_server").replace("head:6817", f"slurmhead:{head.slurmctld}")
    head.configure(text)
    head.check()
    restart(head.machine)
    head.a_job_ends_and_is_delivered("configless", conf="/srv/slurm.conf")
    operator.finish()


@on_trixie
def test_with_sackd_configless(head: Head) -> None:
    machine = head.machine
    operator = reader(head, "test_with_sackd_configless", **{"head:6817": f"slurmhead:{head.slurmctld}"})
    apt_install(machine, "sackd")
    machine.shell(
        """
        systemctl disable --now sackd; systemctl stop slurmctld slurmd slurmdbd munge
        head -c 1024 /dev/urandom >/etc/slurm/slurm.key
        chown slurm: /etc/slurm/slurm.key; chmod 600 /etc/slurm/slurm.key
        cp -p /etc/slurm/slurm.key /srv/slurm.key
        printf 'AuthType=auth/slurm\\nCredType=cred/none\\n' >>/srv/slurm.conf
        printf 'AuthType=auth/slurm\\n' >>/etc/slurm/slurmdbd.conf
        systemctl start slurmdbd slurmctld
        mv /etc/slurm/slurm.key /root/slurm.key
        """
    )
    operator.follow("echo 'SACKD_OPTIONS")
    operator.follow("install -D -o slurm -g slurm -m 0600 slurm.key")
    head.configure()
    restart(machine)
    head.a_job_ends_and_is_delivered("by sackd")
    assert machine.call("systemctl", "is-active", "munge").stdout == "inactive\n"
    operator.finish()


def _move_slurm_conf_to_the_head(head: Head) -> None:
    """Have the daemons read slurm.conf where Slurm's commands do not look, and slurmctld hand it out."""
    machine = head.machine
    machine.shell(
        """
        systemctl stop slurmctld slurmd
        mv /etc/slurm/slurm.conf /srv/slurm.conf
        echo SlurmctldParameters=enable_configless >>/srv/slurm.conf
        cp /etc/slurm/cgroup.conf /srv
        """
    )
    text = "[Unit]\nConditionPathExists=\n[Service]\nEnvironment=SLURM_CONF=/srv/slurm.conf\n"
    head.drop_in(text, "slurmctld.service")
    machine.run("systemctl", "start", "slurmctld")
    ping = ("env", "SLURM_CONF=/srv/slurm.conf", "scontrol", "ping")
    wait_until(lambda: "UP" in machine.call(*ping).stdout, machine.console)


@on_bookworm
def test_a_clone_installed_step_by_step_delivers(head: Head, tmp_path: Path) -> None:
    machine = head.machine
    machine.call("apt-get", "purge", "-y", "-q", "slurmwatchd", timeout=APT_SECONDS)
    assert machine.call("test", "-e", "/usr/bin/slurmwatchd").returncode == 1
    apt_install(machine, "logrotate", "prometheus", "python3-pip", "python3-venv", "rsyslog")
    wheels = _wheels(tmp_path)
    shutil.copytree(wheels, machine.root / "root/wheels")
    _copy_clone(head)
    operator = reader(head, "test_a_clone_installed_step_by_step_delivers")
    operator.folder = "/root/clone"
    operator.environment = {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": "/root/wheels",
        "SYSTEMD_EDITOR": "/root/editor",
    }

    operator.follow("python3 -m venv")
    operator.follow("python3.11 -m pip wheel")
    assert "Nothing is done yet." in operator.follow("/opt/slurmwatchd/bin/slurmwatchd install-service")
    assert machine.run("systemctl", "is-enabled", UNIT, check=False) == "disabled\n"
    machine.run("/opt/slurmwatchd/bin/slurmwatchd", "install-service", "--remove", "--yes")
    machine.shell("userdel slurmwatchd; rm -rf /etc/slurmwatchd")

    operator.follow("install -m 0644 packaging/systemd/slurmwatchd.sysusers.conf")
    operator.follow("sacctmgr add user", types="y\\n")
    machine.run("sbatch", "--chdir=/tmp", "--wrap=true")
    # Two lines of heading, and the job; one that was never eligible would not be among them.
    count = "runuser -u slurmwatchd -- sacct -a -X -S now-1hour | wc -l"
    wait_until(lambda: int(operator.follow(count).split()[-1]) >= 3, machine.console)
    operator.follow("install -D -m 0644 packaging/slurmwatchd.toml")
    assert "Active: active (running)" in operator.follow("systemctl daemon-reload")
    head.a_job_ends_and_is_delivered("from a clone")
    operator.follow("install -m 0644 packaging/logrotate")
    machine.run("logrotate", "--force", "/etc/logrotate.d/slurmwatchd")
    head.a_job_ends_and_is_delivered("after a rotation")

    _prometheus(machine)
    operator.follow("install -m 0644 packaging/prometheus")
    assert "rules found" in operator.follow("promtool check config")
    machine.shell(
        """
        useradd --system vector
        printf '[Service]\\nUser=vector\\nExecStart=/usr/bin/tail -n +1 -F %s\\n' /var/log/slurmwatchd/jobs.jsonl \
            >/etc/systemd/system/vector.service
        """
    )
    operator.follow("usermod -aG slurmwatchd vector")
    wait_until(lambda: "after a rotation" in machine.run("journalctl", "-u", "vector"), machine.console)
    operator.follow("install -m 0644 packaging/shippers/rsyslog.conf")
    machine.run("rsyslogd", "-N1")

    operator.follow("systemctl stop slurmwatchd")
    head.a_job_ends_and_is_delivered("in the new place", "/data/events/jobs.jsonl")
    operator.follow("install -D -m 0644 packaging/man/slurmwatchd.1")
    completion = ". /usr/share/bash-completion/completions/slurmwatchd; complete -p slurmwatchd"
    assert machine.run("bash", "-c", completion).endswith(" slurmwatchd\n")
    operator.follow("/opt/slurmwatchd/bin/pip install --upgrade .")
    head.a_job_ends_and_is_delivered("after the upgrade", "/data/events/jobs.jsonl")
    operator.finish()


def _wheels(folder: Path) -> Path:
    """Fetch what pip needs: the machine has the network, but not this host's settings for pip."""
    if sys.version_info[:2] != (3, 11):
        pytest.skip("the wheels for Debian 12 are fetched with Python 3.11")
    (wheel,) = (REPOSITORY / "dist").glob("*.whl")
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    needed = [str(wheel), *project["build-system"]["requires"]]
    argv = [sys.executable, "-m", "pip", "download", "--quiet", f"--dest={folder}", *needed]
    done = subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for path in folder.glob(wheel.name):
        path.unlink()
    return folder


def _copy_clone(head: Head) -> None:
    """Put a clone on the machine, the configuration in it as this site wants it."""
    target = head.machine.root / "root/clone"
    left_out = shutil.ignore_patterns(".*", "build", "dist", "__pycache__", "findings")
    shutil.copytree(REPOSITORY, target, ignore=left_out)
    example = target / "packaging/slurmwatchd.toml"
    text = example.read_text(encoding="utf-8")
    for key, value in (("listen", f"127.0.0.1:{head.port}"), ("interval", "1s")):
        assert text.count(f"# {key} = ") >= 1
        text = re.sub(f"^# {key} = .*$", f'{key} = "{value}"', text, count=1, flags=re.MULTILINE)
    example.write_text(text, encoding="utf-8")
    editor = head.machine.root / "root/editor"
    editor.write_text("#!/bin/sh\nprintf '[Service]\\nReadWritePaths=/data/events\\n' >\"$1\"\n")
    editor.chmod(0o755)


def _prometheus(machine: Machine) -> None:
    """Configure Prometheus by the page's examples, and start it on a port of its own."""
    (port,) = free_ports(1)
    text = configuration("yaml", "scrape_configs") + configuration("yaml", "rule_files")
    (machine.root / "etc/prometheus/prometheus.yml").write_text(text)
    (machine.root / "etc/default/prometheus").write_text(f'ARGS="--web.listen-address=127.0.0.1:{port}"\n')
    machine.run("systemctl", "restart", "prometheus")


@on_trixie
def test_the_image_is_made_of(head: Head, tmp_path: Path) -> None:
    """Run what the Containerfile runs, on a machine beside the head's."""
    text = breaks.read("packaging/container/Containerfile").replace("\\\n", " ")
    steps = dict(line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#"))
    folder = tmp_path / "image"
    folder.mkdir()
    machine = Machine(folder, image(head.suite))
    try:
        machine.boot()
        machine.copy(Path("/etc/resolv.conf"), "/etc/resolv.conf")
        machine.copy(head.package, f"/tmp/{head.package.name}")
        # This machine has a systemd, which excludes the small one.
        run = steps["RUN"].replace(" systemd-standalone-sysusers ", " ")
        machine.run("env", *steps["ARG"].split(), "sh", "-euc", run, timeout=APT_SECONDS)
        ids = machine.run("id", steps["USER"])
        assert ids == "uid=990(slurmwatchd) gid=990(slurmwatchd) groups=990(slurmwatchd)\n"
        program = json.loads(steps["CMD"])
        assert program[:2] == ["slurmwatchd", "run"]
        argv = ["runuser", "-u", steps["USER"], "--", program[0], "check", "--config-only", *program[2:]]
        assert "ok       configuration" in machine.run(*argv)
        assert machine.run("dpkg-query", "-W", "-f", "${Version}", "slurm-client").startswith("24.11.")
    finally:
        machine.close()
