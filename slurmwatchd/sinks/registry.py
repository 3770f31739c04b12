"""Which kinds of sinks there are: ours, and those of installed packages."""

from functools import cache
from importlib.metadata import entry_points

from slurmwatchd.sinks.base import SinkKind

GROUP = "slurmwatchd.sinks"


@cache
def sink_kinds() -> dict[str, SinkKind]:
    """Return name to kind of every installed sink; an entry point that cannot be loaded raises its own error."""
    return {entry.name: entry.load() for entry in entry_points(group=GROUP)}
