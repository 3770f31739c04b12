"""Events counted over totals that stay as they are, until the store has them."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any

from slurmwatchd.model.event_columns import EventColumns
from slurmwatchd.model.job_metrics import Amounts, Family, Parts, weights_of
from slurmwatchd.model.records import EventKind
from slurmwatchd.sinks.kept_totals import FOLDED, REPLACED
from slurmwatchd.sinks.label_sets import WEIGHT, Key, Profile, Totals, copied, empty, merge, tag_of
from slurmwatchd.sinks.sample_lines import Exemplar

WITH_EXEMPLARS = frozenset({"job_elapsed_seconds", "job_wait_seconds"})
"""The families whose buckets may show a job."""

_UNLABELLED = tag_of((), None)


class Tally:
    """New totals over old ones that stay as they are; what is gone is None."""

    def __init__(
        self, shown: Mapping[Key, Totals], made: Sequence[Profile], *, with_exemplars: bool = False
    ) -> None:
        """Begin to count.

        Args:
            shown: What was counted before; it is left alone.
            made: The families, by what labels they have.
            with_exemplars: Whether to note which job was observed last in each bucket.
        """
        self._with_exemplars = with_exemplars
        self._shown = shown
        self._profiles = made
        self._named: dict[Key, tuple[Totals, list[float]]] = {}
        self._folds: dict[tuple[str, ...], int] = {}
        self.changed: dict[Key, Totals | None] = {}
        self.exemplars: dict[tuple[Key, str, int], Exemplar] = {}

    def count(self, kind: EventKind, events: EventColumns) -> None:
        """Count events of one kind in every family that they are for."""
        for profile in self._profiles:
            measured = [(family, _of_each(family, events)) for family in profile.by_kind[kind]]
            groups: dict[Key, list[int]] = {}
            keys = profile.keys_of(events)
            for place in _counting(measured, len(events)):
                groups.setdefault(keys[place], []).append(place)
            if groups:
                weighs = kind is profile.weighs and profile.labels
                counted = _Counted(profile, measured, weights_of(events) if weighs else [0.0] * len(events))
                for key, places in groups.items():
                    self._count(counted, key, places)
                    if self._with_exemplars and key in self._named:
                        self._note(key, counted, events, places)

    def _count(self, counted: "_Counted", key: Key, places: Sequence[int]) -> None:
        """Count the events of one label set: at once where there is room for what is new, else one by one."""
        own = counted.own(places)
        known = self._known(counted.profile, key)
        totals = {} if known is None else known[0]
        new = [name for name, amounts in own.items() for value in amounts if value not in totals.get(name, ())]
        if len(places) > 1 and (known is None or new) and not counted.profile.has_plenty(key, new):
            for place in places:
                self._count(counted, key, (place,))
            return
        _add(self._place(counted, key, places, new), counted, places, own)

    def _note(self, key: Key, counted: "_Counted", events: EventColumns, places: Sequence[int]) -> None:
        job_ids = events["job_id"]
        for family, amounts in counted.plain:
            if family.name in WITH_EXEMPLARS:
                for place in places:
                    amount = amounts[place]
                    if amount is not None:
                        shown = Exemplar(job_ids[place], amount, events.events[place].observed)
                        self.exemplars[key, family.name, bisect_left(family.buckets, amount)] = shown

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

    def _known(self, profile: Profile, key: Key) -> tuple[Totals, list[float]] | None:
        """Return the totals and the weight of a label set that has series of its own."""
        known = self._named.get(key)
        if known is None and key in profile.weights:
            known = self._named[key] = self._writable(key), profile.weights[key]
        return known

    def _place(self, counted: "_Counted", key: Key, places: Sequence[int], new: Sequence[str]) -> Totals:
        """Return where events count: under their label set, if that may have series of its own, or `other`."""
        profile, known = counted.profile, self._known(counted.profile, key)
        weights = [counted.weights[place] for place in places]
        if (known is None or new) and not self._has_room(profile, key, sum(weights), new):
            families = counted.observed(places)
            self._folds[families] = self._folds.get(families, 0) + 1
            return self._writable(profile.fold_of(key))
        if known is None:
            totals = self._writable(key)
            # What it weighed as a candidate counts: that is a lower bound of all that it ever had.
            totals[WEIGHT] = max(0.0, profile.candidates.weights.get(key, 0.0) - sum(weights))
            profile.enter(key, totals)
            known = self._named[key] = totals, profile.weights[key]
        for name in new:
            profile.sizes[name] += 1
        for weight in weights:
            known[1][0] += weight
        return known[0]

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


class _Counted:
    """Events of one kind as a profile counts them."""

    def __init__(self, profile: Profile, measured: Sequence[tuple[Family, Any]], weights: Sequence[float]) -> None:
        self.profile = profile
        self.weights = weights
        self.plain: list[tuple[Family, Amounts]] = [pair for pair in measured if not pair[0].own]
        self._own: list[tuple[Family, Parts]] = [pair for pair in measured if pair[0].own]

    def own(self, places: Sequence[int]) -> dict[str, dict[str, float]]:
        """Return what some events add to families with a label of their own, by the values of that."""
        found: dict[str, dict[str, float]] = {}
        for family, parts in self._own:
            added: dict[str, float] = {}
            for place in places:
                for value, amount in parts[place]:
                    added[value] = added.get(value, 0) + amount
            if added:
                found[family.name] = added
        return found

    def observed(self, places: Sequence[int]) -> tuple[str, ...]:
        """Return to which families some events add, each as often as it is added to."""
        plain = (family.name for family, amounts in self.plain for place in places if amounts[place] is not None)
        own = (family.name for family, parts in self._own for place in places for _ in parts[place])
        return (*plain, *own)


def _of_each(family: Family, events: EventColumns) -> Any:  # noqa: ANN401 - amounts, or parts
    if family.split is not None:
        return family.split(events)
    return family.measure(events) if family.measure is not None else [None] * len(events)


def _counting(measured: Iterable[tuple[Family, Any]], count: int) -> Iterable[int]:
    """Return the places of the events that add to any family, in order."""
    left: Sequence[int] = range(count)
    for _, column in measured:
        left = [place for place in left if column[place] is None or column[place] == ()]
        if not left:
            return range(count)
    without = set(left)
    return [place for place in range(count) if place not in without]


def _add(totals: Totals, counted: _Counted, places: Sequence[int], own: Mapping[str, Mapping[str, float]]) -> None:
    for family, column in counted.plain:
        amounts = [amount for place in places if (amount := column[place]) is not None]
        if not amounts:
            continue
        name, buckets = family.name, family.buckets
        # One after the other, so that a sum does not depend on how many come at once.
        if not buckets:
            totals[name] = reduce(add, amounts, totals.get(name, 0))
            continue
        value = totals.get(name)
        if value is None:
            value = totals[name] = empty(family)
        value[0] = reduce(add, amounts, value[0])
        for amount in amounts:
            value[1 + bisect_left(buckets, amount)] += 1
    for name, added in own.items():
        counts = totals.setdefault(name, {})
        for value, amount in added.items():
            counts[value] = counts.get(value, 0) + amount
