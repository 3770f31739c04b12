"""What attempts add up to, by hour and by whose they were: pure arithmetic, no input or output.

What an attempt had and used is spread over the hours in which it ran, in proportion to the time, as slurmdbd's own
roll-up does it; that it ended, and how long it had waited, counts in the hour of its end. All amounts are whole
numbers, so that what is taken out again, when an attempt is revised, is what was put in.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate, chain, pairwise
from operator import add
from typing import Any, NamedTuple, TypeVar

from slurmwatchd.model.clock import epoch
from slurmwatchd.model.outcomes import outcome_of
from slurmwatchd.model.tres_rates import TimeAmounts, TresRates, plus, times, tres_rates
from slurmwatchd.model.waits import wait_bucket

HOUR = 3600

SEVERAL = "(several)"
"""The partition of a job sent to several that never ran: its list is as the user typed it, and would be a name of
the user's making. A partition's own name has no comma."""

OF_TIME = (
    "elapsed_seconds", "cpu_seconds", "node_seconds", "memory_mib_seconds", "gpu_seconds", "billing_seconds",
)  # fmt: skip
"""What each second adds to."""

OF_END = ("attempts", "waits", "wait_seconds")
"""What counts in the hour of the end."""

OF_WHOLE = (
    "energy_joules", "used_cpu_milliseconds", "known_cpu_seconds", "used_memory_mib_seconds",
    "known_memory_mib_seconds", "used_gpu_percent_seconds", "known_gpu_seconds",
)  # fmt: skip
"""Amounts of an attempt as a whole. The `known` ones are what those attempts had of which it is known what they
`used`."""

AMOUNTS = (*OF_TIME, *OF_END, *OF_WHOLE)
"""What is added up. In most hours of a group the last are 0, and in many all but those of time."""

_ENDED, _WAITS, _WAITED = map(AMOUNTS.index, OF_END)
_ENERGY = AMOUNTS.index("energy_joules")
_USED = AMOUNTS.index("used_cpu_milliseconds")
_MIB = 1 << 20


class Group(NamedTuple):
    """Whose attempts they are, and why they ended; an empty text where Slurm has none."""

    cluster: str
    partition: str
    account: str
    user: str
    qos: str
    outcome: str


_WHOSE = len(Group._fields)


class Attempt(NamedTuple):
    """The fields of a record that its sums need; times are epoch seconds."""

    cluster: str
    partition: str | None
    account: str | None
    user: str | None
    qos: str | None
    outcome: str | None
    submit: int
    start: int | None
    end: int | None
    elapsed_seconds: int | None
    wait_seconds: int | None
    cpus: int | None
    node_count: int | None
    alloc_tres: Mapping[str, Any] | None


_Kind = tuple[Any, ...]
"""What attempts have in common that differ in their times only; the last is the id of the list of TRES."""


def attempt_of(record: Mapping[str, Any]) -> Attempt:
    """Return what the sums need of a record in the fields of the wire format."""
    values: dict[str, Any] = {name: record.get(name) for name in Attempt._fields}
    for name in ("submit", "start", "end"):
        values[name] = None if values[name] is None else epoch(values[name])
    values["outcome"] = values["outcome"] or outcome_of(record)
    return Attempt(**values)


class Results(NamedTuple):
    """What attempts add up to, by hour (epoch seconds) and the place of their group in `groups`.

    Attributes:
        groups: Whose attempts they are.
        amounts: Of each group by hour, a number for each of `AMOUNTS`; or for `OF_TIME` alone, or for that and
            `OF_END`, where the others are 0.
        tres: By name too, any other TRES (`gres/gpu:a100`, `license/matlab`): its seconds.
        waits: How many attempts waited as long as each bucket says.
        limit: None of the amounts is further from 0.
    """

    groups: Sequence[Group]
    amounts: Sequence[Mapping[int, Sequence[int]]]
    tres: Mapping[tuple[int, int, str], int]
    waits: Mapping[tuple[int, int], Mapping[int, int]]
    limit: int


_Amounts = Sequence[dict[int, Any]]
"""What `Results` has of them, in the making: lists, and at last tuples that stand in several hours."""


class Sums:
    """Sums in the making."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._kinds: dict[_Kind, int] = {}
        self._lists: list[Mapping[str, Any] | None] = []
        self._ended: dict[tuple[int, int, int], list[int | None]] = defaultdict(list)
        self._seconds: dict[tuple[int, int], int] = defaultdict(int)
        self._running: dict[tuple[int, int], int] = defaultdict(int)
        """How many more of a kind, or fewer, run through all of an hour and of those after it."""
        self._run_seconds = 0
        self._parts: dict[tuple[int, Group], list[int]] = defaultdict(_zeros)

    def __bool__(self) -> bool:
        """Return whether anything was added."""
        return bool(self._kinds or self._parts)

    def add(self, attempts: Iterable[tuple[Any, ...]], sign: int = 1) -> None:
        """Add attempts, or with a sign of -1 take them out.

        Most of a batch are alike in all but their times: for each hour it is enough to add up the seconds of those
        that are, and to multiply once. Of the hours that an attempt fills, it is noted where they begin and end.

        Args:
            attempts: The fields of an `Attempt` each.
            sign: 1 or -1.
        """
        kinds, lists, ended = self._kinds, self._lists, self._ended
        seconds, running = self._seconds, self._running
        for attempt in attempts:
            (
                cluster,
                partition,
                account,
                user,
                qos,
                outcome,
                submit,
                start,
                end,
                elapsed,
                wait,
                cpus,
                nodes,
                tres,
            ) = attempt
            kind = kinds.setdefault(
                (cluster, partition, account, user, qos, outcome, cpus, nodes, id(tres)), len(lists)
            )
            if kind == len(lists):
                # Kept, so that no other list gets its id.
                lists.append(tres)
            moment = end or start or submit
            ended[kind, moment - moment % HOUR, sign].append(None if start is None else wait)
            if start is None or end is None:
                continue
            hour, after = start - start % HOUR, start - start % HOUR + HOUR
            if elapsed is not None and elapsed != end - start:
                self._run_seconds += abs(elapsed)
                for hour, part in _spread(start, end, elapsed):
                    seconds[kind, hour] += sign * part
            elif end <= after:
                self._run_seconds += abs(end - start)
                seconds[kind, hour] += sign * (end - start)
            else:
                self._run_seconds += end - start
                last = end - end % HOUR
                seconds[kind, hour] += sign * (after - start)
                if last < end:
                    seconds[kind, last] += sign * (end - last)
                if after < last:
                    running[kind, after] += sign
                    running[kind, last] -= sign
            if tres and "energy_joules" in tres:
                whole = Attempt._make(attempt)
                self._add_parts(whole, _ENERGY, (tres_rates(cpus, nodes, tres).energy_joules,), sign)

    def add_usage(self, attempt: Attempt, usage: Mapping[str, Any], sign: int = 1) -> None:
        """Add what an attempt used, or take it out; what no one measured counts as neither used nor had.

        Args:
            attempt: Whose.
            usage: The field of that name of its `job_usage`.
            sign: 1 or -1.
        """
        if not usage.get("complete") or attempt.start is None or attempt.end is None:
            return
        rates = tres_rates(attempt.cpus, attempt.node_count, attempt.alloc_tres)
        elapsed = attempt.elapsed_seconds
        if elapsed is None:
            elapsed = attempt.end - attempt.start
        memory, percent = usage.get("memory_bytes"), usage.get("gpu_ave_utilization_percent")
        had = [0] * (len(AMOUNTS) - _USED)
        if usage.get("cpu_seconds") is not None and usage.get("steps"):
            had[0:2] = round(usage["cpu_seconds"] * 1000), rates.cpus * elapsed
        if memory is not None and rates.memory_mib:
            had[2:4] = memory // _MIB * elapsed, rates.memory_mib * elapsed
        if percent is not None and rates.gpus:
            had[4:6] = percent * rates.gpus * elapsed, rates.gpus * elapsed
        self._add_parts(attempt, _USED, had, sign)

    def results(self) -> Results:
        """Return what was added up."""
        groups: dict[Group, int] = {}
        for _, group in self._parts:
            groups.setdefault(group, len(groups))
        places = [groups.setdefault(_group(*kind[:_WHOSE]), len(groups)) for kind in self._kinds]
        amounts: _Amounts = [{} for _ in groups]
        for (hour, group), values in self._parts.items():
            amounts[groups[group]][hour] = values.copy()
        rates = self._rates_of_kinds()
        # The widest first: these take those of time.
        waits = self._count_ends(places, amounts)
        for (kind, hour), seconds in self._seconds.items():
            _add_time(amounts[places[kind]], hour, times(seconds, rates[kind].of_time))
        self._add_whole_hours(places, rates, amounts)
        return Results(list(groups), amounts, self._tres_seconds(places, rates), waits, self._limit(rates))

    def _limit(self, rates: Sequence[TresRates]) -> int:
        """Return how large an amount can be at most."""
        of_time = self._run_seconds * max(map(abs, chain.from_iterable(rate.of_time for rate in rates)), default=0)
        waited = sum(abs(wait) for waits in self._ended.values() for wait in waits if wait is not None)
        return of_time + waited + sum(map(abs, chain.from_iterable(self._parts.values())))

    def _add_whole_hours(self, places: Sequence[int], rates: Sequence[TresRates], amounts: _Amounts) -> None:
        """Add what attempts had in hours that they filled; last, since these hours share their amounts."""
        changes: list[dict[int, TimeAmounts]] = [{} for _ in amounts]
        for (kind, hour), more in self._running.items():
            had, some = times(more * HOUR, rates[kind].of_time), changes[places[kind]]
            some[hour] = plus(some[hour], had) if hour in some else had
        for hours, some in zip(amounts, changes, strict=True):
            for stretch, had in _stretches(some, plus):
                for hour in stretch if any(had) else ():
                    if hour in hours:
                        _add_time(hours, hour, had)
                    else:
                        hours[hour] = had

    def _tres_seconds(self, places: Sequence[int], rates: Sequence[TresRates]) -> dict[tuple[int, int, str], int]:
        """Return what attempts had of TRES that are no amount of their own; most have none."""
        tres: dict[tuple[int, int, str], int] = defaultdict(int)
        if not any(rate.others for rate in rates):
            return tres
        for (kind, hour), seconds in self._seconds.items():
            for name, each in rates[kind].others:
                tres[hour, places[kind], name] += seconds * each
        changes: dict[tuple[int, str], dict[int, int]] = defaultdict(lambda: defaultdict(int))
        for (kind, hour), more in self._running.items():
            for name, each in rates[kind].others:
                changes[places[kind], name][hour] += more * HOUR * each
        for (place, name), some in changes.items():
            for stretch, seconds in _stretches(some, add):
                for hour in stretch:
                    tres[hour, place, name] += seconds
        return tres

    def _rates_of_kinds(self) -> list[TresRates]:
        """Return what each kind has of each TRES."""
        rates: dict[_Kind, TresRates] = {}
        found = []
        for kind, alloc_tres in zip(self._kinds, self._lists, strict=True):
            had = kind[_WHOSE:]
            rate = rates.get(had)
            if rate is None:
                cpus, nodes, _ = had
                rate = rates[had] = tres_rates(cpus, nodes, alloc_tres)
            found.append(rate)
        return found

    def _count_ends(self, places: Sequence[int], amounts: _Amounts) -> Mapping[tuple[int, int], Mapping[int, int]]:
        """Count attempts and their waits in the amounts, and return the waits by bucket."""
        buckets: dict[tuple[int, int], dict[int, int]] = {}
        for (kind, hour, sign), waits in self._ended.items():
            place = hour, places[kind]
            hours = amounts[places[kind]]
            known = hours.get(hour)
            if known is None:
                known = hours[hour] = [0] * (_WAITED + 1)
            known[_ENDED] += sign * len(waits)
            counts: dict[int, int] | None = None
            for wait in waits:
                if wait is None:
                    continue
                known[_WAITS] += sign
                known[_WAITED] += sign * wait
                if counts is None:
                    counts = buckets.setdefault(place, {})
                bucket = wait_bucket(wait)
                counts[bucket] = counts.get(bucket, 0) + sign
        return buckets

    def _add_parts(self, attempt: Attempt, first: int, totals: Sequence[int], sign: int) -> None:
        """Spread some amounts over the hours, `first` and those after it."""
        if not any(totals) or attempt.start is None or attempt.end is None:
            return
        group = _group(*attempt[:_WHOSE])
        for hour, *parts in _spread(attempt.start, attempt.end, *totals):
            place = self._parts[hour, group]
            for index, part in enumerate(parts, first):
                place[index] += sign * part


