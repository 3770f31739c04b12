"""The store and its archive as one book: what the store has pruned is answered from the archive.

An attempt is taken from the store while it is there, and from the archive otherwise, never from both. Ids of the
archive's rows are negative, so that whoever collects ids first and fetches records later need not know the
difference.
"""

import array
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache, cached_property, lru_cache, partial
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

from slurmwatchd.errors import StoreBusyError
from slurmwatchd.model.reports import Tally
from slurmwatchd.store.archive import layout
from slurmwatchd.store.archive.arrow import Key
from slurmwatchd.store.archive.conditions import min_day
from slurmwatchd.store.archive.files import Dataset, Found
from slurmwatchd.store.archive.horizon import Day, bounds, oldest_end, stretches
from slurmwatchd.store.archive.kept_keys import KeptKeys
from slurmwatchd.store.archive.layout import DAY_SECONDS
from slurmwatchd.store.archive.report import unsummed
from slurmwatchd.store.json_array import IN_ARRAY, json_array
from slurmwatchd.store.read import query
from slurmwatchd.store.read.query import Order, Question
from slurmwatchd.store.read.reader import StoreReader, Totals
from slurmwatchd.store.read.record_texts import Record, line_of
from slurmwatchd.store.read.report import Wish

T = TypeVar("T")

_OfIds = Callable[[list[int]], list[T]]
"""Reads attempts of the store by their row ids."""

_OfRows = Callable[[Sequence[tuple[int, int]]], list[T]]
"""Reads attempts of the archive by file and row."""

_LOWEST = -(1 << 62)
_ROW_BITS = 32
_TRIES = 5
_NOTHING = Totals(ran=0, ended=0, node_hours=0.0)
_SPARE = 100_000

_KEYS = 'SELECT job_id_raw, submit FROM jobs WHERE cluster = ?1 AND "end" >= ?2 AND "end" < ?3'
_THERE = f"SELECT id FROM jobs WHERE id {IN_ARRAY}"  # noqa: S608 - a constant
_ENDLESS = 'SELECT job_id_raw, submit FROM jobs WHERE cluster = ?1 AND "end" IS NULL'
# In this order: there are few moves, and few events that the archive was not asked about.
_MOVED = (
    "SELECT job_id_raw, submit FROM archive_moves CROSS JOIN jobs ON jobs.id = archive_moves.job "
    "WHERE archive_moves.cluster = ?1 UNION ALL "
    # What was revised since the archive was last looked at may have moved, too.
    "SELECT job_id_raw, submit FROM events CROSS JOIN jobs ON jobs.id = events.job "
    "WHERE jobs.cluster = ?1 AND events.kind = 'job_revised' AND events.seq > "
    "coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'archive seq'), 0)"
)


