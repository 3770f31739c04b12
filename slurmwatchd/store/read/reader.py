"""The store as a book to look things up in: read-only, beside a daemon that goes on writing, or without one.

Everything here is plain `sqlite3` and synchronous; who must not block asks from a worker thread. A question first
collects the ids of its answer, eight bytes a job, in one short read, and then fetches the records some hundred at
a time. So a slow reader holds no snapshot open, which would keep the daemon's write-ahead log from being cleared,
and the answer holds each attempt once, whatever is written meanwhile.
"""

import array
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

import orjson

from slurmwatchd.store.bodies import BASES_SINCE, RECORD, added
from slurmwatchd.store.json_array import IN_ARRAY, json_array
from slurmwatchd.store.opening import Mode, errors, open_file
from slurmwatchd.store.read import query, record_texts
from slurmwatchd.store.read.grouped_arrays import Array, array_of
from slurmwatchd.store.read.outcomes import outcome_of_body
from slurmwatchd.store.read.query import Question, Statement
from slurmwatchd.store.read.record_texts import joined, record_of

if TYPE_CHECKING:
    from slurmwatchd.model.reports import Tally
    from slurmwatchd.store.read.report import Wish

T = TypeVar("T")

Record = record_texts.Record
"""See there."""

_STEPS = 20_000
"""Of SQLite's machine: well below a millisecond."""
_KNOWN_LISTS = 10_000

_RECORDS = (
    "SELECT {record}, jobs.nodelist, {usage} FROM json_each(?) AS wanted "
    "JOIN jobs ON jobs.id = wanted.value JOIN events ON events.seq = jobs.seq {join} ORDER BY wanted.key"
)
_WITH_USAGE = _RECORDS.format(
    record=RECORD, usage=added("used"), join="LEFT JOIN events AS used ON used.seq = jobs.usage_seq"
)
_WITHOUT_USAGE = _RECORDS.format(record=RECORD, usage="NULL", join="")
_NODES = f"SELECT id, nodes FROM nodelists WHERE id {IN_ARRAY} AND nodes IS NOT NULL"  # noqa: S608 - a constant
# Each step looks up the next name in the index of the key: a DISTINCT would walk over all of it.
_CLUSTERS = (
    "WITH RECURSIVE found (name) AS (SELECT min(cluster) FROM jobs UNION ALL "
    "SELECT (SELECT min(cluster) FROM jobs WHERE cluster > found.name) FROM found WHERE found.name IS NOT NULL) "
    "SELECT name FROM found WHERE name IS NOT NULL"
)


class Totals(NamedTuple):
    """What attempts added up to in an interval.

    Attributes:
        ran: How many were running at some moment of it.
        ended: How many of these ended in it.
        node_hours: Nodes times the hours for which they ran inside the interval, suspensions included.
    """

    ran: int
    ended: int
    node_hours: float


