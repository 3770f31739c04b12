"""Events counted over totals that stay as they are, until the store has them."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add

from slurmwatchd.model.event_columns import EventColumns
from slurmwatchd.model.job_metrics import weights_of
from slurmwatchd.model.records import EventKind
from slurmwatchd.sinks.counted_columns import CountedColumns
from slurmwatchd.sinks.kept_totals import FOLDED, REPLACED
from slurmwatchd.sinks.label_sets import WEIGHT, Key, Profile, Totals, copied, merge, tag_of
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
        self._folds: Counter[str] = Counter()
        self.changed: dict[Key, Totals | None] = {}
        self.exemplars: dict[tuple[Key, str, int], Exemplar] = {}

    def count(self, kind: EventKind, events: EventColumns) -> None:
        """Count events of one kind in every family that they are for."""
        for profile in self._profiles:
            columns = CountedColumns(profile.by_kind[kind], events)
            groups: dict[Key, list[int]] = {}
            keys = profile.keys_of(events)
            for place in columns.counting():
                groups.setdefault(keys[place], []).append(place)
            weighs = groups and kind is profile.weighs and profile.labels
            weights = weights_of(events) if weighs else [0.0] * len(events)
            folded: dict[Key, list[int]] = {}
            for key, places in groups.items():
                if profile.is_fold(key):
                    profile.folds.add(key)
                    columns.add(self._writable(key), places)
                    continue
                self._count(profile, key, places, columns, weights, folded)
                if self._with_exemplars and key in self._named:
                    self._note(key, columns, events, places)
            for fold, places in folded.items():
                columns.add(self._writable(fold), places)
                self._folds.update(columns.observations(places))

    def _count(
        self,
        profile: Profile,
        key: Key,
        places: Sequence[int],
        columns: CountedColumns,
        weights: Sequence[float],
        folded: dict[Key, list[int]],
    ) -> None:
        """Count the events of one label set: at once where there is room for what is new, else one by one.

        Those that may have no series of their own are noted in `folded`, to be added at once: they are many.
        """
        known = self._known(profile, key)
        new = columns.new(places, known[0] if known else {})
        is_settled = known is not None and not new
        if len(places) > 1 and not is_settled and not profile.has_plenty(key, new):
            for place in places:
                self._count(profile, key, (place,), columns, weights, folded)
            return
        weighed = [weights[place] for place in places]
        if not is_settled and not self._has_room(profile, key, sum(weighed), new):
            folded.setdefault(profile.fold_of(key), []).extend(places)
            return
        totals, weight = known or self._entered(profile, key, sum(weighed))
        for name in new:
            profile.sizes[name] += 1
        # One after the other, so that the sum does not depend on how many come at once.
        weight[0] = reduce(add, weighed, weight[0])
        columns.add(totals, places)

    def _note(self, key: Key, columns: CountedColumns, events: EventColumns, places: Sequence[int]) -> None:
        job_ids = events["job_id"]
        for family, amounts in columns.measured:
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
        if self._folds:
            self._folded(FOLDED, self._folds)
        self._named, self._folds = {}, Counter()
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

    def _entered(self, profile: Profile, key: Key, weight: float) -> tuple[Totals, list[float]]:
        """Give a label set series of its own; the weight is that of the events it gets them for."""
        totals = self._writable(key)
        # What it weighed as a candidate counts: that is a lower bound of all that it ever had.
        totals[WEIGHT] = max(0.0, profile.candidates.weights.get(key, 0.0) - weight)
        profile.enter(key, totals)
        self._named[key] = totals, profile.weights[key]
        return self._named[key]

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
        # Not copied first: it is only read.
        totals = self.changed.get(key) or self._shown[key]
        weight = profile.weights[key][0]
        profile.leave(key, totals)
        self._named.pop(key, None)
        self.changed[key] = None
        merge(self._writable(profile.fold_of(key)), {**totals, WEIGHT: weight})
        self._folded(REPLACED, {name: 1 for name in totals if name != WEIGHT})

    def _writable(self, key: Key) -> Totals:
        totals = self.changed.get(key)
        if totals is None:
            shown = {} if key in self.changed else self._shown.get(key, {})
            totals = {name: copied(value) for name, value in shown.items()}
            self.changed[key] = totals
        return totals

    def _folded(self, key: Key, counts: Mapping[str, int]) -> None:
        totals = self._writable(key)
        for name, count in counts.items():
            totals[name] = totals.get(name, 0) + count
