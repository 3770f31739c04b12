"""A store that was damaged or lost, rebuilt: what it needs to know before anything is read or delivered.

The attempts come from sacct again. What must be known beforehand is what the sinks have: the ids in their files,
so that nothing is written twice; the highest position, so that positions go on above it; and where reading began.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import anyio.to_thread

from slurmwatchd.config.ownership import reason
from slurmwatchd.daemon.sd_notify import Notifier
from slurmwatchd.errors import SinkError
from slurmwatchd.model.clock import Clock, rfc3339
from slurmwatchd.sinks.base import SinkKind, SinkOptions
from slurmwatchd.sinks.jsonl_files import EventLine
from slurmwatchd.store import meta
from slurmwatchd.store.database import Database
from slurmwatchd.store.repair import already_delivered, salvage
from slurmwatchd.telemetry.log import get_logger
from slurmwatchd.telemetry.metrics import Metrics

BATCH_LINES = 5000

_REBUILT = "rebuilt at"
_PATIENCE_SECONDS = 60.0

_log = get_logger(__name__)


@dataclass(slots=True)
class _Span:
    """When the events of some lines were observed."""

    oldest: int
    newest: int

    def take(self, moment: int) -> None:
        self.oldest, self.newest = min(self.oldest, moment), max(self.newest, moment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilder:
    """Puts into a store that is new, or has a new sink, what the sinks have already.

    Attributes:
        sinks: Name to options of every configured sink.
        since_seconds: How far back a very first start begins.
        late_seconds: How late a record may become visible: the last age at which a stretch is read again.
    """

    database: Database
    sinks: Mapping[str, SinkOptions]
    kinds: Mapping[str, SinkKind]
    clock: Clock
    metrics: Metrics
    notifier: Notifier
    since_seconds: int
    late_seconds: int

    async def prepare(self) -> None:
        """Do all of it; where there is nothing to do this costs a few queries.

        A crash on the way costs nothing: it is begun again as long as the sinks have no cursors.

        Raises:
            SinkError: A file that may hold events cannot be read.
            StoreBusyError: The store cannot be written now.
        """
        database = self.database
        fresh = [name for name in self.sinks if not await already_delivered.is_known(database, name)]
        is_new = not await database.read("SELECT 1 FROM cursors LIMIT 1")
        followers = [name for name in fresh if self._kind(name).read_back is None] if is_new else []
        salvaged = await self._salvage(followers)
        counted = [name for name in followers if name in salvaged.states]
        events = 0
        for name in fresh:
            if self._kind(name).read_back is not None:
                events += await self._read_back(name, followers, is_new=is_new)
        if counted and salvaged.watermark and not events:
            # Their totals were saved, and no file has what is in them: what the old store had read is.
            found = already_delivered.Readback(min(salvaged.watermark, self._now()), salvaged.watermark, 0)
            await already_delivered.settle(database, counted, found, last_seq=0, horizons={}, now=self._now())
        if database.aside is not None or (is_new and events):
            await meta.put(database, _REBUILT, str(self._now()))
            _log.warning("store rebuilt", delivered_before=events, horizons_saved=len(salvaged.horizons))
        if database.aside is not None:
            database.rebuilt()
        self.metrics.store_rebuilt.set(int(await meta.get(database, _REBUILT) or 0))

    async def _salvage(self, followers: list[str]) -> salvage.Salvaged:
        aside = self.database.aside
        if aside is None:
            return salvage.Salvaged()
        found = await anyio.to_thread.run_sync(salvage.read, aside)
        await salvage.keep(self.database, found, sinks=followers)
        return found

    async def _read_back(self, name: str, followers: list[str], *, is_new: bool) -> int:
        """Remember what a sink's receiver has; return how many events."""
        sinks = [name, *followers]
        span: _Span | None = None
        clusters: dict[str, _Span] = {}
        events = last_seq = 0
        first_seq: int | None = None
        lines = self._lines(name)
        while batch := await self._some(name, lines, is_new=is_new):
            # The one counts while the service starts, the other where it starts again in the middle of its life.
            self.notifier.extend_timeout(_PATIENCE_SECONDS)
            self.notifier.watchdog()
            events += len(batch)
            last_seq = max(last_seq, *(line.seq for line in batch), 0)
            first_seq = min(line.seq for line in batch) if first_seq is None else first_seq
            for line in batch:
                if line.observed is None:
                    continue
                span = span or _Span(line.observed, line.observed)
                span.take(line.observed)
                if line.attempt is not None:
                    clusters.setdefault(line.attempt[0], _Span(line.observed, line.observed)).take(line.observed)
            revisions = [(line.attempt, line.revision) for line in batch if line.attempt and line.revision > 1]
            await already_delivered.remember(self.database, sinks, [line.id for line in batch], revisions)
        if not events:
            return 0
        if span is None or first_seq == 1 or not is_new:
            # What these files lack, the sink did not receive: all it ever received is in them, or this store knows
            # what was delivered before, and reading does not begin again.
            span = _Span(0, self._now() if span is None else span.newest)
        horizons = {cluster: self._horizon(known) for cluster, known in clusters.items()} if is_new else {}
        # A clock that was ahead wrote moments that are still to come: what ends before them is not in any file.
        found = already_delivered.Readback(min(span.oldest, self._now()), span.newest, events)
        await already_delivered.settle(
            self.database, sinks, found, last_seq=last_seq, horizons=horizons, now=self._now()
        )
        _log.warning(
            "events of an earlier store found, not delivered again",
            sink=name,
            events=events,
            newest=rfc3339(span.newest),
        )
        return events

    def _horizon(self, known: _Span) -> int:
        """Return where to begin for a cluster that only the files know.

        Early enough for what was not visible yet when the last line was written, but not before the files begin:
        what ended before cannot be distinguished from what was delivered in files that are gone.
        """
        return min(self._now() - self.since_seconds, max(known.oldest, known.newest - self.late_seconds))

    def _lines(self, name: str) -> Iterator[EventLine]:
        options = self.sinks[name]
        others = [Path(file) for other, its in self.sinks.items() if other != name for file in its.files()]
        read_back = self._kind(name).read_back
        return iter(()) if read_back is None else read_back(options, others)

    async def _some(self, name: str, lines: Iterator[EventLine], *, is_new: bool) -> list[EventLine]:
        try:
            return await anyio.to_thread.run_sync(lambda: list(islice(lines, BATCH_LINES)))
        except ConnectionError as error:
            told = SinkError(f"sinks.{name}: {error.filename}: cannot be read: {error.strerror}")
            if is_new:
                raise told from error
            # A sink that is new in a store that is not gets what comes from now on: little of that can be there.
            _log.warning("a receiver cannot be asked what it has", sink=name, error=str(told))
            return []
        except OSError as error:
            why = reason(Path(error.filename), error) if error.filename else error.strerror
            raise SinkError(f"sinks.{name}: {error.filename}: cannot be read: {why}") from error

    def _kind(self, name: str) -> SinkKind:
        return self.kinds[self.sinks[name].type]

    def _now(self) -> int:
        return int(self.clock.now())
