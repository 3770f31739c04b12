"""What ended while slurmdbd was down is there as soon as slurmctld has worked off its queue, not minutes later."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio

from slurmwatchd.sources.process import Completed, ProcessRunner
from tests.integration.rig import WINDOW, Rig
from tests.patience import HANGS_SECONDS

# No re-reads: what finds the record is the doubt about the outage, and nothing else.
QUIET = {"interval": "30s", "overlap": "1m", "reread": [], "open_set": "0s"}


async def _until(rig: Rig, condition: str, *, step: float = 5) -> None:
    """Let time pass until the store answers a question with a number other than 0."""
    with anyio.fail_after(HANGS_SECONDS):
        while not rig.ask_store(condition)[0][0]:
            await rig.clock.at_rest()
            rig.move(step)


async def test_record_of_an_outage_is_read_when_the_queue_is_empty(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=QUIET) as rig:
        async with rig.daemon() as daemon, anyio.create_task_group() as group:
            watcher, health = daemon.watchers[0], daemon.health.clusters["sim"]
            group.start_soon(watcher.run)
            await _until(rig, "SELECT count(*) FROM ledger")
            rig.cluster.set_slurmdbd_down()
            rig.move(31)
            with anyio.fail_after(HANGS_SECONDS):
                while not health.error:  # noqa: ASYNC110 - nothing tells when it is set
                    await anyio.sleep(0.02)
            # Ends early in the outage; slurmctld holds it back until long after, further than the overlap reaches.
            back = rig.now + 600
            rig.ended(10, job_name="in the outage", end_visible_at=back)
            rig.cluster.set_dbd_agent_queue(15)
            rig.move(120)
            rig.cluster.set_slurmdbd_down(down=False)
            while rig.now < back + 60:
                await rig.clock.at_rest()
                rig.move(10)
            assert rig.ask_store("SELECT count(*) FROM jobs") == [(0,)]
            rig.cluster.set_dbd_agent_queue(0)
            emptied = rig.now
            # In small steps: the commands run in real time, and ours goes by much faster.
            await _until(rig, "SELECT count(*) FROM jobs", step=1)
            assert rig.now - emptied <= 75
            group.cancel_scope.cancel()
        assert rig.ask_store("SELECT count(*) FROM events") == [(1,)]


async def test_record_of_an_outage_is_read_also_by_a_daemon_that_was_killed_before_the_queue_was_empty(
    tmp_path: Path,
) -> None:
    with Rig(tmp_path, poll=QUIET) as rig:
        await rig.once()
        rig.move(30)
        rig.cluster.stop_slurmdbd()
        rig.ended(0, job_name="in the outage")
        rig.move(300)
        rig.cluster.start_slurmdbd(after=400)
        for _ in range(3):
            # It reads, sees the queue, and is gone, again and again while the record waits.
            async with rig.daemon() as daemon, anyio.create_task_group() as group:
                group.start_soon(daemon.watchers[0].run)
                before = len(rig.cluster.calls("sdiag"))
                with anyio.fail_after(HANGS_SECONDS):
                    while (
                        len(rig.cluster.calls("sdiag")) < before + 2
                        or rig.cluster.calls("sdiag")[-1].ended is None
                    ):
                        rig.move(5)
                        await anyio.sleep(0.05)
                group.cancel_scope.cancel()
        assert rig.cluster.undelivered() == 1
        rig.move(500)
        async with rig.daemon() as daemon, anyio.create_task_group() as group:
            group.start_soon(daemon.watchers[0].run)
            await _until(rig, "SELECT count(*) FROM jobs")
            group.cancel_scope.cancel()
        assert rig.ask_store("SELECT count(*) FROM events") == [(1,)]


class _OftenFailing:
    """A `ProcessRunner` in which each eighth window fails."""

    def __init__(self, runner: ProcessRunner) -> None:
        self._runner = runner
        self.windows = 0

    async def run(self, argv: Sequence[str], **options: Any) -> Completed:  # noqa: ANN401 - handed on
        self.windows += any(WINDOW in word for word in argv)
        if self.windows % 8 or not any(WINDOW in word for word in argv):
            return await self._runner.run(argv, **options)
        said = "sacct: error: Problem talking to the database: Connection refused"
        return Completed(argv=(*argv,), returncode=1, stdout=b"", stderr=said, complaints=(said,), seconds=0.0)


async def test_catching_up_comes_to_its_end_although_a_query_fails_now_and_then(tmp_path: Path) -> None:
    with Rig(tmp_path, poll={**QUIET, "since": "20h"}) as rig:
        for hour in range(20):
            rig.ended(3600 * hour + 100, job_name=f"hour {hour}")
        runner = _OftenFailing(rig.runner())
        async with rig.daemon(runner) as daemon, anyio.create_task_group() as group:
            group.start_soon(daemon.watchers[0].run)
            # Twenty slices, a few polls, and what a failure puts in doubt: far fewer than a hundred.
            await _until(rig, "SELECT watermark >= 1795500000 OR max(id) > 100 FROM horizons, ledger", step=10)
            group.cancel_scope.cancel()
        assert rig.watermark() >= 0
        assert rig.ask_store("SELECT count(*) FROM jobs") == [(20,)]


async def test_queue_that_is_never_empty_holds_nothing_up_while_the_newest_ends_are_shown(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=QUIET) as rig:
        rig.cluster.set_dbd_agent_queue(7)
        async with rig.daemon() as daemon, anyio.create_task_group() as group:
            group.start_soon(daemon.watchers[0].run)
            for number in range(20):
                rig.ended(1, job_name=f"job {number}")
                rig.move(30)
                await rig.clock.at_rest()
            await _until(rig, "SELECT watermark > 1795500500 FROM horizons", step=0)
            group.cancel_scope.cancel()
        assert rig.watermark() > 500
