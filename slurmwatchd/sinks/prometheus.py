"""Ended jobs as Prometheus counters and histograms that survive restarts.

The totals are kept in the store and move in the same transaction as this sink's cursor, so what `/metrics`
shows is what was delivered, exactly, also after a crash. A scrape reads memory alone.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import anyio.to_thread
import orjson
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import Field

from slurmwatchd.model.clock import EARLIEST
from slurmwatchd.model.records import Event, EventKind, FoundBy
from slurmwatchd.sinks.base import Sink, SinkKind, SinkOptions
from slurmwatchd.telemetry.metrics import Metrics

OTHER = "other"
"""What the label values fold into once a family has as many label sets as it may."""

SEVERAL = "(several)"
"""The partition of a job sent to several that never ran: its list is as the user typed it, and would be a label of
the user's making. A partition's own name has no comma."""

_HOUR, _DAY = 3600.0, 86400.0
_ELAPSED = (1.0, 10.0, 60.0, 300.0, 900.0, _HOUR, 4 * _HOUR, 12 * _HOUR, _DAY, 2 * _DAY, 7 * _DAY)
_WAIT = (1.0, 10.0, 60.0, 300.0, 900.0, _HOUR, 4 * _HOUR, 12 * _HOUR, _DAY, 3 * _DAY, 14 * _DAY)
_RATIO = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
_LAG = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, _HOUR, _DAY)


class PrometheusOptions(SinkOptions):
    """Counters and histograms on `/metrics`."""

    default_backfill: ClassVar[bool] = False

    type: Literal["prometheus"]
    max_label_sets: int = Field(1000, ge=1, le=100_000)
    """The most label sets a family may have; the sink counts further ones as `other`."""


@dataclass(frozen=True, slots=True)
class _Family:
    """One metric family; without buckets it is a counter.

    Attributes:
        name: Without the `slurmwatchd_` prefix.
    """

    name: str
    text: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...] = ()

    @property
    def width(self) -> int:
        """How many numbers its values have, see `SeriesValue`."""
        return len(self.buckets) + 2 if self.buckets else 1


_ENDED = _Family("jobs_ended", "Job attempts that ended.", ("slurm_cluster", "partition", "state"))
_ELAPSED_FAMILY = _Family(
    "job_elapsed_seconds",
    "Time from start to end of ended attempts that had started.",
    ("slurm_cluster", "partition"),
    _ELAPSED,
)
_WAIT_FAMILY = _Family(
    "job_wait_seconds",
    "Time from eligible to start of ended attempts that had started.",
    ("slurm_cluster", "partition"),
    _WAIT,
)
_LAG_FAMILY = _Family(
    "detection_lag_seconds",
    "Time from an attempt's end until the daemon first saw it, except for backfills.",
    ("slurm_cluster",),
    _LAG,
)
_CPU_SECONDS = _Family(
    "job_cpu_seconds",
    "CPU time used by attempts whose usage is complete.",
    ("slurm_cluster", "partition"),
)
_ALLOCATED = _Family(
    "job_allocated_cpu_seconds",
    "Allocated CPUs times elapsed seconds of attempts whose usage is complete.",
    ("slurm_cluster", "partition"),
)
_ENERGY = _Family(
    "job_energy_joules",
    "Energy used by attempts whose usage is complete, if Slurm gathers it.",
    ("slurm_cluster", "partition"),
)
_CPU_EFFICIENCY = _Family(
    "job_cpu_efficiency_ratio",
    "CPU time divided by allocated CPUs times elapsed seconds, for attempts with steps.",
    ("slurm_cluster", "partition"),
    _RATIO,
)
_MEMORY_EFFICIENCY = _Family(
    "job_memory_efficiency_ratio",
    "Peak memory divided by memory allocated or requested, for attempts with steps.",
    ("slurm_cluster", "partition"),
    _RATIO,
)
_FOLDED = _Family("label_sets_folded", "Observations counted as other because their family was full.", ("family",))
_FAMILIES = {
    family.name: family
    for family in (
        _ENDED, _ELAPSED_FAMILY, _WAIT_FAMILY, _LAG_FAMILY,
        _CPU_SECONDS, _ALLOCATED, _ENERGY, _CPU_EFFICIENCY, _MEMORY_EFFICIENCY, _FOLDED,
    )
}  # fmt: skip

SeriesKey = tuple[str, ...]
"""A family's name and its label values."""

