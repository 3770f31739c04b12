"""What ends: a mix that lives by itself, and the endings that are hard to see in time."""

from __future__ import annotations

import threading
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from simslurm import JobKey, SimCluster, Workload
from simslurm.shapes import HOSTILE_NAMES
from tests.torture.arena import LAST_REREAD

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Self, Unpack

    from simslurm.rows import JobColumns
    from tests.torture.arena import Arena

RATE = 4.0
LATEST = 0.6 * LAST_REREAD
"""How late an ending may be, in seconds, where no outage is to blame: the last re-read must see it."""

BURST = 600
"""Ends in one second: an answer of several pieces."""

_AMENDMENTS: tuple[JobColumns, ...] = (
    {"admin_comment": "checked\nby hand"},
    {"state": "FAILED", "exit_code": 3 << 8},
    {"comment": b"broken \xff"},
    {"admin_comment": "twice", "comment": "changed"},
)


class LiveMix:
    """Jobs of every kind, submitted and ended in real time by a thread of their own."""

    def __init__(self, arena: Arena, seed: int) -> None:
        """Prepare."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._live, args=(arena.daemon.cluster.path, seed))

    def __enter__(self) -> Self:
        """Let them live."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let nothing end any more."""
        self._stop.set()
        self._thread.join()

    def _live(self, path: Path, seed: int) -> None:
        with SimCluster.open(path) as cluster:
            Workload(cluster, seed=seed, nodes=40, rate=RATE, runtime=3, late=0.0, untidy=True).run_live(
                self._stop
            )


class Endings:
    """Writes endings of the hard kinds."""

    def __init__(self, arena: Arena, seed: int) -> None:
        """Prepare."""
        self._arena = arena
        self._dice = Random(seed)  # noqa: S311 - nothing secret is drawn
        kinds: dict[Callable[[], None], int] = {
            self._late: 5, self._suspended: 3, self._half_written: 4, self._amended: 4, self._repeated: 2,
            self._renumbered: 1, self._requeued: 3, self._skewed: 3, self._burst: 1,
        }  # fmt: skip
        self._kinds, self._weights = list(kinds), list(kinds.values())

    def one(self) -> None:
        """Write one, of a kind that is drawn."""
        kind = self._dice.choices(self._kinds, self._weights)[0]
        self._arena.done[f"ending {kind.__name__.strip('_')}"] += 1
        kind()

    def _ended(self, ago: int = 0, **columns: Unpack[JobColumns]) -> JobKey:
        end = self._arena.cluster_now - ago
        given: JobColumns = {
            "time_submit": end - 9, "time_start": end - 5, "time_end": end, "state": "COMPLETED", "user": "ann",
            "id_user": 1000, "job_name": self._dice.choice(HOSTILE_NAMES), "nodelist": "n[1-2,7]",
            "nodes_alloc": 3, **columns,
        }  # fmt: skip
        return self._arena.daemon.cluster.add_job(**given)

    def _late(self) -> None:
        moment = self._arena.cluster_now + self._dice.uniform(1, LATEST)
        self._ended(self._dice.randint(0, 2), end_visible_at=moment)

    def _skewed(self) -> None:
        # slurmctld's clock is not ours: an end may lie ahead of now, or a little behind.
        self._ended(self._dice.choice((-3, -2, -1, 2, 3)))

    def _half_written(self) -> None:
        self._ended(whole_at=self._arena.cluster_now + self._dice.uniform(0.5, 4))

    def _repeated(self) -> None:
        self._ended(copies=self._dice.randint(2, 4))

    def _renumbered(self) -> None:
        key = self._ended()
        number = str(self._dice.randrange(1 << 63, 1 << 64))
        self._arena.later(self._dice.uniform(1, 6), lambda: self._update(key, job_db_inx=number))

    def _requeued(self) -> None:
        key = self._ended(1, time_end=0, state="RUNNING")
        cluster = self._arena.daemon.cluster
        for _ in range(self._dice.randint(1, 3)):
            key = cluster.requeue_job(key, ended_as=self._dice.choice(("REQUEUED", "NODE_FAIL", "PREEMPTED")))
        last = key
        self._arena.later(3, lambda: cluster.end_job(last, time_start=last.time_submit))

    def _suspended(self) -> None:
        key = self._ended(time_end=0, state="RUNNING")
        self._arena.daemon.cluster.suspend_job(key)
        self._arena.later(self._dice.uniform(1, LATEST), lambda: self._kill_suspended(key))

    def _kill_suspended(self, key: JobKey) -> None:
        cluster = self._arena.daemon.cluster
        if self._is_too_late(cluster.job(key)["time_suspended"]):
            # Born old and late on top of it: older than any re-read here. It is resumed and ends as others do.
            cluster.end_job(key, time_suspended=0)
        else:
            cluster.kill_suspended(key)

    def _amended(self) -> None:
        key = self._ended()
        for _ in range(self._dice.choice((1, 1, 2))):
            columns = self._dice.choice(_AMENDMENTS)
            self._arena.later(self._dice.uniform(0.5, 6), partial(self._amend, key, columns))

    def _amend(self, key: JobKey, columns: JobColumns) -> None:
        if self._is_too_late(self._arena.daemon.cluster.job(key)["time_end"]):
            return
        # Counted first: the daemon may see it at once.
        self._arena.amended[key] += 1
        self._update(key, **columns)

    def _is_too_late(self, moment: int) -> bool:
        """Tell whether what shows itself now would be older than the last re-read; this thread may be late too."""
        return self._arena.is_out or self._arena.cluster_now - moment > LATEST + 1

    def _burst(self) -> None:
        with self._arena.daemon.cluster.batch():
            for _ in range(self._dice.randint(BURST // 4, BURST)):
                self._ended()

    def _update(self, key: JobKey, **columns: Unpack[JobColumns]) -> None:
        self._arena.daemon.cluster.update_job(key, **columns)
