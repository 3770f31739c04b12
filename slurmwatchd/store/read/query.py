"""Questions about attempts, and the SQL that answers them; `reader.py` puts it to a store."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain
from typing import NamedTuple

from slurmwatchd.model.job_states import OPEN_STATES
from slurmwatchd.model.outcomes import STATES
from slurmwatchd.store.bodies import RECORD, added
from slurmwatchd.store.json_array import IN_ARRAY, json_array
from slurmwatchd.store.read.argument_types import check_list, check_moment, check_outcomes, states_in_full

GROUPS = {
    "cluster": "jobs.cluster",
    "user": 'jobs."user"',
    "account": "jobs.account",
    "partition": 'jobs."partition"',
    "state": "jobs.state",
}
"""What totals can be grouped by."""

LONG_SECONDS = 86_400
"""What ran longer stands in the index `jobs_long`: it is the number in that index's condition."""

_TASK = "jobs.job_id GLOB '*[_+]*'"
"""The condition of the index `jobs_by_task`, word for word: SQLite uses the index only for what says the same."""

_INT64_DIGITS = 18
_MARKS = (("_", "`"), ("+", ","))
"""What stands behind a job's number in the id of a task or a component, and the character after it."""
_JOIN_USAGE = "JOIN events AS used ON used.seq = jobs.usage_seq"
_JOIN_EVENTS = "JOIN events ON events.seq = jobs.seq"
_OF_RECORD = f"outcome_of((SELECT {RECORD} FROM events WHERE events.seq = jobs.seq))"  # noqa: S608 - constants
OUTCOME = f"coalesce(jobs.outcome, {_OF_RECORD})"
"""Of what an older version stored it follows from the record, by a function that the reader brings."""
_NODE = (
    "jobs.nodelist IN (SELECT nodelist_nodes.nodelist FROM nodes "
    "JOIN nodelist_nodes ON nodelist_nodes.node = nodes.id WHERE nodes.name = ?)"
)
# The same for a walk over the attempts of one user: as long for a node that no one used as for any other.
_NODE_OF_ROW = (
    "EXISTS (SELECT 1 FROM nodelist_nodes WHERE nodelist_nodes.nodelist = jobs.nodelist "
    "AND nodelist_nodes.node = coalesce((SELECT nodes.id FROM nodes WHERE nodes.name = ?), -1))"
)


class Order(StrEnum):
    """What an answer is sorted by; equal ones in the order in which they were found."""

    FOUND = "found"
    SUBMIT = "submit"
    START = "start"
    END = "end"
    ELAPSED = "elapsed"
    """From start to end, suspensions included."""
    EFFICIENCY = "efficiency"
    """What share of the CPU time it had it used; only attempts of which that is known."""


_KEYS = {
    Order.FOUND: "jobs.id",
    Order.SUBMIT: "jobs.submit",
    Order.START: "jobs.start",
    Order.END: 'jobs."end"',
    Order.ELAPSED: 'jobs."end" - jobs.start',
    Order.EFFICIENCY: f"json_extract(CAST({added('used')} AS TEXT), '$.usage.cpu_efficiency')",
}

