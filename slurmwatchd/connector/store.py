"""The daemon's store, asked by scripts and programs: what ended, what ran when and where; no Slurm needed.

Times are aware datetimes in UTC throughout; a naive one that is given is local time. Records are dictionaries in
the fields of docs/events.md, with `nodes` where they are known.
"""

import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, ParamSpec, Self, TypeVar

from slurmwatchd.connector.reports import Report
from slurmwatchd.model.reports import Rates
from slurmwatchd.store.read.argument_types import check_list
from slurmwatchd.store.read.query import Order, Question
from slurmwatchd.store.read.reader import Record, StoreReader, Totals
from slurmwatchd.store.read.report import Wish, report

TIMES = ("submit", "eligible", "start", "end")

_PAGE = 500

P = ParamSpec("P")
T = TypeVar("T")


class Store:
    """A store, open for reading. It is safe beside the daemon, and threads may share it."""

    def __init__(self, path: str | os.PathLike[str], *, archive: str | os.PathLike[str] | None = None) -> None:
        """Open it.

        Args:
            path: The store's file.
            archive: The folder of its Parquet archive, which has what the store has pruned; needs pyarrow, the
                extra [parquet].

        Raises:
            ImportError: There is an archive, and pyarrow is not installed.
            StoreError: There is none, it is none of ours, it was made by a newer program, or it cannot be read.
            StoreBusyError: It cannot be read now.
        """
        self.path = Path(path)
        self.reader = _reader(self.path, None if archive is None else Path(archive))
        """For questions of your own; its records have times as text."""

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close it; a second time does nothing."""
        self.reader.close()

    def jobs(self, *job_ids: str | int) -> list[Record]:
        """Return every attempt of some jobs, the oldest submission first.

        Args:
            *job_ids: As sacct's `-j` takes them: `12` is a job, all tasks of an array or all components of a
                heterogeneous job; `12_3` and `12+1` are one of them.
        """
        if not job_ids:
            return []
        return self._all(Question(job_ids=tuple(map(str, job_ids)), order=Order.SUBMIT))

    def running_between(self, start: datetime, end: datetime) -> list[Record]:
        """Return what ran at some moment between two: started at the end or earlier, ended at the start or later.

        What is running still is in it as far as the store knows: the daemon stores attempts when they end.
        """
        return self._all(_between(start, end))

    def on_node(self, node: str, at: datetime) -> list[Record]:
        """Return what ran on a node at a moment."""
        return self._all(replace(_between(at, at), node=node))

    def nodes_of(self, job_id: str | int) -> set[str]:
        """Return the nodes of all attempts of a job."""
        return {name for record in self.jobs(job_id) for name in record.get("nodes", ())}

    def totals(self, start: datetime, end: datetime, *, by: str | None = None) -> dict[str | None, Totals]:
        """Return how much ran in an interval: attempts, how many ended in it, and node-hours inside it.

        Args:
            start: Its beginning.
            end: Its end.
            by: `cluster`, `user`, `account`, `partition` or `state`; None: everything, under None.

        Raises:
            ValueError: There is no such grouping.
        """
        return self.reader.totals(_between(start, end), by=by)

    def report(
        self,
        start: datetime,
        end: datetime,
        *,
        by: str = "account",
        rates: Rates | None = None,
        top: int | None = None,
        **only: Iterable[str],
    ) -> Report:
        """Return who used what in an interval, and how well, from the hourly sums, as `slurmwatchd report` does.

        Attempts that only the archive has, because the store was lost once, are added.

        Args:
            start: Its beginning; the full hour counts.
            end: Its end, likewise.
            by: `account`, `user`, `partition`, `qos`, `outcome`, `cluster`, or in UTC `hour`, `day` or `month`.
            rates: Prices and CO2.
            top: At most so many lines, those with the most CPU hours; the rest is one.
            **only: `accounts`, `users`, `partitions`, `qos`, `clusters`, `outcomes`: only these.

        Raises:
            ValueError: There is no such grouping or outcome, or the end is before the start.
            TypeError: One of `only` is a text and no list.
        """
        for name, values in only.items():
            check_list(name, values)
        first, last = int(start.timestamp()), int(end.timestamp())
        if last < first:
            raise ValueError(f"the end, {end}, is before the start, {start}")
        names: Any = {name: tuple(values) for name, values in only.items()}
        wish = Wish(by=by, since=first, until=last, top=top, **names)
        return Report(report(self.reader, wish, rates or Rates()), by)

    def find(self, question: Question) -> Iterator[Record]:
        """Give what answers a question, of any length, some hundred records at a time."""
        return map(_dated, self.reader.records(question, nodes=True))

    def _all(self, question: Question) -> list[Record]:
        return list(self.find(question))


class AsyncStore:
    """The same for programs with an event loop: each question is asked in a worker thread."""

    def __init__(self, path: str | os.PathLike[str], *, archive: str | os.PathLike[str] | None = None) -> None:
        """Remember where they are; `async with` opens them; see `Store`."""
        self.path = Path(path)
        self.archive = archive
        self._opened: Store | None = None

    async def __aenter__(self) -> Self:
        """Open it; see `Store`."""
        self._opened = await _in_thread(Store, self.path, archive=self.archive)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        self._store.close()

    async def jobs(self, *job_ids: str | int) -> list[Record]:
        """See `Store.jobs`."""
        return await _in_thread(self._store.jobs, *job_ids)

    async def running_between(self, start: datetime, end: datetime) -> list[Record]:
        """See `Store.running_between`."""
        return await _in_thread(self._store.running_between, start, end)

    async def on_node(self, node: str, at: datetime) -> list[Record]:
        """See `Store.on_node`."""
        return await _in_thread(self._store.on_node, node, at)

    async def nodes_of(self, job_id: str | int) -> set[str]:
        """See `Store.nodes_of`."""
        return await _in_thread(self._store.nodes_of, job_id)

    async def totals(self, start: datetime, end: datetime, *, by: str | None = None) -> dict[str | None, Totals]:
        """See `Store.totals`."""
        return await _in_thread(self._store.totals, start, end, by=by)

    async def report(
        self,
        start: datetime,
        end: datetime,
        *,
        by: str = "account",
        rates: Rates | None = None,
        top: int | None = None,
        **only: Iterable[str],
    ) -> Report:
        """See `Store.report`."""
        return await _in_thread(self._store.report, start, end, by=by, rates=rates, top=top, **only)

    async def find(self, question: Question) -> AsyncIterator[Record]:
        """See `Store.find`."""
        records = self._store.find(question)
        while page := await _in_thread(_some, records):
            for record in page:
                yield record

    @property
    def _store(self) -> Store:
        if self._opened is None:
            raise RuntimeError("open it first: async with open_async(path) as store")
        return self._opened


def _reader(path: Path, archive: Path | None) -> StoreReader:
    if archive is None:
        return StoreReader(path)
    if find_spec("pyarrow") is None:
        raise ImportError("an archive needs pyarrow: pip install 'slurmwatchd[parquet]'")
    from slurmwatchd.store.archive.reader import ArchivedReader  # noqa: PLC0415 - few stores have one

    return ArchivedReader(path, archive)


async def _in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    import anyio.to_thread  # noqa: PLC0415 - scripts need no event loop

    return await anyio.to_thread.run_sync(partial(work, *args, **kwargs))


def _some(records: Iterator[Record]) -> list[Record]:
    return list(islice(records, _PAGE))


def _between(start: datetime, end: datetime) -> Question:
    first, last = int(start.timestamp()), int(end.timestamp())
    if last < first:
        raise ValueError(f"the end, {end}, is before the start, {start}")
    return Question(running_from=first, running_until=last, order=Order.START)


def _dated(record: dict[str, Any]) -> Record:
    """Give the times of a record as aware datetimes in UTC."""
    for name in TIMES:
        if record.get(name) is not None:
            record[name] = datetime.fromisoformat(record[name]).astimezone(UTC)
    return record
