"""Events counted over totals that stay as they are, until the store has them."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from itertools import chain, repeat
from operator import add, itemgetter

from slurmwatchd.model.event_columns import EventColumns
from slurmwatchd.model.job_metrics import Family, weights_of
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
            columns = _Columns(profile.by_kind[kind], events)
            groups: dict[Key, list[int]] = {}
            keys = profile.keys_of(events)
            for place in columns.counting():
                groups.setdefault(keys[place], []).append(place)
            weighs = groups and kind is profile.weighs and profile.labels
            weights = weights_of(events) if weighs else [0.0] * len(events)
            for key, places in groups.items():
                self._count(profile, key, places, columns, weights)
                if self._with_exemplars and key in self._named:
                    self._note(key, columns, events, places)

    def _count(
        self, profile: Profile, key: Key, places: Sequence[int], columns: "_Columns", weights: Sequence[float]
    ) -> None:
        """Count the events of one label set: at once where there is room for what is new, else one by one."""
        plain, own = columns.of(places)
        known = self._known(profile, key)
        totals = {} if known is None else known[0]
        new = [name for name, counts in own.items() for value in counts if value not in totals.get(name, ())]
        if len(places) > 1 and (known is None or new) and not profile.has_plenty(key, new):
            for place in places:
                self._count(profile, key, (place,), columns, weights)
            return
        placed = self._place(profile, key, [weights[place] for place in places], new)
        if placed is None:
            families = (
                *[family.name for family, _ in plain],
                *[name for name, counts in own.items() for _ in counts],
            )
            self._folds[families] = self._folds.get(families, 0) + 1
            placed = self._writable(profile.fold_of(key))
        _add(placed, plain, own)

    def _note(self, key: Key, columns: "_Columns", events: EventColumns, places: Sequence[int]) -> None:
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

    def _place(self, profile: Profile, key: Key, weights: Sequence[float], new: Sequence[str]) -> Totals | None:
        """Return where events of a label set count; None if that may have no series of its own, or no new ones."""
        known = self._known(profile, key)
        if (known is None or new) and not self._has_room(profile, key, sum(weights), new):
            return None
        if known is None:
            totals = self._writable(key)
            # What it weighed as a candidate counts: that is a lower bound of all that it ever had.
            totals[WEIGHT] = max(0.0, profile.candidates.weights.get(key, 0.0) - sum(weights))
            profile.enter(key, totals)
            known = self._named[key] = totals, profile.weights[key]
        for name in new:
            profile.sizes[name] += 1
        # One after the other, so that the sum does not depend on how many come at once.
        known[1][0] = reduce(add, weights, known[1][0])
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


_Plain = list[tuple[Family, list[float]]]
_Own = dict[str, Mapping[str, float]]


class _Columns:
    """What some families count of events of one kind."""

    def __init__(self, families: Iterable[Family], events: EventColumns) -> None:
        self._count = len(events)
        self.measured = [(family, family.measure(events)) for family in families if family.measure]
        self._valued = [(family.name, family.values(events)) for family in families if family.values]
        self._split = [(family.name, family.split(events)) for family in families if family.split]

    def counting(self) -> Iterable[int]:
        """Return the places of the events that add to any family, in order."""
        left: Sequence[int] = range(self._count)
        for _, column in chain(self._valued, self.measured):
            left = [place for place in left if column[place] is None]
            if not left:
                return range(self._count)
        adding = set(range(self._count)).difference(left).union(*(parts for _, parts in self._split))
        return sorted(adding)

    def of(self, places: Sequence[int]) -> tuple[_Plain, _Own]:
        """Return what the events at some places add to families, and to those with a label of their own."""
        pick = itemgetter(*places) if len(places) > 1 else lambda column: (column[places[0]],)
        plain = [
            (family, amounts)
            for family, column in self.measured
            if (amounts := [amount for amount in pick(column) if amount is not None])
        ]
        own: _Own = {}
        for name, values in self._valued:
            counts = Counter(pick(values))
            del counts[None]
            if counts:
                own[name] = counts
        for name, parts in self._split:
            added: Counter[str] = Counter()
            for place in parts.keys() & places if parts else ():
                added.update(parts[place])
            if added:
                own[name] = added
        return plain, own


def _add(totals: Totals, plain: _Plain, own: _Own) -> None:
    for family, amounts in plain:
        name = family.name
        # One after the other, as above.
        if not family.buckets:
            totals[name] = reduce(add, amounts, totals.get(name, 0))
            continue
        value = totals.get(name)
        if value is None:
            value = totals[name] = empty(family)
        value[0] = reduce(add, amounts, value[0])
        for bucket, count in Counter(map(bisect_left, repeat(family.bounds), amounts)).items():
            value[1 + bucket] += count
    for name, added in own.items():
        counts = totals.setdefault(name, {})
        for of, amount in added.items():
            counts[of] = counts.get(of, 0) + amount
