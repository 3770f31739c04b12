"""The search for suspect nodes as it is easiest to follow: each attempt by itself, no columns, nothing left out.

Slow, and the truth that the package's own search is held to: it shares `judged` with that, and nothing else.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import orjson

from slurmwatchd.model.placements import QUICK, SLOW, WELL, Placements
from slurmwatchd.model.suspect_search import NodeFailure, Span
from slurmwatchd.model.suspects import Count, Group, Suspect, judged, number_of_tests
from slurmwatchd.store.read.reader import StoreReader

FAILED = ("failed", "out_of_memory", "time_limit", "deadline", "boot_failure")
QUICK_SECONDS = 60


class Counted(NamedTuple):
    """Attempts alike in where they ran and whose they are.

    Attributes:
        array: The array's number; an empty text for plain jobs.
        quick: How many of the failures came within a minute.
        node_failures: How many attempts Slurm ended because a node failed; those are no `failures`.
    """

    nodes: Sequence[str]
    partition: str
    user: str
    array: str
    attempts: int
    failures: int
    quick: int
    node_failures: int = 0
    failed_node: str | None = None


def ranked(rows: Sequence[Counted]) -> list[Suspect]:
    """Return the nodes on which anything failed, those that chance explains least first."""
    failed_arrays = {row.array for row in rows if row.failures}
    everywhere: dict[Group, Count] = defaultdict(Count)
    here: dict[str, dict[Group, Count]] = defaultdict(lambda: defaultdict(Count))
    node_failures: dict[str, float] = defaultdict(float)
    for row in rows:
        if row.node_failures:
            accused = [row.failed_node] if row.failed_node else row.nodes
            for node in accused:
                node_failures[node] += row.node_failures / len(accused)
        if not row.attempts or not row.nodes:
            continue
        group = (row.partition, row.user, row.array if row.array in failed_arrays else "")
        for depth in (1, 2, 3):
            _add(everywhere[group[:depth]], row, 1.0)
        for node in row.nodes:
            _add(here[node][group], row, 1 / len(row.nodes))
    tests = number_of_tests(len(here))
    whole = sum(count.attempts for group, count in everywhere.items() if len(group) == 1)
    found = []
    for node in {*here, *node_failures}:
        share = sum(count.attempts for count in here[node].values()) / whole if whole else 0.0
        others = sum(node_failures.values()) - node_failures[node]
        suspect = judged(node, here[node], everywhere, node_failures[node], others * share + share, tests)
        if suspect.failures or suspect.node_failures:
            found.append(suspect)
    return sorted(found, key=lambda suspect: (suspect.chance, -suspect.failures, suspect.node))


def _add(count: Count, row: Counted, weight: float) -> None:
    count.attempts += weight * row.attempts
    count.failures += weight * row.failures
    count.quick += weight * row.quick


def of_store(store: StoreReader, cluster: str, since: int, until: int) -> list[Counted]:
    """Return the attempts of a span, each by itself."""
    sql = (
        "SELECT job_id, coalesce(\"partition\", ''), coalesce(\"user\", ''), start, "
        '"end", outcome, nodes, jobs.id '
        'FROM jobs JOIN nodelists ON nodelists.id = nodelist WHERE cluster = ? AND "end" BETWEEN ? AND ?'
    )
    found = []
    for job_id, partition, user, start, end, outcome, text, job in map(
        tuple, store.rows(sql, (cluster, since, until))
    ):
        nodes = orjson.loads(text or "[]")
        if outcome == "node_failure":
            failed = [record.get("failed_node") for record in store.fetch([job])]
            found += [Counted(nodes, partition, user, "", 0, 0, 0, 1, node) for node in failed if nodes]
        elif start is not None and nodes:
            array, mark, _ = job_id.partition("_")
            has_failed = outcome in FAILED
            quick = has_failed and end - start < QUICK_SECONDS
            found.append(Counted(nodes, partition, user, array if mark else "", 1, has_failed, quick))
    return found


def span_of(rows: Iterable[Counted], block: int = 1000) -> Span:
    """Return the same attempts as the package's search takes them."""
    names: dict[tuple[str, ...], int] = {}
    attempts: list[tuple[int, str, str, str, int]] = []
    lost: list[NodeFailure] = []
    for row in rows:
        nodelist = names.setdefault(tuple(row.nodes), len(names) + 1)
        counts = {QUICK: row.quick, SLOW: row.failures - row.quick, WELL: row.attempts - row.failures}
        for result, count in counts.items():
            attempts += [(result, row.partition, row.user, row.array, nodelist)] * count
        lost += [NodeFailure(row.nodes, row.failed_node)] * row.node_failures
    blocks = [Placements.of(attempts[begin : begin + block]) for begin in range(0, len(attempts), block)]
    known = {nodelist: nodes for nodes, nodelist in names.items() if nodes}
    return Span(blocks, lambda wanted: ((one, known[one]) for one in wanted if one in known), lost)
