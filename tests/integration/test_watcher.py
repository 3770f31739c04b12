"""What a watcher keeps in mind from one reading to the next: whom it spares, and what it can forget."""

from pathlib import Path

import anyio
import pytest

from slurmwatchd.errors import SacctError
from slurmwatchd.sources.process import TimedOutError
from tests.integration.rig import WINDOW, Rig
from tests.integration.window_runner import WindowRunner
from tests.patience import HANGS_SECONDS


async def test_after_a_sacct_that_hung_slurmdbd_is_left_alone_for_as_long_as_that_took(tmp_path: Path) -> None:
    async def hung() -> None:
        raise TimedOutError("sacct gave no complete answer in 20 s and was killed", argv=["sacct"])

    with Rig(tmp_path) as rig:
        runner = WindowRunner(rig, hung)
        async with rig.daemon(runner) as daemon, anyio.create_task_group() as group:
            group.start_soon(daemon.watchers[0].run)
            with anyio.fail_after(HANGS_SECONDS):
                while not rig.clock.asked:  # noqa: ASYNC110 - nothing tells when
                    await anyio.sleep(0.01)
            # A first failure of another kind is followed by 5 s at most.
            assert rig.clock.asked == [20.0]
            group.cancel_scope.cancel()


async def test_field_that_the_same_sacct_no_longer_knows_has_it_asked_again_for_all_it_knows(
    tmp_path: Path,
) -> None:
    with Rig(tmp_path) as rig:
        async with rig.daemon() as daemon:
            watcher = daemon.watchers[0]
            await watcher.once()
            assert _asked_for_fields(rig) == 1
            rig.move(30)
            rig.ended(5, job_name="meanwhile")
            refusal = 'sacct: fatal: Invalid field requested: "SubmitLine"'
            rig.cluster.add_fault("sacct", "exit", match=WINDOW, stderr=refusal)
            with pytest.raises(SacctError, match="Invalid field requested"):
                await watcher.once()
            assert _asked_for_fields(rig) == 1
            await watcher.once()
            assert _asked_for_fields(rig) == 2
        assert rig.ask_store("SELECT count(*) FROM jobs") == [(1,)]


@pytest.mark.heavy
async def test_what_will_never_be_read_again_is_kept_as_one_stretch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Six hours of polls would take minutes.
    monkeypatch.setattr("slurmwatchd.model.ledger.EXACT_SECONDS", 0)
    poll = {"since": "5m", "slice": "2m", "overlap": "1m", "reread": ["5m"], "open_set": "0s"}
    with Rig(tmp_path, poll=poll) as rig:
        async with rig.daemon() as daemon:
            for _ in range(60):
                await daemon.watchers[0].once()
                rig.move(100)
        assert rig.ask_store("SELECT count(*) FROM ledger WHERE found_by = 'reread'")[0][0] >= 20
        (stretches,) = rig.ask_store("SELECT count(*) FROM coverage")[0]
        assert stretches <= 6


def _asked_for_fields(rig: Rig) -> int:
    return sum("--helpformat" in call.argv for call in rig.cluster.calls("sacct"))
