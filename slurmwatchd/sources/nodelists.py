"""Which nodes a node list names: known ones cost nothing, the rest go to scontrol, many at a time.

Where scontrol cannot, ClusterShell knows the grammar. Known lists are the store's business; this module is given
only the others.

How many nodes Slurm says a job had is held against what was expanded. A number that is wrong proves nothing by
itself: a job that shrank has fewer nodes than its list. But where ClusterShell reads the list and comes to the
right number, scontrol's answer was not this list's, and ClusterShell's is taken. Else scontrol's word stands.
"""

import math
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import anyio
import anyio.to_thread

from slurmwatchd.errors import NodelistError, ScontrolError, SlurmNotFoundError

MAX_PROCESSES = 4

SLOW_SECONDS = 10.0
"""A scontrol that fails after so long hangs: it waits for a slurmctld that does not answer."""

PAUSE_SECONDS = 300.0
"""For so long no one waits for one that hangs again."""

_ONE_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
"""A list without brackets and commas names itself; nothing needs to be asked."""

MAX_HOSTS = 65536
"""How many hosts a list may name when ClusterShell expands it: Slurm's own limit on a range (MAX_RANGE)."""

_RANGE = r"\d{1,9}(?:-\d{1,9})?"
_BRACKETS = re.compile(r"\[([^]]*)\]")
_PART = re.compile(rf"(?!-)(?:[A-Za-z0-9_.-]|\[{_RANGE}(?:,{_RANGE})*\])+")
_OUTER_COMMA = re.compile(r",(?![^\[]*\])")

Nodes = tuple[str, ...]


class ExpandsBatches(Protocol):
    """What the expander asks: `sources.scontrol.Scontrol`, or a test's own."""

    def batches(self, nodelists: Sequence[str]) -> list[list[str]]:
        """Cut many lists into batches of a size that one call of `expand` takes."""
        ...

    async def expand(self, nodelists: Sequence[str]) -> dict[str, Nodes | NodelistError]:
        """Expand one batch; a list that is none costs only itself."""
        ...


@dataclass(frozen=True, slots=True)
class Expanded:
    """What came of some node lists.

    Attributes:
        nodes: The nodes of each list, in Slurm's order.
        failed: Why the others have none.
        fallbacks: In how many batches ClusterShell's word was taken: for all of the batch because scontrol could
            not expand it, or for the lists whose nodes it miscounted.
    """

    nodes: Mapping[str, Nodes]
    failed: Mapping[str, NodelistError]
    fallbacks: int = 0


