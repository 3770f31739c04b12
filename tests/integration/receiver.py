"""A delivery that runs, to a sink that does as the test says."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from slurmwatchd.daemon.delivery import Delivery, DeliveryParts
from slurmwatchd.errors import SinkError
from slurmwatchd.model.records import Event
from slurmwatchd.sinks.base import Sink
from slurmwatchd.store.database import open_database
from slurmwatchd.store.intake import Intake
from slurmwatchd.telemetry.health import Health
from slurmwatchd.telemetry.metrics import Metrics
from tests.integration.rig import FakeClock
from tests.patience import HANGS_SECONDS
from tests.unit.attempts import NOW, batch, reading


class Receiver(Sink):
    """A sink that keeps what it was sent, and is dead as long as the test says so."""

    def __init__(self) -> None:
        self.dead = False
        self.error: SinkError = SinkError("nobody is there")
        self.tried = 0
        self.got: list[int] = []
        self.takes = 2000
        self.batches: list[int] = []
        self.reopened = anyio.Event()
        self.meanwhile: Callable[[], None] = lambda: None

    async def write(self, events: Sequence[Event]) -> Mapping[str, bytes]:
        self.tried += 1
        self.meanwhile()
        if self.dead:
            raise self.error
        self.batches.append(len(events))
        self.got += [event.seq for event in events[: self.takes]]
        if len(events) > self.takes:
            error = SinkError("only some")
            error.written = self.takes
            raise error
        return {}

    async def reopen(self) -> None:
        self.reopened.set()


class Bench:
    """A store, a delivery that runs, and the clock it goes by."""

    def __init__(self, delivery: Delivery, intake: Intake, clock: FakeClock, metrics: Metrics) -> None:
        self.delivery = delivery
        self.clock = clock
        self.returned = anyio.Event()
        self._intake = intake
        self._metrics = metrics

    async def run(self) -> None:
        """Deliver, and say when that has ended."""
        await self.delivery.run()
        self.returned.set()

    async def ended(self, number: int) -> None:
        """Commit the end of a job, as the pipeline does."""
        await self._intake.commit(batch(reading(number)))
        self.delivery.wake()

    async def until(self, condition: Callable[[], bool]) -> None:
        with anyio.fail_after(HANGS_SECONDS):
            while not condition():  # noqa: ASYNC110 - nothing tells when
                await anyio.sleep(0.005)

    def shown(self, name: str) -> float | None:
        return self._metrics.registry.get_sample_value(f"slurmwatchd_{name}", {"sink": "jobs"})


@asynccontextmanager
async def running(folder: Path, receiver: Receiver, *, batch_events: int = 2000) -> AsyncIterator[Bench]:
    clock, metrics = FakeClock(NOW), Metrics()
    async with open_database(folder / "store.db") as database:
        parts = DeliveryParts(database=database, clock=clock, metrics=metrics, health=Health(clock))
        delivery = Delivery("jobs", receiver, parts, batch_events=batch_events)
        await delivery.enter()
        async with anyio.create_task_group() as group:
            bench = Bench(delivery, await Intake.load(database), clock, metrics)
            group.start_soon(bench.run)
            yield bench
            group.cancel_scope.cancel()
