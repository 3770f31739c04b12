"""Writes very many ended jobs at once: a pool of plans, drawn once, copied with other ids and dates."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

from .schema import JOB_COLUMNS, STEP_COLUMNS

if TYPE_CHECKING:
    from random import Random
    from typing import Any

    from .database import SimCluster
    from .shapes import Attempt, Shaper

    Row = dict[str, Any]
    Prepared = tuple["Attempt", Row, list[Row]]

_POOL = 2000
_BATCH = 10_000
_job_tuple = itemgetter(*JOB_COLUMNS)
_step_tuple = itemgetter(*STEP_COLUMNS)


class Loader:
    """Copies plans into a cluster.

    Args:
        cluster: Where to.
        shaper: What draws plans.
        random: What draws dates, and plans from the pool.
        steps: Also write steps.
    """

    def __init__(self, cluster: SimCluster, shaper: Shaper, random: Random, *, steps: bool) -> None:
        """Keep all four."""
        self._cluster = cluster
        self._shaper = shaper
        self._random = random
        self._steps = steps
        self._pool: list[list[Prepared]] = []
        self._single: list[Prepared] = []

    def load(self, count: int, start: int, end: int) -> int:
        """Write exactly `count` attempts that ended from `start` to `end`."""
        written = 0
        while written < count:
            with self._cluster.batch():
                if not self._pool:
                    self._single = self._prepared(self._shaper.simple())
                    self._pool = [self._prepared(self._shaper.plan()) for _ in range(min(_POOL, count))]
                jobs: list[Row] = []
                steps: list[Row] = []
                target = min(_BATCH, count - written)
                while len(jobs) < target:
                    self._copy(target - len(jobs), start, end, jobs, steps)
                self._cluster.insert_rows(map(_job_tuple, jobs), map(_step_tuple, steps))
                written += len(jobs)
        return written

    def _prepared(self, plan: list[Attempt]) -> list[Prepared]:
        """Turn attempts into whole rows, with times that are relative to the plan's beginning."""
        prepared: list[Prepared] = []
        for attempt in plan:
            row, steps = self._cluster.prepare_rows(
                {**attempt.columns, "time_submit": 0, "time_start": int(attempt.wait is not None), "time_end": 1},
                attempt.steps if self._steps and attempt.wait is not None else {},
            )
            prepared.append((attempt, row, steps))
        return prepared

    def _copy(self, room: int, start: int, end: int, jobs: list[Row], steps: list[Row]) -> None:
        plan = self._random.choice(self._pool)
        ends = [attempt.end for attempt, _, _ in plan]
        if len(plan) > room or max(ends) - min(ends) > end - start:
            plan, ends = self._single, [self._single[0][0].end]
        begin = self._random.randint(start + max(ends) - min(ends), end) - max(ends)
        last = len(plan) - 1
        master = 0
        for number, (attempt, template, step_templates) in enumerate(plan):
            row = template.copy()
            submit = begin + attempt.submit
            row["time_submit"] = submit
            # 0 is a job that was held until it was cancelled: never eligible.
            row["time_eligible"] = attempt.columns.get("time_eligible", submit)
            started = 0 if attempt.wait is None else submit + attempt.wait
            row["time_start"], row["time_end"] = started, begin + attempt.end
            if not attempt.same_job:
                row["id_job"] = self._cluster.take_number("next_job_id")
            else:
                row["id_job"] = jobs[-1]["id_job"]
            master = master or row["id_job"]
            if attempt.task is not None:
                # The last task of an array has the master's id.
                row["id_array_job"] = master
                row["id_array_task"] = last if number == 0 else 0 if number == last else attempt.task
            elif attempt.component is not None:
                row["het_job_id"], row["het_job_offset"] = master, attempt.component
            elif row["array_task_str"]:
                row["id_array_job"] = master
            row["job_db_inx"] = self._cluster.take_db_index(submit)
            key = self._cluster.take_key()
            for step_template in step_templates:
                step = step_template.copy()
                step["job"], step["time_start"], step["time_end"] = key, started, row["time_end"]
                steps.append(step)
            jobs.append(row)
