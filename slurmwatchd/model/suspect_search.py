"""The search for suspect nodes among all attempts of a span, of which there may be a million.

For most nodes a look at their failures is enough: even if all of them were failures of careful users, they would
not accuse the node. Only for the few others everything that ran there is put together and judged (`suspects.py`).
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain, compress, islice, repeat
from operator import add, attrgetter, mul
from typing import NamedTuple

from slurmwatchd.model.placements import QUICK, SLOW, WELL, Placements
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


class NodeFailure(NamedTuple):
    """An attempt that Slurm ended because a node failed.

    Attributes:
        nodes: Those it ran on.
        failed_node: The one that failed; None where Slurm does not say.
    """

    nodes: Sequence[str]
    failed_node: str | None = None


class _Family:
    """The attempts of one user in one partition, or those of an array among them; on all nodes.

    Attributes:
        user: Those of the user; these themselves where it is no array.
        attempts: How many.
        failed: How many of them failed; of a user, those of the arrays too.
        quick: How many of those within a minute.
    """

    __slots__ = ("attempts", "failed", "quick", "user")

    user: "_User"

    def __init__(self) -> None:
        self.attempts = self.failed = self.quick = 0


class _User(_Family):
    """All attempts of one user in one partition.

    Attributes:
        arrays: Those arrays of which any failed, by number.
    """

    __slots__ = ("arrays", "partition")

    def __init__(self, partition: str) -> None:
        super().__init__()
        self.user = self
        self.partition = partition
        self.arrays: dict[int, _Family] = {}

    def array(self, array: int) -> _Family:
        """Return one that was not seen yet."""
        found = self.arrays[array] = _Family()
        found.user = self
        return found


class _Seen:
    """Failures seen on a node: to note one is to append it, and what they come to is worked out node by node.

    Attributes:
        alone: Those that ran on this node only.
        shared: Those on several, by how many.
    """

    __slots__ = ("alone", "shared")

    def __init__(self) -> None:
        self.alone: list[_Family] = []
        self.shared: dict[int, list[_Family]] = defaultdict(list)

    def by_family(self) -> dict[_Family, float]:
        """Return how many each family has, each shared out among its nodes."""
        found: dict[_Family, float] = Counter(self.alone)  # type: ignore[assignment]
        for nodes, families in self.shared.items():
            for family in families:
                found[family] = found.get(family, 0.0) + 1 / nodes
        return found


class _Node:
    """A node, with the failures seen there: all, and those within a minute."""

    __slots__ = ("failed", "name", "quick")

    def __init__(self, name: str) -> None:
        self.name = name
        self.failed = _Seen()
        self.quick = _Seen()


class _Nodes(dict[str, _Node]):
    """Nodes by name, made when they are first named."""

    def __missing__(self, name: str) -> _Node:
        node = self[name] = _Node(name)
        return node


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
        self._nodes = _Nodes()
        named = self._nodes.__getitem__
        self._nodes_of = {nodelist: tuple(map(named, names)) for nodelist, names in names_of(nodelists)}
        if unknown := nodelists - self._nodes_of.keys():
            self._blocks = [block.without(unknown) for block in blocks]
            ran = _by_partition(self._blocks)
        self._attempts = {partition: sum(counts.values()) for partition, counts in ran.items()}
        self._ran = {partition: _shared_out(counts, self._nodes_of) for partition, counts in ran.items()}
        self._users: dict[tuple[str, str], _User] = {}
        self._other_arrays: dict[str, int] = {}
        for block in self._blocks:
            self._count_users(block)
        for block in self._blocks:
            self._see_failures(block)
        self._count_arrays()
        self._totals: dict[tuple[str, str], int] = defaultdict(int)
        for user in self._users.values():
            self._totals[user.partition, "failed"] += user.failed
            self._totals[user.partition, "quick"] += user.quick
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

    def _count_users(self, block: Placements) -> None:
        for key, quick, slow, well in zip(block.families, *block.counts, strict=True):
            user = self._users.get(key)
            if user is None:
                user = self._users[key] = _User(key[0])
            user.attempts += quick + slow + well
            user.failed += quick + slow
            user.quick += quick

    def _see_failures(self, block: Placements) -> None:
        users = map([self._users[key] for key in block.families].__getitem__, block.places())
        rows = zip(users, self._arrays_of(block)[: block.failed], block.nodelists, strict=False)
        # The quick ones stand first.
        self._see(islice(rows, sum(block.counts[QUICK])), quick=True)
        self._see(rows, quick=False)

    def _see(self, rows: Iterable[tuple[_User, int, int]], *, quick: bool) -> None:
        nodes_of = self._nodes_of
        for user, array, nodelist in rows:
            family: _Family = user
            if array:
                family = user.arrays.get(array) or user.array(array)
                family.failed += 1
                family.quick += quick
            nodes = nodes_of[nodelist]
            if len(nodes) == 1:
                nodes[0].failed.alone.append(family)
                if quick:
                    nodes[0].quick.alone.append(family)
                continue
            number = len(nodes)
            for node in nodes:
                node.failed.shared[number].append(family)
            for node in nodes if quick else ():
                node.quick.shared[number].append(family)

    def _count_arrays(self) -> None:
        if not any(user.arrays for user in self._users.values()):
            return
        users = list(self._users.values())
        places = {key: place for place, key in enumerate(self._users)}
        # Of user and array one number: a pair of them would take twice the time.
        counts: Counter[int] = Counter()
        for block in self._blocks:
            here = map([places[key] for key in block.families].__getitem__, block.places())
            counts.update(map(add, here, map(mul, self._arrays_of(block), repeat(len(users)))))
        # An array of which all went well for one user and partition may have failed for another.
        failed = set[int]().union(*(user.arrays for user in users))
        for number, attempts in counts.items():
            array, place = divmod(number, len(users))
            if array in failed:
                user = users[place]
                (user.arrays.get(array) or user.array(array)).attempts = attempts

    def _arrays_of(self, block: Placements) -> Sequence[int]:
        """Return the array of each attempt; what is no number has one that is negative, in all blocks the same."""
        if not block.other_arrays:
            return block.arrays
        known = self._other_arrays
        others = [known.setdefault(name, -1 - len(known)) for name in block.other_arrays]
        return [others[-1 - array] if array < 0 else array for array in block.arrays]

    def _conspicuous(self) -> set[str]:
        """Return the nodes that may be suspect: all that are, and a few others."""
        needed = math.log(number_of_tests(len(self._nodes))) - math.log(CHANCE) - _ROUNDING
        found = {
            node.name
            for node in self._nodes.values()
            if self._may_be_suspect(node, node.failed, "failed", needed)
            or self._may_be_suspect(node, node.quick, "quick", needed)
        }
        return found | self._node_failures.keys()

    def _may_be_suspect(self, node: _Node, seen: _Seen, kind: str, needed: float) -> bool:
        """Tell whether there may be so much evidence against a node: it is no more than what is added up here.

        Two things make it more than what `judged` finds: each user's and array's rate elsewhere is taken as if all
        their attempts had run elsewhere, and what a user can add is not limited. The evidence of a failure grows
        less and less with the odds against it, so that of the mean odds for all of them is no less than the sum.

        Args:
            node: The node.
            seen: Its failures of one kind.
            kind: The attribute that has those of a family.
            needed: As much accuses it.
        """
        here = seen.by_family()
        if not here:
            return False
        attempts = sum(ran.get(node, 0.0) for ran in self._ran.values())
        odds = self._odds_against(node, here, kind)
        failures = sum(here.values())
        mean = sum(map(mul, here.values(), odds)) / failures
        for eaten in EATEN:
            needed_here = needed - (attempts - failures) * math.log1p(-eaten)
            if failures * math.log1p(eaten * mean) > needed_here:
                logs = [math.log1p(eaten * against) for against in odds]
                if sum(map(mul, here.values(), logs)) > needed_here:
                    return True
        return False

    def _odds_against(self, node: _Node, here: Mapping[_Family, float], kind: str) -> list[float]:
        """Return for each family that failed on a node the odds against a failure."""
        total_of = attrgetter(kind)
        of_users: dict[_User, float] = {}
        of_partitions: dict[str, float] = {}
        for family, count in here.items():
            user = family.user
            of_users[user] = of_users.get(user, 0.0) + count
        for user, count in of_users.items():
            of_partitions[user.partition] = of_partitions.get(user.partition, 0.0) + count
        rates = {
            name: SHRINK
            * partition_rate(self._totals[name, kind] - count, self._attempts[name] - self._ran[name][node])
            for name, count in of_partitions.items()
        }
        user_rates: dict[_Family, float] = {
            user: SHRINK * (total_of(user) - count + rates[user.partition]) / (user.attempts + SHRINK)
            for user, count in of_users.items()
        }
        return [
            (
                SHRINK / user_rates[family]
                if family is family.user
                else (family.attempts + SHRINK) / (total - count + user_rates[family.user])
            )
            - 1
            for (family, count), total in zip(here.items(), map(total_of, here), strict=True)
        ]

    def _counted(self, nodes: Collection[str]) -> dict[str, dict[Group, Count]]:
        """Put together what ran on some nodes: by partition, user and array, each shared out among its nodes."""
        wanted = {self._nodes[name] for name in nodes if name in self._nodes}
        nodelists = {nodelist for nodelist, names in self._nodes_of.items() if not wanted.isdisjoint(names)}
        failed_arrays = set[int]().union(*(user.arrays for user in self._users.values()))
        texts = {array: self._text(array) for array in failed_arrays}
        counted: dict[str, dict[Group, Count]] = defaultdict(lambda: defaultdict(Count))
        for block in self._blocks if nodelists else ():
            results = chain.from_iterable(map(repeat, (QUICK, SLOW, WELL), map(sum, block.counts)))
            rows = zip(results, block.places(), self._arrays_of(block), block.nodelists, strict=True)
            for result, place, array, nodelist in compress(rows, map(nodelists.__contains__, block.nodelists)):
                group = (*block.families[place], texts.get(array, ""))
                names = self._nodes_of[nodelist]
                for node in names:
                    if node in wanted:
                        counted[node.name][group].add(1 / len(names), result)
        return counted

    def _text(self, array: int) -> str:
        return str(array) if array > 0 else list(self._other_arrays)[-1 - array]

    def _groups(self, counted: Mapping[str, Mapping[Group, Count]]) -> dict[Group, Count]:
        """Return what groups have on all nodes: partitions, users, and those arrays that were counted."""
        groups: dict[Group, Count] = {}
        for partition, attempts in self._attempts.items():
            groups[(partition,)] = Count(
                attempts, self._totals[partition, "failed"], self._totals[partition, "quick"]
            )
        for key, user in self._users.items():
            groups[key] = Count(user.attempts, user.failed, user.quick)
        texts = {group[-1] for here in counted.values() for group in here} - {""}
        for key, user in self._users.items():
            for number, array in user.arrays.items():
                if (text := self._text(number)) in texts:
                    groups[*key, text] = Count(array.attempts, array.failed, array.quick)
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
