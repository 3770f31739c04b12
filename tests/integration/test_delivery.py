"""One sink's loop: when it looks again, how long it leaves a dead receiver alone, and what it tells meanwhile."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
import pytest

from slurmwatchd.daemon.delivery import READ_AHEAD_EVENTS, Delivery, DeliveryParts
from slurmwatchd.errors import SinkError, SinkFullError
from slurmwatchd.model.clock import SystemClock
from slurmwatchd.model.records import Event
from slurmwatchd.sinks.selection import Selection
from slurmwatchd.store import outbox
from slurmwatchd.store.database import Database, open_database
from slurmwatchd.store.intake import Intake
from slurmwatchd.telemetry.health import Health
from slurmwatchd.telemetry.metrics import Metrics
from tests.integration.receiver import Receiver, running
from tests.integration.rig import FakeClock
from tests.patience import HANGS_SECONDS
from tests.unit.attempts import NOW, batch, reading


async def test_what_is_asked_during_a_delivery_is_done_right_after_it(tmp_path: Path) -> None:
    receiver = Receiver()
    async with running(tmp_path, receiver) as bench:
        # A SIGHUP while the only batch is on its way: nothing comes later that would wake the loop again.
        receiver.meanwhile = bench.delivery.reopen
        await bench.ended(1)
        with anyio.fail_after(HANGS_SECONDS):
            await receiver.reopened.wait()
        assert receiver.got == [1]


async def test_new_events_do_not_make_it_knock_at_a_dead_receiver(tmp_path: Path) -> None:
    receiver = Receiver()
    receiver.dead = True
    async with running(tmp_path, receiver) as bench:
        await bench.ended(1)
        await bench.until(lambda: len(bench.clock.asked) == 1)
        for number in range(2, 6):
            await bench.ended(number)
            await anyio.wait_all_tasks_blocked()
        assert receiver.tried == 1
        receiver.dead = False
        bench.clock.move(0.5)
        await bench.until(lambda: receiver.got == [1, 2, 3, 4, 5])


async def test_dead_receiver_is_left_alone_twice_as_long_each_time_up_to_a_minute(tmp_path: Path) -> None:
    receiver = Receiver()
    receiver.dead = True
    async with running(tmp_path, receiver) as bench:
        await bench.ended(1)
        for failures in range(1, 10):
            await bench.until(lambda: len(bench.clock.asked) == failures)  # noqa: B023 - at once
            bench.clock.move(60)
        # Cut by up to a quarter.
        for pause, longest in zip(bench.clock.asked[:9], (0.5, 1, 2, 4, 8, 16, 32, 60, 60), strict=True):
            assert 0.75 * longest <= pause <= longest


async def test_metrics_tell_since_when_a_sink_has_been_behind_and_how_often_it_failed(tmp_path: Path) -> None:
    receiver = Receiver()
    async with running(tmp_path, receiver) as bench:
        await bench.until(lambda: bench.shown("sink_up") == 1)
        receiver.dead = True
        await bench.ended(1)
        await bench.until(lambda: len(bench.clock.asked) == 1)
        bench.clock.move(60)
        await bench.until(lambda: len(bench.clock.asked) == 2)
        assert bench.shown("sink_oldest_undelivered_timestamp_seconds") == NOW
        assert (bench.shown("sink_up"), bench.shown("sink_failures_total")) == (0, 2)
        receiver.dead = False
        bench.clock.move(60)
        await bench.until(lambda: bench.shown("sink_up") == 1)
        assert bench.shown("sink_oldest_undelivered_timestamp_seconds") == 0
        assert (bench.shown("sink_failures_total"), bench.shown("sink_events_total")) == (2, 1)


async def test_what_a_receiver_has_of_a_batch_that_failed_does_not_come_again(tmp_path: Path) -> None:
    receiver = Receiver()
    receiver.takes = 2
    async with running(tmp_path, receiver) as bench:
        # All of them stand in the store before it looks.
        receiver.dead = True
        for number in range(1, 6):
            await bench.ended(number)
        await bench.until(lambda: len(bench.clock.asked) == 1)
        receiver.dead = False
        bench.clock.move(1)
        await bench.until(lambda: receiver.got == [1, 2])
        await bench.until(lambda: bench.shown("sink_cursor_events") == 2)
        assert bench.shown("sink_events_total") == 2
        assert bench.shown("sink_up") == 0
        await bench.until(lambda: len(bench.clock.asked) == 2)
        bench.clock.move(60)
        await bench.until(lambda: receiver.got == [1, 2, 3, 4] and len(bench.clock.asked) == 3)
        bench.clock.move(60)
        await bench.until(lambda: receiver.got == [1, 2, 3, 4, 5])
        await bench.until(lambda: bench.shown("sink_up") == 1)


async def test_a_receiver_that_asks_to_be_left_alone_is(tmp_path: Path) -> None:
    receiver = Receiver()
    receiver.dead = True
    receiver.error.retry_after = 90.0
    async with running(tmp_path, receiver) as bench:
        await bench.ended(1)
        await bench.until(lambda: len(bench.clock.asked) == 1)
        assert bench.clock.asked == [90.0]


async def test_a_sink_gets_no_more_at_once_than_it_asks_for(tmp_path: Path) -> None:
    receiver = Receiver()
    receiver.dead = True
    async with running(tmp_path, receiver, batch_events=2) as bench:
        for number in range(1, 6):
            await bench.ended(number)
        await bench.until(lambda: len(bench.clock.asked) == 1)
        receiver.dead = False
        bench.clock.move(60)
        await bench.until(lambda: receiver.got == [1, 2, 3, 4, 5])
        assert receiver.batches == [2, 2, 1]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (SinkFullError("/f: no space"), ["disk full, waiting for space", "disk has space again"]),
        (SinkError("nobody is there"), ["delivery failed", "sink recovered"]),
    ],
    ids=["full", "dead"],
)
async def test_failure_that_goes_on_is_told_in_one_line_and_so_is_its_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, error: SinkError, told: list[str]
) -> None:
    caplog.set_level("INFO")
    receiver = Receiver()
    receiver.dead, receiver.error = True, error
    async with running(tmp_path, receiver) as bench:
        await bench.ended(1)
        for failures in range(1, 6):
            await bench.until(lambda: len(bench.clock.asked) == failures)  # noqa: B023 - at once
            bench.clock.move(60)
        receiver.dead = False
        bench.clock.move(60)
        await bench.until(lambda: receiver.got == [1] and bench.shown("sink_up") == 1)
    known = ("disk full", "disk has space", "delivery failed", "sink recovered")
    lines = [line for line in caplog.text.splitlines() if any(text in line for text in known)]
    assert len(lines) == len(told), lines
    assert all(text in line for text, line in zip(told, lines, strict=True))


@pytest.mark.parametrize("jobs", [1, READ_AHEAD_EVENTS])
async def test_an_error_that_no_sink_may_raise_is_logged_with_the_sink_before_it_ends_the_daemon(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, jobs: int
) -> None:
    receiver = Receiver()

    def breaks() -> None:
        raise anyio.BrokenResourceError

    receiver.meanwhile = breaks
    async with open_database(tmp_path / "store.db") as database:
        delivery, intake = await _entered(database, receiver, batch_events=READ_AHEAD_EVENTS)
        await intake.commit(batch(*map(reading, range(1, jobs + 1))))
        with pytest.raises(anyio.BrokenResourceError):
            await delivery.run()
    (line,) = (record for record in caplog.records if record.levelname == "ERROR")
    assert isinstance(line.msg, dict)
    assert (line.msg["event"], line.msg["sink"]) == ("sink raised an unexpected error, stopping", "jobs")
    assert isinstance(line.msg["exc_info"], anyio.BrokenResourceError)


class Expecting(Receiver):
    """One that takes its time, and is meanwhile given what comes next."""

    def __init__(self) -> None:
        super().__init__()
        self.expected: list[list[int]] = []
        self.was_expected = anyio.Event()
        self.waits = True

    async def expect(self, events: Sequence[Event]) -> None:
        self.expected.append([event.seq for event in events])
        self.was_expected.set()

    async def write(self, events: Sequence[Event]) -> Mapping[str, bytes]:
        if self.waits and len(events) >= READ_AHEAD_EVENTS and events[-1].seq < 250:
            with anyio.fail_after(HANGS_SECONDS):
                await self.was_expected.wait()
            self.was_expected = anyio.Event()
        return await super().write(events)


async def test_the_next_events_are_read_while_a_sink_is_busy_with_those_before(tmp_path: Path) -> None:
    receiver = Expecting()
    async with open_database(tmp_path / "store.db") as database:
        delivery, intake = await _entered(database, receiver, batch_events=100)
        await intake.commit(batch(*map(reading, range(1, 251))))
        await delivery.drain()
        assert receiver.batches == [100, 100, 50]
        assert receiver.expected == [list(range(101, 201)), list(range(201, 251))]
        assert receiver.got == list(range(1, 251))


async def test_the_cursor_does_not_wait_for_what_is_prepared_meanwhile(tmp_path: Path) -> None:
    moved = anyio.Event()

    class Slow(Receiver):
        async def expect(self, events: Sequence[Event]) -> None:
            with anyio.fail_after(HANGS_SECONDS):
                await moved.wait()

        def committed(self) -> None:
            moved.set()

    receiver = Slow()
    async with open_database(tmp_path / "store.db") as database:
        delivery, intake = await _entered(database, receiver, batch_events=100)
        await intake.commit(batch(*map(reading, range(1, 201))))
        await delivery.drain()
        assert receiver.got == list(range(1, 201))


async def test_what_was_read_ahead_of_a_failure_comes_in_its_turn(tmp_path: Path) -> None:
    receiver = Expecting()
    receiver.takes = 30
    async with open_database(tmp_path / "store.db") as database:
        delivery, intake = await _entered(database, receiver, batch_events=100)
        await intake.commit(batch(*map(reading, range(1, 251))))
        with pytest.raises(SinkError, match="only some"):
            await delivery.drain()
        assert [row["seq"] for row in await database.read("SELECT seq FROM cursors")] == [30]
        receiver.takes, receiver.waits = 2000, False
        await delivery.drain()
        assert receiver.got == list(range(1, 251))


async def test_a_dead_receiver_costs_one_reading_however_often_it_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings: list[int] = []
    read = outbox.after

    async def counted(database: Database, seq: int, limit: int) -> list[Event]:
        readings.append(seq)
        return await read(database, seq, limit)

    monkeypatch.setattr(outbox, "after", counted)
    receiver = Receiver()
    receiver.dead = True
    async with open_database(tmp_path / "store.db") as database:
        delivery, intake = await _entered(database, receiver, batch_events=100)
        await intake.commit(batch(*map(reading, range(1, 251))))
        for _ in range(5):
            with pytest.raises(SinkError, match="nobody is there"):
                await delivery.drain()
        # With the first try the next events were read as well, as behind any batch.
        assert readings == [0, 100]
        receiver.dead = False
        await delivery.drain()
        assert receiver.batches == [100, 100, 50]
        assert receiver.got == list(range(1, 251))


async def test_events_left_out_are_counted_once_however_often_the_others_are_tried(tmp_path: Path) -> None:
    receiver, metrics = Receiver(), Metrics()
    receiver.takes = 3
    async with open_database(tmp_path / "store.db") as database:
        parts = DeliveryParts(
            database=database, clock=SystemClock(), metrics=metrics, health=Health(SystemClock())
        )
        delivery = Delivery("jobs", receiver, parts, selection=Selection({"partitions": ["gpu"]}))
        await delivery.enter()
        intake = await Intake.load(database)
        await intake.commit(
            batch(*(reading(number, partition="gpu" if number % 2 else "cpu") for number in range(1, 11)))
        )

        def left_out() -> float | None:
            return metrics.registry.get_sample_value("slurmwatchd_sink_left_out_events_total", {"sink": "jobs"})

        receiver.dead = True
        with pytest.raises(SinkError, match="nobody is there"):
            await delivery.drain()
        assert not left_out()
        receiver.dead = False
        with pytest.raises(SinkError, match="only some"):
            await delivery.drain()
        # It has 1, 3 and 5; 2 and 4 were not for it.
        assert left_out() == 2
        receiver.takes = 2000
        await delivery.drain()
        assert receiver.got == [1, 3, 5, 7, 9]
        assert left_out() == 5


async def test_an_event_stored_while_the_last_ones_are_written_is_delivered_too(tmp_path: Path) -> None:
    receiver = Receiver()
    async with open_database(tmp_path / "store.db") as database:
        delivery, intake = await _entered(database, receiver, batch_events=200)
        await intake.commit(batch(*map(reading, range(1, 201))))
        write = receiver.write

        async def slow(events: Sequence[Event]) -> Mapping[str, bytes]:
            if len(events) == 200:
                # Whoever reads ahead finds nothing yet.
                await anyio.wait_all_tasks_blocked()
                await intake.commit(batch(reading(201)))
            return await write(events)

        receiver.write = slow  # type: ignore[method-assign]
        await delivery.drain()
        assert receiver.got == list(range(1, 202))


async def _entered(database: Database, receiver: Receiver, *, batch_events: int) -> tuple[Delivery, Intake]:
    clock = FakeClock(NOW)
    parts = DeliveryParts(database=database, clock=clock, metrics=Metrics(), health=Health(clock))
    delivery = Delivery("jobs", receiver, parts, batch_events=batch_events)
    await delivery.enter()
    return delivery, await Intake.load(database)
