"""Nodes whose failures cannot be chance. Pure arithmetic: no input or output.

What is to be expected on a node follows from whose attempts ran there: each has the failure rate that its array,
its user and its partition have on all other nodes, so one user's broken array on 200 nodes accuses none of them.
Against that stands a node that eats some share of whatever runs there: the ratio of the two likelihoods, over
several such shares, is the evidence. Attempts that fail anyway add nearly nothing to it. What a single user's
attempts can add is limited: a node is accused when several users see it fail. Attempts on many nodes are shared
out among them.

The same is asked of failures within a minute of the start (a black hole), and of the times that Slurm itself calls
the node failed. A good node has a ratio of r by chance at most once in r times; what is reported is corrected for
the number of nodes.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from slurmwatchd.model.placements import QUICK, WELL

QUICK_SECONDS = 60
"""A failure within a minute of the start is one of a black hole."""

CHANCE = 0.01
"""Of so many whole answers in which all nodes are good, one accuses a node."""

SHRINK = 5.0
"""So many attempts weigh as much as what is known of the larger group: a user's, or a partition's."""

_MOST_OF_A_USER = math.log(100)
"""The most that one user's attempts on a node can add to the evidence, as a logarithm."""

EATEN = (0.1, 0.25, 0.5, 0.9)
"""The shares that a bad node may eat of what would have gone well."""

_QUESTIONS = 2
"""The likelihoods, and Slurm's own word."""

_LEAST_LOG = -690.0
"""The logarithm of the least chance that is distinguished from none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A node, and what speaks against it.

    Attributes:
        chance: How likely it is that any good node looks as bad by chance; `score` is -log10 of it.
        attempts: That ran there, each shared out among its nodes.
        failures: Likewise; `expected` would be by what else ran.
        quick_failures: Those within a minute.
        node_failures: Times Slurm ended an attempt since this node failed.
        users: How many had a failure there.
    """

    node: str
    score: float
    chance: float
    attempts: float
    failures: float
    expected: float
    quick_failures: float
    node_failures: float
    users: int

    @property
    def is_suspect(self) -> bool:
        """Whether chance does not explain it."""
        return self.chance < CHANCE


class Count:
    """Attempts and two kinds of failures, added up."""

    __slots__ = ("attempts", "failures", "quick")

    def __init__(self, attempts: float = 0.0, failures: float = 0.0, quick: float = 0.0) -> None:
        """Begin with nothing, or with some."""
        self.attempts = attempts
        self.failures = failures
        self.quick = quick

    def add(self, attempts: float, result: int) -> None:
        """Add attempts of one result, see `placements.py`."""
        self.attempts += attempts
        if result != WELL:
            self.failures += attempts
        if result == QUICK:
            self.quick += attempts

    def merge(self, other: "Count") -> None:
        """Add what another one has."""
        self.attempts += other.attempts
        self.failures += other.failures
        self.quick += other.quick


class _OfUser:
    """What a user's attempts on a node came to, arrays apart.

    Where nothing failed, the rate does not matter: those attempts are added up. Most are such.
    """

    __slots__ = ("clean", "clean_soon", "failed", "failed_soon")

    def __init__(self) -> None:
        self.clean = self.clean_soon = 0.0
        self.failed: list[tuple[float, float, float]] = []
        self.failed_soon: list[tuple[float, float, float]] = []

    def add(self, count: Count, rate: float, rate_soon: float) -> None:
        """Add those of an array, with the rates of failures to be expected, at all and within a minute."""
        if count.failures:
            self.failed.append((count.attempts, count.failures, rate))
        else:
            self.clean += count.attempts
        if count.quick:
            self.failed_soon.append((count.attempts, count.quick, rate_soon))
        else:
            self.clean_soon += count.attempts


Group = tuple[str, ...]
"""A partition; a partition and a user; or these and the number of an array, empty for plain jobs."""


def number_of_tests(nodes: int) -> int:
    """Return how many questions are put to so many nodes together."""
    return _QUESTIONS * max(1, nodes)


