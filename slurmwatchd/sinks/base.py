"""The contract between delivery and a sink. A new sink is one file beside this one and one entry point.

Delivery gives a sink events in the order of `seq`, one batch at a time, and moves the sink's cursor once
`write` has returned. If anything dies in between, the same events come again: a sink that can recognise them
(a file can, a broker that dedupes on the id can) makes exactly-once of it.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from slurmwatchd.model.records import Event
from slurmwatchd.sinks.jsonl_files import Line
from slurmwatchd.telemetry.metrics import Metrics


class SinkOptions(BaseModel):
    """What every sink can be told; a sink's own options are added by a subclass."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    default_backfill: ClassVar[bool] = True

    type: str
    """The kind of sink."""
    backfill: bool | None = None
    """Whether the sink receives events that a backfill found."""

    @property
    def wants_backfill(self) -> bool:
        """Whether events found by a backfill are for this sink."""
        return self.default_backfill if self.backfill is None else self.backfill

    def files(self) -> tuple[str, ...]:
        """Return the files that are this sink's alone: two sinks on one are a mistake in the configuration."""
        return ()


class Sink(Protocol):
    """A receiver of events."""

    async def open(self, state: Mapping[str, bytes]) -> None:
        """Get ready.

        Args:
            state: What earlier `write` calls gave to be kept, as it stood when the cursor last moved.

        Raises:
            SinkError: Not possible now; tried again later.
        """
        ...

    async def write(self, events: Sequence[Event]) -> Mapping[str, bytes]:
        """Take events; they are safe with the receiver when this returns.

        After an error, and after a crash, the same events come again, perhaps with others behind them.

        Args:
            events: At least one, in order.

        Returns:
            What is to be remembered, in the same transaction in which the cursor moves: key to value, only
            what changed.

        Raises:
            SinkError: Not all of them are safe; tried again later.
        """
        ...

    def committed(self) -> None:
        """Learn that the cursor has moved past the events of the last `write`."""
        ...

    async def reopen(self) -> None:
        """Let go of files and connections, and take them anew at the next `write` (SIGHUP)."""
        ...

    async def close(self) -> None:
        """Let go of everything."""
        ...


@dataclass(frozen=True, slots=True)
class SinkKind:
    """What an entry point of group `slurmwatchd.sinks` names.

    Attributes:
        options: The model of its configuration.
        make: Builds one from its name, its options and the daemon's metrics; does no I/O.
        read_back: Reads, from options, the events the receiver still has, oldest first; the other sinks' files are
            not its own. None where the receiver cannot be asked. Called when the store does not know the sink:
            what it has already must not come twice because the store was lost. Runs in a worker thread.
    """

    options: type[SinkOptions]
    make: Callable[[str, Any, Metrics], Sink]
    read_back: Callable[[Any, Collection[Path]], Iterator[Line]] | None = None
