"""slurmwatchd detects every finished Slurm job and delivers it exactly once.

The daemon is run from the command line (`slurmwatchd run`). For scripts and notebooks there are the connector
(`Slurm`, `jobs_running_between`, `expand_nodelist`, `open_store` ...) and the values that events are made of.
All of it is loaded when it is first used.
"""

from slurmwatchd._version import __version__

# Not from typing: a script that asks for one public name pays for no other.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from slurmwatchd.connector import (
        AsyncStore,
        Order,
        Question,
        Slurm,
        SlurmEncoder,
        Store,
        Totals,
        compact_nodelist,
        expand_nodelist,
        jobs_running_between,
        parse_sacct,
    )
    from slurmwatchd.connector import open as open_store
    from slurmwatchd.connector import open_async as open_store_async
    from slurmwatchd.errors import NodelistError, SacctError, SlurmNotFoundError, SlurmwatchError, StoreError
    from slurmwatchd.model.records import Event, EventKind, JobRecord, JobUsage

__all__ = [
    "AsyncStore",
    "Event",
    "EventKind",
    "JobRecord",
    "JobUsage",
    "NodelistError",
    "Order",
    "Question",
    "SacctError",
    "Slurm",
    "SlurmEncoder",
    "SlurmNotFoundError",
    "SlurmwatchError",
    "Store",
    "StoreError",
    "Totals",
    "__version__",
    "compact_nodelist",
    "expand_nodelist",
    "jobs_running_between",
    "open_store",
    "open_store_async",
    "parse_sacct",
]

_MODULES = {
    "slurmwatchd.connector": (
        "AsyncStore",
        "Order",
        "Question",
        "Slurm",
        "SlurmEncoder",
        "Store",
        "Totals",
        "compact_nodelist",
        "expand_nodelist",
        "jobs_running_between",
        "parse_sacct",
    ),
    "slurmwatchd.errors": ("NodelistError", "SacctError", "SlurmNotFoundError", "SlurmwatchError", "StoreError"),
    "slurmwatchd.model.records": ("Event", "EventKind", "JobRecord", "JobUsage"),
}
_WHERE = {name: (module, name) for module, names in _MODULES.items() for name in names} | {
    "open_store": ("slurmwatchd.connector", "open"),
    "open_store_async": ("slurmwatchd.connector", "open_async"),
}


def __getattr__(name: str) -> "Any":  # noqa: ANN401 - any public name
    """Load a public name when it is first asked for."""
    from importlib import import_module  # noqa: PLC0415 - the same

    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _WHERE[name]
    value = globals()[name] = getattr(import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    """List what there is, loaded or not."""
    return sorted(__all__)
