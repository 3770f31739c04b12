"""The conformance suite for sinks: what a sink must do so that nothing is lost and nothing comes twice.

For those who write a sink of their own. Describe it with a `SinkUnderTest`, then run every check of `CHECKS`
on a fresh one, with pytest or with anything else that runs coroutines::

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    async def test_my_sink_conforms(check, tmp_path):
        await check(MySinkUnderTest(tmp_path))

The checks play the part of the delivery: they write batches, keep the state, move the cursor, and die at the
worst moments. They say what they missed with an AssertionError.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager

from slurmwatchd.errors import SinkError
from slurmwatchd.model import formats
from slurmwatchd.model.event_ids import event_id
from slurmwatchd.model.records import Event, EventKind, FoundBy, JobRecord
from slurmwatchd.sinks.base import Sink
from slurmwatchd.telemetry.metrics import Metrics

FIRST_END = 1_795_000_000
"""When the first of the events made here ended; each later one a second later."""


class SinkUnderTest(ABC):
    """A sink together with its receiver, as the checks need them: one receiver, which outlives the sinks."""

    ordered: bool = True
    """Whether the receiver knows in which order events came; one that only counts does not."""
    repeats: bool = False
    """Whether events may come again after a failure or a crash, as they must where a receiver cannot be asked and
    knows no ids: none may be missing nonetheless, and each must come for the first time in its turn."""
    only_one: bool = False
    """Whether a configuration can have no second sink of this type."""

    @abstractmethod
    def make(self, metrics: Metrics) -> Sink:
        """Return a new sink that has not been opened, on the same receiver.

        Args:
            metrics: The daemon's: new ones where it was started again, the same for two sinks of one daemon.
        """

    @abstractmethod
    async def delivered(self, sink: Sink) -> list[int]:
        """Return the `job_id_raw` of each event the receiver has now, as often as it has it.

        Args:
            sink: The one made last, for receivers that live inside it. An event's partition is its
                `job_id_raw` with a `p` before it, for receivers that keep no job ids.
        """

    def broken(self) -> AbstractContextManager[None] | None:
        """Return a context in which the receiver takes nothing, or not all; None where it cannot fail."""
        return None


Check = Callable[[SinkUnderTest], Awaitable[None]]


def make_event(number: int, *, kind: EventKind = EventKind.JOB_ENDED, revision: int = 1, text: str = "") -> Event:
    """Return the event of a job of one second on one node.

    Args:
        number: Its `seq` and `job_id_raw`; its partition is `p<number>`.
        kind: What it reports.
        revision: Which revision of the attempt it reports.
        text: The job's name; a few newlines, quotes and wide characters where none is given.
    """
    end = FIRST_END + number
    record = JobRecord(
        cluster="sim",
        job_id=str(number),
        job_id_raw=number,
        name=text or f'job {number}\n"quoted" \u00fc\u2028',
        user="ann",
        partition=f"p{number}",
        state="COMPLETED",
        submit=end - 3,
        eligible=end - 3,
        start=end - 1,
        end=end,
        wait_seconds=2,
        elapsed_seconds=1,
        node_count=1,
        node_list="n1",
    )
    fields = formats.wire(record)
    if kind is EventKind.JOB_USAGE:
        fields["usage"] = {"cpu_seconds": 0.5, "max_rss_bytes": 4096, "steps": 1, "complete": True}
    return Event(
        seq=number,
        id=event_id(record.cluster, number, record.submit, kind, revision),
        kind=kind,
        revision=revision,
        time=end,
        observed=end + 1,
        found_by=FoundBy.POLL,
        body=formats.body(fields),
        nodes=b'["n1"]',
    )


def make_events(first: int, last: int) -> list[Event]:
    """Return the events from one number to another, both included."""
    return [make_event(number) for number in range(first, last + 1)]


class Deliverer:
    """Delivery to a sink, with a store in memory and with every step taken by hand."""

    def __init__(self, subject: SinkUnderTest) -> None:
        """Begin with a sink never seen before: nothing is remembered."""
        self.subject = subject
        self.sink = subject.make(Metrics())
        self.state: dict[str, bytes] = {}
        self._pending: Mapping[str, bytes] = {}

    async def start(self) -> "Deliverer":
        """Open the sink with what is remembered."""
        await self.sink.open(dict(self.state))
        return self

    async def write(self, events: Sequence[Event]) -> None:
        """Have events written; the cursor stays where it is."""
        self._pending = await self.sink.write(events)
        for key, value in self._pending.items():
            if not isinstance(key, str) or not isinstance(value, bytes):
                raise AssertionError(f"write must return text to bytes, not {key!r} to {value!r}")  # noqa: TRY004

    def commit(self) -> None:
        """Move the cursor, and keep the state with it."""
        kept = {**self.state, **self._pending}
        self.state = {key: value for key, value in kept.items() if value}
        self._pending = {}
        self.sink.committed()

    async def deliver(self, events: Sequence[Event]) -> None:
        """Write events and move the cursor."""
        await self.write(events)
        self.commit()

    async def crash(self) -> None:
        """Die, and start again: what the cursor did not move past is forgotten."""
        # Only the system tidies up after a process that died: it closes what was open.
        await self.sink.close()
        self.sink = self.subject.make(Metrics())
        self._pending = {}
        await self.start()

    async def expect(self, first: int, last: int) -> None:
        """Check that the receiver has these events, each once, and nothing else; close the sink.

        Raises:
            AssertionError: It has not.
        """
        try:
            found = await self.subject.delivered(self.sink)
        finally:
            await self.sink.close()
        wanted = list(range(first, last + 1))
        missing = sorted(set(wanted) - set(found))
        if missing:
            raise AssertionError(f"never delivered: {missing}; delivered: {found}")
        if self.subject.repeats:
            found = list(dict.fromkeys(found))
        twice = sorted(number for number in set(found) if found.count(number) > 1)
        if twice:
            raise AssertionError(f"delivered more than once: {twice}; delivered: {found}")
        if (found if self.subject.ordered else sorted(found)) != wanted:
            raise AssertionError(f"delivered {found} instead of {wanted}")


async def events_arrive_once_and_in_order(subject: SinkUnderTest) -> None:
    """Deliver three batches to one sink."""
    delivery = await Deliverer(subject).start()
    await delivery.deliver(make_events(1, 5))
    await delivery.deliver(make_events(6, 6))
    await delivery.deliver(make_events(7, 20))
    await delivery.sink.close()
    await delivery.expect(1, 20)


async def first_batch_ever_comes_again_after_a_crash(subject: SinkUnderTest) -> None:
    """Die between the very first write and the first move of the cursor: there is no state yet."""
    delivery = await Deliverer(subject).start()
    await delivery.write(make_events(1, 5))
    await delivery.crash()
    await delivery.deliver(make_events(1, 5))
    await delivery.expect(1, 5)


async def batch_comes_again_when_the_cursor_did_not_move(subject: SinkUnderTest) -> None:
    """Write a batch, fail to move the cursor, write it again to the same sink."""
    delivery = await Deliverer(subject).start()
    await delivery.deliver(make_events(1, 5))
    await delivery.write(make_events(6, 9))
    await delivery.deliver(make_events(6, 9))
    await delivery.deliver(make_events(10, 11))
    await delivery.expect(1, 11)


async def batch_comes_again_after_reopen(subject: SinkUnderTest) -> None:
    """Let a SIGHUP come between a write and the same write."""
    delivery = await Deliverer(subject).start()
    await delivery.deliver(make_events(1, 5))
    await delivery.write(make_events(6, 9))
    await delivery.sink.reopen()
    await delivery.deliver(make_events(6, 9))
    await delivery.sink.reopen()
    await delivery.deliver(make_events(10, 11))
    await delivery.expect(1, 11)


async def batch_comes_again_after_a_crash(subject: SinkUnderTest) -> None:
    """Die between write and cursor, several times with the same batch, then once with the next."""
    delivery = await Deliverer(subject).start()
    await delivery.deliver(make_events(1, 5))
    for _ in range(3):
        await delivery.write(make_events(6, 9))
        await delivery.crash()
    await delivery.deliver(make_events(6, 9))
    await delivery.write(make_events(10, 12))
    await delivery.crash()
    await delivery.deliver(make_events(10, 12))
    await delivery.expect(1, 12)


async def larger_batch_comes_again_after_a_crash(subject: SinkUnderTest) -> None:
    """Redeliver what was written together with what has come behind it."""
    delivery = await Deliverer(subject).start()
    await delivery.deliver(make_events(1, 3))
    await delivery.write(make_events(4, 6))
    await delivery.crash()
    await delivery.deliver(make_events(4, 12))
    await delivery.expect(1, 12)


async def smaller_batches_come_again_after_a_crash(subject: SinkUnderTest) -> None:
    """Redeliver what was written in pieces, with another crash between two of them."""
    delivery = await Deliverer(subject).start()
    await delivery.deliver(make_events(1, 3))
    await delivery.write(make_events(4, 12))
    await delivery.crash()
    await delivery.deliver(make_events(4, 5))
    await delivery.crash()
    await delivery.deliver(make_events(6, 6))
    await delivery.deliver(make_events(7, 14))
    await delivery.expect(1, 14)


async def restart_goes_on_where_the_cursor_is(subject: SinkUnderTest) -> None:
    """Close and start again between two batches."""
    delivery = await Deliverer(subject).start()
    await delivery.deliver(make_events(1, 5))
    await delivery.crash()
    await delivery.deliver(make_events(6, 9))
    await delivery.expect(1, 9)


async def nothing_is_lost_when_the_receiver_fails(subject: SinkUnderTest) -> None:
    """Write while the receiver is broken: the sink must say so, and the same events come again."""
    delivery = await Deliverer(subject).start()
    await delivery.deliver(make_events(1, 5))
    for first, dies in ((6, False), (10, True)):
        broken = subject.broken()
        if broken is None:
            return
        with broken:
            try:
                await delivery.write(make_events(first, first + 3))
            except SinkError:
                pass
            else:
                raise AssertionError("write returned although the receiver took nothing, or not all")
        if dies:
            await delivery.crash()
        await delivery.deliver(make_events(first, first + 3))
    await delivery.expect(1, 13)


async def two_sinks_of_one_type_share_the_metrics(subject: SinkUnderTest) -> None:
    """Make two sinks for one daemon; it may close them unopened, where another part of it cannot start."""
    if subject.only_one:
        return
    metrics, sinks = Metrics(), list[Sink]()
    for place in ("first", "second"):
        try:
            sinks.append(subject.make(metrics))
        except Exception as error:
            raise AssertionError(f"the {place} sink of the daemon cannot be made: {error!r}") from error
    for sink in sinks:
        await sink.close()


CHECKS: tuple[Check, ...] = (
    events_arrive_once_and_in_order,
    first_batch_ever_comes_again_after_a_crash,
    batch_comes_again_when_the_cursor_did_not_move,
    batch_comes_again_after_reopen,
    batch_comes_again_after_a_crash,
    larger_batch_comes_again_after_a_crash,
    smaller_batches_come_again_after_a_crash,
    restart_goes_on_where_the_cursor_is,
    nothing_is_lost_when_the_receiver_fails,
    two_sinks_of_one_type_share_the_metrics,
)
"""Every check; each needs a subject of its own."""
