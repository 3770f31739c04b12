"""Events to a Kafka topic, a batch at a time, each stored as far as the broker says.

A producer's own memory of what it sent ends with it. So the sink remembers how far each partition was when the
cursor last moved, and whenever it connects it reads the heads of what is committed behind that: events found there
are not sent again. That closes the gap between a commit and the cursor; a broker that keeps its transactions
(KIP-98) lets `read_committed` readers see nothing of a batch that failed.
"""

import contextlib
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import anyio
import anyio.to_thread
import orjson

from slurmwatchd.errors import SinkError
from slurmwatchd.model.records import Event
from slurmwatchd.sinks.base import Sink
from slurmwatchd.sinks.forms.form import EventForm
from slurmwatchd.sinks.kafka.messages import Messages
from slurmwatchd.sinks.kafka.options import KafkaOptions
from slurmwatchd.sinks.kafka.topic import BatchResult, OutgoingMessage, Topic
from slurmwatchd.telemetry.log import get_logger
from slurmwatchd.telemetry.metrics import Metrics

ConnectTopic = Callable[[KafkaOptions, str], Topic]
"""From the options and the name of the transactions."""

UNKNOWN_TAIL = 5_000
"""So many of a partition's newest messages are looked at where no offset is known: more than one delivery."""

MAX_KEPT = 50_000
"""So many of the newest ids behind the last known offsets are remembered: there are more only where others send,
too, such as a replay."""

OVERHEAD_BYTES = 1_500
"""What a message has besides its body: key, headers, and what the broker counts in."""

FORMED_AT_ONCE = 200

_STATE_KEY = "offsets"

_log = get_logger(__name__)


def _connect(options: KafkaOptions, transactional_id: str) -> Topic:
    # Only who has such a sink needs the library.
    from slurmwatchd.sinks.kafka.cluster import connect  # noqa: PLC0415

    return connect(options, transactional_id)


class _Forming(Collection[OutgoingMessage]):
    """Messages that are written as they are sent: the library sends the first ones meanwhile."""

    def __init__(self, events: Sequence[Event], make: Callable[[Sequence[Event]], list[OutgoingMessage]]) -> None:
        self._events = events
        self._make = make

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[OutgoingMessage]:
        for begin in range(0, len(self._events), FORMED_AT_ONCE):
            yield from self._make(self._events[begin : begin + FORMED_AT_ONCE])

    def __contains__(self, message: object) -> bool:
        return any(message == other for other in self)


class KafkaSink(Sink):
    """One topic."""

    def __init__(
        self, name: str, options: KafkaOptions, metrics: Metrics, *, connect: ConnectTopic = _connect
    ) -> None:
        """Prepare; nothing is connected."""
        del metrics
        self._name = name
        self._options = options
        self._transactional_id = options.sender(name)
        self._connect = connect
        self._form = EventForm(name, options)
        self._messages = Messages(options.format)
        self._room = options.max_message_bytes - OVERHEAD_BYTES
        self._topic: Topic | None = None
        # Partition to the offset behind the last event that the cursor is past, and behind the last one stored.
        self._behind: dict[int, int] = {}
        self._reached: dict[int, int] = {}
        self._stored: set[str] = set()
        self._last: Sequence[Event] = ()
        self._ahead: tuple[Sequence[Event], Sequence[OutgoingMessage]] = ((), ())

    async def open(self, state: Mapping[str, bytes]) -> None:
        """Remember where the last events behind the cursor are."""
        await anyio.to_thread.run_sync(self._form.prepare)
        if _STATE_KEY in state:
            self._behind = {int(key): value for key, value in orjson.loads(state[_STATE_KEY]).items()}
            self._reached = dict(self._behind)

    async def write(self, events: Sequence[Event]) -> Mapping[str, bytes]:
        """Have the topic store what it has not stored yet."""
        try:
            await anyio.to_thread.run_sync(self._write, events)
        except BaseException:
            # What is on its way may be stored or not: new connections look.
            with anyio.CancelScope(shield=True):
                await self.close()
            raise
        self._last = events
        return {_STATE_KEY: orjson.dumps({str(key): value for key, value in self._reached.items()})}

    async def expect(self, events: Sequence[Event]) -> None:
        """Write the next events while the brokers work on those before."""
        self._ahead = events, await anyio.to_thread.run_sync(self._made_of, events)

    def committed(self) -> None:
        """Forget what will not come again."""
        self._behind = dict(self._reached)
        self._stored.difference_update(event.id for event in self._last)
        self._last = ()

    async def reopen(self) -> None:
        """Connect again at the next write, with certificates and passwords as they are then."""
        await self.close()

    async def close(self) -> None:
        """Hang up."""
        topic, self._topic = self._topic, None
        if topic is not None:
            await anyio.to_thread.run_sync(topic.close)

    def _write(self, events: Sequence[Event]) -> None:
        """Send what is not stored; runs in a worker thread.

        Raises:
            SinkError: Not all are stored; `written` says how many are, from the first.
        """
        if self._topic is None:
            self._topic = self._connected(events)
        places: Sequence[int] = range(len(events))
        if self._stored:
            places = [number for number in places if events[number].id not in self._stored]
        if len(places) < len(events):
            self.already_there += len(events) - len(places)
            _log.info("events stand in the topic already", sink=self._name, events=len(events) - len(places))
        if not places:
            return
        # The same sequence where all are sent: it may be written already.
        fresh = events if len(places) == len(events) else [events[number] for number in places]
        (expected, messages), self._ahead = self._ahead, ((), ())
        outcome = self._topic.send(messages if expected is fresh else _Forming(fresh, self._made_of))
        self._take(fresh, outcome)
        if outcome.error:
            error = SinkError(outcome.error)
            error.written = places[outcome.written]
            raise error

    def _made_of(self, events: Sequence[Event]) -> list[OutgoingMessage]:
        return self._messages.of(self._form.written(events, max_bytes=self._room))

    def _take(self, fresh: Sequence[Event], outcome: BatchResult) -> None:
        self._stored.update(event.id for event in fresh[: outcome.written])
        for partition, offset in outcome.offsets.items():
            self._reached[partition] = max(offset, self._reached.get(partition, 0))

    def _connected(self, wanted: Sequence[Event]) -> Topic:
        """Connect, and learn which events are in the topic that the cursor does not know of.

        Args:
            wanted: What is about to be sent: whether that is there is learnt however much stands behind it.
        """
        topic = self._connect(self._options, self._transactional_id)
        try:
            for partition, (_, high) in topic.ends.items():
                if self._behind.get(partition, 0) > high:
                    _log.warning("topic is another one than before", sink=self._name, topic=self._options.topic)
                    self._behind.pop(partition)
                    self._reached.pop(partition)
            offsets = {
                partition: max(low, self._behind.get(partition, high - UNKNOWN_TAIL))
                for partition, (low, high) in topic.ends.items()
            }
            self._stored = set()
            sending = {event.id for event in wanted}
            newest: deque[str] = deque(maxlen=MAX_KEPT)
            for messages in topic.messages(offsets):
                ids = [message.id for message in messages]
                self._stored.update(sending.intersection(ids))
                newest.extend(ids)
            self._stored.update(newest)
        except BaseException:
            with contextlib.suppress(SinkError):
                topic.close()
            raise
        return topic
