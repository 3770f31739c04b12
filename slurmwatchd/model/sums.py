"""What attempts add up to, by hour and by whose they were: pure arithmetic, no input or output.

What an attempt had and used is spread over the hours in which it ran, in proportion to the time, as slurmdbd's own
roll-up does it; that it ended, and how long it had waited, counts in the hour of its end. All amounts are whole
numbers, so that what is taken out again, when an attempt is revised, is what was put in.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import add
from typing import Any, NamedTuple

from slurmwatchd.model.clock import epoch
from slurmwatchd.model.outcomes import outcome_of
from slurmwatchd.model.waits import wait_bucket

HOUR = 3600

SEVERAL = "(several)"
"""The partition of a job sent to several that never ran: its list is as the user typed it, and would be a name of
the user's making. A partition's own name has no comma."""

UNTYPED = "(untyped)"
"""The type of GPUs that the site accounts without one (`gres/gpu` alone)."""

AMOUNTS = (
    "attempts", "waits", "wait_seconds", "elapsed_seconds", "cpu_seconds", "node_seconds", "memory_mib_seconds",
    "gpu_seconds", "billing_seconds", "energy_joules", "used_cpu_milliseconds", "known_cpu_seconds",
    "used_memory_mib_seconds", "known_memory_mib_seconds", "used_gpu_percent_seconds", "known_gpu_seconds",
)  # fmt: skip
"""What is added up. The `known` ones are what those attempts had of which it is known what they `used`."""

_COUNTED = AMOUNTS.index("elapsed_seconds")
_ENERGY = AMOUNTS.index("energy_joules")
_USED = AMOUNTS.index("used_cpu_milliseconds")
_MIB = 1 << 20
_NUMBERS = (int, float)
_GPU = "gres/gpu"
_TYPED_GPU = f"{_GPU}:"
_OWN = frozenset({"cpu", "mem_bytes", "node", "billing", "energy_joules", _GPU})
"""What alloc_tres has that is an amount of its own above; the rest is grouped by name."""

FIRST_AMOUNTS = _ENERGY
"""So many of them nearly all attempts have, and no others."""


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


class TresRates(NamedTuple):
    """What an attempt has of each TRES while it runs.

    Attributes:
        of_time: What a second adds to `elapsed_seconds` and the amounts after it, energy aside.
        energy_joules: What the attempt used in all.
        others: Names of all other TRES, and how many of each.
    """

    of_time: tuple[int, int, int, int, int, int]
    energy_joules: int
    others: tuple[tuple[str, int], ...]

    @property
    def cpus(self) -> int:
        """How many CPUs."""
        return self.of_time[1]

    @property
    def memory_mib(self) -> int:
        """How much memory."""
        return self.of_time[3]

    @property
    def gpus(self) -> int:
        """How many GPUs, of all types."""
        return self.of_time[4]


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
        amounts: One number for each of `AMOUNTS`, or for the first `FIRST_AMOUNTS` where the others are 0.
        tres: By name too, any other TRES (`gres/gpu:a100`, `license/matlab`): its seconds.
        waits: How many attempts waited as long as each bucket says.
    """

    groups: Sequence[Group]
    amounts: Mapping[tuple[int, int], Sequence[int]]
    tres: Mapping[tuple[int, int, str], int]
    waits: Mapping[tuple[int, int], Mapping[int, int]]