def _zeros() -> list[int]:
    return [0] * len(AMOUNTS)


_T = TypeVar("_T")


def _stretches(changes: Mapping[int, _T], plus: Callable[[_T, _T], _T]) -> Iterator[tuple[Iterable[int], _T]]:
    """Give stretches of hours, and what each hour in one has, of what changes at the beginning of hours."""
    hours = sorted(changes)
    levels = accumulate(map(changes.__getitem__, hours), plus)
    for (begun, end), level in zip(pairwise(hours), levels, strict=False):
        yield range(begun, end, HOUR), level


def _add_time(hours: dict[int, Any], hour: int, had: TimeAmounts) -> None:
    known = hours.get(hour)
    if known is None:
        hours[hour] = list(had)
        return
    a, b, c, d, e, f = had
    known[0] += a
    known[1] += b
    known[2] += c
    known[3] += d
    known[4] += e
    known[5] += f


def partition_label(name: str | None) -> str:
    """Return a partition as it is counted."""
    return SEVERAL if name and "," in name else name or ""


@lru_cache(maxsize=20_000)
def _group(
    cluster: str,
    partition: str | None,
    account: str | None,
    user: str | None,
    qos: str | None,
    outcome: str | None,
) -> Group:
    return Group(cluster, partition_label(partition), account or "", user or "", qos or "", outcome or "")


def _spread(start: int, end: int, *totals: int) -> Iterator[tuple[int, ...]]:
    """Give the hours from a start to an end, each with its part of some totals; the parts add up to them."""
    if not any(totals):
        return
    run, hour = end - start, start - start % HOUR
    if end <= hour + HOUR:
        yield hour, *totals
        return
    given = [0] * len(totals)
    while hour < end:
        reached = min(end, hour + HOUR) - start
        due = [total * reached // run for total in totals]
        yield hour, *(new - old for new, old in zip(due, given, strict=True))
        given, hour = due, hour + HOUR
