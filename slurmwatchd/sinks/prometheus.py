"""Ended jobs as Prometheus counters and histograms that survive restarts.

The totals are kept in the store and move in the same transaction as this sink's cursor, so what `/metrics`
shows is what was delivered, exactly, also after a crash. A scrape reads memory alone. What is counted stands in
`model/job_metrics.py`, who is counted as `other` in `label_sets.py`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import anyio.to_thread
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import Field

from slurmwatchd.model.event_columns import EventColumns
from slurmwatchd.model.job_metrics import CATALOGUE, FAMILIES, PREFIX, Family, LabelChoice
from slurmwatchd.model.records import Event, EventKind
from slurmwatchd.sinks import kept_totals
from slurmwatchd.sinks.base import Sink, SinkKind, SinkOptions
from slurmwatchd.sinks.kept_totals import FOLDED, REPLACED
from slurmwatchd.sinks.label_sets import Key, Profile, Totals, empty, profiles
from slurmwatchd.sinks.sample_lines import Exemplar, go_number, header, lines
from slurmwatchd.sinks.tally import WITH_EXEMPLARS, Tally
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
    exemplars: Mapping[tuple[Key, str], Mapping[int, Exemplar]]


class PrometheusSink(Sink, Collector):
    """The totals."""

    def __init__(self, name: str, options: PrometheusOptions, metrics: Metrics) -> None:
        """Register with the daemon's metrics; nothing is counted yet."""
        self._name = name
        self._limit = options.max_label_sets
        self._metrics = metrics
        self._shown = _Shown(metrics.label_choice, profiles(metrics.label_choice, self._limit), {}, {})
        self._next: dict[Key, Totals | None] = {}
        self._observed: Mapping[tuple[Key, str, int], Exemplar] = {}
        self._moved: dict[str, bytes] = {}
        self._is_counting = False
        self._written: dict[Key, tuple[Totals, dict[str, str]]] = {}
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
        whole = dict(self._shown.groups)
        for key, totals in self._next.items():
            if totals is None:
                whole.pop(key, None)
            else:
                whole[key] = totals
        exemplars = {of: dict(shown) for of, shown in self._shown.exemplars.items() if of[0] in whole}
        for (key, name, bucket), shown in self._observed.items():
            if key in whole:
                exemplars.setdefault((key, name), {})[bucket] = shown
        self._shown = _Shown(self._shown.choice, self._shown.profiles, whole, exemplars)
        self._next, self._moved, self._observed = {}, {}, {}
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
        for family in profile.families:
            found = [sample for key, totals in groups for sample in _of_group(family, key, totals)]
            yield family, found + self._known_samples(profile, family, {labels for labels, _ in found})

    def text(self, *, openmetrics: bool) -> Iterator[str]:
        """Give the lines of all families; what did not change since the last scrape is not written again."""
        shown = self._shown
        written: dict[Key, tuple[Totals, dict[str, str]]] = {}
        of_family: dict[str, list[str]] = {family.name: [] for family in CATALOGUE}
        for profile in shown.profiles:
            groups = sorted((key, totals) for key, totals in shown.groups.items() if key[0] == profile.tag)
            for key, totals in groups:
                known = self._written.get(key)
                written[key] = known if known and known[0] is totals else (totals, _lines(profile, key, totals))
                own = self._with_exemplars(profile, key, totals) if openmetrics and shown.exemplars else {}
                for name, text in written[key][1].items():
                    of_family[name].append(own.get(name, text))
            for family in profile.families if self._zeros(profile) else ():
                seen = {labels for key, totals in groups for labels, _ in _of_group(family, key, totals)}
                names = _names(family, profile.labels)
                of_family[family.name] += (
                    lines(family, names, *sample) for sample in self._known_samples(profile, family, seen)
                )
        self._written = written
        for family in CATALOGUE:
            yield header(family, openmetrics=openmetrics)
            yield from of_family[family.name]
        yield _folding_text(shown.groups, openmetrics=openmetrics)

    def _with_exemplars(self, profile: Profile, key: Key, totals: Totals) -> dict[str, str]:
        """Return the lines of a label set whose buckets show jobs, by family."""
        return {
            name: lines(FAMILIES[name], _names(FAMILIES[name], profile.labels), key[1:], totals[name], exemplars)
            for name in WITH_EXEMPLARS & totals.keys()
            if (exemplars := self._shown.exemplars.get((key, name)))
        }

    def _known_samples(self, profile: Profile, family: Family, seen: set[Key]) -> list[Sample]:
        """Return what stands at 0 of a family, if its label sets are not too many with them."""
        zeros = self._zeros(profile)
        known = [(*key, value) for key in zeros for value in family.known] if family.own else zeros
        found: list[Sample] = [
            (labels, empty(family) if family.buckets else 0) for labels in known if labels not in seen
        ]
        return found if len(seen) + len(found) <= profile.limit else []

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
        batch = Tally(regrouped, made)
        batch.fit()
        merged = {**regrouped, **batch.finish()}
        whole = {key: totals for key, totals in merged.items() if totals is not None}
        changed: dict[Key, Totals | None] = {
            key: totals for key, totals in whole.items() if rewrite or groups.get(key) != totals
        }
        changed.update(dict.fromkeys(groups.keys() - whole.keys()))
        self._moved |= kept_totals.written(changed)
        self._shown = _Shown(choice, made, whole, {})

    def _count(self, events: Sequence[Event]) -> dict[Key, Totals | None]:
        if self._metrics.label_choice is not self._shown.choice:
            self._regroup(self._shown.groups)
        elif self._is_counting:
            # What was counted last was not kept: who is named follows from what is shown.
            for profile in self._shown.profiles:
                profile.learn(self._shown.groups)
        self._is_counting = True
        batch = Tally(self._shown.groups, self._shown.profiles, with_exemplars=self._metrics.with_exemplars)
        for kind in EventKind:
            of_kind = [event for event in events if event.kind is kind]
            if of_kind:
                # All of them, mostly, and then they may be there by column.
                batch.count(kind, EventColumns(events if len(of_kind) == len(events) else of_kind))
        self._observed = batch.exemplars
        return batch.finish()


def _lines(profile: Profile, key: Key, totals: Totals) -> dict[str, str]:
    """Return the lines of a label set, by family."""
    return {
        family.name: "".join(
            lines(family, _names(family, profile.labels), values, total)
            for values, total in _of_group(family, key, totals)
        )
        for family in profile.families
        if family.name in totals
    }


def _folding_text(groups: Mapping[Key, Totals], *, openmetrics: bool) -> str:
    found = []
    for metric in _folding(groups):
        name = metric.name if openmetrics else f"{metric.name}_total"
        found.append(f"# HELP {name} {metric.documentation}\n# TYPE {name} counter\n")
        found += (f'{s.name}{{family="{s.labels["family"]}"}} {go_number(s.value)}\n' for s in metric.samples)
    return "".join(found)


def _names(family: Family, labels: Sequence[str]) -> list[str]:
    return ["slurm_cluster", *labels, *([family.own] if family.own else [])]


def _of_group(family: Family, key: Key, totals: Totals) -> list[Sample]:
    """Return the samples that a label set has in a family."""
    total = totals.get(family.name)
    if total is None:
        return []
    return (
        [((*key[1:], value), part) for value, part in sorted(total.items())] if family.own else [(key[1:], total)]
    )


def _metric(family: Family, labels: Sequence[str], samples: Sequence[Sample]) -> Metric:
    names = _names(family, labels)
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
