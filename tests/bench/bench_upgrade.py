"""A store of the old form opened by this tree's daemon under load: how long until it is packed, in what memory.

The other program has read a site's jobs into the store, and written their lines. Then this tree's daemon runs on
it while more jobs end, until all events are packed. All lines, read from the packed store, must be those that were
written, byte for byte; the counters must equal the lines; `verify` must find no difference, and SQLite no damage.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import subprocess
import tempfile
import time
import urllib.request
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from simslurm import SimCluster
from tests.bench.bench_store import filled
from tests.bench.daemons import Daemon, running
from tests.bench.measuring import peak_bytes
from tests.bench.setting import place
from tests.bench.site import Site
from tests.patience import HANGS_SECONDS, Patience
from tests.real_slurm.ports import free_block

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.programs import Program
    from tests.bench.results import Result
    from tests.bench.setting import Place, Setting

LOAD_JOBS = 20
LOAD_SECONDS = 5.0
"""So many jobs end in so many seconds: 350,000 a day."""


def measure(setting: Setting) -> Iterator[Result]:
    """Open the store, and look at it until it is packed.

    Raises:
        RuntimeError: A line, a counter or a row is not what it was.
    """
    site = place(setting.folder, setting.jobs)
    with tempfile.TemporaryDirectory(dir=setting.folder) as name:
        folder = Path(name)
        old = filled(setting.then, site, "off", setting.folder)
        for file in ("store.db", "jobs.jsonl"):
            shutil.copyfile(old / file, folder / file)
        watch = setting.stopwatch()
        began = time.monotonic()
        port = free_block(1)
        with (
            SimCluster.open(site.folder / "slurm.db") as cluster,
            running(setting.now, folder, site.folder / "bin", mode="off", web=f"127.0.0.1:{port}") as daemon,
        ):
            _live(daemon, Site(cluster, seed=int(time.time())), setting.jobs)
            seconds, cpu = time.monotonic() - began, daemon.cpu_seconds
            peak = peak_bytes(daemon.process.pid)
            written = _lines_by_state(folder / "jobs.jsonl")
            # The counters are a sink of their own, which may get the newest attempts a moment later.
            patience = Patience(lambda: _counters(port))
            while (counted := _counters(port)) != written and not patience.is_over():
                time.sleep(1)
            if counted != written:
                raise RuntimeError(f"the counters differ from the lines: {counted} and {written}")
        _compare(setting.now, site, folder)
        jobs = setting.jobs
        yield watch.result("upgrade-minutes", jobs, [], [seconds / 60], against="")
        yield watch.result("upgrade-cpu", jobs, [], [cpu / jobs * 1e6], against="")
        yield watch.result("upgrade-peak", jobs, [], [peak / 1e6], against="")


def _live(daemon: Daemon, site: Site, events: int) -> None:
    """Let jobs end until so many events are packed and every line of those jobs is written."""
    lines = daemon.lines
    patience = Patience(lambda: (_summed(daemon.folder), _packed(daemon.folder)))
    while _packed(daemon.folder) < events:
        if daemon.process.poll() is not None or patience.is_over():
            raise RuntimeError((daemon.folder / "log").read_text(encoding="utf-8")[-2000:])
        now = int(time.time())
        site.load(LOAD_JOBS, now - int(LOAD_SECONDS), now)
        lines += LOAD_JOBS
        time.sleep(LOAD_SECONDS)
    patience = Patience(lambda: daemon.lines)
    while daemon.lines < lines and not patience.is_over():
        time.sleep(1)


def _packed(folder: Path) -> int:
    """Return up to which event the store is packed; 0 before it has the tables for that."""
    with closing(sqlite3.connect(f"file:{folder / 'store.db'}?mode=ro", uri=True, timeout=60)) as store:
        rows = store.execute("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'packed seq'").fetchall()
    return int(rows[0][0]) if rows else 0


def _summed(folder: Path) -> int:
    """Return up to which attempt the old ones are in the hourly sums, which comes before packing; 0 otherwise."""
    with closing(sqlite3.connect(f"file:{folder / 'store.db'}?mode=ro", uri=True, timeout=60)) as store:
        if not store.execute("SELECT 1 FROM sqlite_master WHERE name = 'unsummed'").fetchall():
            return 0
        ((summed,),) = store.execute("SELECT coalesce(max(summed), 0) FROM unsummed")
    return int(summed)


def _counters(port: int) -> Counter[tuple[str, str]]:
    """Return how many ends the daemon has counted, by partition and state."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=HANGS_SECONDS) as answer:
        text = answer.read().decode()
    return Counter(
        {
            (sample.labels["partition"], sample.labels["state"]): int(sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "slurmwatchd_jobs_ended_total"
        }
    )


def _lines_by_state(file: Path) -> Counter[tuple[str, str]]:
    with file.open("rb") as lines:
        ends = (line for line in map(json.loads, lines) if line["event"] == "job_ended")
        return Counter((line["partition"], line["state"]) for line in ends)


def _compare(program: Program, site: Place, folder: Path) -> None:
    """Hold the store to the lines, to sacct and to SQLite's own check."""

    def run(command: str, *words: str) -> None:
        argv = program.argv(command, "--config", str(folder / "slurmwatchd.toml"), *words)
        subprocess.run(argv, check=True, env=program.environment(), cwd=folder, stdout=subprocess.DEVNULL)

    run("replay", "--sink", "jobs", "--since", "@1000000", "--to", str(folder / "again.jsonl"))
    before, after = (_digest(folder / file) for file in ("jobs.jsonl", "again.jsonl"))
    if before != after:
        raise RuntimeError(f"the lines differ: sha256 {before} before, {after} from the packed store")
    run("verify", "--since", f"{site.since_seconds}s")
    with closing(sqlite3.connect(folder / "store.db")) as store:
        ((verdict,),) = store.execute("PRAGMA integrity_check")
    if verdict != "ok":
        raise RuntimeError(f"SQLite says of the store: {verdict}")


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