_LISTS = ("job_ids", "clusters", "users", "accounts", "partitions", "states", "outcomes", "qos")
_TIMES = ("ended_from", "ended_until", "running_from", "running_until")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which attempts are wanted: those to which everything given applies.

    All times are epoch seconds, and both ends of an interval belong to it.

    Attributes:
        job_ids: As sacct's `-j` takes them: `12` is a job, every task of an array or every component of a
            heterogeneous job; `12_3` and `12+1` are one of them.
        clusters: Any of these; empty: all. The same holds for the other lists.
        states: As sacct's `-s` takes them: `FAILED`, `failed` or `F`; kept in full, as records have them.
        outcomes: As records have them, see `model/outcomes.py`.
        node: Ran on it.
        name: A glob (`*`, `?`, `[a-z]`) for the whole job name; upper and lower case differ.
        ended_from: Ended then or later.
        ended_until: Ended then or earlier.
        running_from: Ended then or later, or still running as far as the store knows.
        running_until: Started then or earlier. With only one of the two the interval is open on the other
            side; what never started is in none.
        order: What to sort by.
        descending: The largest first.
        limit: At most so many.
        behind: Only what comes behind an attempt in that order: what it is sorted by (None: it has none), and its
            row id. What has no such value is reached by None only.
        own: Walk over the attempts of the one user asked for, so that the time it takes shows nothing of others.

    Raises:
        TypeError: A list is one text, or a time no number: SQLite would find nothing, and say nothing.
        ValueError: There is no such state or outcome.
    """

    job_ids: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    qos: tuple[str, ...] = ()
    node: str | None = None
    name: str | None = None
    ended_from: int | None = None
    ended_until: int | None = None
    running_from: int | None = None
    running_until: int | None = None
    order: Order = Order.END
    descending: bool = False
    limit: int | None = None
    behind: tuple[float | None, int] | None = None
    own: bool = False

    def __post_init__(self) -> None:
        """Refuse what would silently find nothing."""
        for name in _LISTS:
            check_list(name, getattr(self, name))
        for name in _TIMES:
            check_moment(name, getattr(self, name))
        check_outcomes(self.outcomes)
        object.__setattr__(self, "states", states_in_full(self.states))


class Statement(NamedTuple):
    """SQL, and what stands for its question marks."""

    sql: str
    parameters: tuple[object, ...]


def finding(
    question: Question, clusters: Sequence[str], *, keyed: bool = False, has_outcomes: bool = True
) -> Statement:
    """Return the statement that finds the row ids of the answer, in its order.

    Args:
        question: What is wanted.
        clusters: Those the store has; see `_Conditions`.
        keyed: Whether to return besides what each is sorted by.
        has_outcomes: Whether the store has a column for them: that of an older daemon does not.
    """
    conditions = _Conditions.of(question, clusters, has_outcomes=has_outcomes)
    direction = "DESC" if question.descending else "ASC"
    order = f"{_KEYS[question.order]} {direction}, jobs.id {direction}"
    key = f", {_KEYS[question.order]}" if keyed else ""
    sql = f"SELECT jobs.id{key} FROM {conditions.tables} WHERE {conditions.where} ORDER BY {order}"  # noqa: S608 - our own words
    if question.limit is not None:
        sql += " LIMIT ?"
        conditions.parameters.append(question.limit)
    return Statement(sql, tuple(conditions.parameters))


def conditions(question: Question, clusters: Sequence[str]) -> tuple[str, Statement]:
    """Return the tables that a question is put to, and its conditions, for a statement of a neighbour's."""
    made = _Conditions.of(question, clusters)
    return made.tables, Statement(made.where, tuple(made.parameters))


def without_place(question: Question) -> Question:
    """Return the same question from the beginning on."""
    return replace(question, behind=None)


