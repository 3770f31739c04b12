"""Rows for `Slurm`, in sacct's words: asked of sacct, without an event loop.

Each question asks for a few fields more than its caller wants: what distinguishes attempts, and what decides
whether a row belongs to the answer. `tasks` takes them away again.
"""

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from slurmwatchd.connector import programs
from slurmwatchd.connector.blocking_runner import run_blocking
from slurmwatchd.connector.nodelists import NO_NODES
from slurmwatchd.connector.recast import TIME_FIELDS, TIME_FORMAT, SacctFields
from slurmwatchd.connector.tasks import ID_COLUMNS, TaskRow, arranged, id_column
from slurmwatchd.errors import SacctNotFoundError, SlurmNotFoundError
from slurmwatchd.sources.sacct.tables import SacctTables


class UnprovedAnswerWarning(UserWarning):
    """sacct exits 0 and shows no job at all, which is also how a query that failed inside slurmdbd looks.

    Without a store there is nothing to hold the answer to. Ask again, or ask the daemon's store (`store=`).
    """


_ATTEMPT = ("JobIDRaw", "Submit")
_RUN = (*_ATTEMPT, "Start", "End", "NodeList")

_CALLER = 4
"""How far up the stack a script's own line stands."""


@dataclass(frozen=True, slots=True)
class FoundTasks:
    """What was found, in sacct's order.

    Attributes:
        wanted: The fields that were asked for, in lower case.
        names: All fields of the rows.
        rows: Times are epoch seconds, as text.
    """

    wanted: tuple[str, ...]
    names: tuple[str, ...]
    rows: tuple[TaskRow, ...]

    def where(self, holds: Callable[[TaskRow], bool]) -> "FoundTasks":
        """Return the answer with only some of its rows."""
        return FoundTasks(self.wanted, self.names, tuple(row for row in self.rows if holds(row)))


def of_jobs(jobids: str, keys: Sequence[str]) -> FoundTasks:
    """Ask for all attempts of some jobs, and their steps.

    `-D`: without it sacct shows the newest attempt of a requeued job only.

    Warns:
        UnprovedAnswerWarning: sacct shows none of them.

    Raises:
        SacctError: sacct failed or its answer is not whole.
        SacctNotFoundError: There is no sacct.
    """
    return _asked(["-D", f"--jobs={jobids}"], keys, _ATTEMPT)


def running_between(first: int, last: int, keys: Sequence[str]) -> FoundTasks:
    """Ask for the jobs and steps of all users that ran at some moment between two, epoch seconds, both included.

    Without `-s` sacct gives what was eligible before `-E` and had not ended before `-S`; `-s R` would leave out
    what ended or started in the very second, and what is suspended now. What never started is taken out here.

    Warns:
        UnprovedAnswerWarning: sacct shows no job of that time.

    Raises:
        SacctTooWideError: slurmdbd refuses so wide an interval.
        SacctError: sacct failed or its answer is not whole.
        SacctNotFoundError: There is no sacct.
    """
    answer = _asked(["-a", "-D", "-S", f"uts{first}", "-E", f"uts{last + 1}"], keys, _RUN)

    def ran(row: TaskRow) -> bool:
        start, end = row["start"], row["end"]
        return (
            row["nodelist"] != NO_NODES
            and start.isdigit()
            and int(start) <= last
            and not (end.isdigit() and int(end) < first)
        )

    return answer.where(ran)


def tasks(
    answer: FoundTasks, *, by: str | None = None, zone: tzinfo | None
) -> tuple[dict[str, SacctFields], dict[str, list[dict[str, SacctFields]]]]:
    """Arrange an answer by tasks, with the fields that were wanted and the task id; see `attempts.arranged`.

    Args:
        answer: What was found.
        by: The column of the task id, where it must be a certain one.
        zone: In which times are written; None: as sacct does, local and without a zone.
    """
    column = by or id_column(answer.wanted)
    if column not in ID_COLUMNS:
        column = ID_COLUMNS[0]
    kept = tuple(dict.fromkeys((column, *answer.wanted)))
    # The column of the task id first, which is where it is looked for.
    names = (column, *answer.names)

    def fields(attempt: dict[str, TaskRow]) -> dict[str, SacctFields]:
        return {task: {name: _written(name, row[name], zone) for name in kept} for task, row in attempt.items()}

    current, earlier = arranged(names, answer.rows)
    return fields(current), {jobid: [fields(attempt) for attempt in found] for jobid, found in earlier.items()}


def _asked(arguments: Sequence[str], keys: Iterable[str], hidden: Sequence[str]) -> FoundTasks:
    sacct = SacctTables(programs.commands())
    try:
        table = run_blocking(sacct.table(arguments, [*keys, *hidden]))
    except SlurmNotFoundError as error:
        raise SacctNotFoundError(str(error)) from error
    if not table.rows:
        warnings.warn(
            f"sacct exits 0 and shows no job for {' '.join(arguments)}: there is none, this user may not see it,"
            " or a query failed inside slurmdbd",
            UnprovedAnswerWarning,
            stacklevel=_CALLER,
        )
    names = tuple(name.lower() for name in table.fields)
    rows = tuple(dict(zip(names, row, strict=True)) for row in table.rows)
    return FoundTasks(names[: -len(hidden)], names, rows)


def _written(name: str, value: str, zone: tzinfo | None) -> str:
    """Return a value as sacct would print it for a person."""
    if name not in TIME_FIELDS or not value.isdigit():
        return value
    moment = datetime.fromtimestamp(int(value), zone)  # None: local time, as sacct prints it
    return moment.strftime(TIME_FORMAT) if zone is None else moment.isoformat()