class ArchivedReader(StoreReader):
    """A store with its archive, open for reading.

    A question sees the store as it is at one moment: what expired between a look at the store and one at a file
    would be in both, or in neither.
    """

    # Each page takes its rows from some ninety columns: a larger one costs little more.
    page = 2_000

    def __init__(self, path: Path | str, archive: Path) -> None:
        """Open the store; the archive is looked at when a question reaches into it.

        Raises:
            StoreError: There is no store, or it cannot be read.
            StoreBusyError: It cannot be read now.
        """
        super().__init__(path)
        self.archive = archive
        self._kept_keys: KeptKeys | None = None

    def ids(self, question: Question) -> Sequence[int]:
        """Return the ids of the attempts that answer a question, in its order; see `StoreReader.ids`.

        Raises:
            StoreBusyError: The store cannot be read now, or the archive changes too often.
            StoreError: One of them cannot be read at all.
        """
        with self.snapshot():
            before = bounds(self)
            if not self._reaches(question, before):
                return super().ids(question)
            keyed = query.finding(question, self.clusters(), keyed=True, has_outcomes=self._has_outcomes)
            with self._reading() as connection:
                rows = connection.execute(keyed.sql, keyed.parameters).fetchall()
            ids = array.array("q", (row[0] for row in rows))
            order = array.array("d", (_number(row[1]) for row in rows))
            if self._is_answered(question, order, before):
                return ids
            return self._whatever_is_written(lambda: self._joined(question, ids, order, before))

    def _whatever_is_written(self, ask: Callable[[], T]) -> T:
        """Ask again where the daemon writes a day again meanwhile, with the files as they are then.

        Raises:
            StoreBusyError: That happens too often.
        """
        for _ in range(_TRIES - 1):
            # Each time: what the store has pruned since the last question is in a file that came since.
            self._files.refresh()
            with suppress(StoreBusyError):
                return ask()
        self._files.refresh()
        return ask()

    def remember(self, ids: Iterable[int]) -> None:
        """Have `fetch` and `lines` read from the archive what expires from the store before; see `StoreReader`."""
        self._kept_keys = KeptKeys(self, ids)

    def fetch(self, ids: Iterable[int], *, nodes: bool = False, usage: bool = False) -> list[Record]:
        """Return the records of some ids, in their order; see `StoreReader.fetch`.

        Raises:
            StoreBusyError: The store cannot be read now, or a day of the archive was written again since.
            StoreError: One of them cannot be read at all.
        """
        return self._read(
            ids,
            partial(super().fetch, nodes=nodes, usage=usage),
            lambda rows: self._files.records(rows, nodes=nodes, usage=usage),
        )

    def lines(self, ids: Iterable[int], *, nodes: bool = False, usage: bool = False) -> list[bytes]:
        """Return the same as lines of JSON; see `StoreReader.lines`."""
        return self._read(
            ids,
            partial(super().lines, nodes=nodes, usage=usage),
            lambda rows: list(map(line_of, self._files.records(rows, nodes=nodes, usage=usage))),
        )

    def _read(self, ids: Iterable[int], stored: _OfIds[T], archived: _OfRows[T]) -> list[T]:
        """Read each run of ids where they are."""
        found: list[T] = []
        for is_archived, some in groupby(ids, key=lambda identity: identity < 0):
            run = list(some)
            found += archived([*map(_place, run)]) if is_archived else self._of_store(run, stored, archived)
        return found

    def _of_store(self, ids: list[int], stored: _OfIds[T], archived: _OfRows[T]) -> list[T]:
        """Read ids of the store, and what of them has expired since they were remembered."""
        kept = self._kept_keys
        if kept is None:
            return stored(ids)
        with self.snapshot():
            found = stored(ids)
            if len(found) == len(ids):
                return found
            there = {row[0] for row in self.rows(_THERE, (json_array(ids),))}
        expired: dict[int, T] = {}
        for day, keys in kept.by_day([job for job in ids if job not in there]).items():
            expired |= self._whatever_is_written(partial(self._of_day, day, keys, archived))
        rest = iter(found)
        return [next(rest) if job in there else expired[job] for job in ids if job in there or job in expired]

    def _of_day(self, day: Day, keys: Mapping[Key, int], archived: _OfRows[T]) -> dict[int, T]:
        """Read attempts of a day from its file, by what their row ids were in the store."""
        start = day[1] * DAY_SECONDS
        question = Question(clusters=(day[0],), ended_from=start, ended_until=start + DAY_SECONDS - 1)
        rows = {
            keys[key]: (place, row)
            for place in self._files.places(question, {})
            for found in self._files.find(place, Question(order=Order.FOUND))
            for row, key in zip(found.rows, found.keys, strict=True)
            if key in keys
        }
        return dict(zip(rows, archived(list(rows.values())), strict=True))

    def count(self, question: Question) -> int:
        """Return how many attempts answer a question."""
        with self.snapshot():
            before = bounds(self)
            if not self._reaches(question, before):
                return super().count(question)
            if question.limit is not None:
                return len(self.ids(question))
            return self._whatever_is_written(lambda: self._counted(question, before))

    def _counted(self, question: Question, before: dict[str, int]) -> int:
        places, known = self._files.places(question, before), self._known()
        archived = sum(self._files.count(place, question, partial(known, place)) for place in places)
        return super().count(question) + archived

    def array_rows(self, question: Question) -> list[tuple[Any, ...]]:
        """Return arrays by outcome; see `StoreReader.array_rows`."""
        with self.snapshot():
            before = bounds(self)
            if not self._reaches(question, before):
                return super().array_rows(question)
            return self._whatever_is_written(lambda: self._all_array_rows(question, before))

    def _all_array_rows(self, question: Question, before: dict[str, int]) -> list[tuple[Any, ...]]:
        rows, known = super().array_rows(question), self._known()
        for place in self._files.places(question, before):
            cluster, base = self._files.files[place].cluster, _LOWEST + (place << _ROW_BITS)
            rows += [
                (cluster, found.array, found.outcome, found.attempts, found.start, found.end, base + found.row)
                for found in self._files.arrays(place, question, partial(known, place))
            ]
        return rows

    def totals(self, question: Question, *, by: str | None = None) -> dict[str | None, Totals]:
        """Add up what ran in an interval; see `StoreReader.totals`."""
        with self.snapshot():
            before = bounds(self)
            if not self._reaches(question, before):
                return super().totals(question, by=by)
            return self._whatever_is_written(lambda: self._all_totals(question, by, before))

    def _all_totals(self, question: Question, by: str | None, before: dict[str, int]) -> dict[str | None, Totals]:
        totals, known = super().totals(question, by=by), self._known()
        for place in self._files.places(question, before):
            sums = self._files.add_up(place, question, by, partial(known, place))
            for group, ran, ended, node_seconds in sums:
                total = totals.get(group, _NOTHING)
                totals[group] = Totals(
                    ran=total.ran + ran,
                    ended=total.ended + ended,
                    node_hours=total.node_hours + node_seconds / 3600,
                )
        return dict(sorted(totals.items(), key=lambda item: (item[0] is not None, item[0] or "")))

    @contextmanager
    def unsummed(self, wish: Wish) -> Iterator[Iterable[tuple[str, Tally]]]:
        """Give what attempts that are not in the store's sums add to a report; see `report.py`.

        Raises:
            StoreBusyError: The store cannot be read now, or the archive changes too often.
            StoreError: One of them cannot be read at all.
        """
        with self.snapshot():
            before, known, oldest = bounds(self), self._known(), cache(partial(oldest_end, self))
            if not self._reaches(Question(clusters=wish.clusters, ended_from=wish.span[0]), before):
                yield ()
                return
            found = self._whatever_is_written(
                lambda: unsummed(self, self._files, wish, before=before, known=known, oldest=oldest)
            )
            yield found.items()

    def archived(self, cluster: str) -> list[tuple[int, int]]:
        """Return the stretches of ends that the archive has of a cluster; see `horizon.stretches`."""
        return stretches(
            self, cluster, [file.day for file in layout.files(self.archive) if file.cluster == cluster]
        )

    @cached_property
    def _files(self) -> Dataset:
        return Dataset(self.archive)

    def _reaches(self, question: Question, before: dict[str, int]) -> bool:
        """Return whether a question is about days of which the store may have pruned something."""
        first = min_day(question)
        last = [day for cluster, day in before.items() if not question.clusters or cluster in question.clusters]
        if first is None or not before or first <= max(last, default=first):
            return True
        # A cluster that the archive has and the store has not may have anything.
        return any(file.cluster not in before for file in layout.files(self.archive, since=first))

    @staticmethod
    def _is_answered(question: Question, order: Sequence[float], before: dict[str, int]) -> bool:
        """Return whether the store alone has the first of an answer: then no one need wait for the archive."""
        if question.limit is None or len(order) < question.limit or not before:
            return False
        newest = (max(before.values()) + 1) * DAY_SECONDS
        return question.order is Order.END and question.descending and all(moment >= newest for moment in order)

    def _joined(
        self, question: Question, ids: Sequence[int], order: Sequence[float], before: dict[str, int]
    ) -> Sequence[int]:
        all_ids, all_orders = array.array("q", ids), array.array("d", order)
        by_end = question.order is Order.END
        places, known_of = self._files.places(question, before), self._known()
        for place in reversed(places) if question.descending else places:
            for found in self._files.find(place, question):
                _add(found, known_of(place), all_ids, all_orders)
            if question.limit is not None and len(all_ids) - len(ids) >= question.limit:
                if by_end:
                    # Days come in the order that is asked for: what follows stands behind all of these.
                    break
                if len(all_ids) > question.limit + _SPARE:
                    all_ids, all_orders = _sorted(all_ids, all_orders, question)
        return _sorted(all_ids, all_orders, question)[0]

    def _known(self) -> Callable[[int], frozenset[Key]]:
        """Return what gives the keys that the store has of a file's day: for these its word counts.

        What may be in any file is asked for once a question.
        """
        anywhere, oldest = cache(self._anywhere), cache(partial(oldest_end, self))

        @lru_cache(maxsize=1)
        def of(place: int) -> frozenset[Key]:
            file = self._files.files[place]
            start = file.day * DAY_SECONDS
            if start + DAY_SECONDS <= oldest(file.cluster):
                return anywhere(file.cluster)
            rows = self.rows(_KEYS, (file.cluster, start, start + DAY_SECONDS))
            return anywhere(file.cluster) | {(row[0], row[1]) for row in rows}

        return of

    def _anywhere(self, cluster: str) -> frozenset[Key]:
        """Return keys of attempts of the store that any file may still have."""
        sql = f"{_ENDLESS} UNION ALL {_MOVED}" if self._has_moves else _ENDLESS
        return frozenset((row[0], row[1]) for row in self.rows(sql, (cluster,)))

    @cached_property
    def _has_moves(self) -> bool:
        """Whether the store knows of an archive: one that an older daemon made does not."""
        return self.has_column("archive_moves", "job")


