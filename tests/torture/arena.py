"""Where the torture takes place: a simulated cluster, the real daemon over it, and what is to happen when."""

from __future__ import annotations

import heapq
import os
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.acceptance.process import DaemonProcess
from tests.patience import HANGS_SECONDS
from tests.torture import verdict
from tests.torture.disk import SmallDisk

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tests.sim_truth import Key
    from tests.torture.verdict import Verdict

OVERLAP, REREADS, TIMEOUT = 4, (5, 10, 20), 3
"""Seconds. Everything is scaled down, so that a minute holds what is weeks elsewhere."""

LAST_REREAD = REREADS[-1]
"""What becomes visible or changes when it is older is found by the doubt about an outage, or not at all."""

ANSWER_SECONDS = 15.0
"""How long a second daemon may take to be refused."""

_TOLD_SIGNALS = (-signal.SIGKILL, -signal.SIGTERM, 0)


class Arena:
    """One installation, and the torture's own clockwork.

    Attributes:
        dice: All chance.
        daemon: The installation.
        amended: How often each attempt was changed after its end.
        done: How often each harm was done.
        ends: How the daemon ended when nobody had asked it to.
    """

    def __init__(self, folder: Path, dice: Random, *, small_disks: bool, program: Path | None) -> None:
        """Make the installation.

        Args:
            folder: Where everything goes; it exists and is empty.
            dice: All chance.
            small_disks: Whether store and file each get a file system of their own, for the torture to fill.
            program: What PYTHONPATH of the daemon names; None: nothing.
        """
        self.dice = dice
        self.daemon = DaemonProcess(folder, timeout=f"{TIMEOUT}s")
        rereads = ", ".join(f'"{age}s"' for age in REREADS)
        self.daemon.change_config(
            'since = "1h"', f'since = "1h"\noverlap = "{OVERLAP}s"\nslice = "5m"\nreread = [{rereads}]'
        )
        self.disks: list[SmallDisk] = []
        if small_disks:
            self.disks = [SmallDisk(self.daemon.store.parent), SmallDisk(self.daemon.file.parent)]
        self.amended: Counter[Key] = Counter()
        self.done: Counter[str] = Counter()
        self.ends: list[str] = []
        self._program = program
        self._journal = (folder / "torture.log").open("w", encoding="utf-8")
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self._began = time.monotonic()
        self._wanted = False
        self.down_until = 0.0

    @property
    def cluster_now(self) -> int:
        """The cluster's time, whole seconds."""
        return self.daemon.cluster.now()

    @property
    def is_out(self) -> bool:
        """Whether slurmdbd is away, or does not know everything yet."""
        cluster = self.daemon.cluster
        return cluster.config("slurmdbd_down") == "1" or cluster.undelivered() > 0

    def note(self, text: str) -> None:
        """Write a line into the journal."""
        self._journal.write(f"{time.monotonic() - self._began:8.3f} {time.time():.3f} {text}\n")
        self._journal.flush()

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something after some seconds."""
        self._order += 1
        heapq.heappush(self._due, (time.monotonic() + seconds, self._order, action))

    def run_due(self) -> None:
        """Do what is due now."""
        while self._due and self._due[0][0] <= time.monotonic():
            heapq.heappop(self._due)[2]()

    @property
    def has_plans(self) -> bool:
        """Whether something is still to be done."""
        return bool(self._due)

    def start(self) -> None:
        """Have the daemon run from now on, whatever ends it."""
        self._wanted = True
        self.tend()

    def tend(self) -> None:
        """Start the daemon where it should run and does not, as systemd would."""
        process = self.daemon.process
        if process is not None and process.poll() is not None:
            status = process.returncode
            self.daemon.process = None
            if self._wanted:
                full = any(disk.was_full_lately for disk in self.disks)
                self.note(f"daemon ended by itself, status {status}{' (a disk is full)' if full else ''}")
                if not full:
                    self.ends.append(f"status {status}: {self.daemon.stderr().strip()[-300:]}")
                self.down_until = time.monotonic() + 0.5
        if self._wanted and self.daemon.process is None and time.monotonic() >= self.down_until:
            if self._program is None:
                self.daemon.start()
            else:
                self.daemon.start(PYTHONPATH=f"{self._program}:{Path.cwd()}", PYTHONSAFEPATH="1")
            self.note(f"daemon started, pid {self.daemon.process.pid if self.daemon.process else 0}")

    def kill(self, *, down_seconds: float) -> None:
        """End the daemon with SIGKILL, and let it be started again after some seconds."""
        if self.daemon.process is not None:
            self.daemon.kill()
        self.down_until = time.monotonic() + down_seconds

    def terminate(self) -> None:
        """End the daemon as systemd does; it drains first."""
        process = self.daemon.process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGCONT)
        process.terminate()
        status = process.wait(timeout=HANGS_SECONDS)
        self.daemon.process = None
        if status not in _TOLD_SIGNALS:
            self.ends.append(f"status {status} after SIGTERM: {self.daemon.stderr().strip()[-300:]}")

    def stop(self) -> None:
        """Have the daemon end and stay so."""
        self._wanted = False
        self.terminate()

    def signal(self, number: signal.Signals) -> None:
        """Send the daemon a signal, if it runs."""
        if self.daemon.process is not None and self.daemon.process.poll() is None:
            self.daemon.signal(number)

    def children(self) -> list[int]:
        """The commands of ours that run now, by what the simulated cluster has noted."""
        found = []
        for call in self.daemon.cluster.calls():
            if call.ended is not None:
                continue
            with suppress(OSError):
                command = Path(f"/proc/{call.pid}/cmdline").read_bytes()
                # The number may be somebody else's by now.
                if os.fsencode(self.daemon.folder / "bin") in command:
                    found.append(call.pid)
        return found

    def known(self) -> int:
        """Return how many attempts the store has; 0 where it cannot be asked now."""
        with (
            suppress(sqlite3.Error),
            closing(sqlite3.connect(f"file:{self.daemon.store}?mode=ro", uri=True)) as store,
        ):
            return int(store.execute("SELECT count(*) FROM jobs").fetchone()[0])
        return 0

    def judge(self, *, whole: bool = False, visible_at: float | None = None) -> Verdict:
        """Compare truth and files as they are now."""
        daemon = self.daemon
        return verdict.judge(daemon.cluster, daemon.file, amended=self.amended, whole=whole, visible_at=visible_at)

    def totals_differ(self) -> str:
        """Say how Prometheus' totals differ from the file's; empty where they do not."""
        records, _ = verdict.read(self.daemon.file, whole=False)
        in_file = verdict.ended_by_label(records)
        status, text, _ = self.daemon.get("/metrics")
        if status != 200:
            return f"/metrics: {status} {text[:200]}"
        counted = self.daemon.counted("slurmwatchd_jobs_ended_total")
        return "" if counted == in_file else f"counted {counted}, in the file {in_file}"

    def close(self) -> None:
        """End everything that was started."""
        self._wanted = False
        if self.daemon.process is not None:
            self.daemon.kill()
        for pid in self.children():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.daemon.cluster.close()
        self._journal.close()
