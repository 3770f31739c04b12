"""Events counted over totals that stay as they are, until the store has them."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add

from slurmwatchd.model.event_columns import EventColumns
from slurmwatchd.model.job_metrics import OTHER, weights_of
from slurmwatchd.model.records import EventKind
from slurmwatchd.sinks.counted_columns import CountedColumns
from slurmwatchd.sinks.kept_totals import FOLDED, REPLACED
from slurmwatchd.sinks.label_sets import CHANGEABLE, WEIGHT, Key, Profile, Totals, merge, tag_of
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
        self._replaced: Counter[str] = Counter()
        self.changed: dict[Key, Totals | None] = {}
        self.exemplars: dict[tuple[Key, str, int], Exemplar] = {}

    def count(self, kind: EventKind, events: EventColumns) -> None:
        """Count events of one kind in every family that they are for."""
        for profile in self._profiles:
            columns = CountedColumns(profile.by_kind[kind], events)
            groups = columns.grouped(profile.keys_of(events))
            weighs = groups and kind is profile.weighs and profile.labels
            weights = weights_of(events) if weighs else [0.0] * len(events)
            batch = _Batch(profile, columns, weights)
            for key, places in groups.items():
                if OTHER in key and profile.is_fold(key):
                    profile.folds.add(key)
                    columns.add(self._writable(key), places)
                    continue
                self._count(batch, key, places)
                if self._with_exemplars and key in self._named:
                    self._note(key, columns, events, places)
            for fold, places in batch.folded.items():
                columns.add(self._writable(fold), places)
                self._folds.update(columns.observations(places))

    def _count(self, batch: "_Batch", key: Key, places: Sequence[int]) -> None:
        """Count the events of one label set: at once where there is room for what is new, else one by one."""
        profile, columns = batch.profile, batch.columns
        if key not in profile.weights and profile.is_full(columns.certain):
            self._count_where_full(batch, key, places)
            return
        known = self._known(profile, key)
        new = columns.new(places, known[0] if known else {})
        if known is None or new:
            if len(places) > 1 and not profile.has_plenty(key, new):
                for place in places:
                    self._count(batch, key, (place,))
                return
            if not profile.has_room(key, new):
                weighs = known is not None or batch.outweighs(key, places[0])
                if not (weighs and self._made_room(profile, key, new)):
                    batch.fold(key, places[0])
                    return
        self._add(batch, key, places, new, known)

    def _count_where_full(self, batch: "_Batch", key: Key, places: Sequence[int]) -> None:
        """Count the events of a label set that has no series, while only one that outweighs another gets any."""
        profile, columns = batch.profile, batch.columns
        for number, place in enumerate(places, 1):
            # Most do not, and nobody asks what would be new of them.
            if batch.outweighs(key, place):
                new = columns.new((place,), {})
                if self._made_room(profile, key, new):
                    self._add(batch, key, (place,), new, None)
                    if number < len(places):
                        self._count(batch, key, places[number:])
                    return
            batch.fold(key, place)

    def _add(
        self,
        batch: "_Batch",
        key: Key,
        places: Sequence[int],
        new: Sequence[str],
        known: tuple[Totals, list[float]] | None,
    ) -> None:
        """Add events to the series of their label set; it gets some where it has none."""
        profile = batch.profile
        weighed = [batch.weights[place] for place in places]
        totals, weight = known or self._entered(profile, key, sum(weighed))
        for name in new:
            profile.sizes[name] += 1
        # One after the other, so that the sum does not depend on how many come at once.
        weight[0] = reduce(add, weighed, weight[0])
        batch.columns.add(totals, places)

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
        del self._replaced[WEIGHT]
        for key, counts in ((FOLDED, self._folds), (REPLACED, self._replaced)):
            if counts:
                self._folded(key, counts)
        self._named, self._folds, self._replaced = {}, Counter(), Counter()
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

    def _made_room(self, profile: Profile, key: Key, new: Sequence[str]) -> bool:
        """Make room for a label set, or for new series of it; not if it is the smallest, or needs too many."""
        if key not in profile.weights and not profile.could_hold(new):
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
        fold = self._writable(profile.fold_of(key))
        merge(fold, totals, without=WEIGHT)
        fold[WEIGHT] = fold.get(WEIGHT, 0.0) + weight
        self._replaced.update(totals.keys())

    def _writable(self, key: Key) -> Totals:
        totals = self.changed.get(key)
        if totals is None:
            shown = {} if key in self.changed else self._shown.get(key, {})
            # As `copied` does; a batch changes hundreds of label sets.
            totals = {
                name: value.copy() if isinstance(value, CHANGEABLE) else value for name, value in shown.items()
            }
            self.changed[key] = totals
        return totals

    def _folded(self, key: Key, counts: Mapping[str, int]) -> None:
        totals = self._writable(key)
        for name, count in counts.items():
            totals[name] = totals.get(name, 0) + count


class _Batch:
    """Events of one kind, as families with the same labels count them.

    Attributes:
        profile: Those families.
        columns: What the events add.
        weights: How much each weighs.
        folded: The places of those that count as `other`, by where: they are many, and are added at once.
    """

    def __init__(self, profile: Profile, columns: CountedColumns, weights: Sequence[float]) -> None:
        """Begin with none."""
        self.profile = profile
        self.columns = columns
        self.weights = weights
        self.folded: dict[Key, list[int]] = {}
        self._folded_by_start: dict[Key, list[int]] = {}

    def outweighs(self, key: Key, place: int) -> bool:
        """Note an event of a label set that has no series; return whether it may take the place of another now."""
        profile = self.profile
        return profile.outweighs(profile.candidates.add(key, self.weights[place]))

    def fold(self, key: Key, place: int) -> None:
        """Count an event as `other`."""
        start = key[: self.profile.fold_length]
        places = self._folded_by_start.get(start)
        if places is None:
            places = self._folded_by_start[start] = self.folded.setdefault(self.profile.fold_of(key), [])
        places.append(place)