def by_array(question: Question, clusters: Sequence[str], *, has_outcomes: bool = True) -> Statement:
    """Return the statement that groups by array, the one that ended last first, and their outcomes.

    Rows of cluster, array, outcome, how many attempts, the first start, the last end, the newest attempt's row id.
    """
    conditions = _Conditions.of(question, clusters, has_outcomes=has_outcomes)
    conditions.clauses.append(f"{_TASK} AND instr(jobs.job_id, '_')")
    column = OUTCOME if has_outcomes else _OF_RECORD
    tasks = (
        "SELECT jobs.cluster AS cluster, substr(jobs.job_id, 1, instr(jobs.job_id, '_') - 1) AS array, "  # noqa: S608
        f'{column} AS outcome, jobs.start AS start, jobs."end" AS "end", jobs.id AS id '
        f"FROM {conditions.tables} WHERE {conditions.where}"
    )
    sql = (
        'SELECT cluster, array, outcome, count(*), min(start), max("end"), max(id) '  # noqa: S608 - our own words
        f"FROM ({tasks}) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    )
    return Statement(sql, tuple(conditions.parameters))


def adding_up(question: Question, clusters: Sequence[str], *, by: str | None = None) -> Statement:
    """Return the statement for totals: rows of group, how many ran, how many ended, node seconds.

    Raises:
        ValueError: The question does not name an interval, or there is no such grouping.
    """
    begin, end = question.running_from, question.running_until
    if begin is None or end is None:
        raise ValueError("totals need an interval: running_from and running_until")
    if by is not None and by not in GROUPS:
        raise ValueError(f"cannot group by {by!r}: only by {', '.join(GROUPS)}")
    conditions = _Conditions.of(question, clusters)
    # Only what ran on nodes that were never looked up has its record read.
    count = f"coalesce(nodelists.node_count, (SELECT {_field('node_count')} FROM events WHERE seq = jobs.seq), 0)"  # noqa: S608 - our own words
    sql = (
        f'SELECT {GROUPS[by] if by else "NULL"}, count(*), total(jobs."end" <= ?), '  # noqa: S608 - our own words
        f'total({count} * max(0, min(coalesce(jobs."end", ?), ?) - max(jobs.start, ?))) '
        f"FROM {conditions.tables} LEFT JOIN nodelists ON nodelists.id = jobs.nodelist "
        f"WHERE {conditions.where} GROUP BY 1 ORDER BY 1"
    )
    return Statement(sql, (end, end, end, begin, *conditions.parameters))


def names_clusters(question: Question) -> bool:
    """Return whether the statement names the clusters of the store where the question names none."""
    made = (question.job_ids, question.running_from, question.running_until)
    return not (question.clusters or question.users or question.node) or any(
        part not in ((), None) for part in made
    )


class _Conditions:
    """A WHERE clause in the making."""

    def __init__(self) -> None:
        self.clauses: list[str] = []
        self.parameters: list[object] = []
        self.joined = False
        self.with_usage = False
        self.own = False

    @classmethod
    def of(cls, question: Question, clusters: Sequence[str], *, has_outcomes: bool = True) -> "_Conditions":
        """Say in SQL what is wanted. The index of ends begins with the cluster, so all are named where none is."""
        made = cls()
        made.own = question.own
        by_ids = bool(question.job_ids) or question.running_from is not None or question.running_until is not None
        indexed = by_ids or question.users or question.node is not None
        # A set of ids is small: the plus keeps SQLite from walking along another index instead.
        column = "+jobs." if by_ids and not question.own else "jobs."
        made.any_of(f"{column}cluster", question.clusters or (() if indexed else clusters))
        made.any_of(f'{column}"user"', question.users)
        made.any_of("jobs.account", question.accounts)
        made.any_of('jobs."partition"', question.partitions)
        made.any_of("jobs.state", question.states)
        made.outcomes(question.outcomes, OUTCOME if has_outcomes else _OF_RECORD)
        made.any_of(_field("qos"), question.qos)
        made.given(f"{_field('name')} GLOB ?", question.name)
        made.given(_NODE_OF_ROW if question.own else _NODE, question.node)
        made.given('jobs."end" >= ?', question.ended_from)
        made.given('jobs."end" <= ?', question.ended_until)
        made.behind(question)
        made.overlap(question, clusters)
        made.job_ids(question, clusters)
        if question.order is Order.EFFICIENCY:
            made.clauses.append(f"{_KEYS[Order.EFFICIENCY]} IS NOT NULL")
            made.with_usage = True
        made.joined = bool(question.qos) or question.name is not None
        return made

    @property
    def tables(self) -> str:
        joins = [_JOIN_EVENTS] if self.joined else []
        if self.with_usage:
            joins.append(_JOIN_USAGE)
        return " ".join(["jobs INDEXED BY jobs_by_user" if self.own else "jobs", *joins])

    @property
    def where(self) -> str:
        return " AND ".join(self.clauses) or "1"

    def given(self, clause: str, *values: object) -> None:
        """Add a clause whose values are given."""
        if None not in values:
            self.clauses.append(clause)
            self.parameters += values

    def any_of(self, column: str, values: Sequence[str]) -> None:
        if len(values) == 1:
            # Not a set of one: with an equality SQLite reads the index in the order that is asked for.
            self.given(f"{column} = ?", values[0])
        elif values:
            self.given(f"{column} {IN_ARRAY}", json_array(values))

    def behind(self, question: Question) -> None:
        """Say what comes behind an attempt, so that an index is entered there."""
        if question.behind is None:
            return
        key, row = question.behind
        column, sign = _KEYS[question.order], "<" if question.descending else ">"
        if key is None:
            self.given(f"{column} IS NULL AND jobs.id {sign} ?", row)
        else:
            self.given(f"{column} {sign}= ? AND ({column} {sign} ? OR jobs.id {sign} ?)", key, key, row)

    def outcomes(self, wanted: Sequence[str], column: str) -> None:
        """Say why they ended; the state leaves out most of those whose record would have to be read for it."""
        if not wanted:
            return
        if all(outcome in STATES for outcome in wanted):
            self.any_of("jobs.state", list(dict.fromkeys(chain.from_iterable(map(STATES.__getitem__, wanted)))))
        self.any_of(column, wanted)

    def overlap(self, question: Question, clusters: Sequence[str]) -> None:
        """Say what was running in the interval: a set of ids, with a part for each index that has some."""
        begin, end = question.running_from, question.running_until
        if begin is None and end is None:
            return
        if question.own:
            self.given("jobs.start <= ?", end)
            self.given('(jobs."end" >= ? OR jobs."end" IS NULL)', begin)
            ended = f'(jobs."end" IS NOT NULL OR jobs.state {IN_ARRAY})'
            self.given(f"jobs.start IS NOT NULL AND {ended}", json_array(OPEN_STATES))
            return
        among = _Conditions()
        if question.node is None:
            among.any_of("jobs.cluster", question.clusters or clusters)
        else:
            among.given(_NODE, question.node)
        parts = _Parts(among)
        started = "start IS NOT NULL" if end is None else "start <= ?"
        by = () if end is None else (end,)
        if begin is None:
            parts.add(f'"end" IS NOT NULL AND {started}', *by)
        elif end is None or question.node is not None:
            parts.add(f'"end" >= ? AND {started}', begin, *by)
        else:
            # What began by the interval's end has ended a day later, or stands among the few that ran longer.
            soon = end + LONG_SECONDS
            parts.add(f'"end" >= ? AND "end" <= ? AND {started}', begin, soon, *by)
            long = f'"end" - start > {LONG_SECONDS}'
            parts.add(f'{long} AND "end" >= ? AND "end" > ? AND {started}', begin, soon, *by)
        still = f'"end" IS NULL AND state {IN_ARRAY}'
        parts.add(f"{still} AND {started}", json_array(OPEN_STATES), *by)
        self.given(f"jobs.id IN ({parts.sql})", *parts.parameters)

    def job_ids(self, question: Question, clusters: Sequence[str]) -> None:
        """Take ids as sacct's `-j` does."""
        if question.own:
            self._own_job_ids(question.job_ids)
            return
        parts = _Parts()
        among = _Conditions()
        among.any_of("jobs.cluster", question.clusters or clusters)
        cluster = " AND ".join([*among.clauses, "jobs.job_id_raw = ?"])
        for text in question.job_ids:
            if not (text.isascii() and text.isdigit()):
                parts.add(f"{_TASK} AND jobs.job_id = ?", text)
                continue
            parts.add(cluster, *among.parameters, int(text) if len(text) <= _INT64_DIGITS else -1)
            # Behind an id stand `_3`, `_[0-9]` or `+1`; the other bounds are the characters after `_` and `+`.
            for mark, after in _MARKS:
                parts.add(f"{_TASK} AND jobs.job_id >= ? AND jobs.job_id < ?", text + mark, text + after)
        if question.job_ids:
            self.given(f"jobs.id IN ({parts.sql})", *parts.parameters)

    def _own_job_ids(self, job_ids: Sequence[str]) -> None:
        """Say the same of each row: an index of ids would find those of others too."""
        clauses: list[str] = []
        for text in job_ids:
            clauses.append("jobs.job_id = ?")
            self.parameters.append(text)
            if text.isascii() and text.isdigit():
                clauses.append("jobs.job_id_raw = ?")
                self.parameters.append(int(text) if len(text) <= _INT64_DIGITS else -1)
                for mark, after in _MARKS:
                    clauses.append("jobs.job_id >= ? AND jobs.job_id < ?")
                    self.parameters += [text + mark, text + after]
        if clauses:
            self.clauses.append(f"({' OR '.join(clauses)})")


class _Parts:
    """Sets of ids that are put together, each found by an index of its own."""

    def __init__(self, among: _Conditions | None = None) -> None:
        self._among = among or _Conditions()
        self._found: list[str] = []
        self.parameters: list[object] = []

    def add(self, clause: str, *values: object) -> None:
        """Add what a clause holds for."""
        self.parameters += [*self._among.parameters, *values]
        where = " AND ".join([*self._among.clauses, clause])
        self._found.append(f"SELECT jobs.id FROM jobs WHERE {where}")  # noqa: S608 - our own words

    @property
    def sql(self) -> str:
        """All of them."""
        return " UNION ALL ".join(self._found)


def _field(name: str) -> str:
    """Return SQL for a field that only the record's JSON has; SQLite wants text, and the body is bytes."""
    return f"json_extract(CAST({RECORD} AS TEXT), '$.{name}')"
