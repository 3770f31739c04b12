"""The search for suspect nodes among all attempts of a span: a million in less than a second.

For most nodes a look at their failures is enough: even if all of them were failures of careful users, they would
not accuse the node. Only for the few others everything that ran there is put together and judged (`suspects.py`).
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from operator import attrgetter, itemgetter, mul
from typing import NamedTuple

from slurmwatchd.model.placements import QUICK, Placements
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

_Array = int | str


class NodeFailure(NamedTuple):
    """An attempt that Slurm ended because a node failed.

    Attributes:
        nodes: Those it ran on.
        failed_node: The one that failed; None where Slurm does not say.
    """

    nodes: Sequence[str]
    failed_node: str | None = None


class _Family:
    """The attempts of one user in one partition, or those of an array among them.

    Attributes:
        user: Those of the user, for an array; else these themselves.
        attempts: On all nodes; of an array at least as many as it has.
        arrays: Those of a user of which any failed, by number.
    """

    __slots__ = ("arrays", "attempts", "partition", "user")

    def __init__(self, partition: str, user: "_Family | None" = None) -> None:
        self.partition = partition
        self.user = user or self
        self.attempts = 0
        self.arrays: dict[_Array, _Family] = {}


class _Node:
    """A node, with what failed there: of each family how many, each shared out among the nodes it was on."""

    __slots__ = ("failed", "name", "quick")

    def __init__(self, name: str) -> None:
        self.name = name
        self.failed: dict[_Family, float] = {}
        self.quick: dict[_Family, float] = {}


class _Failures:
    """How many failed on all nodes: at all, or within a minute.

    Attributes:
        on: Returns what a node has of them.
        total: By family; a user's have those of the arrays.
        by_partition: In all.
    """

    def __init__(self, on: Callable[[_Node], dict[_Family, float]]) -> None:
        self.on = on
        self.total: dict[_Family, int] = defaultdict(int)
        self.by_partition: dict[str, int] = defaultdict(int)

    def count(self, user: _Family, failures: int) -> None:
        """Count those of a user."""
        self.total[user] += failures
        self.by_partition[user.partition] += failures

    def share_out(
        self, rows: Iterable[tuple[_Family, _Array, int]], nodes_of: Mapping[int, Sequence[_Node]]
    ) -> None:
        """Give each node its share of failures: those of a user, in an array, on a node list."""
        on, total = self.on, self.total
        for user, array, nodelist in rows:
            family = user
            if array:
                family = user.arrays.get(array) or _new_array(user, array)
                total[family] += 1
            nodes = nodes_of[nodelist]
            share = 1 / len(nodes)
            for node in nodes:
                here = on(node)
                here[family] = here.get(family, 0.0) + share


def _new_array(user: _Family, array: _Array) -> _Family:
    family = user.arrays[array] = _Family(user.partition, user)
    return family


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
        self._blocks = blocks
        ran = _by_partition(blocks)
        nodelists = set[int]().union(*ran.values())
        self._nodes: dict[str, _Node] = {}
        self._nodes_of = {nodelist: self._named(names) for nodelist, names in names_of(nodelists)}
        if unknown := nodelists - self._nodes_of.keys():
            self._blocks = [block.without(unknown) for block in blocks]
            ran = _by_partition(self._blocks)
        self._attempts = {partition: sum(counts.values()) for partition, counts in ran.items()}
        self._ran = {partition: _shared_out(counts, self._nodes_of) for partition, counts in ran.items()}
        self._users: dict[tuple[str, str], _Family] = {}
        self._failed, self._quick = _Failures(attrgetter("failed")), _Failures(attrgetter("quick"))
        for block in self._blocks:
            self._count_users(block)
            self._add_failures(block)
        self._count_arrays()
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
        chosen = self._nodes | self._node_failures.keys() if nodes is None else set(nodes)
        counted = self._counted(chosen)
        groups = self._groups(counted)
        tests = number_of_tests(len(self._nodes))
        everywhere = sum(self._attempts.values())
        total_failed = sum(self._node_failures.values())
        found = []
        for node in chosen:
            failed, here = self._node_failures.get(node, 0.0), counted.get(node, {})
            share = sum(count.attempts for count in here.values()) / everywhere if everywhere else 0.0
            due = (total_failed - failed) * share + share
            suspect = judged(node, here, groups, failed, due, tests)
            if suspect.failures or suspect.node_failures:
                found.append(suspect)
        return sorted(found, key=lambda suspect: (suspect.chance, -suspect.failures, suspect.node))

    def _named(self, names: Sequence[str]) -> Sequence[_Node]:
        nodes = self._nodes
        return tuple([nodes.get(name) or nodes.setdefault(name, _Node(name)) for name in names])

    def _count_users(self, block: Placements) -> None:
        for key, quick, slow, well in zip(block.families, *block.counts, strict=True):
            user = self._users.get(key)
            if user is None:
                user = self._users[key] = _Family(key[0])
            user.attempts += quick + slow + well
            if quick or slow:
                self._failed.count(user, quick + slow)
            if quick:
                self._quick.count(user, quick)

    def _add_failures(self, block: Placements) -> None:
        users = [self._users[key] for key in block.families]
        whose = map(users.__getitem__, block.places())
        quick = sum(block.counts[QUICK])
        rows = list(zip(whose, block.array_names()[: block.failed], block.nodelists, strict=False))
        self._failed.share_out(rows, self._nodes_of)
        self._quick.share_out(rows[:quick], self._nodes_of)

    def _count_arrays(self) -> None:
        failed = {array: family for user in self._users.values() for array, family in user.arrays.items()}
        if not failed:
            return
        counts: Counter[_Array] = Counter()
        for block in self._blocks:
            counts.update(block.array_names())
        for user in self._users.values():
            for array, family in user.arrays.items():
                family.attempts = counts[array]

    def _conspicuous(self) -> set[str]:
        """Return the nodes that may be suspect: all that are, and a few others."""
        needed = math.log(number_of_tests(len(self._nodes))) - math.log(CHANCE) - _ROUNDING
        found = {
            node.name
            for node in self._nodes.values()
            if self._may_be_suspect(self._failed, node, needed) or self._may_be_suspect(self._quick, node, needed)
        }
        return found | self._node_failures.keys()

    def _may_be_suspect(self, failures: _Failures, node: _Node, needed: float) -> bool:
        """Tell whether there may be so much evidence against a node: it is no more than what is added up here.

        Two things make it more than what `judged` finds: each user's and array's rate elsewhere is taken as if all
        their attempts had run elsewhere, and what a user can add is not limited. The evidence of a failure grows
        less and less with the odds against it, so that of the mean odds for all of them is no less than the sum.
        """
        if not failures.on(node):
            return False
        attempts = sum(ran.get(node, 0.0) for ran in self._ran.values())
        odds = self._odds_against(failures, node)
        count = sum(map(itemgetter(0), odds))
        mean = sum(map(mul, map(itemgetter(0), odds), map(itemgetter(1), odds))) / count
        for eaten in EATEN:
            went_well = (attempts - count) * math.log1p(-eaten)
            if count * math.log1p(eaten * mean) + went_well > needed:
                exact = sum(failed * math.log1p(eaten * against) for failed, against in odds)
                if exact + went_well > needed:
                    return True
        return False

    def _odds_against(self, failures: _Failures, node: _Node) -> list[tuple[float, float]]:
        """Return for each family how many failures a node has, and the odds against one of them."""
        here, total = failures.on(node), failures.total
        of_users: dict[_Family, float] = {}
        of_partitions: dict[str, float] = {}
        for family, count in here.items():
            user = family.user
            of_users[user] = of_users.get(user, 0.0) + count
        for user, count in of_users.items():
            of_partitions[user.partition] = of_partitions.get(user.partition, 0.0) + count
        rates = {
            name: SHRINK
            * partition_rate(failures.by_partition[name] - count, self._attempts[name] - self._ran[name][node])
            for name, count in of_partitions.items()
        }
        user_rates = {
            user: SHRINK * (total[user] - count + rates[user.partition]) / (user.attempts + SHRINK)
            for user, count in of_users.items()
        }
        return [
            (
                count,
                (
                    SHRINK / user_rates[family]
                    if family is family.user
                    else (family.attempts + SHRINK) / (total[family] - count + user_rates[family.user])
                )
                - 1,
            )
            for family, count in here.items()
        ]

    def _counted(self, nodes: Collection[str]) -> dict[str, dict[Group, Count]]:
        """Put together what ran on some nodes: by partition, user and array, each shared out among its nodes."""
        wanted = {self._nodes[name] for name in nodes if name in self._nodes}
        nodelists = {nodelist for nodelist, names in self._nodes_of.items() if not wanted.isdisjoint(names)}
        failed_arrays = set[_Array]().union(*(user.arrays for user in self._users.values()))
        counted: dict[str, dict[Group, Count]] = defaultdict(lambda: defaultdict(Count))
        for block in self._blocks if nodelists else ():
            arrays = block.array_names()
            for place, result, family in block.some(map(nodelists.__contains__, block.nodelists)):
                array = arrays[place]
                group = (*family, str(array) if array in failed_arrays else "")
                names = self._nodes_of[block.nodelists[place]]
                for node in names:
                    if node in wanted:
                        counted[node.name][group].add(1 / len(names), result)
        return counted

    def _groups(self, counted: Mapping[str, Mapping[Group, Count]]) -> dict[Group, Count]:
        """Return what groups have on all nodes: partitions, users, and those arrays that were counted."""
        groups: dict[Group, Count] = {}
        for partition, attempts in self._attempts.items():
            failed, quick = self._failed.by_partition[partition], self._quick.by_partition[partition]
            groups[(partition,)] = Count(attempts, failed, quick)
        for key, user in self._users.items():
            groups[key] = Count(user.attempts, self._failed.total[user], self._quick.total[user])
        texts = {group[-1] for here in counted.values() for group in here} - {""}
        wanted = {array for user in self._users.values() for array in user.arrays if str(array) in texts}
        attempts_of: Counter[tuple[tuple[str, str], _Array]] = Counter()
        for block in self._blocks if wanted else ():
            names = block.array_names()
            for place, _, family in block.some(map(wanted.__contains__, names)):
                attempts_of[family, names[place]] += 1
        for (key, array), attempts in attempts_of.items():
            count = groups[*key, str(array)] = Count(attempts)
            if of_array := self._users[key].arrays.get(array):
                count.failures, count.quick = self._failed.total[of_array], self._quick.total[of_array]
        return groups


def _shared_out(counts: Mapping[int, int], nodes_of: Mapping[int, Sequence[_Node]]) -> dict[_Node, float]:
    """Share attempts on node lists out among their nodes."""
    ran: dict[_Node, float] = {}
    for nodelist, attempts in counts.items():
        nodes = nodes_of[nodelist]
        share = attempts / len(nodes)
        for node in nodes:
            ran[node] = ran.get(node, 0.0) + share
    return ran


def _by_partition(blocks: Iterable[Placements]) -> dict[str, Counter[int]]:
    """Return partition to node lists to how many attempts ran there."""
    ran: dict[str, Counter[int]] = defaultdict(Counter)
    for block in blocks:
        for partition, nodelists in block.by_partition():
            ran[partition].update(nodelists)
    return ran
