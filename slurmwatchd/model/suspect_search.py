"""The search for suspect nodes among all attempts of a span, of which there may be a million.

For most nodes a look at their failures is enough: even if all of them were failures of careful users, they would
not accuse the node. Only for the few others everything that ran there is put together and judged (`suspects.py`).
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain, compress, repeat
from typing import NamedTuple, TypeVar

from slurmwatchd.model.placements import QUICK, SLOW, WELL, Family, Placements
from slurmwatchd.model.suspects import (
    CHANCE,
    EATEN,
    SHRINK,
    Count,
    Group,
    Suspect,
    judged,
    number_of_tests,
    partition_rate,
)

NodeNames = Iterable[tuple[int, Sequence[str]]]
"""The row ids of node lists, and their nodes; those that could not be expanded are not there."""

_ROUNDING = 1e-6

_Key = TypeVar("_Key")

_Where = list[int]
"""The places of the node lists of some failures, see `Span`; one that saw several is there several times."""


class NodeFailure(NamedTuple):
    """An attempt that Slurm ended because a node failed.

    Attributes:
        nodes: Those it ran on.
        failed_node: The one that failed; None where Slurm does not say.
    """

    nodes: Sequence[str]
    failed_node: str | None = None


class _Seen(Count):
    """The attempts of a family on all nodes.

    Attributes:
        where_quick: Where those ran that failed within a minute.
        where: Where all ran that failed.
    """

    __slots__ = ("where", "where_quick")

    def __init__(self) -> None:
        super().__init__()
        self.where_quick: _Where = []
        self.where: _Where = []


class _Numbers(dict[_Key, int]):
    """Numbers for what is met, in the order in which it is."""

    def __missing__(self, key: _Key) -> int:
        number = self[key] = len(self)
        return number


class Span:
    """What ran where in a span of time."""

    def __init__(
        self,
        blocks: Sequence[Placements],
        names_of: Callable[[Collection[int]], NodeNames],
        node_failures: Iterable[NodeFailure] = (),
    ) -> None:
        """Count what ran.

        Args:
            blocks: All attempts, but for those that Slurm ended because a node failed.
            names_of: Returns the names in node lists.
            node_failures: The other attempts.
        """
        ran = _counts(blocks)
        # Nodes have numbers, and node lists of the same nodes have one place.
        number_of, place_of = _Numbers[str](), _Numbers[tuple[int, ...]]()
        self._places = {
            nodelist: place_of[tuple(map(number_of.__getitem__, names))]
            for nodelist, names in names_of(ran.keys())
            if names
        }
        if unknown := ran.keys() - self._places.keys():
            blocks = [block.without(unknown) for block in blocks]
            ran = _counts(blocks)
        self._blocks = blocks
        self._names = list(number_of)
        self._nodes = list(place_of)
        self._alone = [nodes[0] if len(nodes) == 1 else None for nodes in self._nodes]
        self._shares = list(map(_share, self._nodes))
        attempts = [0.0] * len(self._nodes)
        for nodelist, count in ran.items():
            attempts[self._places[nodelist]] += count
        self._ran = self._shared_out(attempts)
        self._users: dict[tuple[str, str], dict[str, _Seen]] = defaultdict(lambda: defaultdict(_Seen))
        for block in self._blocks:
            self._see(block)
        self._families = {
            (*user, name): seen for user, arrays in self._users.items() for name, seen in arrays.items()
        }
        self._failed_arrays = {family[-1] for family, seen in self._families.items() if seen.where}
        self._groups = self._summed()
        self._node_failures: dict[str, float] = defaultdict(float)
        for failure in node_failures:
            accused = [failure.failed_node] if failure.failed_node else failure.nodes
            for node in accused:
                self._node_failures[node] += 1 / len(accused)

    def suspects(self) -> list[Suspect]:
        """Return the nodes whose failures chance does not explain, the worst first."""
        return [suspect for suspect in self.ranked(self._conspicuous()) if suspect.is_suspect]

    def ranked(self, nodes: Collection[str] | None = None) -> list[Suspect]:
        """Judge nodes.

        Args:
            nodes: Which; None: all.

        Returns:
            Those on which anything failed, those that chance explains least first.
        """
        chosen = {*self._names, *self._node_failures} if nodes is None else set(nodes)
        counted = self._counted(chosen)
        tests = number_of_tests(len(self._names))
        everywhere = sum(map(len, self._blocks))
        total_failed = sum(self._node_failures.values())
        found = []
        for node in chosen:
            failed, here = self._node_failures.get(node, 0.0), counted.get(node, {})
            share = sum(count.attempts for count in here.values()) / everywhere if everywhere else 0.0
            due = (total_failed - failed) * share + share
            suspect = judged(node, here, self._groups, failed, due, tests)
            if suspect.failures or suspect.node_failures:
                found.append(suspect)
        return sorted(found, key=lambda suspect: (suspect.chance, -suspect.failures, suspect.node))

    def _see(self, block: Placements) -> None:
        families: list[_Seen] = []
        for partition, user, arrays in block.users:
            families += map(self._users[partition, user].__getitem__, arrays)
        for seen, attempts in zip(families, map(sum, zip(*block.counts, strict=True)), strict=True):
            seen.attempts += attempts
        # Those that failed stand first.
        where = list(map(self._places.__getitem__, block.nodelists[: block.failed]))
        end = 0
        for result in (QUICK, SLOW):
            counts = block.counts[result]
            for seen, count in compress(zip(families, counts, strict=True), counts):
                begin, end = end, end + count
                seen.where += where[begin:end]
                if result == QUICK:
                    seen.where_quick += where[begin:end]

    def _summed(self) -> dict[Group, Count]:
        """Return what groups have on all nodes: partitions, users, and those arrays of which any failed."""
        users: dict[Group, Count] = defaultdict(Count)
        partitions: dict[Group, Count] = defaultdict(Count)
        for family, seen in self._families.items():
            seen.failures, seen.quick = len(seen.where), len(seen.where_quick)
            users[family[:2]].merge(seen)
        for user, count in users.items():
            partitions[user[:1]].merge(count)
        arrays: dict[Group, Count] = {
            family: seen for family, seen in self._families.items() if family[-1] in self._failed_arrays
        }
        return {**partitions, **users, **arrays}

    def _group(self, family: Family) -> Group:
        """Return what a family is judged as: an array of which none failed is plain jobs."""
        return family if family[-1] in self._failed_arrays else (*family[:-1], "")

    def _conspicuous(self) -> set[str]:
        """Return the nodes that may be suspect: all that are, and a few others.

        There is no more evidence against a node than what is added up here. Two things make it more than what
        `judged` finds: what a user can add is not limited, and the odds against a failure are those of `_odds`.
        """
        needed = math.log(number_of_tests(len(self._names))) - math.log(CHANCE) - _ROUNDING
        found = set(self._node_failures)
        failures = {family: seen.where for family, seen in self._families.items() if seen.where}
        quick = {family: seen.where_quick for family, seen in self._families.items() if seen.where_quick}
        for seen in (failures, quick):
            odds = self._odds(seen)
            for eaten in EATEN:
                went_well = math.log1p(-eaten)
                evidence = [0.0] * len(self._nodes)
                for family, where in seen.items():
                    of_one = math.log1p(eaten * odds[family]) - went_well
                    for place in where:
                        evidence[place] += of_one
                for name, against, attempts in zip(
                    self._names, self._shared_out(evidence), self._ran, strict=True
                ):
                    if against + attempts * went_well > needed:
                        found.add(name)
        return found

    def _odds(self, failures: Mapping[Family, _Where]) -> dict[Family, float]:
        """Return for each family the odds against a failure, no less than `judged` has on any one node.

        The rates elsewhere are taken as if all attempts had run elsewhere, and the most failures here.
        """
        of_users: dict[Group, _Where] = defaultdict(list)
        of_partitions: dict[Group, _Where] = defaultdict(list)
        for family, where in failures.items():
            of_users[family[:2]] += where
            of_partitions[family[:1]] += where
        rates: dict[Group, float] = {}
        for partition, where in of_partitions.items():
            rates[partition] = SHRINK * partition_rate(
                self._least_elsewhere(where), self._groups[partition].attempts
            )
        for user, where in of_users.items():
            others = rates[user[:1]]
            failed = self._least_elsewhere(where) + others
            rates[user] = SHRINK * failed / (self._groups[user].attempts + SHRINK)
        return {
            family: (self._families[family].attempts + SHRINK) / (self._least_elsewhere(where) + rates[family[:2]])
            - 1
            if family[-1]
            else SHRINK / rates[family[:2]] - 1
            for family, where in failures.items()
        }

    def _least_elsewhere(self, where: _Where) -> float:
        """Return how many failures other nodes have at least, whichever node it is.

        No node has more than the most of those that ran on one node only, and a share of all others.
        """
        alone = Counter(map(self._alone.__getitem__, where))
        del alone[None]
        return len(where) - max(alone.values(), default=0) - sum(map(self._shares.__getitem__, where))

    def _counted(self, nodes: Collection[str]) -> dict[str, dict[Group, Count]]:
        """Put together what ran on some nodes: by partition, user and array, each shared out among its nodes."""
        wanted = {number for number, name in enumerate(self._names) if name in nodes}
        nodelists = {
            nodelist for nodelist, place in self._places.items() if not wanted.isdisjoint(self._nodes[place])
        }
        counted: dict[str, dict[Group, Count]] = defaultdict(lambda: defaultdict(Count))
        for block in self._blocks if nodelists else ():
            groups = list(map(self._group, block.families()))
            results = chain.from_iterable(map(repeat, (QUICK, SLOW, WELL), map(sum, block.counts)))
            rows = zip(results, block.places(), block.nodelists, strict=True)
            for result, place, nodelist in compress(rows, map(nodelists.__contains__, block.nodelists)):
                numbers = self._nodes[self._places[nodelist]]
                for number in numbers:
                    if number in wanted:
                        counted[self._names[number]][groups[place]].add(1 / len(numbers), result)
        return counted

    def _shared_out(self, amounts: Sequence[float]) -> list[float]:
        """Share out among the nodes what the node lists have, in the order of their places."""
        found = [0.0] * len(self._names)
        for numbers, amount in compress(zip(self._nodes, amounts, strict=True), amounts):
            share = amount / len(numbers)
            for number in numbers:
                found[number] += share
        return found


def _share(nodes: Sequence[int]) -> float:
    """Return the most that a node has of an attempt that ran on several; a list may name a node twice."""
    if len(nodes) == 1:
        return 0.0
    return 1 / len(nodes) if len({*nodes}) == len(nodes) else 1.0


def _counts(blocks: Iterable[Placements]) -> Counter[int]:
    """Return how many attempts ran on each node list."""
    ran: Counter[int] = Counter()
    for block in blocks:
        ran.update(block.nodelists)
    return ran
