"""Job arrays as one row each, added up from their tasks."""

from dataclasses import dataclass
from typing import Any

from slurmwatchd.model.job_states import STATES
from slurmwatchd.store.read import query
from slurmwatchd.store.read.query import Question
from slurmwatchd.store.read.reader import StoreReader

_ARRAY = "jobs.job_id GLOB '*[_+]*' AND jobs.job_id GLOB '[0-9]*_*'"
_NUMBER = "substr(jobs.job_id, 1, instr(jobs.job_id, '_') - 1)"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobArray:
    """What an array's tasks add up to, as far as they answer the question.

    Attributes:
        array_job_id: The number before the underscore.
        tasks: How many tasks there are, and `attempts` how many attempts these made.
        states: State to number of attempts.
        submit: The first submission, epoch seconds; `start` the first start, `end` the last end.
        newest: The row id of the attempt that was stored last.
    """

    cluster: str
    array_job_id: int
    tasks: int
    attempts: int
    states: dict[str, int]
    submit: int
    start: int | None
    end: int | None
    newest: int


def arrays(store: StoreReader, question: Question, limit: int) -> list[JobArray]:
    """Return arrays, the one that ended last first.

    Args:
        store: The store.
        question: Which tasks count; `behind` is the last array of the page before: its `end` and `newest`.
        limit: At most so many.

    Raises:
        StoreBusyError: The file cannot be read now.
        StoreError: It cannot be read at all.
    """
    behind = question.behind
    tables, asked = query.conditions(query.without_place(question), store.clusters())
    counts = ", ".join("total(jobs.state = ?)" for _ in STATES)
    having, place = "", tuple[object, ...]()
    if behind is not None and behind[0] is not None:
        having = "HAVING ended < ? OR (ended = ? AND newest < ?) OR ended IS NULL"
        place = (behind[0], behind[0], behind[1])
    elif behind is not None:
        having, place = "HAVING ended IS NULL AND newest < ?", (behind[1],)
    sql = (
        f"SELECT jobs.cluster, {_NUMBER} AS number, count(DISTINCT jobs.job_id), count(*), min(jobs.submit), "  # noqa: S608 - our own words
        f'min(jobs.start), max(jobs."end") AS ended, max(jobs.id) AS newest, {counts} '
        f"FROM {tables} WHERE {asked.sql} AND {_ARRAY} GROUP BY jobs.cluster, number {having} "
        "ORDER BY ended DESC, newest DESC LIMIT ?"
    )
    return [_array(tuple(row)) for row in store.rows(sql, (*STATES, *asked.parameters, *place, limit))]


def _array(row: tuple[Any, ...]) -> JobArray:
    cluster, number, tasks, attempts, submit, start, end, newest, *counts = row
    return JobArray(
        cluster=cluster,
        array_job_id=int(number),
        tasks=tasks,
        attempts=attempts,
        states={state: int(count) for state, count in zip(STATES, counts, strict=True) if count},
        submit=submit,
        start=start,
        end=end,
        newest=newest,
    )
