"""`python -m tests.fuzz`: schemathesis asks the API of a running daemon what its description allows, and what not.

The daemon polls a simulated cluster on which jobs end meanwhile, and is scraped all the time. No answer may be a
5xx or differ from the description, no scrape may fail, and the daemon must not have more descriptors in the end.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from simslurm import SimCluster, Workload
from tests.acceptance.process import DaemonProcess
from tests.fuzz.asking import configuration, known_values, statuses
from tests.patience import HANGS_SECONDS, Patience

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

SECONDS = 600
JOBS, HOURS = 1000, 8
PROGRAM = Path(".venv/schemathesis/bin/schemathesis")

SHARES = {"all": 0.6, "account:physics": 0.2, "user:ada": 0.2}
"""The scope of each token that asks, and its share of the time."""

SCRAPE_SECONDS = 10.0
"""Prometheus gives up a scrape after so long."""

IDLE_FILES = 12
"""So many descriptors more than before are those of idle connections to the store, and no leak."""


class Meanwhile:
    """What goes on while the API is asked: jobs end, and a Prometheus scrapes.

    Attributes:
        faults: What a scrape did not get.
        slowest: The seconds of the slowest scrape.
        scrapes: How many there were.
    """

    def __init__(self, daemon: DaemonProcess, seed: int) -> None:
        """Prepare."""
        self.faults: list[str] = []
        self.slowest, self.scrapes = 0.0, 0
        self._daemon = daemon
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._scrape),
            threading.Thread(target=self._live, args=(daemon.cluster.path, seed)),
        ]

    def __enter__(self) -> Self:
        """Let it begin."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let it end."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _scrape(self) -> None:
        while not self._stop.wait(0.5):
            began = time.monotonic()
            status, text, _ = self._daemon.get("/metrics")
            took = time.monotonic() - began
            self.scrapes += 1
            self.slowest = max(self.slowest, took)
            if status != 200 or took > SCRAPE_SECONDS:
                self.faults.append(f"a scrape got {status} after {took:.1f} s: {text[:200]}")

    def _live(self, path: Path, seed: int) -> None:
        with SimCluster.open(path) as cluster:
            Workload(cluster, seed=seed, nodes=12, rate=1.0, runtime=5, late=0.0).run_live(self._stop)


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask for a while; exit status 0 where nothing was found."""
    parser = argparse.ArgumentParser(prog="make fuzz-api", description=__doc__)
    parser.add_argument("--seconds", type=int, default=SECONDS, help=f"for how long (default: {SECONDS})")
    parser.add_argument("--seed", type=int, help="draw the same requests again")
    parser.add_argument("--keep", action="store_true", help="keep the reports, also if all is well")
    parser.add_argument("--schemathesis", type=Path, default=PROGRAM, help="the program")
    options = parser.parse_args(arguments)
    seconds = options.seconds
    seed = secrets.randbelow(1 << 31) if options.seed is None else options.seed
    _say(f'{seconds} s; to send the same: make fuzz-api FUZZ_SECONDS={seconds} ARGS="--seed {seed}"')
    folder = Path(tempfile.mkdtemp(prefix="slurmwatchd-fuzz-"))
    (folder / "run").mkdir()
    faults = _fuzz(folder, options.schemathesis.absolute(), seconds, seed)
    for fault in faults:
        _say(f"FAULT: {fault}")
    if faults or options.keep:
        _say(f"kept: {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
        _say("every answer was as described, no scrape failed, nothing leaked")
    return 1 if faults else 0


def _fuzz(folder: Path, program: Path, seconds: int, seed: int) -> list[str]:
    with DaemonProcess(folder / "run", steps="full") as daemon:
        now = daemon.cluster.now()
        Workload(daemon.cluster, seed=seed, nodes=12, runtime=900).load(JOBS, now - HOURS * 3600, now - 60)
        daemon.change_config('since = "1h"', f'since = "{HOURS + 1}h"')
        daemon.change_config("[web]\n", f'[web]\ntokens_file = "{folder}/tokens"\n')
        daemon.start_ready()
        daemon.wait_until(lambda: _usages(daemon) >= JOBS // 2, "jobs and their usage")
        tokens = {scope: _token(daemon, scope) for scope in SHARES}
        known = known_values(daemon, tokens["all"])
        assert daemon.process is not None
        files = Path(f"/proc/{daemon.process.pid}/fd")
        before = len(list(files.iterdir()))
        faults: list[str] = []
        with Meanwhile(daemon, seed + 1) as meanwhile:
            for scope, share in SHARES.items():
                settings = configuration(tokens[scope], known, seed)
                faults += _ask(folder / scope.partition(":")[0], program, daemon, settings, int(seconds * share))
        _say(f"{meanwhile.scrapes} scrapes meanwhile, the slowest took {meanwhile.slowest:.2f} s")
        faults += meanwhile.faults
        failed = [line for line in daemon.logged() if line["event"] == "the API failed"]
        faults += [f"the daemon's log: {line}" for line in failed]
        patience = Patience(lambda: len(list(files.iterdir())), seconds=HANGS_SECONDS)
        while (after := len(list(files.iterdir()))) > before + IDLE_FILES and not patience.is_over():
            time.sleep(0.2)
        if after > before + IDLE_FILES:
            faults.append(f"{after} descriptors are open, {before} were before the first request")
        if daemon.stop() != 0:
            faults.append(f"the daemon did not end well\n{daemon.stderr()}")
        return faults


def _usages(daemon: DaemonProcess) -> int:
    return daemon.file.read_bytes().count(b'"event":"job_usage"') if daemon.file.exists() else 0


def _token(daemon: DaemonProcess, scope: str) -> str:
    ran = daemon.run("token add", scope.replace(":", "-"), "--scope", scope)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def _ask(folder: Path, program: Path, daemon: DaemonProcess, settings: str, seconds: int) -> list[str]:
    """Run schemathesis, which prints what it finds, and how to send a request that found something again."""
    folder.mkdir()
    (folder / "schemathesis.toml").write_text(settings, encoding="utf-8")
    report = folder / "events.ndjson"
    argv = [
        *(str(program), "--config-file", "schemathesis.toml", "run", "--no-color"),
        *("--max-time", str(max(1, seconds)), "--report", "ndjson", "--report-ndjson-path", str(report)),
        # What the description allows at its edges is asked once.
        *([] if folder.name == "all" else ["--phases", "fuzzing"]),
        f"http://127.0.0.1:{daemon.port}/api/v1/openapi.json",
    ]
    _say(f"--- {folder.name}: {seconds} s")
    ran = subprocess.run(argv, cwd=folder, check=False, stdin=subprocess.DEVNULL)
    found = statuses(report) if report.exists() else {}
    _say(f"{sum(found.values())} answers: {', '.join(f'{found[status]} {status}' for status in sorted(found))}")
    faults = [f"schemathesis ended with {ran.returncode} for the token {folder.name}"] if ran.returncode else []
    return faults if found.get(200) else [*faults, f"nothing was answered for the token {folder.name}"]


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