SeriesValue = tuple[float, ...]
"""A counter's total; for a histogram the sum, then the count in each bucket, +Inf last, not cumulated."""


def _fits(key: SeriesKey, value: SeriesValue) -> bool:
    family = _FAMILIES.get(key[0])
    return family is not None and len(key) == len(family.labels) + 1 and len(value) == family.width


def _by_partition(key: SeriesKey) -> SeriesKey:
    """Return a key as it is counted now: one of an older release may hold the list that a user typed."""
    labels = _FAMILIES[key[0]].labels
    if "partition" not in labels:
        return key
    place = 1 + labels.index("partition")
    return (*key[:place], _partition(key[place]), *key[place + 1 :])


class PrometheusSink(Sink, Collector):
    """The totals."""

    def __init__(self, name: str, options: PrometheusOptions, metrics: Metrics) -> None:
        """Register with the daemon's metrics; nothing is counted yet."""
        self._name = name
        self._limit = options.max_label_sets
        self._shown: dict[SeriesKey, SeriesValue] = {}
        self._sizes: dict[str, int] = {}
        self._next: dict[SeriesKey, SeriesValue] = {}
        self._gathered: dict[SeriesKey, SeriesValue] = {}
        metrics.registry.register(self)

    async def open(self, state: Mapping[str, bytes]) -> None:
        """Go on from the totals that were kept, but for those of a release with other labels or buckets."""
        kept = {tuple(orjson.loads(key)): tuple(orjson.loads(value)) for key, value in state.items()}
        self._shown = {key: value for key, value in kept.items() if _fits(key, value)}
        self._gather_lists()
        self._sizes = {}
        for key in self._shown:
            self._sizes[key[0]] = self._sizes.get(key[0], 0) + 1

    async def write(self, events: Sequence[Event]) -> Mapping[str, bytes]:
        """Count events, for nobody to see until the cursor has moved."""
        self._next = await anyio.to_thread.run_sync(self._count, events)
        changed = {**self._gathered, **self._next}
        return {orjson.dumps(key).decode(): orjson.dumps(value) for key, value in changed.items()}

    def committed(self) -> None:
        """Show what was counted."""
        for key in self._next:
            if key not in self._shown:
                self._sizes[key[0]] = self._sizes.get(key[0], 0) + 1
        # A new dict and one assignment: a scrape in another thread sees all of a batch or nothing.
        self._shown = {**self._shown, **self._next}
        self._next, self._gathered = {}, {}

    def describe(self) -> list[Metric]:
        """Return the families without their samples."""
        return [_metric(family, {}) for family in _FAMILIES.values()]

    def collect(self) -> Iterable[Metric]:
        """Return fresh families; called by scrapes, from any thread."""
        shown = self._shown
        return [
            _metric(family, {key[1:]: value for key, value in sorted(shown.items()) if key[0] == name})
            for name, family in _FAMILIES.items()
        ]

    def _gather_lists(self) -> None:
        """Add up under `SEVERAL` what an older release counted by the lists that users typed.

        What was added up is kept with the next events, and what it came from is emptied in the same transaction:
        until then a restart finds all as it was.
        """
        shown: dict[SeriesKey, SeriesValue] = {}
        self._gathered = {}
        for key, value in self._shown.items():
            place = _by_partition(key)
            sums = shown.get(place, (0,) * len(value))
            shown[place] = tuple(a + b for a, b in zip(sums, value, strict=True))
            if place != key:
                self._gathered[key] = ()
        for key in [_by_partition(key) for key in self._gathered]:
            self._gathered[key] = shown[key]
        self._shown = shown

    def _count(self, events: Sequence[Event]) -> dict[SeriesKey, SeriesValue]:
        tally = _Tally(self._shown, dict(self._sizes), self._limit)
        for event in events:
            if event.kind is EventKind.JOB_ENDED:
                _count_end(tally, event, orjson.loads(event.body))
            elif event.kind is EventKind.JOB_USAGE:
                _count_usage(tally, orjson.loads(event.body))
        return tally.changed


