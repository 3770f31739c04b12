"""slurmwatchd as a child process, and what can be seen of it from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client.parser import text_string_to_metric_families

from tests.event_schema import conforming
from tests.patience import HANGS_SECONDS
from tests.real_slurm.daemons import wait_until
from tests.real_slurm.ports import free_block
from tests.real_slurm.truth import Key, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.real_slurm.cluster import RealCluster

REPOSITORY = Path(__file__).parents[2]
COMMAND_SECONDS = 5 * HANGS_SECONDS
"""For a command that reads tens of thousands of rows and says nothing on the way."""

CONFIG = """
[slurm]
bin_dir = "{bin_dir}"
conf = "{conf}"
jwt_file = "{jwt_file}"

[poll]
interval = "{interval}"
overlap = "{overlap}"
since = "{since}"
reread = [{reread}]

[steps]
mode = "{steps}"

[store]
path = "{folder}/slurmwatchd.db"

[sinks.jobs]
type = "jsonl"
path = "{folder}/jobs.jsonl"

[sinks.metrics]
type = "prometheus"

[web]
listen = "127.0.0.1:{port}"
"""


class Watch:
    """One installation of slurmwatchd: configuration, store, file, and at most one process at a time."""

    def __init__(  # noqa: PLR0913  (what a test may want otherwise)
        self,
        cluster: RealCluster,
        folder: Path,
        *,
        interval: str = "1s",
        since: str = "1h",
        overlap: str = "2m",
        reread: tuple[str, ...] = ("5m", "15m", "2h", "12h", "2d", "8d"),
        steps: str = "summary",
        program: Path = REPOSITORY,
        jwt_file: str = "",
    ) -> None:
        folder.mkdir(parents=True)
        self._program = program
        self.cluster = cluster
        self.file = folder / "jobs.jsonl"
        self.log = folder / "slurmwatchd.log"
        self.store = folder / "slurmwatchd.db"
        self.port = free_block(1)
        self.config = folder / "slurmwatchd.toml"
        self.config.write_text(
            CONFIG.format(
                bin_dir=cluster.bin_dir,
                conf=cluster.conf,
                folder=folder,
                port=self.port,
                interval=interval,
                since=since,
                overlap=overlap,
                reread=", ".join(f'"{age}"' for age in reread),
                steps=steps,
                jwt_file=jwt_file,
            ),
            encoding="utf-8",
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the service; it is not awaited."""
        assert self.process is None
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._argv("run"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment(),
                start_new_session=True,
            )

    def once(self) -> subprocess.CompletedProcess[str]:
        """Run one poll to its end."""
        return subprocess.run(
            self._argv("once"),
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=self._environment(),
            timeout=COMMAND_SECONDS,
        )

    def run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another of its commands to its end."""
        return subprocess.run(
            [*self._argv(command), *arguments],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=self._environment(),
            timeout=COMMAND_SECONDS,
        )

    def begin(self, command: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start another of its commands; what it prints goes to the log."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*self._argv(command), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment(),
            )

    def kill(self) -> None:
        """End the process with SIGKILL, and the sacct it may have running."""
        if self.process is not None:
            # One that ended by itself has been waited for already.
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def stop(self) -> int:
        """End the process as systemd does, and return its exit status."""
        assert self.process is not None
        self.process.terminate()
        status = self.process.wait(timeout=HANGS_SECONDS)
        self.process = None
        return status

    @property
    def is_running(self) -> bool:
        """Whether the process is still there."""
        return self.process is not None and self.process.poll() is None

    def get(self, path: str) -> tuple[int, str]:
        """Ask the daemon's web page; status 0 where nobody listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=HANGS_SECONDS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def ended_by_state(self) -> Counter[str]:
        """`slurmwatchd_jobs_ended_total` by state, from a scrape; empty while nobody answers."""
        counts: Counter[str] = Counter()
        status, text = self.get("/metrics")
        if status != 200:
            return counts
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == "slurmwatchd_jobs_ended_total":
                    counts[sample.labels["state"]] += int(sample.value)
        return counts

    def records(self) -> list[Mapping[str, Any]]:
        """Every whole line of the file; one that is not JSON fails the test."""
        if not self.file.exists():
            return []
        return list(conforming(self.file.read_bytes().split(b"\n")[:-1]))

    def ends(self, since: int = 0) -> list[Mapping[str, Any]]:
        """Every line that tells an end or what changed of it; what its steps used comes when it will.

        Args:
            since: Leave out what was submitted before, as by an earlier test; epoch seconds.
        """
        lines = (record for record in self.records() if record["event"] != "job_usage")
        return [record for record in lines if key_of(record)[1] >= since]

    def keys(self, since: int = 0) -> set[Key]:
        """The attempts the file tells the end of, if they were submitted since then."""
        return {key_of(record) for record in self.ends(since) if record["event"] == "job_ended"}

    def states(self) -> Counter[str]:
        """How many ends the file holds, by state."""
        return Counter(record["state"] for record in self.records() if record["event"] == "job_ended")

    def wait_until(
        self, condition: Callable[[], object], what: str, timeout_seconds: float = HANGS_SECONDS
    ) -> None:
        """Wait for a condition while the daemon runs, for as long as its file grows."""

        def come_true() -> bool:
            assert self.is_running, f"slurmwatchd ended by itself\n{self.log_tail()}"
            return bool(condition())

        wait_until(come_true, what, timeout_seconds, self.log_tail, self._written)

    def _written(self) -> int:
        return self.file.stat().st_size if self.file.exists() else 0

    def log_tail(self) -> str:
        """The end of the daemon's log."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return f"--- end of {self.log}\n" + "\n".join(text.splitlines()[-40:])

    def _argv(self, command: str) -> list[str]:
        return [sys.executable, "-m", "slurmwatchd", command, "--config", str(self.config)]

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SLURMWATCHD_")}
        # What the program imports stands beside it; the folder that it was started in does not come before them.
        return {**inherited, "PYTHONPATH": f"{self._program}:{REPOSITORY}", "PYTHONSAFEPATH": "1"}
