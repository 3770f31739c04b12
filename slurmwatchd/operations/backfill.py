"""Backfills, from the side of who asks: what to ask for, who works it off, how far it is.

A daemon that holds the store works requests off between its polls; where there is none, the same watchers are run
here. Either way the requests stand in the store, so that what dies in between goes on where it stopped.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import anyio

from slurmwatchd.config.settings import Config
from slurmwatchd.daemon.assembly import assembled
from slurmwatchd.daemon.daemon import Outside
from slurmwatchd.errors import TransientError
from slurmwatchd.model.clock import SystemClock
from slurmwatchd.model.ledger import Ledger
from slurmwatchd.model.windows import Window
from slurmwatchd.operations.read_only import ReadOnlyStore
from slurmwatchd.operations.slice_walk import walk
from slurmwatchd.sources.sacct.client import SacctAnswer
from slurmwatchd.store import backfills
from slurmwatchd.store.backfills import Backfill
from slurmwatchd.store.ledger import ledger_of
from slurmwatchd.store.read.second_process import AnyStore, open_beside, owner
from slurmwatchd.watcher.anchors import Anchors

Span = tuple[int, int]
"""Half-open, epoch seconds."""

LOOK_SECONDS = 0.5

GONE_SECONDS = 30.0
"""After so long without progress a daemon whose process is gone is not waited for any more."""

_SHOWN = (
    "CREATE TEMP TABLE shown (job_id_raw INTEGER, submit INTEGER, PRIMARY KEY (job_id_raw, submit)) WITHOUT ROWID"
)

_NEW = (
    "SELECT count(*) FROM shown LEFT JOIN jobs ON jobs.cluster = ? AND jobs.job_id_raw = shown.job_id_raw "
    "AND jobs.submit = shown.submit WHERE jobs.id IS NULL"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillScope:
    """What someone wants to have read.

    Attributes:
        start: Epoch seconds of end time.
        end: The second behind it.
        again: Also what was read before.
        clusters: Which; empty: all that are watched.
    """

    start: int
    end: int
    again: bool = False
    clusters: tuple[str, ...] = ()

    def spans(self, read: Ledger) -> list[Span]:
        """Return what of it is to be read.

        What lies between the ledger's horizon and the newest poll is the daemon's own: read, or a hole it fills
        by itself. What is newer than the newest poll is never a backfill's.
        """
        end = min(self.end, read.newest if self.again else read.horizon)
        if self.start >= end:
            return []
        return [(self.start, end)] if self.again else read.unread(self.start, end)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillProgress:
    """How far the requests are, since this command began to look.

    Attributes:
        usage_waiting: Attempts of their clusters whose usage is not delivered yet.
    """

    left_seconds: int
    done_seconds: int
    rows: int
    new: int
    cancelled: bool = False
    usage_waiting: int = 0


@dataclass(slots=True, kw_only=True)
class BackfillCount:
    """What a backfill of one cluster would read: stretches, rows in them, and how many the store does not have."""

    cluster: str
    spans: list[Span]
    rows: int = 0
    new: int = 0


OnProgress = Callable[[BackfillProgress], None]


async def alone(
    config: Config, wish: BackfillScope, begun: Callable[[Sequence[Backfill]], None], seen: OnProgress
) -> BackfillProgress:
    """Take the store, write the requests, work them off, and deliver what came of them.

    Args:
        config: Whose store and clusters.
        wish: What to read.
        begun: Called with the requests before the first is worked off.
        seen: Called with how far they are, now and then and at the end.

    Raises:
        StoreInUseError: A daemon has the store: `beside` is for that.
        TransientError: Slurm, the store or a sink failed; the next call goes on.
    """
    async with assembled(config, Outside()) as daemon:
        names = [watcher.cluster for watcher in daemon.watchers]
        requests = await _ask(daemon.database, _chosen(wish, names), wish, since_seconds=config.poll.since)
        begun(requests)
        if not requests and not await _usage_waiting(daemon.database):
            return BackfillProgress(left_seconds=0, done_seconds=0, rows=0, new=0)
        async with anyio.create_task_group() as group:
            group.start_soon(_look, daemon.database, requests, seen)
            await daemon.backfill()
            group.cancel_scope.cancel()
        state = await _state(daemon.database, requests)
        seen(state)
        return state


async def beside(
    config: Config, wish: BackfillScope, begun: Callable[[Sequence[Backfill]], None], seen: OnProgress
) -> BackfillProgress:
    """Write the requests for the daemon that has the store, and watch it work them off.

    Raises:
        TransientError: The daemon is gone; the next one goes on. Or it has made a new store, without the request.
    """
    async with open_beside(config.store.path) as database:
        names = [row["cluster"] for row in await database.read("SELECT cluster FROM horizons ORDER BY cluster")]
        requests = await _ask(database, _chosen(wish, names), wish, since_seconds=config.poll.since)
        begun(requests)
        clock = SystemClock()
        moved, told = clock.monotonic(), -1
        while True:
            state = await _state(database, requests)
            seen(state)
            if state.left_seconds == 0:
                return state
            database.must_be_in_place()
            if state.left_seconds != told:
                moved, told = clock.monotonic(), state.left_seconds
            elif clock.monotonic() - moved > GONE_SECONDS and not _is_alive(owner(config.store.path)):
                raise TransientError("the daemon stopped; the next one, or the same command, continues")
            await clock.sleep(LOOK_SECONDS)


async def count(
    view: ReadOnlyStore, wish: BackfillScope, seen: Callable[[int, int, int], None], *, now: int
) -> list[BackfillCount]:
    """Count what a backfill would read: few fields of every row, nothing is stored.

    Args:
        view: Store and sacct.
        wish: What would be read.
        seen: Called with seconds done, seconds in all, and rows.
        now: Epoch seconds.

    Raises:
        SacctError: Sacct failed.
    """
    limits = await view.limits()
    await view.reader.note(_SHOWN)
    plans, ledgers = [], {}
    for name in _chosen(wish, list(view.sacct)):
        read = await view.ledger(name) or Ledger(now - view.config.poll.since)
        ledgers[name] = read
        plans.append(BackfillCount(cluster=name, spans=wish.spans(read)))
    total = sum(end - start for plan in plans for start, end in plan.spans)
    done = rows = 0
    for plan in plans:

        async def visit(window: Window, answer: SacctAnswer, plan: BackfillCount = plan) -> None:
            nonlocal done, rows
            await view.reader.note("DELETE FROM shown")
            count = 0
            async for some in answer.rows():
                await view.reader.note("INSERT OR IGNORE INTO shown VALUES (?, ?)", some.readings.keys)
                count += some.count
            plan.rows += count
            rows += count
            plan.new += int((await view.reader.read(_NEW, (plan.cluster,)))[0][0])
            done += window.seconds
            seen(done, total, rows)

        await walk(
            view.sacct[plan.cluster],
            plan.spans,
            visit,
            anchors=Anchors(plan.cluster, view.reader),
            ledger=ledgers[plan.cluster],
            policy=view.policy(limits),
            timeout_seconds=view.config.slurm.timeout,
            clock=SystemClock(),
        )
    return plans


async def cancel(config: Config, clusters: Sequence[str]) -> int:
    """Forget what is left of the requests, whoever works them off; returns how many there were."""
    async with open_beside(config.store.path) as database:
        rows = await database.read("SELECT DISTINCT cluster FROM backfills WHERE reached > start")
        names = [row["cluster"] for row in rows if not clusters or row["cluster"] in clusters]
        return sum([await backfills.cancel(database, name) for name in names])


class UnknownClusterError(ValueError):
    """A cluster was named that is not watched."""


def _chosen(wish: BackfillScope, names: Sequence[str]) -> list[str]:
    for name in wish.clusters:
        if name not in names:
            raise UnknownClusterError(f"{name!r} is not watched; watched: {', '.join(names) or 'none yet'}")
    return list(wish.clusters or names)


async def _ask(
    database: AnyStore, names: Iterable[str], wish: BackfillScope, *, since_seconds: int
) -> list[Backfill]:
    """Write the requests of all clusters; returns those that have something left."""
    now = int(SystemClock().now())
    requests: list[Backfill] = []
    for name in names:
        read = await ledger_of(database, name) or Ledger(now - since_seconds)
        if spans := wish.spans(read):
            requests += await backfills.ask(database, name, spans, now=now)
    return requests


async def _look(database: AnyStore, requests: Sequence[Backfill], seen: OnProgress) -> None:
    while True:
        seen(await _state(database, requests))
        await anyio.sleep(LOOK_SECONDS)


async def _state(database: AnyStore, requests: Sequence[Backfill]) -> BackfillProgress:
    """Return how far the requests are, by what the store says of them."""
    found = {request.id: request for request in await backfills.some(database, [r.id for r in requests])}
    pairs = [(before, found[before.id]) for before in requests if before.id in found]
    return BackfillProgress(
        left_seconds=sum(now.reached - now.start for _, now in pairs),
        done_seconds=sum(before.reached - now.reached for before, now in pairs),
        rows=sum(now.rows - before.rows for before, now in pairs),
        new=sum(now.new - before.new for before, now in pairs),
        cancelled=any(now.start > before.start for before, now in pairs),
        usage_waiting=await _usage_waiting(database),
    )


async def _usage_waiting(database: AnyStore) -> int:
    return int((await database.read("SELECT count(*) FROM usage_queue"))[0][0])


def _is_alive(pid: int | None) -> bool:
    if pid is None:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
