"""SimCluster: what writes the jobs of the simulated accounting database, and shows tests what is in it.

Columns have slurmdbd's names and values (`time_end=0` is a job that has not ended); `schema` lists
them. What sacct makes of them is not decided here.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .agent import DbdAgent
from .rows import complete_job, complete_step
from .schema import (
    CREATE,
    DEFAULT_TRES,
    JOB_COLUMNS,
    JOB_DEFAULTS,
    JOB_TEXT,
    STEP_COLUMNS,
    STEP_DEFAULTS,
    STEP_IDS,
    STEP_TEXT,
)
from .settings import DEFAULTS, Call
from .storage import quoted
from .versions import DEFAULT_VERSION, release_of

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from typing import Any, Self, Unpack

    from .rows import JobColumns, StepColumns

__all__ = ["Call", "JobKey", "SimCluster"]

_KEY = "cluster = ? AND id_job = ? AND time_submit = ?"


class JobKey(NamedTuple):
    """What slurmdbd knows an attempt by."""

    cluster: str
    id_job: int
    time_submit: int


class SimCluster(DbdAgent):
    """The accounting database of a simulated Slurm: `create` or `open` one, write jobs, read the truth.

    Every method is a transaction of its own, or part of the one `batch()` holds open. Threads may
    share one object.
    """

    @classmethod
    def create(cls, path: str | os.PathLike[str], *, cluster: str = "sim", version: str = DEFAULT_VERSION) -> Self:
        """Make a new database with one empty cluster.

        Args:
            path: The file; it must not exist.
            cluster: The name of the local cluster.
            version: The Slurm the stand-in commands play, 20.11 to 26.05.

        Raises:
            FileExistsError: There is such a file.
            ValueError: The version is none.
        """
        release_of(version)
        Path(path).touch(exist_ok=False)
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA synchronous=OFF")
            db.execute("PRAGMA journal_mode=WAL")
            db.executescript(CREATE)
            db.executemany("INSERT INTO tres VALUES (?, ?, ?)", DEFAULT_TRES)
            db.execute("INSERT INTO qos VALUES (1, ?)", (b"normal",))
            db.execute("INSERT INTO users VALUES ('root', 0, 'Administrator')")
            settings = {**DEFAULTS, "cluster": cluster, "version": version}
            db.executemany("INSERT INTO config VALUES (?, ?)", settings.items())
        db.close()
        opened = cls(path)
        opened.add_cluster(cluster)
        return opened

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Open an existing database."""
        return cls(path)

    def add_job(self, **columns: Unpack[JobColumns]) -> JobKey:
        """Write one row of the job table, as slurmctld would through slurmdbd.

        What is not given is filled in: the next job id, submission now, sensible resources, a
        DBIndex of the version's kind, `None assigned` without a start.

        Args:
            **columns: As in slurmdbd's job table, with these freedoms: `state` also by name, `qos`
                by name, text as `str` or `bytes`, TRES also by name ("cpu=4,mem=8192"),
                `array_tasks` as a list of numbers.

        Returns:
            The key to change or delete it by.

        Raises:
            sqlite3.IntegrityError: The cluster has a row of that id and submission.
        """
        return self.add_attempt(columns, {})

    def add_attempt(self, columns: JobColumns, steps: Mapping[int | str, StepColumns]) -> JobKey:
        """Write a row of the job table and its steps; see `add_job` and `add_step`."""
        with self.batch():
            row = self._job_values(dict(columns))
            cluster = row.setdefault("cluster", self.config("cluster"))
            if "id_job" not in row:
                row["id_job"] = self._next(cluster, "next_job_id")
            complete_job(row, self.now())
            if "job_db_inx" not in row:
                row["job_db_inx"] = self._db_index(cluster, row["time_submit"])
            number = self._insert("jobs", row)
            self._send(number, "row")
            self._remember_user(row)
            for step, used in steps.items():
                self._insert_step(number, row, step, used)
        return JobKey(cluster, row["id_job"], row["time_submit"])

    def add_step(self, key: JobKey, step: int | str = "batch", **columns: Unpack[StepColumns]) -> None:
        """Write one row of the step table.

        Args:
            key: The job's.
            step: 0, 1 ... or `batch`, `extern`, `interactive`, `TDB`.
            **columns: As in slurmdbd's step table; `max_rss`, `disk_read`, `disk_write` in bytes
                and `cpu_milliseconds` fill the usage strings.
        """
        with self.batch():
            job = self.job(key)
            self._insert_step(job["key"], job, step, columns)

    def end_job(self, key: JobKey, **columns: Unpack[JobColumns]) -> None:
        """End an attempt: COMPLETED, and now, where nothing else is given."""
        given: JobColumns = {"time_end": self.now(), "state": "COMPLETED", **columns}
        self.update_job(key, **given)

    def requeue_job(self, key: JobKey, *, ended_as: str = "REQUEUED", **columns: Unpack[JobColumns]) -> JobKey:
        """End an attempt and write the next one: same job id, submitted when the first one ended.

        Args:
            key: The attempt that ends.
            ended_as: Its state: REQUEUED, PREEMPTED or NODE_FAIL.
            **columns: What the new, pending row has different.
        """
        with self.batch():
            old = self.job(key)
            ended = columns.get("time_submit", max(self.now(), key.time_submit + 1))
            self.end_job(key, state=ended_as, time_end=ended)
            same: JobColumns = {
                "cluster": old["cluster"], "id_job": old["id_job"], "id_array_job": old["id_array_job"],
                "id_array_task": old["id_array_task"], "user": old["user"], "id_user": old["id_user"],
                "id_group": old["id_group"], "group_name": old["group_name"], "account": old["account"],
                "partition": old["partition"], "job_name": old["job_name"], "id_qos": old["id_qos"],
                "tres_req": old["tres_req"], "cpus_req": old["cpus_req"], "timelimit": old["timelimit"],
                "work_dir": old["work_dir"], "submit_line": old["submit_line"], "state": "PENDING",
                "time_submit": ended, "restart_cnt": old["restart_cnt"] + 1,
            }  # fmt: skip
            new: JobColumns = {**same, **columns}
            return self.add_job(**new)

    def suspend_job(self, key: JobKey, *, at: int | None = None) -> None:
        """Suspend a running job: should it be cancelled now, its end is this second."""
        moment = self.now() if at is None else at
        with self.batch():
            self.update_job(key, state="SUSPENDED", time_suspended=moment)
            self._db.execute("INSERT INTO suspensions VALUES (?, ?, 0)", (self._number(key), moment))

    def kill_suspended(self, key: JobKey, **columns: Unpack[JobColumns]) -> None:
        """Cancel a suspended job: slurmctld dates its end to the second it was suspended, so it is born old."""
        with self.batch():
            moment = self.job(key)["time_suspended"]
            ended: JobColumns = {"state": "CANCELLED", "time_end": moment, "time_suspended": 0, **columns}
            self.update_job(key, **ended)
            self._db.execute("UPDATE suspensions SET time_end = ? WHERE job = ?", (moment, self._number(key)))

    def update_job(self, key: JobKey, **columns: Unpack[JobColumns]) -> None:
        """Change columns of a row, as `add_job` names them.

        Raises:
            KeyError: There is no such row.
        """
        with self.batch():
            row = self._job_values(dict(columns))
            # The key may be among what changes.
            number = self._number(key)
            assignments = ", ".join(f'"{name}" = ?' for name in row)
            self._db.execute(
                f"UPDATE jobs SET {assignments} WHERE {_KEY}",  # noqa: S608 - names are checked
                [*row.values(), *key],
            )
            if row.get("time_end"):
                self._send(number, "end")

    def update_step(self, key: JobKey, step: int | str, **columns: Unpack[StepColumns]) -> None:
        """Change columns of a step.

        Raises:
            KeyError: There is no such step.
        """
        with self.batch():
            row = self._step_values(dict(columns))
            assignments = ", ".join(f'"{name}" = ?' for name in row)
            number = STEP_IDS[step] if isinstance(step, str) else step
            changed = self._db.execute(
                f"UPDATE steps SET {assignments} WHERE job = ? AND id_step = ?",  # noqa: S608 - names are checked
                [*row.values(), self._number(key), number],
            ).rowcount
            if not changed:
                raise KeyError((key, step))

    def delete_job(self, key: JobKey) -> None:
        """Take a row away, with its steps: purged, or never there.

        Raises:
            KeyError: There is no such row.
        """
        with self.batch():
            number = self._number(key)
            self._db.execute("DELETE FROM steps WHERE job = ?", (number,))
            self._db.execute("DELETE FROM jobs WHERE key = ?", (number,))

    def job(self, key: JobKey) -> dict[str, Any]:
        """Read one row of the job table.

        Raises:
            KeyError: There is no such row.
        """
        rows = self._plain("jobs", ("key", *JOB_COLUMNS), JOB_TEXT, f"WHERE {_KEY}", tuple(key))
        if not rows:
            raise KeyError(key)
        return rows[0]

    def jobs(self) -> list[dict[str, Any]]:
        """Read the whole job table, in the order it was written."""
        return self._plain("jobs", ("key", *JOB_COLUMNS), JOB_TEXT, "ORDER BY key", ())

    def steps(self) -> list[dict[str, Any]]:
        """Read the whole step table; `job` is the job row's `key`."""
        return self._plain("steps", STEP_COLUMNS, STEP_TEXT, "ORDER BY job, id_step, step_het_comp", ())

    def truth(self) -> dict[str, list[dict[str, Any]]]:
        """Read every job and step row: raw database values, text that may be hostile as bytes."""
        with self.batch():
            return {"jobs": self.jobs(), "steps": self.steps()}

    def prepare_rows(
        self, columns: JobColumns, steps: Mapping[int | str, StepColumns]
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Make whole rows of what `add_attempt` would write, without writing them."""
        row = self._job_values(dict(columns))
        complete_job(row, self.now())
        row.setdefault("cluster", self.config("cluster"))
        self._remember_user(row)
        rows = []
        for step, used in steps.items():
            values = self._step_values(dict(used))
            values["id_step"] = STEP_IDS[step] if isinstance(step, str) else step
            complete_step(values, row)
            rows.append({**STEP_DEFAULTS, **values})
        return {**JOB_DEFAULTS, **row}, rows

    def _insert_step(self, number: int, job: Mapping[str, Any], step: int | str, columns: StepColumns) -> None:
        row = self._step_values(dict(columns))
        row |= {"job": number, "id_step": STEP_IDS[step] if isinstance(step, str) else step}
        complete_step(row, job)
        self._insert("steps", row)

    def _number(self, key: JobKey) -> int:
        row = self._db.execute(f"SELECT key FROM jobs WHERE {_KEY}", tuple(key)).fetchone()  # noqa: S608
        if row is None:
            raise KeyError(key)
        return int(row[0])

    def _plain(
        self,
        table: str,
        columns: tuple[str, ...],
        text: frozenset[str],
        rest: str,
        values: tuple[object, ...],
    ) -> list[dict[str, Any]]:
        sql = f"SELECT {quoted(columns)} FROM {table} {rest}"  # noqa: S608 - our own names
        decode: dict[str, Callable[[Any], Any]] = {
            name: (lambda value: value if value is None else value.decode()) for name in text
        }
        rows = []
        for row in self._execute(sql, values):
            plain = dict(zip(columns, row, strict=True))
            for name, change in decode.items():
                plain[name] = change(plain[name])
            rows.append(plain)
        return rows
