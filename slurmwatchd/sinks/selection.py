"""Which events a sink is given: by what they report, and by the attempt they are about.

A sink's cursor moves over what is not for it as over all else. `verify` asks the same question of the same events,
so an event that was left out on purpose is never taken for a lost one.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from fnmatch import translate
from operator import attrgetter
from typing import Any

import anyio.to_thread
import orjson

from slurmwatchd.model.outcomes import outcome_of
from slurmwatchd.model.records import Event, EventKind, FoundBy

MAX_HOSTS = 65_536
"""How many hosts a node list in the configuration may name: Slurm's own limit on a range."""

_EQUAL = {"clusters": "cluster", "partitions": "partition", "accounts": "account", "users": "user"}
"""Setting to the field whose value must match one of its patterns."""

_LEAST = {"min_nodes": "node_count", "min_cpus": "cpus", "min_elapsed": "elapsed_seconds"}
"""Setting to the field that must be at least as much."""

_ORIGIN = attrgetter("kind", "found_by")

Settings = Mapping[str, Any]
"""What was asked for, by the names of the options; what has its default is left out."""


class Selection:
    """What one sink is given."""

    def __init__(self, settings: Settings) -> None:
        """Take settings as `SinkOptions.selection` gives them, or as the store kept them."""
        self.settings = dict(settings)
        self._kinds = frozenset(EventKind(kind) for kind in settings.get("events", EventKind))
        self._wants_backfill = bool(settings.get("backfill", True))
        self._equal = [(field, _matching(settings[name])) for name, field in _EQUAL.items() if settings.get(name)]
        self._states = frozenset(state.upper() for state in settings.get("states", ()))
        self._outcomes = frozenset(settings.get("outcomes", ()))
        self._least = [(field, settings[name]) for name, field in _LEAST.items() if settings.get(name)]
        self._has_node = _named_nodes(settings["nodes"]) if settings.get("nodes") else None

    @property
    def is_everything(self) -> bool:
        """Whether no event is left out."""
        return not self.settings

    @property
    def _reads_records(self) -> bool:
        return bool(self._equal or self._states or self._outcomes or self._least or self._has_node)

    async def among(self, events: Sequence[Event]) -> Sequence[Event]:
        """Return those of some events that the sink is given, in their order: all of them as they are."""
        if self.is_everything:
            return events
        if not self._reads_records:
            if all(map(self._takes_kind, set(map(_ORIGIN, events)))):
                # What one reading brought is of one kind.
                return events
            return [event for event in events if self._takes_kind(_ORIGIN(event))]
        return await anyio.to_thread.run_sync(lambda: [event for event in events if self.takes(event)])

    def takes(self, event: Event) -> bool:
        """Return whether the sink is given an event.

        A `job_revised` is given where the attempt fits now or did before: a receiver that has an attempt learns
        that it is another one by now. What cannot be known, such as the nodes of a list that could not be
        expanded, leaves nothing out.
        """
        if not self._takes_kind(_ORIGIN(event)):
            return False
        if not self._reads_records:
            return True
        record: dict[str, Any] = orjson.loads(event.body)
        nodes = _nodes_of(event, record)
        if self._fits(record, nodes):
            return True
        if event.changed is None:
            return False
        changed: dict[str, list[Any]] = orjson.loads(event.changed)
        before = record | {name: pair[0] for name, pair in changed.items()}
        before.pop("outcome", None)
        return self._fits(before, None if "node_list" in changed else nodes)

    def _takes_kind(self, origin: tuple[EventKind, FoundBy]) -> bool:
        kind, found_by = origin
        return kind in self._kinds and (found_by is not FoundBy.BACKFILL or self._wants_backfill)

    def _fits(self, record: Mapping[str, Any], nodes: Collection[str] | None) -> bool:
        if self._states and record.get("state") not in self._states:
            return False
        if self._outcomes and (record.get("outcome") or outcome_of(record)) not in self._outcomes:
            return False
        # A job that was sent to several partitions and never ran has all their names.
        if not all(any(map(match, (record.get(field) or "").split(","))) for field, match in self._equal):
            return False
        if any((record.get(field) or 0) < least for field, least in self._least):
            return False
        return self._has_node is None or nodes is None or any(map(self._has_node, nodes))


EVERYTHING = Selection({})
"""Nothing is left out."""


def check_nodes(texts: Sequence[str]) -> None:
    """Look whether node lists in the configuration can be read.

    Raises:
        ValueError: One cannot, or names too many nodes.
    """
    _named_nodes(texts)


def _matching(patterns: Sequence[str]) -> Callable[[str], Any]:
    """Return a test of whether a text is as one of some patterns says, as in a shell."""
    return re.compile("|".join(map(translate, patterns))).match


def _named_nodes(texts: Sequence[str]) -> Callable[[str], Any]:
    """Return a test of whether a node is meant: by node lists as Slurm writes them, or by patterns with `*`."""
    patterns = [text for text in texts if "*" in text or "?" in text]
    if mixed := [text for text in patterns if "[" in text]:
        raise ValueError(f"{mixed[0]!r}: write a node list such as gpu[01-16] or a pattern such as gpu*, not both")
    names = _expanded([text for text in texts if text not in patterns])
    match = _matching(patterns) if patterns else None
    return lambda node: node in names or (match is not None and match(node) is not None)


def _expanded(texts: Sequence[str]) -> frozenset[str]:
    if not texts:
        return frozenset()
    # It takes a while to import, and few sinks are for some nodes only.
    from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet, NodeSetException  # noqa: PLC0415

    found: set[str] = set()
    for text in texts:
        try:
            nodes = NodeSet(text, resolver=RESOLVER_NOGROUP, autostep=None)
        except NodeSetException as error:
            raise ValueError(f"{text!r} is no node list: {error}") from None
        if len(nodes) > MAX_HOSTS:
            raise ValueError(f"{text!r} names more than {MAX_HOSTS:,} nodes")
        found.update(nodes)
    return frozenset(found)


def _nodes_of(event: Event, record: Mapping[str, Any]) -> Collection[str] | None:
    """Return the names of an event's nodes; None where it has some and no one knows which."""
    if event.nodes is not None:
        names: list[str] = orjson.loads(event.nodes)
        return names
    return None if record.get("node_list") else ()