class StoreReader:
    """A store, open for reading. Threads may share one; they take turns.

    Attributes:
        page: So many records are read at a time.
    """

    page = 500

    def __init__(self, path: Path | str, *, known_lists: int = _KNOWN_LISTS) -> None:
        """Open it.

        Args:
            path: The store.
            known_lists: Of so many node lists it remembers the names.

        Raises:
            StoreError: There is none, it is none of ours, it was made by a newer program, or it cannot be read.
            StoreBusyError: It cannot be read now.
        """
        self.path = Path(path)
        self._lock = threading.Lock()
        self._snapshots = threading.RLock()
        self._is_held = False
        self._nodes: dict[int, bytes] = {}
        self._kept: dict[str, Any] = {}
        self._kept_at: int | None = None
        self._known_lists = known_lists
        opened = open_file(self.path, Mode.READ)
        self._connection, self._bodies = opened.connection, opened.bodies
        self._connection.create_function("outcome_of", 1, outcome_of_body, deterministic=True)
        if opened.version < BASES_SINCE:
            # A store that an older daemon made, and that only a daemon may change.
            self._connection.execute("CREATE TEMP VIEW events AS SELECT *, NULL AS base FROM main.events")

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close it; a second time does nothing."""
        with self._lock:
            self._connection.close()

    def interrupt(self) -> None:
        """End what a thread reads now, with a StoreError there."""
        self._connection.interrupt()

    def end_when(self, stopped: Callable[[], bool] | None) -> None:
        """End what is read, with a StoreError, as soon as this returns true; None: read on whatever happens."""
        self._connection.set_progress_handler(stopped, _STEPS)

    def records(self, question: Question, *, nodes: bool = False, usage: bool = False) -> Iterator[Record]:
        """Give the attempts that answer a question, each as its newest event has it.

        Args:
            question: Which.
            nodes: Whether to add the expanded node names under `nodes`, where they are known.
            usage: Whether to add what was used, under `usage` and `steps`, where it was gathered.

        Raises:
            StoreBusyError: The file cannot be read now.
            StoreError: It cannot be read at all.
        """
        return self.fetched(self.ids(question), nodes=nodes, usage=usage)

    def remember(self, ids: Iterable[int]) -> None:
        """Have what expires before it is fetched read from the archive, where there is one.

        Call it in the `snapshot` in which the ids were found. It holds for the last ids that it was given.
        """

    def fetched(self, ids: Sequence[int], *, nodes: bool = False, usage: bool = False) -> Iterator[Record]:
        """Give the records of many row ids, in their order, reading some hundred at a time.

        Raises:
            StoreBusyError: The file cannot be read now.
            StoreError: It cannot be read at all.
        """
        for begin in range(0, len(ids), self.page):
            yield from self.fetch(ids[begin : begin + self.page], nodes=nodes, usage=usage)

    def ids(self, question: Question) -> Sequence[int]:
        """Return the row ids of the attempts that answer a question, in its order.

        Raises:
            StoreBusyError: The file cannot be read now.
            StoreError: It cannot be read at all.
        """
        asked = self.statement(question)
        with self._reading() as connection:
            return array.array("q", (row[0] for row in connection.execute(asked.sql, asked.parameters)))

    def keyed(self, question: Question) -> list[tuple[int, float | None]]:
        """Return the same, each with what it is sorted by, for `Question.behind`.

        Raises:
            StoreBusyError: The file cannot be read now.
            StoreError: It cannot be read at all.
        """
        clusters = self.clusters() if query.names_clusters(question) else ()
        asked = query.finding(question, clusters, keyed=True, has_outcomes=self._has_outcomes)
        with self._reading() as connection:
            return connection.execute(asked.sql, asked.parameters).fetchall()

    def fetch(self, ids: Iterable[int], *, nodes: bool = False, usage: bool = False) -> list[Record]:
        """Return the records of some row ids, in their order; what was pruned meanwhile is left out.

        Raises:
            StoreBusyError: The file cannot be read now.
            StoreError: It cannot be read at all.
        """
        rows, names = self._fetched(ids, nodes=nodes, usage=usage)
        # Many attempts share a list, and none of them its copy.
        listed = {nodelist: orjson.loads(text) for nodelist, text in names.items()}
        return [
            record_of(body, list(listed[nodelist]) if nodelist in listed else None, used)
            for body, nodelist, used in rows
        ]

    def lines(self, ids: Iterable[int], *, nodes: bool = False, usage: bool = False) -> list[bytes]:
        """Return what `fetch` returns as JSON, each with a newline: put together from texts that are JSON already.

        Raises:
            StoreBusyError: The file cannot be read now.
            StoreError: It cannot be read at all.
        """
        rows, names = self._fetched(ids, nodes=nodes, usage=usage)
        return [joined(body, names.get(nodelist), used) for body, nodelist, used in rows]

    def _fetched(
        self, ids: Iterable[int], *, nodes: bool, usage: bool
    ) -> tuple[list[tuple[bytes, int | None, bytes | None]], Mapping[int | None, bytes]]:
        """Return body, node list and usage of some row ids, in their order; and the names in node lists."""
        with self._reading() as connection:
            sql = _WITH_USAGE if usage and self.has_usage else _WITHOUT_USAGE
            rows = connection.execute(sql, (json_array(ids),)).fetchall()
            if not nodes:
                return rows, {}
            self._learn(connection, {row[1] for row in rows} - {None})
            # Other threads may have it forgotten.
            return rows, {row[1]: self._nodes[row[1]] for row in rows if row[1] in self._nodes}

    def count(self, question: Question) -> int:
        """Return how many attempts answer a question.

        Raises:
            StoreBusyError: The file cannot be read now.
            StoreError: It cannot be read at all.
        """
        asked = self.statement(question)
        with self._reading() as connection:
            sql = f"SELECT count(*) FROM ({asked.sql})"  # noqa: S608 - our own words
            return int(connection.execute(sql, asked.parameters).fetchone()[0])

    def arrays(self, question: Question) -> list[Array]:
        """Return the arrays that have attempts which answer a question, the one that ended last first.

        Args:
            question: Which attempts count; its order does not matter.

        Raises:
            StoreBusyError: The file cannot be read now.
            StoreError: It cannot be read at all.
        """
        found: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
        for row in self.array_rows(question):
            found.setdefault(row[:2], []).append(row)
        arrays = map(array_of, found.values())
        return sorted(arrays, key=lambda array: (-(array.end or 0), array.job_id, array.cluster))

    def array_rows(self, question: Question) -> list[tuple[Any, ...]]:
        """Return rows of `query.by_array`: what `arrays` is made of.

        Raises:
            StoreBusyError: The file cannot be read now.
            StoreError: It cannot be read at all.
        """
        asked = query.by_array(question, self.clusters(), has_outcomes=self._has_outcomes)
        with self._reading() as connection:
            return connection.execute(asked.sql, asked.parameters).fetchall()

    def totals(self, question: Question, *, by: str | None = None) -> dict[str | None, Totals]:
        """Add up what ran in the interval from `running_from` until `running_until`.

        Args:
            question: Must name both; order and limit do not matter.
            by: `cluster`, `user`, `account`, `partition` or `state`; None: everything, under None.

        Raises:
            ValueError: The interval is not given, or there is no such grouping.
            StoreBusyError: The file cannot be read now.
            StoreError: It cannot be read at all.
        """
        asked = query.adding_up(question, self.clusters(), by=by)
        with self._reading() as connection:
            rows = connection.execute(asked.sql, asked.parameters).fetchall()
        return {row[0]: Totals(ran=row[1], ended=int(row[2]), node_hours=row[3] / 3600) for row in rows}

    def clusters(self) -> list[str]:
        """Return the names of the clusters that have attempts here.

        Raises:
            StoreBusyError: The file cannot be read now.
            StoreError: It cannot be read at all.
        """
        return list(self.kept("clusters", lambda: [row[0] for row in self.rows(_CLUSTERS)]))

    def kept(self, name: str, read: Callable[[], T]) -> T:
        """Return what was read before under a name, as long as nobody has written since; read it otherwise.

        Raises:
            StoreError: The file cannot be read.
        """
        with self._reading() as connection:
            # SQLite's own number, which another one's commit changes: what is read afterwards is at least as new.
            (written,) = connection.execute("PRAGMA data_version").fetchone()
        if written != self._kept_at:
            self._kept, self._kept_at = {}, written
        kept = self._kept  # another thread may begin a new one meanwhile
        if name not in kept:
            kept[name] = read()
        found: T = kept[name]
        return found

    def archived(self, cluster: str) -> list[tuple[int, int]]:  # noqa: ARG002 - for those that have an archive
        """Return the stretches of a cluster's ends that an archive has, epoch seconds, ascending."""
        return []

    @contextmanager
    def unsummed(self, wish: "Wish") -> Iterator[Iterable[tuple[str, "Tally"]]]:  # noqa: ARG002 - as above
        """Give what attempts that only an archive has add to a report, by its keys; both stay as they are."""
        yield ()

    def statement(self, question: Question) -> Statement:
        """Return the SQL that finds the row ids; tests ask SQLite how it goes about it."""
        return query.finding(question, self.clusters(), has_outcomes=self._has_outcomes)

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[sqlite3.Row]:
        """Return all rows of a query of a neighbour's (`status.py`), which bounds their number.

        Raises:
            StoreBusyError: The file cannot be read now.
            StoreError: It cannot be read at all.
        """
        with self._reading() as connection:
            cursor = connection.execute(sql, tuple(parameters))
            cursor.row_factory = sqlite3.Row
            return cursor.fetchall()

    def each(self, sql: str, parameters: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        """Give the rows of a neighbour's query that may have many; until the last, nothing else is read.

        Raises:
            StoreBusyError: The file cannot be read now.
            StoreError: It cannot be read at all.
        """
        with self._reading() as connection:
            yield from connection.execute(sql, tuple(parameters))

    def has_column(self, table: str, column: str) -> bool:
        """Return whether a table is there and has a column: a store that an older daemon made may not."""
        found = self.rows("SELECT 1 FROM pragma_table_xinfo(?) WHERE name = ?", (table, column))
        return bool(found)

    @cached_property
    def has_usage(self) -> bool:
        """Whether attempts of this store can have a usage."""
        with_usage = "SELECT 1 FROM pragma_table_info('jobs') WHERE name = 'usage_seq'"
        return self._connection.execute(with_usage).fetchone() is not None

    @cached_property
    def _has_outcomes(self) -> bool:
        return self.has_column("jobs", "outcome")

    def _learn(self, connection: sqlite3.Connection, lists: set[int]) -> None:
        """Read the node names of lists that were not met yet."""
        if len(self._nodes) > self._known_lists:
            self._nodes.clear()
        missing = lists - self._nodes.keys()
        if missing:
            for identity, names in connection.execute(_NODES, (json_array(missing),)):
                self._nodes[identity] = names

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """See the store as it is now, whatever is written meanwhile; the daemon's log of writes grows for as long.

        One inside another is the same. Threads that share the reader have one after the other.

        Raises:
            StoreBusyError: The file cannot be read now.
            StoreError: It cannot be read at all.
        """
        with self._snapshots:
            if self._is_held:
                yield
                return
            with self._reading() as connection:
                connection.execute("BEGIN")
            self._is_held = True
            try:
                yield
            finally:
                self._is_held = False
                with self._reading() as connection:
                    connection.execute("ROLLBACK")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, errors(self.path, Mode.READ, self._bodies):
            yield self._connection
