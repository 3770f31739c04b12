"""Which label sets families have of their own, and which are counted as `other`: the biggest stay visible.

Families with the same labels share their label sets, so that who is named in one is named in all. Once a family
has as many series as it may, a label set that is not named yet is a candidate: its weight is noted, and when it is
sure to outweigh the smallest named one, it takes that one's place. What was counted of the smaller one moves to
`other`, so the sum over a family never changes by it. The notes are bounded, whatever number of names there are.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from operator import add, itemgetter
from typing import Any

from slurmwatchd.model.event_columns import EventColumns
from slurmwatchd.model.job_metrics import CATALOGUE, OTHER, Family, LabelChoice
from slurmwatchd.model.records import EventKind
from slurmwatchd.model.sums import partition_label

Key = tuple[str, ...]
"""A profile's tag, the cluster, and the values of the chosen labels."""

Totals = dict[str, Any]
"""A family's name to a counter's total; to value and total, where it has a label of its own; for a histogram to
the sum, then the count in each bucket, +Inf last, not cumulated. Under `WEIGHT` how much the label set weighs."""

WEIGHT = "weight"

CHANGEABLE = (list, dict)
"""The shapes of totals that are changed as they stand."""

_TAG = "by:"
_CLEARLY = 2.0
"""So many times as heavy as the smallest must be what takes its place: two alike do not take turns."""

_BUSY_FOLDS = 10
"""A tenth of the label sets may be `other` of one partition each; beyond that, `other` is of all partitions."""


@dataclass(slots=True)
class Candidates:
    """The weights of label sets that have no series, of the heaviest among them at least: lower bounds."""

    room: int
    weights: dict[Key, float] = field(default_factory=dict)

    def add(self, key: Key, weight: float) -> float:
        """Note more of one, and return how much of it is known."""
        known = self.weights.get(key, 0.0) + weight
        self.weights[key] = known
        if len(self.weights) > 2 * self.room:
            heaviest = sorted(self.weights.items(), key=itemgetter(1), reverse=True)
            self.weights = dict(heaviest[: self.room])
        return known

    def forget(self, key: Key) -> None:
        """Drop one that has series of its own now."""
        self.weights.pop(key, None)


