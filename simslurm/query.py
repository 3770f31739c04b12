"""Job and step rows as slurmdbd hands them to sacct: picked, shaped, in order.

Shaping is what slurmdbd does between its tables and its answer: the start of a job that never
started, elapsed seconds, a step that takes its job's end.
"""

from __future__ import annotations

from .schema import JOB_COLUMNS, NO_VAL, START_RECEIVED, STATES, STEP_COLUMNS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .selection import Selection
    from .session import Session

    # A row by column name. Any, as a checked type a column would cost more than it shows.
    Row = dict[str, Any]

_RUNNING, _PENDING, _SUSPENDED = STATES["RUNNING"], STATES["PENDING"], STATES["SUSPENDED"]
_RESIZING = STATES["RESIZING"]
_CHUNK = 500
_NO_START_SINCE = (22, 5)
_PURGE_UNITS = {"hour": 3600, "day": 86400, "month": 30 * 86400}


def fetch_jobs(session: Session, selection: Selection) -> list[Row]:
    """Read the job rows a call picks, in the order sacct prints them."""
    purge = purge_limit(session.config.get("purge_job_after", ""), session.now)
    column = "time_end" if session.release >= (23, 2) else "time_submit"
    where, values = selection.conditions(
        session.clock, session.release, (column, purge) if purge is not None else None
    )
    known = [name.decode() for (name,) in session.db.execute("SELECT name FROM clusters ORDER BY position")]
    wanted = known if selection.clusters is None else [c for c in selection.clusters if c in known]
    select = f"SELECT key, {', '.join(JOB_COLUMNS)} FROM jobs WHERE cluster = :cluster AND {where}"  # noqa: S608
    names = ("key", *JOB_COLUMNS)
    jobs: list[Row] = []
    for cluster in wanted:
        last_id = -1
        rows = session.db.execute(f"{select} ORDER BY id_job, time_submit DESC", {**values, "cluster": cluster})
        for row in rows:
            job = dict(zip(names, row, strict=True))
            # Without -D only the newest row of a job id counts, and the segments of a resized job.
            if not selection.duplicates and job["id_job"] == last_id and job["state"] != _RESIZING:
                continue
            last_id = job["id_job"]
            if selection.nodes is not None and not _ran_on(job, selection.nodes):
                continue
            shape_job(job, session, selection)
            jobs.extend([job] * max(1, job["copies"]))
    jobs.sort(key=_print_order)
    return jobs


def _print_order(job: Row) -> tuple[int, int, int]:
    """Order as sacct does: by submission; among equals, array tasks come last, by array and task."""
    return job["time_submit"], job["id_array_job"], job["id_array_task"] if job["id_array_job"] else 0


def purge_limit(text: str, now: int) -> int | None:
    """Read PurgeJobAfter ("12 months") as the second before which rows are gone."""
    if not text:
        return None
    number, _, unit = text.partition(" ")
    return now - int(number) * _PURGE_UNITS[unit.rstrip("s")]


def _ran_on(job: Row, nodes: frozenset[str]) -> bool:
    from .hostlists import HostlistError, expand  # noqa: PLC0415 - only -N pays for it

    if not job["time_start"] or not job["nodelist"]:
        return False
    try:
        return not nodes.isdisjoint(expand(job["nodelist"].decode(errors="surrogateescape"), (99, 0)))
    except HostlistError:
        return False


def shape_job(job: Row, session: Session, selection: Selection) -> None:
    """Turn a job's row into what slurmdbd answers."""
    if job["end_visible_at"] > session.clock:
        # Its end has not reached slurmdbd yet: the row is as the start message left it.
        job["time_end"] = job["exit_code"] = job["derived_ec"] = 0
        job["kill_requid"] = None
        job["state"] = _RUNNING if job["time_start"] else _PENDING
    if job["whole_at"] > session.clock:
        _half_write(job)
    start, end = job["time_start"], job["time_end"]
    job["ended"] = end
    if end and session.release < _NO_START_SINCE:
        start = min(start or end, end)
    elif end:
        start = min(start, end) or _no_start(job)
    suspended = job["time_suspended"]
    if selection.truncate:
        start, end = _truncated(start, end, selection)
    elif job["state"] == _SUSPENDED:
        suspended = session.now - suspended
    job["start"], job["end"], job["suspended"] = start, end, suspended
    elapsed = 0 if not start else (end or session.now) - start
    job["elapsed"] = max(0, elapsed - suspended)
    job["user_cpu"] = job["system_cpu"] = (0, 0)
    job["merged"] = None
    job["shown"] = True
    if not job["nodelist"] or job["nodelist"] == b"(null)":
        job["nodelist"] = b"(unknown)"