def judged(
    node: str,
    counted: Mapping[Group, Count],
    groups: Mapping[Group, Count],
    failed: float,
    due: float,
    tests: int,
) -> Suspect:
    """Put the questions to one node.

    Args:
        node: Its name.
        counted: What ran there, by partition, user and array.
        groups: The same of all nodes, and of the groups that these are part of.
        failed: How often Slurm says that it failed.
        due: How often it would have by its share of the attempts, were there one more everywhere.
        tests: How many questions are put to all nodes together.
    """
    here: dict[Group, Count] = defaultdict(Count)
    for family, count in counted.items():
        for depth in range(1, len(family) + 1):
            here[family[:depth]].merge(count)
    expected = 0.0
    users: dict[str, _OfUser] = defaultdict(_OfUser)
    for family, count in counted.items():
        rate, rate_soon = _rates(family, here, groups)
        expected += count.attempts * rate
        users[family[1]].add(count, rate, rate_soon)
    evidence = _evidence(list(users.values()))
    unlikely = min(-evidence, math.log(poisson_tail(failed, due))) + math.log(tests)
    chance = math.exp(max(_LEAST_LOG, min(0.0, unlikely)))
    return Suspect(
        node=node,
        score=-math.log10(chance) + 0.0,
        chance=chance,
        attempts=sum(count.attempts for count in counted.values()),
        failures=sum(count.failures for count in counted.values()),
        expected=expected,
        quick_failures=sum(count.quick for count in counted.values()),
        node_failures=failed,
        users=sum(bool(seen.failed) for seen in users.values()),
    )


def _evidence(users: Sequence[_OfUser]) -> float:
    """Return the logarithm of how much likelier it is that a node eats attempts than that it is good.

    Args:
        users: What each user's attempts on the node came to.
    """
    logs = []
    for eaten in EATEN:
        went_well = math.log1p(-eaten)
        for_all = soon = 0.0
        for seen in users:
            for_all += min(
                _MOST_OF_A_USER, sum(_ratio(*args, eaten) for args in seen.failed) + seen.clean * went_well
            )
            soon += min(
                _MOST_OF_A_USER,
                sum(_ratio(*args, eaten) for args in seen.failed_soon) + seen.clean_soon * went_well,
            )
        logs += [for_all, soon]
    most = max(logs)
    return most + math.log(sum(math.exp(log - most) for log in logs) / len(logs))


def _ratio(attempts: float, failures: float, rate: float, eaten: float) -> float:
    """Return the logarithm of the ratio of the likelihoods: a share eaten besides the rate, to the rate alone."""
    return failures * math.log((rate + (1 - rate) * eaten) / rate) + (attempts - failures) * math.log1p(-eaten)


def partition_rate(failures: float, attempts: float) -> float:
    """Return how often attempts fail of which so many did; half a failure more, so that no rate is zero."""
    return (max(0.0, failures) + 0.5) / (max(0.0, attempts) + 1)


def _rates(family: Group, here: Mapping[Group, Count], groups: Mapping[Group, Count]) -> tuple[float, float]:
    """Return how often attempts of a family fail on all other nodes, and fail within a minute.

    From the partition to the user to the array: where few are known, the larger group says more.
    """
    rate = quick = 0.0
    for depth in range(1, len(family) + 1):
        group = family[:depth]
        if depth == len(family) and not family[-1]:
            # Plain jobs have nothing in common but their user.
            break
        everywhere, mine = groups[group], here[group]
        attempts = max(0.0, everywhere.attempts - mine.attempts)
        failures = max(0.0, everywhere.failures - mine.failures)
        failures_soon = max(0.0, everywhere.quick - mine.quick)
        if depth == 1:
            rate, quick = partition_rate(failures, attempts), partition_rate(failures_soon, attempts)
        else:
            rate = (failures + SHRINK * rate) / (attempts + SHRINK)
            quick = (failures_soon + SHRINK * quick) / (attempts + SHRINK)
    return min(1.0, rate), min(1.0, quick)


def poisson_tail(seen: float, expected: float) -> float:
    """Return how likely it is to see so many or more where so many are expected; neither need be whole.

    That is the regularised lower incomplete gamma function of (seen, expected), by its series or, where that would
    converge slowly, by the continued fraction of the upper one.
    """
    if seen <= expected or expected <= 0:
        # Nothing to explain; or nothing is known to expect, which is no ground to accuse.
        return 1.0
    # The series converges for what is above its expectation, which is all that is of interest.
    term = total = 1 / seen
    place = seen
    while term > total * 1e-12:
        place += 1
        term *= expected / place
        total += term
    return min(1.0, total * math.exp(seen * math.log(expected) - expected - math.lgamma(seen)))
