"""How a sink's loop ends: what is on its way arrives, and nothing is waited for."""

from pathlib import Path

import anyio
import pytest

from slurmwatchd.daemon.delivery import Delivery, DeliveryParts
from slurmwatchd.store import outbox
from slurmwatchd.store.database import open_database
from slurmwatchd.store.intake import Intake
from slurmwatchd.telemetry.health import Health
from slurmwatchd.telemetry.metrics import Metrics
from tests.integration.receiver import Receiver, running
from tests.integration.rig import FakeClock
from tests.patience import HANGS_SECONDS
from tests.unit.attempts import NOW, batch, reading


async def test_stop_waits_for_the_batch_on_its_way_and_for_nothing_else(tmp_path: Path) -> None:
    receiver = Receiver()
    async with open_database(tmp_path / "store.db") as database:
        clock = FakeClock(NOW)
        parts = DeliveryParts(database=database, clock=clock, metrics=Metrics(), health=Health(clock))
        delivery = Delivery("jobs", receiver, parts)
        await delivery.enter()
        await (await Intake.load(database)).commit(batch(reading(1)))
        # As it comes during the write: the loop neither pauses nor looks again.
        receiver.meanwhile = delivery.stop
        with anyio.fail_after(HANGS_SECONDS):
            await delivery.run()
        assert receiver.got == [1]
        assert (await outbox.position(database, "jobs", now=NOW)).seq == 1


@pytest.mark.parametrize("dead", [False, True])
async def test_stop_ends_a_pause(tmp_path: Path, dead: bool) -> None:
    receiver = Receiver()
    receiver.dead = dead
    async with running(tmp_path, receiver) as bench:
        await bench.ended(1)
        await bench.until(lambda: receiver.tried == 1)
        await anyio.wait_all_tasks_blocked()
        bench.delivery.stop()
        with anyio.fail_after(HANGS_SECONDS):
            await bench.returned.wait()
        assert receiver.tried == 1
