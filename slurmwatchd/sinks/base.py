"""The contract between delivery and a sink. A new sink is one file beside this one and one entry point.

Delivery gives a sink events in the order of `seq`, one batch at a time, and moves the sink's cursor once
`write` has returned. If anything dies in between, the same events come again: a sink that can recognise them
(a file can, a broker that dedupes on the id can) makes exactly-once of it.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Protocol, Self, runtime_checkable

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from slurmwatchd.config.settings import Texts, WholeDuration
from slurmwatchd.config.units import split_node_lists, split_texts
from slurmwatchd.model.job_states import state_of
from slurmwatchd.model.outcomes import Outcome
from slurmwatchd.model.records import Event
from slurmwatchd.sinks.jsonl_files import EventLine
from slurmwatchd.sinks.selection import Selection, check_nodes
from slurmwatchd.telemetry.metrics import Metrics

BATCH_EVENTS = 2000
"""So many events are handed over at once."""

EventName = Literal["job_ended", "job_usage", "job_revised"]
EVENTS: tuple[EventName, ...] = ("job_ended", "job_usage", "job_revised")
_SELECTING = (
    "events", "clusters", "partitions", "accounts", "users", "states", "outcomes", "nodes",
    "min_nodes", "min_cpus", "min_elapsed",
)  # fmt: skip
"""The options that say which events a sink is given, besides `backfill`."""


class SinkOptions(BaseModel):
    """The options that every sink has; a sink's own options are added by a subclass."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    default_backfill: ClassVar[bool] = True

    type: str
    """The kind of sink."""
    backfill: bool | None = None
    """Whether the sink receives events that a backfill found."""
    events: Annotated[tuple[EventName, ...], BeforeValidator(split_texts)] = Field(EVENTS, min_length=1)
    """Which events it gets. The options from here to `min_elapsed` leave events out of this sink alone; `verify`
    knows, and misses none of them."""
    clusters: Texts = ()
    """Only attempts of these clusters; none: of all. In names `*` and `?` stand for what they do in a shell."""
    partitions: Texts = ()
    """Only attempts in these partitions; as `clusters`."""
    accounts: Texts = ()
    """Only attempts of these accounts; as `clusters`."""
    users: Texts = ()
    """Only attempts of these users; as `clusters`."""
    states: Texts = ()
    """Only attempts that ended so, such as `["FAILED", "OUT_OF_MEMORY"]`. Where a later revision makes an attempt
    another one than the sink is given, the sink gets that revision, and nothing of it from then on."""
    outcomes: Annotated[tuple[Outcome, ...], BeforeValidator(split_texts)] = ()
    """Only attempts with one of these outcomes, such as `["node_failure", "out_of_memory"]`; as `states`. The page
    on events has the rule of each."""
    nodes: Annotated[tuple[str, ...], BeforeValidator(split_node_lists)] = ()
    """Only attempts that ran on one of these nodes: node lists as Slurm writes them (`gpu[01-16]`), or patterns
    (`gpu*`)."""
    min_nodes: int = Field(0, ge=0)
    """Only attempts of at least so many nodes."""
    min_cpus: int = Field(0, ge=0)
    """Only attempts of at least so many CPUs."""
    min_elapsed: WholeDuration = 0
    """Only attempts that ran at least so long."""

    @field_validator("states")
    @classmethod
    def _known_states(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(state_of, value))

    @field_validator("nodes")
    @classmethod
    def _node_lists(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        check_nodes(value)
        return value

    @property
    def wants_backfill(self) -> bool:
        """Whether events found by a backfill are for this sink."""
        return self.default_backfill if self.backfill is None else self.backfill

    def wanted_events(self) -> tuple[EventName, ...]:
        """Return which kinds of events are for this sink."""
        return self.events

    def selection(self) -> Selection:
        """Return which events are for this sink."""
        given = {name: getattr(self, name) for name in _SELECTING} | {"events": self.wanted_events()}
        settings = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in given.items()
            if value != type(self).model_fields[name].default
        }
        return Selection(settings if self.wants_backfill else {**settings, "backfill": False})

    def batch_events(self) -> int:
        """Return how many events one `write` gets at most: it must be done with them within some minutes."""
        return BATCH_EVENTS

    def for_replay(self, name: str) -> Self:
        """Return the options of a sink that sends events again while the daemon's own is at work; these will do.

        Args:
            name: The sink's.
        """
        del name
        return self

    def files(self) -> tuple[str, ...]:
        """Return the files that are this sink's alone: two sinks on one are a mistake in the configuration."""
        return ()


class Sink(ABC):
    """A receiver of events. A sink must have `write`; what it does not need of the rest is here.

    Attributes:
        already_there: How many of the events that it was given it did not send, since its receiver had them.
    """

    already_there = 0

    async def open(self, state: Mapping[str, bytes]) -> None:  # noqa: B027 - few sinks need it
        """Get ready; without it, there is nothing to prepare.

        Args:
            state: What earlier `write` calls gave to be kept, as it stood when the cursor last moved.

        Raises:
            SinkError: Not possible now; tried again later.
        """

    @abstractmethod
    async def write(self, events: Sequence[Event]) -> Mapping[str, bytes]:
        """Take events; they are safe with the receiver when this returns.

        After an error, and after a crash, the same events come again, perhaps with others behind them.

        Args:
            events: At least one, in order.

        Returns:
            What is to be remembered, in the same transaction in which the cursor moves: key to value, only
            what changed. An empty value removes its key.

        Raises:
            SinkError: Not all of them are safe; tried again later. With `written` on it, that many from the first
                are, and do not come again. Any other exception is a bug, and stops the daemon.
        """

    def committed(self) -> None:  # noqa: B027 - few sinks need it
        """Learn that the cursor has moved past the events of the last `write`; without it, nothing follows."""

    async def reopen(self) -> None:
        """Let go of files and connections until the next `write` (SIGHUP); without it, `close` is called."""
        await self.close()

    async def close(self) -> None:  # noqa: B027 - few sinks need it
        """Let go of everything; without it, there is nothing open."""


@runtime_checkable
class LooksAhead(Protocol):
    """A sink that can prepare the next events while its receiver is busy with the ones before; few need to."""

    async def expect(self, events: Sequence[Event]) -> None:
        """Prepare what can be prepared without the receiver; called during `write`, or while the cursor moves.

        Args:
            events: The same sequence, most likely, that the next `write` gets.
        """
        ...


@dataclass(frozen=True, slots=True)
class SinkKind:
    """What an entry point of group `slurmwatchd.sinks` names.

    Attributes:
        options: The model of its configuration.
        make: Builds one from its name, its options and the daemon's metrics; does no I/O. `check` calls it too.
        read_back: Reads, from options, the events the receiver still has, oldest first; the other sinks' files are
            not its own. None where the receiver cannot be asked. Called when the store does not know the sink:
            what it has already must not come twice because the store was lost. Runs in a worker thread.
        answers: Asks a receiver beyond the machine, from options, whether it is there, for `check`: it changes and
            sends nothing, and returns in some words what answered. Raises SinkError where nothing does.
        replays: Whether it may be given events again out of their turn, beside the daemon's own: a file may not.
    """

    options: type[SinkOptions]
    make: Callable[[str, Any, Metrics], Sink]
    read_back: Callable[[Any, Collection[Path]], Iterator[EventLine]] | None = None
    replays: bool = False
    answers: Callable[[Any], Awaitable[str]] | None = None