def _no_start(job: Row) -> int:
    """Return how a job shows that it never started.

    Since 22.05 it is `None` where slurmdbd knew of the job while it waited, else `Unknown`
    (measured on 22.05.8, 24.11.5 and 26.05.5).
    """
    return NO_VAL if job["flags"] & START_RECEIVED else 0


def _half_write(job: Row) -> None:
    """Show a row whose end overtook its start: made by the end's message, filled in by the start's, if that comes.

    It names no user, so that the job is root's (measured on 26.05.5).
    """
    job["job_name"], job["partition"] = b"allocation", b""
    job["id_user"] = job["id_group"] = job["id_qos"] = 0
    job["user"] = job["group_name"] = job["account"] = None
    job["tres_req"] = ""
    if job["time_start"] and job["nodelist"]:
        from .hostlists import expand  # noqa: PLC0415 - only half-written rows pay for it

        job["nodelist"], job["nodes_alloc"] = expand(job["nodelist"].decode(), (99, 0))[0].encode(), 1


def _truncated(start: int, end: int, selection: Selection) -> tuple[int, int]:
    """Bend start and end into the window, as -T asks."""
    first, last = selection.start or 0, selection.end or 0
    if start and start < first:
        start = first
    if not end or end > last:
        end = last
    return start or end, end


def attach_steps(session: Session, selection: Selection, jobs: list[Row]) -> Iterator[tuple[Row, list[Row]]]:
    """Read the steps of jobs, chunk by chunk, and give each job with its steps."""
    for position in range(0, len(jobs), _CHUNK):
        chunk = jobs[position : position + _CHUNK]
        by_job: dict[int, list[Row]] = {job["key"]: [] for job in chunk}
        marks = ", ".join(map(str, by_job))
        # Steps are picked by the same window as jobs, which drops those that are out of it.
        rows = session.db.execute(
            f"SELECT {', '.join(STEP_COLUMNS)} FROM steps WHERE job IN ({marks}) AND visible_at <= :now"  # noqa: S608
            " AND time_start <= :E AND (time_end = 0 OR end_visible_at > :now OR time_end >= :S)"
            " ORDER BY job, id_step, step_het_comp",
            {"now": session.clock, "S": selection.start, "E": selection.end},
        )
        for row in rows:
            step = dict(zip(STEP_COLUMNS, row, strict=True))
            by_job[step["job"]].append(step)
        for job in chunk:
            yield job, _shaped_steps(session, selection, job, by_job[job["key"]])


def _shaped_steps(session: Session, selection: Selection, job: Row, steps: list[Row]) -> list[Row]:
    wanted = _wanted_steps(selection, job)
    if wanted:
        steps = [step for step in steps if step["id_step"] in wanted]
        job["shown"] = False
    for step in steps:
        _shape_step(step, job, session, selection)
        if step["state"] >= STATES["COMPLETED"]:
            user, system = job["user_cpu"], job["system_cpu"]
            job["user_cpu"] = (user[0] + step["user_sec"], user[1] + step["user_usec"])
            job["system_cpu"] = (system[0] + step["sys_sec"], system[1] + step["sys_usec"])
    # Before 22.05 an srun that is its own job has one row, with the step's usage on it.
    alone = session.release < (22, 5) and job["shown"] and len(steps) == 1
    if alone and steps[0]["step_name"] == job["job_name"]:
        job["merged"] = steps.pop()
    return steps


def _wanted_steps(selection: Selection, job: Row) -> set[int]:
    """Name the steps -j picks of a job; none is all of them."""
    wanted: set[int] = set()
    for selected in selection.jobs:
        if selected.task is not None:
            mine = (job["id_array_job"], job["id_array_task"]) == (selected.job_id, selected.task)
        elif selected.offset is not None:
            mine = (job["het_job_id"], job["het_job_offset"]) == (selected.job_id, selected.offset)
        else:
            mine = selected.job_id in {job["id_job"], job["id_array_job"], job["het_job_id"]}
        if not mine:
            continue
        if selected.step is None:
            return set()
        wanted.add(selected.step)
    return wanted


def _shape_step(step: Row, job: Row, session: Session, selection: Selection) -> None:
    start, end = step["time_start"], step["time_end"]
    if step["end_visible_at"] > session.clock:
        end = 0
        step["state"] = _RUNNING
        step["exit_code"] = 0
        for name in step:
            if name.startswith("tres_usage_"):
                step[name] = b""
            elif name.endswith(("_sec", "_usec")):
                step[name] = 0
    if not end and job["ended"]:
        # An unfinished step of an ended job is shown with the job's end and state.
        end = job["end"]
        step["state"] = job["state"]
    if selection.truncate:
        start, end = _truncated(start, end, selection)
    step["start"], step["end"], step["suspended"] = start, end, step["time_suspended"]
    elapsed = 0 if not start else (end or session.now) - start
    step["elapsed"] = max(0, elapsed - step["time_suspended"])