class Expander:
    """Expands node lists, several processes at once."""

    def __init__(
        self,
        scontrol: ExpandsBatches,
        *,
        max_processes: int = MAX_PROCESSES,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is run."""
        self._scontrol = scontrol
        self._limiter = anyio.CapacityLimiter(max_processes)
        self._monotonic = monotonic
        self._paused_until = -math.inf

    async def expand(
        self, nodelists: Iterable[str], counts: Mapping[str, int | None] = MappingProxyType({})
    ) -> Expanded:
        """Expand distinct lists; a scontrol that is missing, hangs or fails holds nothing up.

        Args:
            nodelists: Which.
            counts: How many nodes each is said to name, where that is known.
        """
        nodes: dict[str, Nodes] = {}
        failed: dict[str, NodelistError] = {}
        fallbacks = 0
        asked = []
        for text in nodelists:
            if names_itself(text):
                nodes[text] = (text,)
            else:
                asked.append(text)

        async def one(batch: list[str]) -> None:
            nonlocal fallbacks
            async with self._limiter:
                answer = await self._ask(batch)
                if answer is None:
                    fallbacks += 1
                    answer = await anyio.to_thread.run_sync(with_clustershell, batch)
                elif corrected := await anyio.to_thread.run_sync(_second_opinion, answer, counts):
                    fallbacks += 1
                    answer |= corrected
            for text, result in answer.items():
                if isinstance(result, NodelistError):
                    failed[text] = result
                else:
                    nodes[text] = result

        async with anyio.create_task_group() as group:
            for batch in self._scontrol.batches(asked):
                group.start_soon(one, batch)
        return Expanded(nodes, failed, fallbacks)

    async def _ask(self, batch: Sequence[str]) -> dict[str, Nodes | NodelistError] | None:
        """Have scontrol expand a batch; None where it cannot be run, fails, or hung not long ago."""
        began = self._monotonic()
        if began < self._paused_until:
            return None
        try:
            return await self._scontrol.expand(batch)
        except (SlurmNotFoundError, ScontrolError):
            now = self._monotonic()
            if now - began >= SLOW_SECONDS:
                self._paused_until = now + PAUSE_SECONDS
            return None


def _second_opinion(
    answer: Mapping[str, Nodes | NodelistError], counts: Mapping[str, int | None]
) -> dict[str, Nodes | NodelistError]:
    """Return ClusterShell's word on the lists whose nodes it counts right, and scontrol did not."""
    doubtful = [
        text
        for text, nodes in answer.items()
        if not isinstance(nodes, NodelistError) and counts.get(text) not in (None, len(nodes))
    ]
    return {
        text: nodes
        for text, nodes in (with_clustershell(doubtful) if doubtful else {}).items()
        if not isinstance(nodes, NodelistError) and len(nodes) == counts[text]
    }


def names_itself(text: str) -> bool:
    """Return whether a list is a single host's name, so that nothing needs to be asked."""
    return _ONE_HOST.fullmatch(text) is not None


def fold(text: str) -> str:
    """Return the compact list of hosts with commas between them, where there is no scontrol to ask.

    Raises:
        NodelistError: They are no hosts.
    """
    from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet, NodeSetException  # noqa: PLC0415 - as below

    try:
        return str(NodeSet(text, resolver=RESOLVER_NOGROUP, autostep=None))
    except NodeSetException as error:
        raise NodelistError(text, str(error)) from error


def with_clustershell(batch: Iterable[str]) -> dict[str, Nodes | NodelistError]:
    """Expand lists where there is no scontrol to ask; one that is none costs only itself."""
    # Rarely needed, and not quick to import.
    from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet, NodeSetException  # noqa: PLC0415

    result: dict[str, Nodes | NodelistError] = {}
    for text in batch:
        counts = [_count(part) for part in _OUTER_COMMA.split(text)]
        if 0 in counts or sum(counts) > MAX_HOSTS:
            result[text] = NodelistError(text, "is not a node list")
            continue
        try:
            # No group resolver: `@` in a name must not make ClusterShell read its configuration or run programs.
            result[text] = tuple(NodeSet(text, resolver=RESOLVER_NOGROUP, autostep=None))
        except NodeSetException as error:
            result[text] = NodelistError(text, str(error))
    return result


def _count(part: str) -> int:
    """Return how many hosts a part of a list names; 0 where Slurm would not take it.

    ClusterShell has operators and groups, and expands ranges of any size.
    """
    if not _PART.fullmatch(part):
        return 0
    hosts = 1
    for ranges in _BRACKETS.findall(part):
        widths = [_width(span) for span in ranges.split(",")]
        hosts *= sum(widths) if min(widths) > 0 else 0
    return hosts


def _width(span: str) -> int:
    first, _, last = span.partition("-")
    return int(last) - int(first) + 1 if last else 1


def compact(nodes: Iterable[str]) -> str:
    """Return one node list for some nodes, as ClusterShell folds them: sorted, each once.

    Raises:
        NodelistError: One is no node name.
    """
    from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet, NodeSetException  # noqa: PLC0415

    folded = NodeSet(resolver=RESOLVER_NOGROUP)
    for node in nodes:
        if not _ONE_HOST.fullmatch(node):
            raise NodelistError(node, "is not a node")
        try:
            folded.add(node)
        except NodeSetException as error:
            raise NodelistError(node, str(error)) from error
    return str(folded)
