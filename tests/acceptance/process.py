"""slurmwatchd as a child process on a simulated Slurm, and what can be seen of it from outside."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, Unpack

from prometheus_client.parser import text_string_to_metric_families

from simslurm import JobKey, SimCluster, install_commands
from simslurm.rows import JobColumns
from tests.event_schema import conforming
from tests.integration import asked
from tests.patience import HANGS_SECONDS, Patience

CONFIG = """
[slurm]
bin_dir = "{folder}/bin"
timeout = "{timeout}"

[poll]
interval = "{interval}"
since = "1h"

[steps]
mode = "{steps}"

[store]
path = "{folder}/state/slurmwatchd.db"

[sinks.jobs]
type = "jsonl"
path = "{folder}/log/jobs.jsonl"

[web]
listen = "127.0.0.1:{port}"

[log]
format = "json"
"""


class DaemonProcess:
    """One installation: simulated cluster, configuration, store, file, and at most one process at a time."""

    def __init__(
        self, folder: Path, *, interval: str = "1s", timeout: str = "1m", steps: str = "off", more: str = ""
    ) -> None:
        self.folder = folder
        self.cluster = SimCluster.create(folder / "slurm.db")
        install_commands(folder / "bin", self.cluster.path)
        self.file = folder / "log" / "jobs.jsonl"
        self.store = folder / "state" / "slurmwatchd.db"
        self.log = folder / "stderr.log"
        self.port = free_port()
        self.config = folder / "slurmwatchd.toml"
        text = CONFIG.format(folder=folder, interval=interval, timeout=timeout, steps=steps, port=self.port)
        self.config.write_text(text + more, encoding="utf-8")
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.kill()
        self.cluster.close()

    def start(self, **environ: str) -> None:
        """Start the service; it is not awaited."""
        assert self.process is None
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._argv("run"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=_environment() | environ,
                start_new_session=True,
            )

    def start_ready(self, **environ: str) -> None:
        """Start the service and wait until it says that it is ready."""
        self.start(**environ)
        self.wait_until(lambda: self.get("/-/ready")[0] == 200, "ready")

    def run(
        self, command: str, *arguments: str, timeout: float = HANGS_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [*self._argv(command), *arguments],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=_environment(),
            timeout=timeout,
        )

    def ask(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the test's own process: starting another costs more and shows nothing more of it."""
        ran = asked.run(*command.split(), "--config", self.config, *arguments)
        return subprocess.CompletedProcess(command, ran.code, ran.out, ran.err)

    def kill(self) -> None:
        """End the process with SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def stop(self) -> int:
        """End the process as systemd does, and return its exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.wait()

    def wait(self) -> int:
        """Wait for the process to end by itself, and return its exit status."""
        assert self.process is not None
        status = self.process.wait(timeout=HANGS_SECONDS)
        self.process = None
        return status

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait_until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for a condition while the daemon runs, for as long as its file grows."""
        patience = Patience(self._written)
        while not condition():
            assert self.process is not None
            assert self.process.poll() is None, f"slurmwatchd ended by itself\n{self.stderr()}"
            assert not patience.is_over(), f"waited in vain: {what}\n{self.stderr()}"
            time.sleep(0.02)

    def _written(self) -> int:
        """Return how long the file is, rotated ones aside."""
        return self.file.stat().st_size if self.file.exists() else 0

    def get(self, path: str) -> tuple[int, str, dict[str, str]]:
        """Ask the web server: status, text and headers; status 0 where nobody listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=HANGS_SECONDS) as answer:
                return answer.status, answer.read().decode(), dict(answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(), dict(error.headers)
        except OSError as error:
            return 0, str(error), {}

    def samples(self, name: str) -> dict[tuple[str, ...], float]:
        """The samples of one metric from a scrape, by their label values in the order of the labels' names."""
        status, text, _ = self.get("/metrics")
        assert status == 200, text
        return {
            tuple(value for _, value in sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name
        }

    def counted(self, name: str) -> dict[tuple[str, ...], float]:
        """The same, without what stands at 0: known partitions do so from the start."""
        return {labels: value for labels, value in self.samples(name).items() if value}

    def samples_if_any(self, name: str) -> dict[tuple[str, ...], float]:
        """The same; none while nobody listens."""
        return self.samples(name) if self.get("/metrics")[0] == 200 else {}

    def records(self) -> list[dict[str, Any]]:
        """Every whole line of the file; one that is not JSON fails the test."""
        if not self.file.exists():
            return []
        return conforming(self.file.read_bytes().split(b"\n")[:-1])

    def names(self) -> list[str]:
        return [record["name"] for record in self.records()]

    def logged(self) -> list[dict[str, Any]]:
        """Every line of the log."""
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        return [json.loads(line) for line in lines if line.startswith("{")]

    def stderr(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-4000:] if self.log.exists() else ""

    def ended(self, seconds_ago: int = 2, **columns: Unpack[JobColumns]) -> JobKey:
        """Write a job of five seconds that ended some seconds ago."""
        end = self.cluster.now() - seconds_ago
        given: JobColumns = {
            "time_submit": end - 7,
            "time_start": end - 5,
            "time_end": end,
            "state": "COMPLETED",
            "user": "ann",
            "id_user": 1000,
            **columns,
        }
        return self.cluster.add_job(**given)

    def change_config(self, old: str, new: str) -> None:
        text = self.config.read_text(encoding="utf-8")
        assert old in text
        self.config.write_text(text.replace(old, new), encoding="utf-8")

    def _argv(self, command: str) -> list[str]:
        return [sys.executable, "-m", "slurmwatchd", *command.split(), "--config", str(self.config)]


def free_port() -> int:
    """A port of the loopback that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("SLURMWATCHD_", "NOTIFY_"))}
