"""What events add to families, a column for each family: added to the totals of one label set or of another."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from itertools import chain, repeat
from operator import add, itemgetter
from typing import Any

from slurmwatchd.model.event_columns import EventColumns
from slurmwatchd.model.job_metrics import Amounts, Family
from slurmwatchd.sinks.label_sets import Key, Totals, empty

_MANY = 16
"""So many events of one label set are added column by column, fewer one by one."""


class CountedColumns:
    """What some families count of events of one kind.

    Attributes:
        measured: The families that count amounts, each with what the events add; those to which none adds are
            left out.
        certain: The families in which each event counts one for a value.
    """

    def __init__(self, families: Iterable[Family], events: EventColumns) -> None:
        """Look at all events at once.

        Args:
            families: Which count events of this kind.
            events: The events.
        """
        self._length = length = len(events)
        amounts = ((family, family.measure(events)) for family in families if family.measure)
        # How many events add nothing decides how the others are taken out.
        lacking = [(family, column, column.count(None)) for family, column in amounts]
        found = [(family, column, lacks > 0) for family, column, lacks in lacking if lacks < length]
        self.measured = [(family, column) for family, column, _ in found]
        self._gaps = {family.name for family, _, gaps in found if gaps}
        self._counted = [(family.name, column, gaps) for family, column, gaps in found if not family.buckets]
        self._observed = [
            (family.name, column, _buckets(family.bounds, column), gaps, empty(family))
            for family, column, gaps in found
            if family.buckets
        ]
        self._valued = [(family.name, family.values(events)) for family in families if family.values]
        self._split = [(family.name, family.split(events)) for family in families if family.split]
        self.certain = [name for name, values in self._valued if None not in values]

    def grouped(self, keys: Sequence[Key]) -> dict[Key, list[int]]:
        """Return the places of the events that add to any family by what they count for, in order."""
        groups: defaultdict[Key, list[int]] = defaultdict(list)
        for place in self._counting():
            groups[keys[place]].append(place)
        return groups

    def _counting(self) -> Iterable[int]:
        """Return the places of the events that add to any family, in order."""
        left: Sequence[int] = range(self._length)
        if self.certain:
            return left
        for _, column in chain(self._valued, self.measured):
            left = [place for place in left if column[place] is None]
            if not left:
                return range(self._length)
        adding = set(range(self._length)).difference(left).union(*(parts for _, parts in self._split))
        return sorted(adding)

    def new(self, places: Sequence[int], totals: Totals) -> list[str]:
        """Return the families with a label of their own, once for each value of the events that totals lack."""
        found = []
        for name, values in self._valued:
            seen = totals.get(name, ())
            if len(places) == 1:
                value = values[places[0]]
                if value is not None and value not in seen:
                    found.append(name)
            else:
                lacking = {values[place] for place in places}.difference(seen)
                found += [name] * (len(lacking) - (None in lacking))
        for name, parts in self._split:
            if parts:
                named = {value for place in places if place in parts for value in parts[place]}
                found += [name] * len(named.difference(totals.get(name, ())))
        return found

    def add(self, totals: Totals, places: Sequence[int]) -> None:
        """Add what the events at some places count; floats one after the other, however many come at once."""
        if len(places) < _MANY:
            for place in places:
                self._add_one(totals, place)
        else:
            self._add_columns(totals, places)
        for name, parts in self._split:
            for place in places if parts else ():
                if place in parts:
                    counts = totals.setdefault(name, {})
                    for value, amount in parts[place].items():
                        counts[value] = counts.get(value, 0) + amount

    def _add_one(self, totals: Totals, place: int) -> None:
        for name, column, _ in self._counted:
            amount = column[place]
            if amount is not None:
                totals[name] = totals.get(name, 0) + amount
        for name, column, buckets, _, nothing in self._observed:
            amount = column[place]
            if amount is not None:
                total = totals.get(name) or totals.setdefault(name, nothing.copy())
                total[0] += amount
                total[1 + buckets[place]] += 1
        for name, values in self._valued:
            value = values[place]
            if value is not None:
                counts = totals.get(name) or totals.setdefault(name, {})
                counts[value] = counts.get(value, 0) + 1

    def _add_columns(self, totals: Totals, places: Sequence[int]) -> None:
        pick = self._picker(places)
        for name, column, gaps in self._counted:
            amounts = _without_gaps(pick(column)) if gaps else pick(column)
            if amounts:
                totals[name] = _sum(totals.get(name, 0), amounts)
        for name, column, buckets, gaps, nothing in self._observed:
            amounts = _without_gaps(pick(column)) if gaps else pick(column)
            if amounts:
                value = totals.get(name) or totals.setdefault(name, nothing.copy())
                value[0] = _sum(value[0], amounts)
                for bucket, count in Counter(pick(buckets)).items():
                    if bucket is not None:
                        value[1 + bucket] += count
        for name, values in self._valued:
            for value, count in Counter(pick(values)).items():
                if value is not None:
                    counts = totals.setdefault(name, {})
                    counts[value] = counts.get(value, 0) + count

    def observations(self, places: Sequence[int]) -> dict[str, int]:
        """Return how often each family counts events at some places: once for each value of a label of its own."""
        pick = self._picker(places)
        found = {
            family.name: len(places) - (pick(column).count(None) if family.name in self._gaps else 0)
            for family, column in self.measured
        }
        found |= {
            name: len(places) - (0 if name in self.certain else pick(values).count(None))
            for name, values in self._valued
        }
        found |= {name: sum(len(parts.get(place, ())) for place in places) for name, parts in self._split}
        return {name: count for name, count in found.items() if count}

    def _picker(self, places: Sequence[int]) -> Callable[[Sequence[Any]], Sequence[Any]]:
        """Return what takes the values at some places out of a column."""
        if len(places) == self._length:
            # All are there, in order.
            return _whole
        return itemgetter(*places) if len(places) > 1 else lambda column: (column[places[0]],)


def _without_gaps(amounts: Sequence[float | None]) -> list[float]:
    return [amount for amount in amounts if amount is not None]


def _sum(total: float, amounts: Sequence[Any]) -> float:
    """Add amounts to a total; floats one after the other, which sum() does not do from Python 3.12 on."""
    whole = sum(amounts)
    return total + whole if type(whole) is int and type(total) is int else reduce(add, amounts, total)


def _whole(column: Sequence[Any]) -> Sequence[Any]:
    return column


def _buckets(bounds: Sequence[float], amounts: Amounts) -> Sequence[Any]:
    """Return in which bucket of a histogram each amount is; None where there is no amount."""
    found: list[Any] = [*amounts]
    if None in found:
        return [None if amount is None else bisect_left(bounds, amount) for amount in found]
    return list(map(bisect_left, repeat(bounds), found))
