"""Which kinds of sinks there are: ours, and those of installed packages. Each is imported when it is used.

To ask which packages are installed takes longer than most commands take for all else, so it is only asked for a
kind that is none of ours, or for all.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Generic, TypeVar

from pydantic import BaseModel

from slurmwatchd.sinks.base import SinkKind

GROUP = "slurmwatchd.sinks"

OURS = {
    "http": "slurmwatchd.sinks.webhook",
    "jsonl": "slurmwatchd.sinks.jsonl",
    "kafka": "slurmwatchd.sinks.kafka",
    "nats": "slurmwatchd.sinks.nats",
    "prometheus": "slurmwatchd.sinks.prometheus",
    "terminal": "slurmwatchd.sinks.terminal",
}
"""Name to module; the same stand in pyproject.toml, where other programs look for them."""

T = TypeVar("T")


class _OnDemand(Mapping[str, T], Generic[T]):
    """Something of each kind, loaded when it is asked for."""

    def __init__(self, of: Callable[[SinkKind], T]) -> None:
        self._of = of

    def __getitem__(self, name: str) -> T:
        return self._of(_kind(name))

    def __contains__(self, name: object) -> bool:
        return name in OURS or name in _entries()

    def __iter__(self) -> Iterator[str]:
        return iter(OURS.keys() | _entries().keys())

    def __len__(self) -> int:
        return len(OURS.keys() | _entries().keys())


def sink_kinds() -> Mapping[str, SinkKind]:
    """Return name to kind of every installed sink; an entry point that cannot be loaded raises its own error."""
    return _OnDemand(lambda kind: kind)


def sink_options() -> Mapping[str, type[BaseModel]]:
    """Return name to the options of a sink of that kind, of every installed sink; as `sink_kinds`."""
    return _OnDemand(lambda kind: kind.options)


@cache
def _kind(name: str) -> SinkKind:
    kind: SinkKind = import_module(OURS[name]).KIND if name in OURS else _entries()[name]()
    return kind


@cache
def _entries() -> Mapping[str, Callable[[], SinkKind]]:
    """Return name to what loads a kind, for those that installed packages name."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - see above

    return {entry.name: entry.load for entry in entry_points(group=GROUP)}
