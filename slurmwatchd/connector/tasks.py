"""Rows of sacct arranged as tasks of jobs: the newest attempt of each job apart from those before it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

TaskRow = dict[str, str]

TaskFields = TypeVar("TaskFields", bound=Mapping[str, Any])

ID_COLUMNS = ("jobidraw", "jobid")


def id_column(names: Sequence[str]) -> str:
    """Return the column that holds the task id: the first if it is one, else JobIDRaw, else JobID."""
    if names and names[0] in ID_COLUMNS:
        return names[0]
    return next((name for name in (*ID_COLUMNS, *names) if name in names), "")


def job_of(task: str) -> str:
    """Return the job id in a task id: `12` of `12.batch`."""
    return task.partition(".")[0]


def arranged(
    names: Sequence[str], rows: Iterable[TaskFields]
) -> tuple[dict[str, TaskFields], dict[str, list[dict[str, TaskFields]]]]:
    """Arrange rows.

    A row of a job begins an attempt, and the rows of its steps follow it. Attempts are grouped by their order
    in Submit where the rows have it; else a later row is a newer attempt, as sacct prints them. The same row
    twice is one (sacct repeats a job whose reservation was changed, Bug 7745).

    Args:
        names: The columns.
        rows: One mapping of them each.

    Returns:
        The tasks of every job's newest attempt; and for jobs with several, each earlier attempt's tasks, the
        oldest first.
    """
    if not names:
        return {}, {}
    column = id_column(names)
    attempts: dict[str, list[dict[str, TaskFields]]] = {}
    for row in rows:
        task = str(row[column])
        found = attempts.setdefault(job_of(task), [])
        if not found or (task == job_of(task) and task in found[-1] and found[-1][task] != row):
            found.append({})
        found[-1][task] = row
    current: dict[str, TaskFields] = {}
    earlier: dict[str, list[dict[str, TaskFields]]] = {}
    for jobid, found in attempts.items():
        if "submit" in names and len(found) > 1:
            found.sort(key=lambda attempt: str(attempt[jobid]["submit"]) if jobid in attempt else "")
        *before, newest = found
        current.update(newest)
        if before:
            earlier[jobid] = before
    return current, earlier
