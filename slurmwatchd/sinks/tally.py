"""Events counted over totals that stay as they are, until the store has them."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

from slurmwatchd.model.job_metrics import Family, Record, weight_of
from slurmwatchd.model.records import Event
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
                key = profile.key_of(record)
                _add(self._place(profile, key, weight, plain, own), plain, own)
                if self._with_exemplars and key in self._named:
                    self._note(key, event, record, plain)

    def _note(self, key: Key, event: Event, record: Record, plain: Sequence[tuple[Family, float]]) -> None:
        for family, amount in plain:
            if family.name in WITH_EXEMPLARS:
                shown = Exemplar(record["job_id"], amount, event.observed)
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
