"""A site on one machine: the package as an operator installs it, and a simulated Slurm in which jobs end."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import simslurm
from simslurm import SimCluster, Workload
from tests.patience import HANGS_SECONDS
from tests.sim_truth import differences
from tests.systemd import breaks
from tests.systemd.machine import Machine, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

_REPOSITORY = Path(__file__).parents[2]
DIST = _REPOSITORY / "dist"
CONFIGURATION = "/etc/slurmwatchd/slurmwatchd.toml"
PACKAGES = {"bookworm": "*~deb12_*.deb", "trixie": "*_all.deb"}
_PYTHONS = {"bookworm": "/usr/lib/slurmwatchd/bin/python3", "trixie": "/usr/bin/python3"}
_COMMANDS = ("sacct", "scontrol", "sacctmgr", "sdiag")
_DATABASE = "/var/lib/slurmwatchd/slurm/cluster.db"


class Site:
    """The machine, its Slurm and its service.

    Attributes:
        machine: The machine.
        cluster: The simulated Slurm's truth, open here.
        package: The package that was built.
        mark: What is in its name alone.
    """

    def __init__(self, machine: Machine, suite: str, scratch: Path) -> None:
        """Boot, and install an older package than the one that was built."""
        (built,) = DIST.glob(PACKAGES[suite])
        self.package = breaks.package(built, scratch)
        self.machine = machine
        self.mark = PACKAGES[suite]
        self._python = _PYTHONS[suite]
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._address = f"127.0.0.1:{probe.getsockname()[1]}"
        database = machine.slurm / "cluster.db"
        SimCluster.create(database, cluster="tux").close()
        machine.boot()
        for name in ("resolv.conf", "hosts"):
            machine.copy(Path("/etc") / name, f"/etc/{name}")
        # Nobody needs this disk after a power cut.
        (machine.root / "etc/dpkg/dpkg.cfg.d/test").write_text("force-unsafe-io\n")
        machine.run("apt-get", "update", "-q", timeout=300)
        self.install(_older(self.package, scratch))
        self.cluster = SimCluster.open(database)
        self._enough = threading.Event()
        self._life = threading.Thread(target=self._live, args=(database,), name="simulated Slurm")

    def install(self, package: Path) -> None:
        """Install a package as an operator does."""
        self.machine.copy(package, f"/root/{package.name}")
        self.machine.run("apt-get", "install", "-y", "-q", f"/root/{package.name}", timeout=300)

    def follow(self, heading: str, mark: str) -> None:
        """Run the block of commands under a heading of docs/install.md that has a mark in it, as it stands."""
        text = breaks.read("docs/install.md")
        section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
        (block,) = [found for found in re.findall(r"(?:^    .*\n)+", section, re.MULTILINE) if mark in found]
        (self.machine.root / "root/dist").mkdir(exist_ok=True)
        self.machine.copy(self.package, f"/root/dist/{self.package.name}")
        self.machine.shell("cd /root\n" + block)

    def bring_up_slurm(self) -> None:
        """Put Slurm's commands on the PATH and have jobs end from now on."""
        made = f"import {simslurm.__name__} as s; s.install_commands('/usr/bin', '{_DATABASE}')"
        self.machine.run(self._python, "-c", made)
        self.machine.run("chown", "-R", "slurmwatchd:", "/var/lib/slurmwatchd")
        self._life.start()

    def configure(self, **poll: str) -> None:
        """Write the configuration."""
        keys = {"interval": "2s", "since": "10m", "overlap": "20s", **poll}
        lines = [f'{key} = "{value}"\n' for key, value in keys.items()]
        text = "[poll]\n" + "".join(lines) + f'[web]\nlisten = "{self._address}"\n'
        (self.machine.root / CONFIGURATION.removeprefix("/")).write_text(text)

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Leave no room on the disk of the events, for a while."""
        ballast = self.machine.log / "ballast"
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)):
                pass
        try:
            yield
        finally:
            ballast.unlink()

    def is_ready(self) -> bool:
        """Whether `/-/ready` says so."""
        return self.why_not_ready() == ""

    def why_not_ready(self) -> str:
        """Return what `/-/ready` says against it; empty where it is ready."""
        try:
            with urllib.request.urlopen(f"http://{self._address}/-/ready", timeout=HANGS_SECONDS):
                return ""
        except urllib.error.HTTPError as error:
            return str(error.read(), "utf-8")
        except OSError as error:
            return f"no answer: {error}"

    def events(self) -> Iterator[dict[str, Any]]:
        """Give every event in the files, the rotated ones too; the line that is just being written is left out."""
        for path in self.machine.log.glob("jobs.jsonl*"):
            raw = path.read_bytes()
            text = gzip.decompress(raw) if path.suffix == ".gz" else raw
            yield from map(json.loads, text[: text.rfind(b"\n") + 1].splitlines())

    def ended(self) -> int:
        """Return how many ends the files hold."""
        return sum(event["event"] == "job_ended" for event in self.events())

    def stored(self) -> int:
        """Return the position of the last event in the store."""
        asked = "import sqlite3 as s; print(s.connect('{}').execute('SELECT max(seq) FROM events').fetchone()[0])"
        return int(self.machine.run(self._python, "-c", asked.format("/var/lib/slurmwatchd/slurmwatchd.db")))

    def wait_for_ends(self, count: int) -> None:
        """Wait until so many more jobs have ended and are in the files."""
        wanted = self.ended() + count
        wait_until(lambda: self.ended() >= wanted, self.told)

    def told(self) -> str:
        """What to look at when something is not as it should be."""
        return f"{self.why_not_ready()}\n{self.machine.journal('--lines=20')}"

    def settle(self) -> list[str]:
        """Let no more jobs end, and return what differs from Slurm's truth when the daemon has had its time."""
        self._enough.set()
        self._life.join()
        with_time = threading.Event()

        def is_equal() -> bool:
            with_time.wait(1)
            return not differences(self.cluster, self.events())

        try:
            wait_until(is_equal, self.told, progress=self.ended)
        except AssertionError:
            return differences(self.cluster, self.events())
        return []

    def close(self) -> None:
        """End the simulated Slurm."""
        self._enough.set()
        if self._life.ident is not None:
            self._life.join()
        self.cluster.close()

    def _live(self, database: Path) -> None:
        with SimCluster.open(database) as cluster:
            Workload(cluster, nodes=50, rate=2, runtime=2.0, late=0.0).run_live(self._enough)


def _older(package: Path, scratch: Path) -> Path:
    """Return the same package with an earlier version, as if it were the one installed last year."""
    tree = scratch / "older"
    subprocess.run(["/usr/bin/dpkg-deb", "--raw-extract", package, tree], check=True)
    control = tree / "DEBIAN/control"
    lines = [
        "Version: 0.0.1-1" if line.startswith("Version:") else line for line in control.read_text().splitlines()
    ]
    control.write_text("\n".join(lines) + "\n")
    older = scratch / "slurmwatchd_0.0.1-1.deb"
    subprocess.run(
        ["/usr/bin/dpkg-deb", "--root-owner-group", "--build", tree, older], check=True, capture_output=True
    )
    shutil.rmtree(tree)
    return older