class Sums:
    """Sums in the making."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._kinds: dict[_Kind, int] = {}
        self._lists: list[Mapping[str, Any] | None] = []
        self._ended: dict[tuple[int, int, int], list[int | None]] = defaultdict(list)
        self._seconds: dict[tuple[int, int], int] = defaultdict(int)
        self._parts: dict[tuple[int, Group], list[int]] = defaultdict(_zeros)

    def __bool__(self) -> bool:
        """Return whether anything was added."""
        return bool(self._kinds or self._parts)

    def add(self, attempts: Iterable[tuple[Any, ...]], sign: int = 1) -> None:
        """Add attempts, or with a sign of -1 take them out.

        Most of a batch are alike in all but their times: for each hour it is enough to add up the seconds of those
        that are, and to multiply once.

        Args:
            attempts: The fields of an `Attempt` each.
            sign: 1 or -1.
        """
        kinds, lists, ended, seconds = self._kinds, self._lists, self._ended, self._seconds
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
            hour = start - start % HOUR
            if elapsed is not None and elapsed != end - start:
                for hour, part in _spread(start, end, elapsed):
                    seconds[kind, hour] += sign * part
            else:
                after = hour + HOUR
                while after < end:
                    seconds[kind, hour] += sign * (after - start)
                    start = hour = after
                    after += HOUR
                seconds[kind, hour] += sign * (end - start)
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
        amounts: dict[tuple[int, int], list[int]] = {}
        for (hour, group), values in self._parts.items():
            amounts[hour, groups.setdefault(group, len(groups))] = values.copy()
        tres: dict[tuple[int, int, str], int] = defaultdict(int)
        places = [groups.setdefault(_group(*kind[:_WHOSE]), len(groups)) for kind in self._kinds]
        rates = self._rates_of_kinds()
        for (kind, hour), seconds in self._seconds.items():
            place = hour, places[kind]
            (_, cpus, nodes, memory, gpus, billing), _, others = rates[kind]
            had = seconds, seconds * cpus, seconds * nodes, seconds * memory, seconds * gpus, seconds * billing
            known = amounts.get(place)
            if known is None:
                # Most attempts have an hour for themselves.
                amounts[place] = [0, 0, 0, *had]
            else:
                known[_COUNTED:FIRST_AMOUNTS] = map(add, known[_COUNTED:FIRST_AMOUNTS], had)
            for name, each in others:
                tres[hour, place[1], name] += seconds * each
        return Results(list(groups), amounts, tres, self._count_ends(places, amounts))

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

    def _count_ends(
        self, places: Sequence[int], amounts: dict[tuple[int, int], list[int]]
    ) -> Mapping[tuple[int, int], Mapping[int, int]]:
        """Count attempts and their waits in the amounts, and return the waits by bucket."""
        buckets: dict[tuple[int, int], dict[int, int]] = {}
        for (kind, hour, sign), waits in self._ended.items():
            place = hour, places[kind]
            known = amounts.get(place)
            if known is None:
                known = amounts[place] = [0] * FIRST_AMOUNTS
            known[0] += sign * len(waits)
            counts: dict[int, int] | None = None
            for wait in waits:
                if wait is None:
                    continue
                known[1] += sign
                known[2] += sign * wait
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


def partition_label(name: str | None) -> str:
    """Return a partition as it is counted."""
    return SEVERAL if name and "," in name else name or ""


def _is_amount(value: object) -> bool:
    return isinstance(value, _NUMBERS) and value > 0


def gpus_by_type(tres: Mapping[str, Any]) -> dict[str, int]:
    """Return the GPUs in a list of TRES by type, each counted once.

    A site accounts `gres/gpu`, types (`gres/gpu:a100`), or both, and then the first is the sum of all.
    """
    found = {
        name.removeprefix(_TYPED_GPU): int(amount)
        for name, amount in tres.items()
        if name.startswith(_TYPED_GPU) and _is_amount(amount)
    }
    total = tres.get(_GPU)
    rest = int(total) - sum(found.values()) if isinstance(total, int | float) else 0
    return {**found, UNTYPED: rest} if rest > 0 else found


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


def tres_rates(cpus: int | None, nodes: int | None, alloc_tres: Mapping[str, Any] | None) -> TresRates:
    """Return what an attempt has of each TRES, by its list; what that lacks of CPUs and nodes the others say."""
    tres = {name: int(amount) for name, amount in (alloc_tres or {}).items() if _is_amount(amount)}
    others = tuple([(name, amount) for name, amount in tres.items() if name not in _OWN])
    # Most attempts have none.
    gpus = sum(gpus_by_type(tres).values()) if others or _GPU in tres else 0
    of_time = (
        1,
        tres.get("cpu", cpus or 0),
        tres.get("node", nodes or 0),
        tres.get("mem_bytes", 0) // _MIB,
        gpus,
        tres.get("billing", 0),
    )
    return TresRates(of_time, tres.get("energy_joules", 0), others)


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
