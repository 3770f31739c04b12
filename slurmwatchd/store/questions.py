"""Questions about attempts, and the SQL that answers them; `asking.py` puts it to a store."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import orjson

OPEN_STATES = ("RUNNING", "SUSPENDED")
"""What an attempt without an end must be for the store to call it running still."""

GROUPS = {
    "cluster": "jobs.cluster",
    "user": 'jobs."user"',
    "account": "jobs.account",
    "partition": 'jobs."partition"',
    "state": "jobs.state",
}
"""What totals can be told apart by."""

_JOIN_EVENTS = "JOIN events ON events.seq = jobs.seq"
_NODE = (
    "jobs.nodelist IN (SELECT nodelist_nodes.nodelist FROM nodes "
    "JOIN nodelist_nodes ON nodelist_nodes.node = nodes.id WHERE nodes.name = ?)"
)


class Order(StrEnum):
    """What an answer is sorted by; equal ones in the order in which they were found."""

    FOUND = "found"
    SUBMIT = "submit"
    START = "start"
    END = "end"
    ELAPSED = "elapsed"
    """From start to end, suspensions included."""


_KEYS = {
    Order.FOUND: "jobs.id",
    Order.SUBMIT: "jobs.submit",
    Order.START: "jobs.start",
    Order.END: 'jobs."end"',
    Order.ELAPSED: 'jobs."end" - jobs.start',
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which attempts are wanted: those to which everything given applies.

    All times are epoch seconds, and both ends of an interval belong to it.

    Attributes:
        job_ids: As sacct's `-j` takes them: `12` is a job, every task of an array or every component of a
            heterogeneous job; `12_3` and `12+1` are one of them.
        clusters: Any of these; empty: all. The same holds for the other lists.
        states: In full and upper case, as records have them.
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
    """

    job_ids: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
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


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL, and what stands for its question marks."""

    sql: str
    parameters: tuple[object, ...]


def finding(question: Question, clusters: Sequence[str]) -> Statement:
    """Return the statement that finds the row ids of the answer, in its order.

    Args:
        question: What is wanted.
        clusters: Those the store has; see `_Conditions`.
    """
    conditions = _Conditions.of(question, clusters)
    direction = "DESC" if question.descending else "ASC"
    order = f"{_KEYS[question.order]} {direction}, jobs.id {direction}"
    sql = f"SELECT jobs.id FROM {conditions.tables} WHERE {conditions.where} ORDER BY {order}"  # noqa: S608 - our own words
    if question.limit is not None:
        sql += " LIMIT ?"
        conditions.parameters.append(question.limit)
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
    conditions.joined = True
    count = f"coalesce(nodelists.node_count, {_field('node_count')}, 0)"
    sql = (
        f'SELECT {GROUPS[by] if by else "NULL"}, count(*), total(jobs."end" <= ?), '  # noqa: S608 - our own words
        f'total({count} * max(0, min(coalesce(jobs."end", ?), ?) - max(jobs.start, ?))) '
        f"FROM {conditions.tables} LEFT JOIN nodelists ON nodelists.id = jobs.nodelist "
        f"WHERE {conditions.where} GROUP BY 1 ORDER BY 1"
    )
    return Statement(sql, (end, end, end, begin, *conditions.parameters))


def array(values: Iterable[object]) -> str:
    """Write values as the JSON array that `json_each(?)` takes."""
    return orjson.dumps(list(values)).decode()


class _Conditions:
    """A WHERE clause in the making."""

    def __init__(self) -> None:
        self.clauses: list[str] = []
        self.parameters: list[object] = []
        self.joined = False

    @classmethod
    def of(cls, question: Question, clusters: Sequence[str]) -> "_Conditions":
        """Say in SQL what is wanted. The indexes begin with the cluster, so all are named where none is."""
        made = cls()
        made.any_of("jobs.cluster", question.clusters or clusters)
        made.any_of('jobs."user"', question.users)
        made.any_of("jobs.account", question.accounts)
        made.any_of('jobs."partition"', question.partitions)
        made.any_of("jobs.state", question.states)
        made.any_of(_field("qos"), question.qos)
        made.given(f"{_field('name')} GLOB ?", question.name)
        made.given(_NODE, question.node)
        made.given('jobs."end" >= ?', question.ended_from)
        made.given('jobs."end" <= ?', question.ended_until)
        made.overlap(question)
        made.job_ids(question.job_ids)
        made.joined = bool(question.qos) or question.name is not None
        return made

    @property
    def tables(self) -> str:
        return f"jobs {_JOIN_EVENTS}" if self.joined else "jobs"

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
            self.given(f"{column} IN (SELECT value FROM json_each(?))", array(values))  # noqa: S608 - our own words

    def overlap(self, question: Question) -> None:
        begin, end = question.running_from, question.running_until
        if begin is None and end is None:
            return
        self.clauses.append("jobs.start IS NOT NULL")
        still = 'jobs."end" IS NULL AND jobs.state IN (SELECT value FROM json_each(?))'
        if begin is None:
            self.given(f'(jobs."end" IS NOT NULL OR ({still}))', array(OPEN_STATES))
        else:
            self.given(f'(jobs."end" >= ? OR ({still}))', begin, array(OPEN_STATES))
        self.given("jobs.start <= ?", end)

    def job_ids(self, texts: Iterable[str]) -> None:
        """Take ids as sacct's `-j` does."""
        clauses: list[str] = []
        for text in texts:
            if text.isascii() and text.isdigit():
                # Behind an id stand `_3`, `_[0-9]` or `+1`; the other bounds are the characters after `_` and `+`.
                clauses.append(
                    "jobs.job_id_raw = ? OR (jobs.job_id >= ? AND jobs.job_id < ?) "
                    "OR (jobs.job_id >= ? AND jobs.job_id < ?)"
                )
                self.parameters += [int(text), f"{text}_", f"{text}`", f"{text}+", f"{text},"]
            else:
                clauses.append("jobs.job_id = ?")
                self.parameters.append(text)
        if clauses:
            self.clauses.append(f"({' OR '.join(clauses)})")


def _field(name: str) -> str:
    """Return SQL for a field that only the record's JSON has; SQLite wants text, and the body is bytes."""
    return f"json_extract(CAST(events.body AS TEXT), '$.{name}')"
