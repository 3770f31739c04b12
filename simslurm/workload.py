"""A seeded generator of realistic jobs: thousands loaded at once, or a cluster that lives in real time."""

from __future__ import annotations

import heapq
import threading
import time
from random import Random
from typing import TYPE_CHECKING

from .loading import Loader
from .shapes import Attempt, Shaper

if TYPE_CHECKING:
    from collections.abc import Callable

    from .database import JobKey, SimCluster
    from .rows import JobColumns

_TICK_SECONDS = 0.1
_STOPPED: JobColumns = {"nodelist": "None assigned", "nodes_alloc": 0, "tres_alloc": ""}


class Workload:
    """Writes jobs into a simulated cluster.

    The same seed and the same arguments write the same jobs, but for their dates.
    """

    def __init__(
        self,
        cluster: SimCluster,
        *,
        seed: int = 0,
        nodes: int = 100,
        rate: float = 1.0,
        runtime: float = 600.0,
        late: float = 0.02,
        untidy: bool = False,
    ) -> None:
        """Prepare to write.

        Args:
            cluster: Where to.
            seed: Of all chance.
            nodes: How many nodes the cluster has, up to 10,000 and more.
            rate: Submissions a second in live mode.
            runtime: Mean seconds a job runs.
            late: The share of ends that reach slurmdbd late, in live mode.
            untidy: Whether there are jobs among them that untidy sites have.
        """
        self._cluster = cluster
        self._random = Random(seed)  # noqa: S311 - nothing secret is drawn
        self._rate = rate
        self._shaper = Shaper(self._random, nodes=nodes, runtime=runtime, late=late, untidy=untidy)
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0

    def load(self, count: int, start: int, end: int, *, steps: bool = True) -> int:
        """Write exactly `count` attempts that ended in a stretch of time.

        Args:
            count: How many rows of the job table.
            start: The earliest end, epoch seconds.
            end: The latest end.
            steps: Also write their steps.

        Returns:
            How many rows were written.
        """
        return Loader(self._cluster, self._shaper, self._random, steps=steps).load(count, start, end)

    def _dated(self, attempt: Attempt, begin: int, keys: list[JobKey]) -> JobColumns:
        """Give an attempt its dates, and the ids it shares with the rows before it."""
        submit = begin + attempt.submit
        columns: JobColumns = {**attempt.columns, "time_submit": submit, "time_end": begin + attempt.end}
        columns.setdefault("time_eligible", submit)
        if attempt.wait is not None:
            columns["time_start"] = submit + attempt.wait
        if attempt.late:
            columns["end_visible_at"] = columns["time_end"] + attempt.late
        if attempt.same_job:
            columns["id_job"] = keys[-1].id_job
        if attempt.task is not None and keys:
            columns |= {"id_array_job": keys[0].id_job, "id_array_task": attempt.task}
        if attempt.component is not None and keys:
            columns |= {"het_job_id": keys[0].id_job, "het_job_offset": attempt.component}
        return columns

    def _close_array(self, plan: list[Attempt], keys: list[JobKey]) -> None:
        """Name the first row of an array or a heterogeneous job after itself.

        In Slurm it is the last task of an array that has the master's id: the first and the last
        task swap their numbers.
        """
        first = plan[0]
        master = keys[0].id_job
        if first.task is not None:
            last = len(plan) - 1
            self._cluster.update_job(keys[0], id_array_job=master, id_array_task=last)
            self._cluster.update_job(keys[-1], id_array_task=first.task)
        elif first.component is not None:
            self._cluster.update_job(keys[0], het_job_id=master, het_job_offset=0)
        elif "array_tasks" in first.columns:
            self._cluster.update_job(keys[0], id_array_job=master)

    def run_live(
        self,
        stop: threading.Event | None = None,
        *,
        duration: float | None = None,
        rate: float | None = None,
        runtime: float | None = None,
    ) -> int:
        """Let jobs be submitted, start and end in real time.

        Args:
            stop: Ends it.
            duration: Seconds until it ends by itself; jobs that still run then keep running.
            rate: Submissions a second, if not the workload's.
            runtime: Mean seconds a job runs, if not the workload's.

        Returns:
            How many attempts ended.
        """
        stop = stop or threading.Event()
        pace = self._rate if rate is None else rate
        if runtime is not None:
            self._shaper.runtime = runtime
        finish = None if duration is None else time.monotonic() + duration
        self._ended = 0
        next_submission = time.time()
        while not stop.is_set() and (finish is None or time.monotonic() < finish):
            now = time.time()
            with self._cluster.batch():
                while pace > 0 and next_submission <= now:
                    self._submit_live(int(next_submission))
                    next_submission += self._random.expovariate(pace)
                while self._due and self._due[0][0] <= now:
                    heapq.heappop(self._due)[2]()
            stop.wait(_TICK_SECONDS)
        return self._ended

    def _at(self, moment: float, action: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._due, (moment, self._order, action))

    def _submit_live(self, begin: int) -> None:
        """Write the first rows of a plan as they are on submission, and plan the rest."""
        plan = self._shaper.plan()
        keys: list[JobKey] = []
        for attempt in plan:
            if attempt.same_job:
                continue
            columns = self._dated(attempt, begin, keys)
            keys.append(self._add_pending(columns))
            self._plan_life(attempt, columns, keys[-1])
        self._close_array(plan, keys)
        self._plan_requeues(plan, begin, keys[0])

    def _plan_requeues(self, plan: list[Attempt], begin: int, key: JobKey) -> None:
        for attempt in plan:
            if attempt.same_job:
                columns = self._dated(attempt, begin, [key])

                def resubmit(attempt: Attempt = attempt, columns: JobColumns = columns) -> None:
                    self._plan_life(attempt, columns, self._add_pending(columns))

                self._at(columns["time_submit"] + 0.01, resubmit)

    def _add_pending(self, columns: JobColumns) -> JobKey:
        pending: JobColumns = {**columns, **_STOPPED, "state": "PENDING", "time_start": 0, "time_end": 0}
        pending |= {"exit_code": 0, "kill_requid": None, "end_visible_at": 0, "failed_node": None}
        return self._cluster.add_job(**pending)

    def _plan_life(self, attempt: Attempt, columns: JobColumns, key: JobKey) -> None:
        """Let an attempt start and end when it should."""
        if attempt.wait is not None:
            started: JobColumns = {
                "state": "RUNNING", "time_start": columns["time_start"], "nodelist": columns["nodelist"],
                "nodes_alloc": columns["nodes_alloc"], "tres_alloc": columns["tres_alloc"],
            }  # fmt: skip
            self._at(columns["time_start"], lambda: self._cluster.update_job(key, **started))
        ended: JobColumns = {"time_end": columns["time_end"], "state": columns["state"]}
        ended["exit_code"] = columns.get("exit_code", 0)
        ended["kill_requid"] = columns.get("kill_requid")
        ended["failed_node"] = columns.get("failed_node")
        ended["end_visible_at"] = columns.get("end_visible_at", 0)

        def end() -> None:
            self._cluster.update_job(key, **ended)
            if attempt.wait is not None:
                for step, used in attempt.steps.items():
                    self._cluster.add_step(key, step, **used)
            self._ended += 1

        # The order within a second: submission, start, end.
        self._at(columns["time_end"] + 0.02, end)
