"""The search for suspect nodes among all attempts of a span, of which there may be a million.

For most nodes a look at their failures is enough: even if all of them were failures of careful users, they would
not accuse the node. Only for the few others everything that ran there is put together and judged (`suspects.py`).
"""

import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import accumulate, chain, compress, pairwise
from operator import add
from typing import NamedTuple

from slurmwatchd.model.placements import Family, Placements
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

_Where = list[int]
"""The places of the node lists of some failures, see `_NodeLists`; one that saw several is there several times."""


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


class _Failures:
    """The failures of a group on all nodes.

    Attributes:
        alone: The numbers of the nodes they ran on; None for each that ran on several.
        shared: The most that one node has of the latter.
    """

    __slots__ = ("alone", "shared")

    def __init__(self) -> None:
        self.alone: list[int | None] = []
        self.shared = 0.0

    def merge(self, other: "_Failures") -> None:
        self.alone += other.alone
        self.shared += other.shared

    def least_elsewhere(self) -> float:
        """Return how many failures other nodes have at least, whichever node it is.

        No node has more than the most of those that ran on one node only, and a share of all others.
        """
        nodes = {*self.alone} - {None}
        most = min(1, len(nodes))
        if len(nodes) + self.alone.count(None) < len(self.alone):
            # Few have two on one node.
            alone = Counter(self.alone)
            del alone[None]
            most = max(alone.values())
        return len(self.alone) - most - self.shared


class _Numbers(dict[str, int]):
    """Numbers for what is met, in the order in which it is."""

    def __missing__(self, key: str) -> int:
        number = self[key] = len(self)
        return number


class _NodeLists:
    """Node lists, each at a place.

    Attributes:
        place_of: Row id to place.
        names: The names of the nodes, in the order of their numbers.
        nodes: The numbers of the nodes of each list, as often as it names them.
    """

    def __init__(self, lists: NodeNames) -> None:
        known = [(nodelist, names) for nodelist, names in lists if names]
        number_of = _Numbers()
        # All of them side by side: there may be tens of thousands, most of them of one node or of few.
        numbers = list(map(number_of.__getitem__, chain.from_iterable(names for _, names in known)))
        bounds = accumulate((len(names) for _, names in known), initial=0)
        self.place_of = {nodelist: place for place, (nodelist, _) in enumerate(known)}
        self.names = list(number_of)
        self.nodes = [numbers[begin:end] for begin, end in pairwise(bounds)]
        self._alone = [nodes[0] if len(nodes) == 1 else None for nodes in self.nodes]
        # The most that a node has of an attempt that ran on several; a list may name a node twice.
        self._shares = [
            0.0 if (length := len(nodes)) == 1 else 1 / length if len({*nodes}) == length else 1.0
            for nodes in self.nodes
        ]

    def failures(self, where: _Where) -> _Failures:
        """Return what is to be known of failures."""
        found = _Failures()
        found.alone = list(map(self._alone.__getitem__, where))
        found.shared = sum(map(self._shares.__getitem__, where))
        return found

    def shared_out(self, amounts: Sequence[float]) -> list[float]:
        """Share out among the nodes what the lists have, in the order of their places."""
        found = [0.0] * len(self.names)
        for nodes, amount in compress(zip(self.nodes, amounts, strict=True), amounts):
            share = amount / len(nodes)
            for number in nodes:
                found[number] += share
        return found


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
        self._lists = _NodeLists(names_of(ran.keys()))
        if unknown := ran.keys() - self._lists.place_of.keys():
            blocks = [block.without(unknown) for block in blocks]
        self._blocks = blocks
        self._names = self._lists.names
        self._ran = self._lists.shared_out([ran[nodelist] for nodelist in self._lists.place_of])
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
        quick, slow, well = block.counts
        for seen, attempts in zip(families, map(add, map(add, quick, slow), well), strict=True):
            seen.attempts += attempts
        # Those that failed stand first.
        where = list(map(self._lists.place_of.__getitem__, block.nodelists[: block.failed]))
        end = 0
        for counts in (quick, slow):
            for seen, count in zip(compress(families, counts), filter(None, counts), strict=True):
                begin, end = end, end + count
                seen.where += where[begin:end]
                if counts is quick:
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
                evidence = [0.0] * len(self._lists.nodes)
                for family, where in seen.items():
                    of_one = math.log1p(eaten * odds[family]) - went_well
                    for place in where:
                        evidence[place] += of_one
                for name, against, attempts in zip(
                    self._names, self._lists.shared_out(evidence), self._ran, strict=True
                ):
                    if against + attempts * went_well > needed:
                        found.add(name)
        return found

    def _odds(self, failures: Mapping[Family, _Where]) -> dict[Family, float]:
        """Return for each family the odds against a failure, no less than `judged` has on any one node.

        The rates elsewhere are taken as if all attempts had run elsewhere, and the most failures here.
        """
        of_families = {family: self._lists.failures(where) for family, where in failures.items()}
        of_users: dict[Group, _Failures] = defaultdict(_Failures)
        of_partitions: dict[Group, _Failures] = defaultdict(_Failures)
        for family, failed in of_families.items():
            of_users[family[:2]].merge(failed)
        for user, failed in of_users.items():
            of_partitions[user[:1]].merge(failed)
        rates: dict[Group, float] = {}
        for partition, failed in of_partitions.items():
            rates[partition] = SHRINK * partition_rate(failed.least_elsewhere(), self._groups[partition].attempts)
        for user, failed in of_users.items():
            elsewhere = failed.least_elsewhere() + rates[user[:1]]
            rates[user] = SHRINK * elsewhere / (self._groups[user].attempts + SHRINK)
        return {
            family: (self._families[family].attempts + SHRINK) / (failed.least_elsewhere() + rates[family[:2]]) - 1
            if family[-1]
            else SHRINK / rates[family[:2]] - 1
            for family, failed in of_families.items()
        }

    def _counted(self, nodes: Collection[str]) -> dict[str, dict[Group, Count]]:
        """Put together what ran on some nodes: by partition, user and array, each shared out among its nodes."""
        wanted = {number for number, name in enumerate(self._names) if name in nodes}
        nodelists = {
            nodelist
            for nodelist, place in self._lists.place_of.items()
            if not wanted.isdisjoint(self._lists.nodes[place])
        }
        counted: dict[str, dict[Group, Count]] = defaultdict(lambda: defaultdict(Count))
        for block in self._blocks if nodelists else ():
            groups = list(map(self._group, block.families()))
            bounds = list(accumulate(chain.from_iterable(block.counts)))
            ran = map(nodelists.__contains__, block.nodelists)
            for row, nodelist in compress(enumerate(block.nodelists), ran):
                result, place = divmod(bisect_right(bounds, row), len(groups))
                numbers = self._lists.nodes[self._lists.place_of[nodelist]]
                for number in numbers:
                    if number in wanted:
                        counted[self._names[number]][groups[place]].add(1 / len(numbers), result)
        return counted


def _counts(blocks: Iterable[Placements]) -> Counter[int]:
    """Return how many attempts ran on each node list."""
    ran: Counter[int] = Counter()
    for block in blocks:
        ran.update(block.nodelists)
    return ran
