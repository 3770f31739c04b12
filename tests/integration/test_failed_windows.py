"""One window fails for ever: every other is read, and it is tried now and then."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from slurmwatchd.operations.backfill import BackfillScope
from slurmwatchd.sources.process import Completed
from slurmwatchd.store import backfills
from slurmwatchd.store.ledger import ledger_of
from tests.integration.quick import QuickRunner
from tests.integration.rig import START, WINDOW, Rig
from tests.sim_truth import differences

HOUR = 3600


class FailingRunner(QuickRunner):
    """Fails as long as it is told to where a window has one second in it."""

    def __init__(self, rig: Rig, second: int) -> None:
        super().__init__(rig.folder / "bin", rig.cluster.path)
        self.second: int | None = second
        self.failed = 0

    async def run(self, argv: Sequence[str], **options: Any) -> Completed:  # noqa: ANN401 - the runner's own
        if self.second is not None and any(WINDOW in word for word in argv):
            since, until = (int(argv[argv.index(name) + 1].removeprefix("uts")) for name in ("-S", "-E"))
            if since <= self.second <= until:
                self.failed += 1
                said = "sacct: error: Unexpected return code from slurmdbd"
                return Completed(
                    argv=tuple(argv), returncode=1, stdout=b"", stderr=said, complaints=(said,), seconds=0.1
                )
        return await super().run(argv, **options)


async def _pass_time(rig: Rig, seconds: int, step: int = 10) -> None:
    for _ in range(seconds // step):
        rig.move(step)
        await rig.clock.at_rest()


@pytest.mark.heavy
async def test_hole_that_always_fails_holds_up_no_other_hole_no_reread_and_no_backfill(tmp_path: Path) -> None:
    poll = {"since": "1h", "slice": "1h", "reread": ["5m", "15m"], "open_set": "0s"}
    with Rig(tmp_path, poll=poll) as rig:
        rig.ended(6 * HOUR, job_name="for the backfill")
        rig.ended(5, job_name="first")
        await rig.once()
        for number in range(12):
            rig.move(HOUR / 2)
            rig.ended(5, job_name=f"job {number}")
        # In the second of six hours that were not read.
        runner = FailingRunner(rig, START + HOUR + HOUR // 2)
        async with rig.daemon(runner) as daemon, anyio.create_task_group() as group:
            ledger = await ledger_of(daemon.database, "sim")
            assert ledger is not None
            spans = BackfillScope(start=START - 7 * HOUR, end=START).spans(ledger)
            await backfills.ask(daemon.database, "sim", spans, now=rig.now)
            group.start_soon(daemon.watchers[0].run)
            await rig.clock.at_rest()
            await _pass_time(rig, 10 * 60)
            late = rig.ended(8 * 60, job_name="late")
            await _pass_time(rig, 20 * 60)
            found = {row[0] for row in await daemon.database.read("SELECT job_id_raw FROM jobs")}
            missing = [job["job_name"] for job in rig.cluster.jobs() if job["id_job"] not in found]
            assert missing == [b"job 1", b"job 2"]
            assert late[1] in found
            assert await backfills.unfinished(daemon.database, "sim") == []
            # A minute after the first failure, then twice as long each time.
            assert 4 <= runner.failed <= 8
            runner.second = None
            await _pass_time(rig, 40 * 60, step=60)
            assert {row[0] for row in await daemon.database.read("SELECT count(*) FROM jobs")} == {15}
            group.cancel_scope.cancel()
        await rig.once()
        assert differences(rig.cluster, rig.records()) == []
        assert rig.watermark() == rig.now - START


@pytest.mark.heavy
async def test_rows_gone_from_several_windows_are_waited_for_at_the_same_time(tmp_path: Path) -> None:
    poll = {"since": "1h", "slice": "1h", "overlap": "1m", "reread": ["2h"], "open_set": "0s"}
    with Rig(tmp_path, poll=poll) as rig:
        async with rig.daemon() as daemon, anyio.create_task_group() as group:
            group.start_soon(daemon.watchers[0].run)
            await rig.clock.at_rest()
            gone = []
            for _ in range(3):
                gone += [rig.ended(5 + number) for number in range(3)]
                await _pass_time(rig, 40 * 60, step=120)
            for key in gone:
                rig.cluster.delete_job(key)
            rig.ended(5)
            await _pass_time(rig, 2 * HOUR, step=120)
            assert daemon.health.clusters["sim"].suspicion.startswith("slurmdbd no longer shows attempts")
            await _pass_time(rig, 25 * HOUR, step=300)
            counted = daemon.metrics.registry.get_sample_value(
                "slurmwatchd_gone_attempts_total", {"slurm_cluster": "sim"}
            )
            assert counted == 9
            group.cancel_scope.cancel()
