"""The RPM package installed with its scripts into a machine that is on, and its service there.

The machine is a Debian with the Python that the package is for: it takes the place of an Enterprise Linux, which
cannot be had from Debian's packages. So dependencies are not resolved, and SELinux is not there.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from simslurm import SimCluster
from tests.real_slurm.packages import CannotInstallError
from tests.systemd.images import image
from tests.systemd.machine import UNIT, Machine, wait_until
from tests.systemd.site import CONFIGURATION, DIST
from tests.systemd.slurm import delivered, free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.systemd, pytest.mark.timeout(900)]
PREFIXES = [path.parents[1] for path in Path("/root/.pyenv/versions").glob("3.12.*/bin/python3.12")]
APT_SECONDS = 600
DATABASE = "/var/lib/slurmwatchd/slurm/cluster.db"


@pytest.fixture(params=["bookworm"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    """A machine with a python3.12 in /usr, as an Enterprise Linux has it."""
    if not PREFIXES or not list(DIST.glob("*.rpm")):
        pytest.skip("NO RPM PACKAGE WAS RUN: there is no python3.12 or no package here")
    try:
        made = Machine(tmp_path, image(request.param))
    except CannotInstallError as error:
        pytest.skip(f"NO RPM PACKAGE WAS RUN: {error}")
    try:
        made.boot()
        _put_python(PREFIXES[0], made.root / "usr")
        made.copy(Path("/etc/resolv.conf"), "/etc/resolv.conf")
        made.run("apt-get", "update", "-q", timeout=APT_SECONDS)
        made.run("apt-get", "install", "-y", "-q", "--no-install-recommends", "rpm", timeout=APT_SECONDS)
        yield made
    except CannotInstallError as error:
        pytest.skip(f"NO RPM PACKAGE WAS RUN: {error}")
    finally:
        made.close()


def _put_python(prefix: Path, usr: Path) -> None:
    left_out = shutil.ignore_patterns("site-packages", "test", "__pycache__", "config-*", "idlelib", "tkinter")
    shutil.copytree(prefix / "lib/python3.12", usr / "lib/python3.12", ignore=left_out)
    (usr / "lib/python3.12/site-packages").mkdir()
    shutil.copy(prefix / "bin/python3.12", usr / "bin/python3.12")
    for library in (prefix / "lib").glob("libpython3.12.so*"):
        shutil.copy(library, usr / "lib" / library.name)


def rpm(machine: Machine, *arguments: str) -> None:
    done = machine.call("rpm", "--force-debian", "--nodeps", *arguments)
    assert done.returncode == 0, done.stderr
    # To rpm this is a warning.
    assert "scriptlet failed" not in done.stderr


def test_the_package_serves_and_goes_without_a_trace(machine: Machine) -> None:
    (package,) = DIST.glob("*.rpm")
    machine.copy(package, "/root/slurmwatchd.rpm")
    rpm(machine, "--install", "/root/slurmwatchd.rpm")
    assert machine.call("systemctl", "is-enabled", UNIT).stdout == "disabled\n"
    assert machine.run("stat", "-c", "%U %a", "/var/lib/slurmwatchd") == "slurmwatchd 750\n"
    assert list((machine.root / "usr/lib/slurmwatchd/lib").rglob("cli/__pycache__/*.cpython-312.pyc"))

    with SimCluster.create(machine.slurm / "cluster.db", cluster="tux") as cluster:
        end = cluster.now() - 30
        cluster.add_job(time_submit=end - 7, time_start=end - 5, time_end=end, state="COMPLETED", job_name="on el")
    made = f"import simslurm as s; s.install_commands('/usr/bin', '{DATABASE}')"
    machine.run("/usr/lib/slurmwatchd/bin/python3", "-c", made)
    machine.run("chown", "-R", "slurmwatchd:", "/var/lib/slurmwatchd")
    (port,) = free_ports(1)
    text = f'[poll]\ninterval = "1s"\n[web]\nlisten = "127.0.0.1:{port}"\n'
    (machine.root / CONFIGURATION.removeprefix("/")).write_text(text)
    machine.run("systemctl", "enable", "--now", UNIT)
    wait_until(lambda: bool(delivered(machine)), machine.journal)
    assert delivered(machine)[0]["name"] == "on el"
    assert [job["name"] for job in json.loads(machine.run("slurmwatchd", "jobs", "--json"))["jobs"]] == ["on el"]

    rpm(machine, "--erase", "slurmwatchd")
    assert machine.call("systemctl", "is-active", UNIT).stdout == "inactive\n"
    for path in ("/usr/bin/slurmwatchd", "/usr/lib/slurmwatchd", f"/usr/lib/systemd/system/{UNIT}"):
        assert machine.call("test", "-e", path).returncode == 1, path
    assert (machine.log / "jobs.jsonl").exists()
    assert (machine.root / CONFIGURATION.removeprefix("/")).with_suffix(".toml.rpmsave").read_text() == text