def _partition(name: str) -> str:
    """Return the label of a partition."""
    return SEVERAL if "," in name else name


def _count_end(tally: "_Tally", event: Event, record: dict[str, Any]) -> None:
    cluster, partition = record["cluster"], _partition(record.get("partition", ""))
    tally.add(_ENDED, (cluster, partition, record["state"]))
    if record.get("start") is not None:
        for family, field in ((_ELAPSED_FAMILY, "elapsed_seconds"), (_WAIT_FAMILY, "wait_seconds")):
            if (seconds := record.get(field)) is not None:
                tally.observe(family, (cluster, partition), seconds)
    if event.time is not None and event.time >= EARLIEST and event.found_by is not FoundBy.BACKFILL:
        tally.observe(_LAG_FAMILY, (cluster,), max(0, event.observed - event.time))


def _count_usage(tally: "_Tally", record: dict[str, Any]) -> None:
    usage = record["usage"]
    if not usage["complete"] or record.get("start") is None:
        return
    labels = (record["cluster"], _partition(record.get("partition", "")))
    # Both or neither, so that one over the other is a share.
    if "cpu_seconds" in usage and "cpus" in record and "elapsed_seconds" in record:
        tally.add(_CPU_SECONDS, labels, usage["cpu_seconds"])
        tally.add(_ALLOCATED, labels, record["cpus"] * record["elapsed_seconds"])
    if usage.get("energy_joules"):
        tally.add(_ENERGY, labels, usage["energy_joules"])
    if usage["steps"]:
        for family, field in ((_CPU_EFFICIENCY, "cpu_efficiency"), (_MEMORY_EFFICIENCY, "memory_efficiency")):
            if (ratio := usage.get(field)) is not None:
                tally.observe(family, labels, ratio)


class _Tally:
    """New totals over old ones that stay as they are."""

    def __init__(self, shown: Mapping[SeriesKey, SeriesValue], sizes: dict[str, int], limit: int) -> None:
        self._shown = shown
        self._sizes = sizes
        self._limit = limit
        self.changed: dict[SeriesKey, SeriesValue] = {}

    def add(self, family: _Family, labels: SeriesKey, amount: float = 1) -> None:
        key = self._place(family, labels)
        self.changed[key] = (self._value(key, 1)[0] + amount,)

    def observe(self, family: _Family, labels: SeriesKey, observed: float) -> None:
        key = self._place(family, labels)
        value = list(self._value(key, family.width))
        value[0] += observed
        value[1 + bisect_left(family.buckets, observed)] += 1
        self.changed[key] = tuple(value)

    def _value(self, key: SeriesKey, width: int) -> SeriesValue:
        return self.changed.get(key) or self._shown.get(key) or (0,) * width

    def _place(self, family: _Family, labels: SeriesKey) -> SeriesKey:
        """Return where to count, `other` once the family is full; the cluster is never folded."""
        key = (family.name, *labels)
        if key in self.changed or key in self._shown:
            return key
        if self._sizes.get(family.name, 0) >= self._limit and family is not _FOLDED:
            self.add(_FOLDED, (f"slurmwatchd_{family.name}",))
            return (family.name, labels[0], *(OTHER for _ in labels[1:]))
        self._sizes[family.name] = self._sizes.get(family.name, 0) + 1
        return key


def _metric(family: _Family, samples: Mapping[SeriesKey, SeriesValue]) -> Metric:
    if not family.buckets:
        counter = CounterMetricFamily(f"slurmwatchd_{family.name}", family.text, labels=family.labels)
        for labels, value in samples.items():
            counter.add_metric(labels, value[0])
        return counter
    histogram = HistogramMetricFamily(f"slurmwatchd_{family.name}", family.text, labels=family.labels)
    bounds = [*(str(bound) for bound in family.buckets), "+Inf"]
    for labels, value in samples.items():
        total = 0.0
        buckets = []
        for bound, count in zip(bounds, value[1:], strict=True):
            total += count
            buckets.append((bound, total))
        histogram.add_metric(labels, buckets, value[0])
    return histogram


KIND = SinkKind(options=PrometheusOptions, make=PrometheusSink)
