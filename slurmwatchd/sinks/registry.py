"""Which kinds of sinks there are: ours, and those of installed packages. Each is imported when it is used.

To ask which packages are installed takes longer than most commands take for all else, so it is only asked for a
kind that is none of ours, or for all.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import BaseModel

from slurmwatchd.config.settings import Config
from slurmwatchd.errors import ConfigError
from slurmwatchd.sinks.base import Sink, SinkKind, SinkOptions
from slurmwatchd.telemetry.log import get_logger
from slurmwatchd.telemetry.metrics import Metrics

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

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_log = get_logger(__name__)


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
    """Return name to kind of every installed sink; one that is broken raises ConfigError when used."""
    return _OnDemand(lambda kind: kind)


def sink_options() -> Mapping[str, type[BaseModel]]:
    """Return name to the options of a sink of that kind, of every installed sink; as `sink_kinds`."""
    return _OnDemand(lambda kind: kind.options)


def sinks_of(config: Config) -> dict[str, SinkOptions]:
    """Return the sinks' options as what they are."""
    return {name: options for name, options in config.sinks.items() if isinstance(options, SinkOptions)}


def make_sinks(config: Config, metrics: Metrics) -> dict[str, Sink]:
    """Make the configured sinks, which does no I/O.

    Raises:
        ConfigError: A sink cannot be made.
    """
    return {name: make_sink(name, options, metrics) for name, options in sinks_of(config).items()}


def make_sink(name: str, options: SinkOptions, metrics: Metrics) -> Sink:
    """Make one sink; as `make_sinks`."""
    try:
        return sink_kinds()[options.type].make(name, options, metrics)
    except Exception as error:
        # Its author needs the traceback, which the log has at level debug.
        _log.debug("sink cannot be made", sink=name, exc_info=error)
        fault = f"sinks.{name}: this sink of type {options.type!r} cannot be made: {_reason(error)}"
        raise ConfigError([fault]) from error


@cache
def _kind(name: str) -> SinkKind:
    if name in OURS:
        ours: SinkKind = import_module(OURS[name]).KIND
        return ours
    entry = _entries()[name]
    where = f"{name} ({entry.value}) cannot be loaded"
    try:
        kind = entry.load()
    except Exception as error:
        _log.debug("sink cannot be loaded", type=name, exc_info=error)
        raise ConfigError([f"{where}: {_reason(error)}"]) from error
    if not isinstance(kind, SinkKind):
        raise ConfigError([f"{where}: it is an object of type {type(kind).__name__}, not a SinkKind"])
    if not (isinstance(kind.options, type) and issubclass(kind.options, SinkOptions)):
        raise ConfigError([f"{where}: its options, {kind.options!r}, are no subclass of SinkOptions"])
    return kind


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


@cache
def _entries() -> Mapping[str, "EntryPoint"]:
    """Return name to entry point, for those that installed packages name."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - see above

    return {entry.name: entry for entry in entry_points(group=GROUP)}