def _add(found: Found, known: Collection[Key], ids: "array.array[int]", orders: "array.array[float]") -> None:
    """Take over the rows of which the store has no attempt."""
    base = _LOWEST + (found.file << _ROW_BITS)
    if not known:
        ids.extend(base + row for row in found.rows)
        orders.extend(map(_number, found.order))
        return
    for row, key, value in zip(found.rows, found.keys, found.order, strict=True):
        if key not in known:
            ids.append(base + row)
            orders.append(_number(value))


def _sorted(
    ids: "array.array[int]", orders: "array.array[float]", question: Question
) -> tuple["array.array[int]", "array.array[float]"]:
    """Sort as the store does, and leave out what is beyond the limit."""
    import pyarrow as pa  # noqa: PLC0415 - see files.py
    import pyarrow.compute as pc  # noqa: PLC0415

    direction = "descending" if question.descending else "ascending"
    if question.order is Order.FOUND:
        # The order in which the store found them; the archive's are older than all of those.
        orders = array.array("d", (0.0 for _ in ids))
    table = pa.table({"order": pa.array(orders), "id": pa.array(ids)})
    places = pc.sort_indices(table, sort_keys=[("order", direction), ("id", direction)])
    if question.limit is not None:
        places = places[: question.limit]
    chosen = table.take(places)
    return array.array("q", chosen["id"].to_pylist()), array.array("d", chosen["order"].to_pylist())


def _number(value: float | None) -> float:
    """Return what sorts as SQLite sorts: nothing comes before all numbers."""
    return float("-inf") if value is None else float(value)


def _place(identity: int) -> tuple[int, int]:
    """Return file and row of an id."""
    return divmod(identity - _LOWEST, 1 << _ROW_BITS)