@dataclass(slots=True)
class Profile:
    """Families with the same labels and the same limit, and which label sets they have.

    Attributes:
        tag: The first part of its keys.
        labels: Those that were chosen.
        limit: The most label sets that a family may have.
        weights: Of the named label sets, each a list of one number, for who counts to add to.
        sizes: For each family with a label of its own, how many series it has, `other` aside.
        weighs: The kind of event that adds to the weights.
        folds: The keys that stand for others.
        fold_length: So many parts of a key decide where it counts as `other`.
    """

    tag: str
    labels: tuple[str, ...]
    limit: int
    families: tuple[Family, ...]
    by_kind: Mapping[EventKind, tuple[Family, ...]]
    candidates: Candidates
    weighs: EventKind
    weights: dict[Key, list[float]] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    folds: set[Key] = field(default_factory=set)
    fold_length: int = 0
    _lightest: list[tuple[float, Key]] = field(default_factory=list)
    """A heap of what named label sets weighed once: they only grow, so the least of it is a lower bound."""

    def keys_of(self, events: EventColumns) -> list[Key]:
        """Return where each event counts while there is room."""
        labels = [_LABELS.get(label, _texts)(events[label]) for label in self.labels]
        return list(zip(repeat(self.tag), events["cluster"], *labels, strict=False))

    def learn(self, groups: Mapping[Key, Totals]) -> None:
        """Begin with the label sets there are."""
        self.weights, self.sizes, self.folds = {}, dict.fromkeys(self._owned(), 0), set()
        self._lightest = []
        for key, totals in groups.items():
            if key[0] == self.tag:
                if self.is_fold(key):
                    self.folds.add(key)
                else:
                    self.enter(key, totals)

    def enter(self, key: Key, totals: Totals) -> None:
        """Note a label set that has series of its own from now on."""
        weight = totals.get(WEIGHT, 0.0)
        self.weights[key] = [weight]
        heapq.heappush(self._lightest, (weight, key))
        for name in self._owned():
            self.sizes[name] = self.sizes.get(name, 0) + len(totals.get(name, ()))
        self.candidates.forget(key)

    def leave(self, key: Key, totals: Totals) -> None:
        """Note that a label set has no series any more."""
        del self.weights[key]
        for name in self._owned():
            self.sizes[name] -= len(totals.get(name, ()))

    def is_fold(self, key: Key) -> bool:
        """Return whether a key stands for others, see `fold_of`; or for those who are really called so."""
        values = key[3:] if "partition" in self.labels and len(self.labels) > 1 else key[2:]
        return bool(values) and all(value == OTHER for value in values)

    def fold_of(self, key: Key) -> Key:
        """Return where a label set without series of its own counts: by partition, as long as those are few."""
        if "partition" in self.labels and len(self.labels) > 1:
            by_partition = (*key[:3], *(OTHER for _ in key[3:]))
            if by_partition in self.folds or len(self.folds) < max(1, self.limit // _BUSY_FOLDS):
                self.folds.add(by_partition)
                return by_partition
        fold = (*key[:2], *(OTHER for _ in key[2:]))
        self.folds.add(fold)
        return fold

    def has_room(self, key: Key, own: Sequence[str]) -> bool:
        """Return whether a label set may have series, and new ones in some families with a label of their own."""
        if not self.labels:
            return True
        if key not in self.weights and len(self.weights) >= self.limit:
            return False
        return all(self.sizes[name] + own.count(name) <= self.limit for name in own)

    def is_full(self, certain: Iterable[str]) -> bool:
        """Return whether there is no room for any new label set.

        Args:
            certain: Families with a label of their own in which all that may come has a series.
        """
        if not self.labels:
            return False
        if len(self.weights) >= self.limit:
            return True
        for name in certain:  # noqa: SIM110 - each label set asks, and any() costs twice as much
            if self.sizes[name] >= self.limit:
                return True
        return False

    def could_hold(self, own: Sequence[str]) -> bool:
        """Return whether one label set may have so many series in some families with a label of their own."""
        return all(own.count(name) <= self.limit for name in own)

    def has_plenty(self, key: Key, own: Sequence[str]) -> bool:
        """Return whether there is surely room for all that some events bring, see `has_room`."""
        if not self.labels:
            return True
        return self.has_room(key, ()) and max(self.sizes.values(), default=0) + len(own) <= self.limit

    def is_overfull(self) -> bool:
        """Return whether there are more label sets than may be, as after a change of the limit."""
        return bool(self.labels) and max(len(self.weights), *self.sizes.values(), 0) > self.limit

    def smallest(self) -> Key:
        """Return the named label set with the least weight; there must be one."""
        heap = self._lightest
        while True:
            noted, key = heap[0]
            weight = self.weights.get(key)
            if weight is None:
                heapq.heappop(heap)
            elif weight[0] == noted:
                return key
            else:
                heapq.heapreplace(heap, (weight[0], key))

    def outweighs(self, known: float) -> bool:
        """Return whether so much is clearly more than the smallest named label set has; not if there is none."""
        if not self.weights or known <= _CLEARLY * self._lightest[0][0]:
            return False
        return known > _CLEARLY * self.weights[self.smallest()][0]

    def _owned(self) -> Iterator[str]:
        return (family.name for family in self.families if family.own)


def _texts(values: Sequence[str | None]) -> list[str]:
    return [value or "" for value in values]


def _partitions(values: Sequence[str | None]) -> list[str]:
    known = {value: partition_label(value) for value in set(values)}
    return [known[value] for value in values]


_LABELS = {"partition": _partitions}
"""How the values of a label are counted, where that is not as they are."""


def tag_of(labels: Iterable[str], limit: int | None) -> str:
    """Return what the keys of a profile begin with; a limit of its own is part of it."""
    return f"{_TAG}{','.join(labels)}" + ("" if limit is None else f"/{limit}")


def labels_of(tag: str) -> tuple[str, ...] | None:
    """Return the labels in a tag; None where it is none."""
    if not tag.startswith(_TAG):
        return None
    names = tag.removeprefix(_TAG).partition("/")[0]
    return tuple(names.split(",")) if names else ()


def profiles(choice: LabelChoice, limit: int) -> list[Profile]:
    """Return the families by what labels they have.

    Args:
        choice: What the site chose.
        limit: The most label sets of a family without a limit of its own.
    """
    found: dict[tuple[tuple[str, ...], int | None], list[Family]] = {}
    for family in CATALOGUE:
        found.setdefault((choice.labels_of(family), choice.limits.get(family.name)), []).append(family)
    return [
        Profile(
            tag=tag_of(labels, own),
            labels=labels,
            limit=limit if own is None else own,
            families=tuple(families),
            by_kind={kind: tuple(f for f in families if f.event is kind) for kind in EventKind},
            candidates=Candidates(2 * (limit if own is None else own)),
            fold_length=3 if "partition" in labels else 2,
            weighs=next(kind for kind in EventKind if any(f.event is kind for f in families)),
        )
        for (labels, own), families in found.items()
    ]


def empty(family: Family) -> Any:  # noqa: ANN401 - three shapes
    """Return the totals of a family that has counted nothing."""
    if family.own:
        return {}
    return [0] * (len(family.buckets) + 2) if family.buckets else 0


def added(one: Any, other: Any) -> Any:  # noqa: ANN401 - three shapes
    """Return the sum of two totals of a family."""
    kind = type(one)
    if kind is list:
        return list(map(add, one, other))
    if kind is dict:
        return {value: one.get(value, 0) + other.get(value, 0) for value in {**one, **other}}
    return one + other


def merge(into: Totals, totals: Totals, *, without: str = "") -> None:
    """Add all that one label set has to another, or all but one thing."""
    for name, value in totals.items():
        if name != without:
            into[name] = added(into[name], value) if name in into else copied(value)


def copied(value: Any) -> Any:  # noqa: ANN401 - three shapes
    """Return totals that may be changed apart from others."""
    return value.copy() if isinstance(value, CHANGEABLE) else value
