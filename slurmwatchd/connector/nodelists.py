"""Node lists for scripts: sets of names from compact lists and back, without an event loop.

Scontrol says what a list means at this site, many lists to a process; where there is none, ClusterShell does.
"""

import re
from collections.abc import Iterable, Sequence

from slurmwatchd.connector import programs
from slurmwatchd.connector.blocking_runner import run_blocking
from slurmwatchd.errors import NodelistError, ScontrolError, SlurmNotFoundError
from slurmwatchd.sources.nodelists import fold, names_itself, with_clustershell
from slurmwatchd.sources.scontrol import Scontrol

NO_NODES = "None assigned"
"""Slurm's words where no node was ever assigned."""

_NOTHING = frozenset({"", NO_NODES, "(unknown)", "(null)"})
_PARTS = re.compile(r"(\d+)")


def expand_nodelist(node_string: str) -> set[str]:
    """Return the names in a compact node list.

    Args:
        node_string: Such as `nid0[5032-5159]`. What Slurm prints where there are no nodes (`None assigned`,
            `(unknown)`, nothing at all) is the empty set.

    Raises:
        NodelistError: It is no node list.
    """
    nodes = expand_all([node_string])[node_string]
    if isinstance(nodes, NodelistError):
        raise nodes
    return nodes


def compact_nodelist(node_string: str | Iterable[str]) -> str:
    """Return the shortest list Slurm has for some nodes: the reverse of `expand_nodelist`.

    Args:
        node_string: A node list, compact or with commas, or any iterable of names or node lists. Order and
            repeats do not matter.

    Returns:
        Such as `nid0[5032-5159]`; nothing for no nodes.

    Raises:
        NodelistError: One of them is no node list.
    """
    texts = [node_string] if isinstance(node_string, str) else [text.strip() for text in node_string]
    nodes: set[str] = set()
    for result in expand_all(texts).values():
        if isinstance(result, NodelistError):
            raise result
        nodes |= result
    return compact_all([frozenset(nodes)])[0]


def expand_all(node_strings: Iterable[str]) -> dict[str, set[str] | NodelistError]:
    """Expand many lists with as few processes as possible; one that is none costs only itself."""
    result: dict[str, set[str] | NodelistError] = {}
    asked: list[str] = []
    for text in dict.fromkeys(node_strings):
        if text.strip() in _NOTHING:
            result[text] = set()
        elif names_itself(text):
            result[text] = {text}
        else:
            asked.append(text)
    scontrol = _scontrol()
    for batch in scontrol.batches(asked):
        try:
            answer = run_blocking(scontrol.expand(batch))
        except (SlurmNotFoundError, ScontrolError):
            answer = with_clustershell(batch)
        for text, nodes in answer.items():
            result[text] = nodes if isinstance(nodes, NodelistError) else set(nodes)
    return result


def compact_all(node_sets: Sequence[frozenset[str]]) -> list[str]:
    """Return the compact list of each set, with as few processes as possible."""
    texts = {nodes: ",".join(sorted(nodes, key=_naturally)) for nodes in node_sets}
    asked = [text for nodes, text in texts.items() if len(nodes) > 1]
    compact: dict[str, str] = {}
    scontrol = _scontrol()
    for batch in scontrol.batches(asked):
        try:
            compact.update(run_blocking(scontrol.compact_each(batch)))
        except (SlurmNotFoundError, ScontrolError):
            compact.update((text, fold(text)) for text in batch)
    return [compact.get(texts[nodes], texts[nodes]) for nodes in node_sets]


def _scontrol() -> Scontrol:
    return Scontrol(programs.commands())


def _naturally(name: str) -> list[tuple[int, int, str]]:
    """Sort `n9` before `n10`, and `n09` apart from `n9`: scontrol joins only neighbours."""
    return [
        (len(part), int(part), part) if place % 2 else (0, 0, part)
        for place, part in enumerate(_PARTS.split(name))
    ]
