"""Which rows sacct asks for, and slurmdbd's conditions for them (as_mysql_jobacct_process.c).

The window is the heart of it: with -s it picks what ended between -S and -E, both included;
without -s it picks what was eligible before -E and had not ended before -S.
"""

from __future__ import annotations

from .schema import STATES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .jobids import Selected
    from .versions import Release

    Parameter = int | float | str | bytes

_RUNNING, _PENDING, _SUSPENDED = STATES["RUNNING"], STATES["PENDING"], STATES["SUSPENDED"]

_ENDED = "(time_end != 0 AND end_visible_at <= :now)"
_OPEN = "(time_end = 0 OR end_visible_at > :now)"
_WAS_RUNNING = f"({_OPEN} AND (state = {_RUNNING} OR end_visible_at > :now))"
_WAS_PENDING = f"({_OPEN} AND (state = {_PENDING} OR end_visible_at > :now))"


class Selection:
    """What the options of one sacct call pick.

    Attributes:
        start: -S, or None.
        end: -E, or None.
        states: -s as stored numbers; empty for none.
        jobs: -j; empty for none.
        clusters: -M; None is every cluster.
        duplicates: -D.
        steps: False with -X.
        truncate: -T.
        users: Only these uids; None is everyone.
        equals: Column to the values it may have: -A, -r, -q, --name and the like.
        ranges: Column to the least and the greatest value: -i, -I, -k.
        nodes: -N, expanded; None is any.
    """

    def __init__(self) -> None:
        """Begin with everything."""
        self.start: int | None = None
        self.end: int | None = None
        self.states: list[int] = []
        self.jobs: list[Selected] = []
        self.clusters: list[str] | None = None
        self.duplicates = False
        self.steps = True
        self.truncate = False
        self.users: list[int] | None = None
        self.equals: dict[str, list[Parameter]] = {}
        self.ranges: dict[str, tuple[int, int]] = {}
        self.nodes: frozenset[str] | None = None

    def complete(self, now: int, release: Release) -> None:
        """Fill in the window as slurmdb_job_cond_def_start_end does.

        With -s and no -S the window begins now; with neither, at midnight (or, with -j, at the
        beginning of time). Without -E it ends where it begins (-s) or now. Since 21.08 an empty
        window, and one that ends now, is made one second longer.
        """
        if self.start is None:
            self.start = now if self.states else (0 if self.jobs else _midnight(now))
        if self.end is None:
            self.end = self.start if self.states else now
        if release >= (21, 8) and self.end in {self.start, now}:
            self.end += 1

    def conditions(
        self, now: float, release: Release, purge: tuple[str, int] | None
    ) -> tuple[str, dict[str, Parameter]]:
        """Write the WHERE clause, without the cluster, and its parameters."""
        values: dict[str, Parameter] = {"now": now, "S": self.start or 0, "E": self.end or 0}
        clauses = ["visible_at <= :now"]
        if not self.duplicates:
            clauses.append(f"state != {STATES['REVOKED']}")
        if self.jobs:
            clauses.append(_job_clause(self.jobs))
        if self.users is not None:
            self.equals["id_user"] = list(self.users)
        for column, wanted in self.equals.items():
            names = []
            for number, value in enumerate(wanted):
                values[f"{column}_{number}"] = value
                names.append(f":{column}_{number}")
            clauses.append(f"{column} IN ({', '.join(names)})")
        for column, (least, greatest) in self.ranges.items():
            clauses.append(f"{column} BETWEEN {least} AND {greatest}")
        clauses.append(self._window(release))
        if purge:
            # PurgeJobAfter goes by end since 23.02, by submission before.
            clauses.append(f"({_OPEN} OR {purge[0]} >= {purge[1]})")
        return " AND ".join(clauses), values

    def _window(self, release: Release) -> str:
        if not self.states:
            # 20.11 also took rows that were submitted in the last second (-j).
            begun = "time_submit <= :E" if release < (21, 8) else "time_submit < :E"
            if not self.jobs:
                begun = "time_eligible != 0 AND time_eligible < :E"
            return f"{begun} AND (({_ENDED} AND time_end >= :S) OR {_OPEN})"
        kinds = []
        terminal = [state for state in self.states if state not in {_RUNNING, _PENDING, _SUSPENDED}]
        if terminal:
            names = ", ".join(str(state) for state in terminal)
            kinds.append(
                f"(time_end BETWEEN :S AND :E AND state IN ({names}) AND time_end != 0 AND end_visible_at <= :now)"
            )
        if _RUNNING in self.states:
            kinds.append(
                f"(time_start != 0 AND (({_ENDED} AND :S < time_end) OR {_WAS_RUNNING}) AND :E > time_start)"
            )
        if _PENDING in self.states:
            kinds.append(
                "(time_eligible != 0 AND ((time_start != 0 AND :S < time_start)"
                f" OR (time_start = 0 AND {_ENDED} AND :S < time_end)"
                f" OR (time_start = 0 AND {_WAS_PENDING})) AND :E > time_eligible)"
            )
        if _SUSPENDED in self.states:
            kinds.append(
                "key IN (SELECT job FROM suspensions s WHERE s.time_end = 0"
                " OR :S BETWEEN s.time_start AND s.time_end OR s.time_start BETWEEN :S AND :E)"
            )
        return kinds[0] if len(kinds) == 1 else "(" + " OR ".join(kinds) + ")"


def _midnight(now: int) -> int:
    from .times import parse_time  # noqa: PLC0415 - the daemon's calls name their window

    return parse_time("today", now)


def _job_clause(jobs: list[Selected]) -> str:
    """Write what -j asks: a bare number is a job, a whole array or a whole heterogeneous job."""
    plain = sorted({job.job_id for job in jobs if job.task is None and job.offset is None})
    kinds = []
    if plain:
        numbers = ", ".join(map(str, plain))
        kinds += [
            f"id_job IN ({numbers})",
            f"(het_job_id != 0 AND het_job_id IN ({numbers}))",
            f"(id_array_job != 0 AND id_array_job IN ({numbers}))",
        ]
    tasks = ", ".join(f"({job.job_id}, {job.task})" for job in jobs if job.task is not None)
    if tasks:
        kinds.append(f"(id_array_job != 0 AND (id_array_job, id_array_task) IN (VALUES {tasks}))")
    parts = ", ".join(f"({job.job_id}, {job.offset})" for job in jobs if job.offset is not None)
    if parts:
        kinds.append(f"(het_job_id != 0 AND (het_job_id, het_job_offset) IN (VALUES {parts}))")
    return "(" + " OR ".join(kinds) + ")"
