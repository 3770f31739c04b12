"""A simulated cluster, the daemon's parts over it, and one clock for both that only the test moves."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, Self, Unpack

import anyio

from simslurm import JobKey, SimCluster, install_commands
from simslurm.rows import JobColumns
from slurmwatchd.config.loader import load
from slurmwatchd.daemon.assembly import assembled
from slurmwatchd.daemon.daemon import Daemon, Outside
from slurmwatchd.daemon.sd_notify import Notifier
from slurmwatchd.sinks.registry import sink_kinds
from slurmwatchd.sources.process import ProcessRunner
from tests.event_schema import conforming
from tests.integration.quick import QuickRunner
from tests.patience import HANGS_SECONDS

START = 1_795_500_000
"""When each test begins: far from any real now."""

WINDOW = "CA,CD,F,"
"""Stands in the arguments of a call that asks for a window, and in no other."""


class FakeClock:
    """Time that passes when the test says so; who sleeps wakes when it has."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._moved = anyio.Event()
        self.asked: list[float] = []
        """How long each sleeper wanted to sleep."""
        self._asleep = 0
        self._ticks: dict[int, float] = {}

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        self.asked.append(seconds)
        deadline = self._now + seconds
        await anyio.lowlevel.checkpoint()
        self._asleep += 1
        try:
            while self._now < deadline:
                await self._moved.wait()
        finally:
            self._asleep -= 1

    async def tick(self, every: float) -> float:
        self._ticks[id(asyncio.current_task())] = self._now + every
        await self.sleep(every)
        return 0.0

    def has_ticked(self) -> bool:
        """Return whether all who look after something now and then have looked, as far as it is time."""
        return bool(self._ticks) and min(self._ticks.values()) > self._now

    async def at_rest(self) -> None:
        """Wait until somebody sleeps, and has seen that it is not yet time to wake."""
        moved = self._moved
        with anyio.fail_after(HANGS_SECONDS):
            for _ in range(3):
                await anyio.lowlevel.checkpoint()
            while not self._asleep and self._moved is moved:  # noqa: ASYNC110 - nothing tells when
                await anyio.sleep(0.005)

    def move(self, seconds: float) -> None:
        self._now += seconds
        self._moved.set()
        self._moved = anyio.Event()


class Rig:
    """Everything one test needs."""

    def __init__(self, folder: Path, *, version: str = "22.05.8", **sections: dict[str, Any]) -> None:
        self.folder = folder
        self.file = folder / "jobs.jsonl"
        self.store = folder / "store.db"
        self.cluster = SimCluster.create(folder / "slurm.db", version=version)
        install_commands(folder / "bin", self.cluster.path)
        self.clock = FakeClock(START)
        self.cluster.set_now(START)
        flags: dict[str, dict[str, Any]] = {
            "slurm": {"bin_dir": str(folder / "bin"), "timeout": "20s"},
            # Most tests are about ends; those about usage ask for it.
            "steps": {"mode": "off"},
            "store": {"path": str(self.store)},
            "sinks": {"jobs": {"type": "jsonl", "path": str(self.file)}},
        }
        self.config = load(
            None,
            sink_options={name: kind.options for name, kind in sink_kinds().items()},
            environ={},
            flags={name: {**flags.get(name, {}), **sections.get(name, {})} for name in {**flags, **sections}},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cluster.close()

    @property
    def now(self) -> int:
        return int(self.clock.now())

    def move(self, seconds: float) -> None:
        """Let time pass, here and in the cluster."""
        self.clock.move(seconds)
        self.cluster.set_now(self.clock.now())

    def ended(self, seconds_ago: int, **columns: Unpack[JobColumns]) -> JobKey:
        """Write a job of a minute that ended some seconds ago."""
        end = self.now - seconds_ago
        given: JobColumns = {
            "time_submit": end - 90,
            "time_start": end - 60,
            "time_end": end,
            "state": "COMPLETED",
            "user": "ann",
            "id_user": 1000,
            **columns,
        }
        return self.cluster.add_job(**given)

    @asynccontextmanager
    async def daemon(
        self, runner: ProcessRunner | None = None, notifier: Notifier | None = None
    ) -> AsyncIterator[Daemon]:
        """The daemon's parts, wired; nothing runs by itself."""
        outside = Outside(
            clock=self.clock, runner=runner or self.runner(), notifier=notifier or Notifier(environ={})
        )
        async with assembled(self.config, outside) as daemon:
            yield daemon

    def runner(self) -> QuickRunner:
        """What runs this cluster's commands."""
        return QuickRunner(self.folder / "bin", self.cluster.path)

    async def once(self) -> None:
        """Start, read what is due, deliver it, stop."""
        async with self.daemon() as daemon:
            await daemon.once()

    def records(self, name: str = "jobs.jsonl") -> list[dict[str, Any]]:
        """Every event in a sink's file."""
        file = self.folder / name
        return conforming(file.read_bytes().split(b"\n")[:-1]) if file.exists() else []

    def names(self) -> list[str]:
        """The names of the ended jobs, in the order of the file."""
        return [record["name"] for record in self.records() if record["event"] == "job_ended"]

    def ask_store(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the store as any other program would."""
        with closing(sqlite3.connect(f"file:{self.store}?mode=ro", uri=True)) as store:
            return store.execute(sql).fetchall()

    def watermark(self) -> int:
        """Seconds from the beginning of the test to what the store says is read; 0 before the first reading."""
        found = self.ask_store("SELECT watermark FROM horizons")
        return int(found[0][0]) - START if found else 0

    def windows_asked(self) -> int:
        """How many calls asked for a window."""
        return sum(any(WINDOW in word for word in call.argv) for call in self.cluster.calls("sacct"))
