"""Ended jobs as Prometheus counters and histograms that survive restarts.

The totals are kept in the store and move in the same transaction as this sink's cursor, so what `/metrics`
shows is what was delivered, exactly, also after a crash. A scrape reads memory alone. What is counted stands in
`model/job_metrics.py`, who is counted as `other` in `label_sets.py`.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import anyio.to_thread
import orjson
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import Field

from slurmwatchd.model.job_metrics import CATALOGUE, PREFIX, Family, LabelChoice, Record, weight_of
from slurmwatchd.model.records import Event
from slurmwatchd.sinks import kept_totals
from slurmwatchd.sinks.base import Sink, SinkKind, SinkOptions
from slurmwatchd.sinks.kept_totals import FOLDED, REPLACED
from slurmwatchd.sinks.label_sets import WEIGHT, Key, Profile, Totals, copied, empty, merge, profiles, tag_of
from slurmwatchd.telemetry.metrics import Metrics


class PrometheusOptions(SinkOptions):
    """Counters and histograms on `/metrics`."""

    default_backfill: ClassVar[bool] = False

    type: Literal["prometheus"]
    max_label_sets: int = Field(1000, ge=1, le=100_000)
    """The most label sets a family may have; the sink counts smaller ones as `other`. See
    [Metrics](metrics.md#labels)."""


Sample = tuple[Key, Any]
"""The values of a family's labels, and its total."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """What a scrape sees: one object, so that it sees all of a batch or nothing."""

    choice: LabelChoice
    profiles: Sequence[Profile]
    groups: Mapping[Key, Totals]


class PrometheusSink(Sink, Collector):
    """The totals."""

    def __init__(self, name: str, options: PrometheusOptions, metrics: Metrics) -> None:
        """Register with the daemon's metrics; nothing is counted yet."""
        self._name = name
        self._limit = options.max_label_sets
        self._metrics = metrics
        self._shown = _Shown(metrics.label_choice, profiles(metrics.label_choice, self._limit), {})
        self._next: dict[Key, Totals | None] = {}
        self._moved: dict[str, bytes] = {}
        self._is_counting = False
        metrics.registry.register(self)

    async def open(self, state: Mapping[str, bytes]) -> None:
        """Go on from the totals that were kept, but for those of a release with other labels or buckets."""
        self._moved = {}
        self._is_counting = False
        kept, foreign = kept_totals.read(state)
        self._moved = dict.fromkeys(foreign, b"")
        self._regroup(kept, rewrite=bool(foreign))

    async def write(self, events: Sequence[Event]) -> Mapping[str, bytes]:
        """Count events, for nobody to see until the cursor has moved."""
        self._next = await anyio.to_thread.run_sync(self._count, events)
        return {**self._moved, **kept_totals.written(self._next)}

    def committed(self) -> None:
        """Show what was counted."""
        groups = {**self._shown.groups, **self._next}
        whole = {key: totals for key, totals in groups.items() if totals is not None}
        self._shown = _Shown(self._shown.choice, self._shown.profiles, whole)
        self._next, self._moved = {}, {}
        self._is_counting = False

    def describe(self) -> list[Metric]:
        """Return the families without their samples."""
        return [_metric(family, (), ()) for family in CATALOGUE] + list(_folding({}))

    def collect(self) -> Iterable[Metric]:
        """Return fresh families; called by scrapes, from any thread."""
        shown = self._shown
        samples = {family.name: found for profile in shown.profiles for family, found in self._samples(profile)}
        for family in CATALOGUE:
            yield _metric(family, shown.choice.labels_of(family), samples[family.name])
        yield from _folding(shown.groups)

    def _samples(self, profile: Profile) -> Iterator[tuple[Family, list[Sample]]]:
        """Give the families of a profile with their samples; known partitions and states stand at 0."""
        groups = sorted((key, totals) for key, totals in self._shown.groups.items() if key[0] == profile.tag)
        zeros = self._zeros(profile)
        for family in profile.families:
            found: list[Sample] = []
            for key, totals in groups:
                if family.name not in totals:
                    continue
                if family.own:
                    found += (((*key[1:], value), total) for value, total in sorted(totals[family.name].items()))
                else:
                    found.append((key[1:], totals[family.name]))
            seen = {labels for labels, _ in found}
            known = [(*key, value) for key in zeros for value in family.known] if family.own else zeros
            found += ((labels, empty(family) if family.buckets else 0) for labels in known if labels not in seen)
            yield family, found if len(found) <= max(profile.limit, len(seen)) else found[: len(seen)]

    def _zeros(self, profile: Profile) -> list[Key]:
        """Return the label values that are known before anything ended: clusters, and their partitions."""
        known = self._metrics.known_partitions
        if profile.labels == ("partition",):
            return [(cluster, name) for cluster, names in known.items() for name in names]
        return [] if profile.labels else [(cluster,) for cluster in known]

    def _regroup(self, groups: Mapping[Key, Totals], *, rewrite: bool = False) -> None:
        """Count on by the labels that are chosen now; what changes is kept with the next events.

        Until then a restart finds all as it was.

        Args:
            groups: What was counted.
            rewrite: Whether some of it stands in rows of an earlier version.
        """
        choice = self._metrics.label_choice
        made = profiles(choice, self._limit)
        regrouped = kept_totals.regrouped(groups, made)
        batch = _Batch(regrouped, made)
        batch.fit()
        merged = {**regrouped, **batch.finish()}
        whole = {key: totals for key, totals in merged.items() if totals is not None}
        changed: dict[Key, Totals | None] = {
            key: totals for key, totals in whole.items() if rewrite or groups.get(key) != totals
        }
        changed.update(dict.fromkeys(groups.keys() - whole.keys()))
        self._moved |= kept_totals.written(changed)
        self._shown = _Shown(choice, made, whole)

    def _count(self, events: Sequence[Event]) -> dict[Key, Totals | None]:
        if self._metrics.label_choice is not self._shown.choice:
            self._regroup(self._shown.groups)
        elif self._is_counting:
            # What was counted last was not kept: who is named follows from what is shown.
            for profile in self._shown.profiles:
                profile.learn(self._shown.groups)
        self._is_counting = True
        batch = _Batch(self._shown.groups, self._shown.profiles)
        for event in events:
            batch.count(event, orjson.loads(event.body))
        return batch.finish()


_UNLABELLED = tag_of((), None)


class _Batch:
    """New totals over old ones that stay as they are; what is gone is None."""

    def __init__(self, shown: Mapping[Key, Totals], made: Sequence[Profile]) -> None:
        self._shown = shown
        self._profiles = made
        self._named: dict[Key, tuple[Totals, list[float]]] = {}
        self._folds: dict[tuple[str, ...], int] = {}
        self.changed: dict[Key, Totals | None] = {}

    def count(self, event: Event, record: Record) -> None:
        """Count one event in every family that it is for."""
        for profile in self._profiles:
            plain: list[tuple[Family, float]] = []
            own: list[tuple[str, str, float]] = []
            for family in profile.by_kind[event.kind]:
                if family.split is not None:
                    for value, amount in family.split(record, event):
                        own.append((family.name, value, amount))
                elif family.measure is not None and (measured := family.measure(record, event)) is not None:
                    plain.append((family, measured))
            if plain or own:
                weight = weight_of(record) if event.kind is profile.weighs and profile.labels else 0.0
                _add(self._place(profile, profile.key_of(record), weight, plain, own), plain, own)

    def finish(self) -> dict[Key, Totals | None]:
        """Return what changed."""
        for key, (totals, weight) in self._named.items():
            if key[0] != _UNLABELLED:
                totals[WEIGHT] = weight[0]
        for families, count in self._folds.items():
            self._folded(FOLDED, families, count)
        self._named, self._folds = {}, {}
        return self.changed

    def fit(self) -> None:
        """Make `other` of the smallest label sets where there are too many."""
        for profile in self._profiles:
            profile.learn(self._shown)
            while profile.is_overfull():
                self._evict(profile, profile.smallest())

    def _place(
        self,
        profile: Profile,
        key: Key,
        weight: float,
        plain: Sequence[tuple[Family, float]],
        own: Sequence[tuple[str, str, float]],
    ) -> Totals:
        """Return where an event counts: under its label set, if that may have series of its own, or `other`."""
        known = self._named.get(key)
        if known is None and key in profile.weights:
            known = self._named[key] = self._writable(key), profile.weights[key]
        totals = {} if known is None else known[0]
        new = [name for name, value, _ in own if value not in totals.get(name, ())]
        if known is not None and not new:
            known[1][0] += weight
            return totals
        if not self._has_room(profile, key, weight, new):
            families = (*[family.name for family, _ in plain], *[name for name, _, _ in own])
            self._folds[families] = self._folds.get(families, 0) + 1
            return self._writable(profile.fold_of(key))
        if known is None:
            totals = self._writable(key)
            # What it weighed as a candidate counts: that is a lower bound of all that it ever had.
            totals[WEIGHT] = profile.candidates.weights.get(key, weight) - weight
            profile.enter(key, totals)
            known = self._named[key] = totals, profile.weights[key]
        for name in new:
            profile.sizes[name] += 1
        known[1][0] += weight
        return totals

    def _has_room(self, profile: Profile, key: Key, weight: float, new: Sequence[str]) -> bool:
        """Make room for a label set, and for new series of it, if it may have them."""
        if profile.has_room(key, new):
            return True
        if key not in profile.weights and not profile.outweighs(profile.candidates.add(key, weight)):
            return False
        while not profile.has_room(key, new):
            smallest = profile.smallest()
            self._evict(profile, smallest)
            if smallest == key:
                return False
        return True

    def _evict(self, profile: Profile, key: Key) -> None:
        """Count what a label set has as `other`."""
        totals = self._writable(key)
        totals[WEIGHT] = profile.weights[key][0]
        profile.leave(key, totals)
        self._named.pop(key, None)
        self.changed[key] = None
        merge(self._writable(profile.fold_of(key)), totals)
        self._folded(REPLACED, [name for name in totals if name != WEIGHT])

    def _writable(self, key: Key) -> Totals:
        totals = self.changed.get(key)
        if totals is None:
            shown = {} if key in self.changed else self._shown.get(key, {})
            totals = {name: copied(value) for name, value in shown.items()}
            self.changed[key] = totals
        return totals

    def _folded(self, key: Key, names: Iterable[str], count: int = 1) -> None:
        totals = self._writable(key)
        for name in names:
            totals[name] = totals.get(name, 0) + count


def _add(totals: Totals, plain: Sequence[tuple[Family, float]], own: Sequence[tuple[str, str, float]]) -> None:
    for family, amount in plain:
        name = family.name
        if not family.buckets:
            totals[name] = totals.get(name, 0) + amount
            continue
        value = totals.get(name)
        if value is None:
            value = totals[name] = empty(family)
        value[0] += amount
        value[1 + bisect_left(family.buckets, amount)] += 1
    for name, value, amount in own:
        counts = totals.setdefault(name, {})
        counts[value] = counts.get(value, 0) + amount


def _metric(family: Family, labels: Sequence[str], samples: Sequence[Sample]) -> Metric:
    names = ["slurm_cluster", *labels, *([family.own] if family.own else [])]
    if not family.buckets:
        counter = CounterMetricFamily(f"{PREFIX}{family.name}", family.text, labels=names)
        for values, total in samples:
            counter.add_metric(values, total * family.scale)
        return counter
    histogram = HistogramMetricFamily(f"{PREFIX}{family.name}", family.text, labels=names)
    bounds = [*(str(bound) for bound in family.buckets), "+Inf"]
    for values, (seconds, *counts) in samples:
        total = 0.0
        buckets = []
        for bound, count in zip(bounds, counts, strict=True):
            total += count
            buckets.append((bound, total))
        histogram.add_metric(values, buckets, seconds)
    return histogram


def _folding(groups: Mapping[Key, Totals]) -> Iterator[Metric]:
    """Give the families that say what was counted as `other`."""
    for key, text in (
        (FOLDED, "Observations counted as other because their family was full."),
        (REPLACED, "Label sets that a bigger one has replaced; what they had counted is in other."),
    ):
        counter = CounterMetricFamily(f"{PREFIX}label_sets_{key[0]}", text, labels=["family"])
        for name, count in sorted(groups.get(key, {}).items()):
            counter.add_metric([f"{PREFIX}{name}"], count)
        yield counter


KIND = SinkKind(options=PrometheusOptions, make=PrometheusSink)
