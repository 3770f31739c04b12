"""Sacct fails in every way it can: the watermark stays, nothing is believed, and afterwards nothing is missing."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest

from simslurm import Workload
from slurmwatchd.errors import SacctError, SacctOutputError, SacctTimeoutError, SilenceError, TransientError
from tests.integration.rig import START, WINDOW, Rig
from tests.patience import HANGS_SECONDS
from tests.sim_truth import differences

Wish = dict[str, Any]

FAULTS: list[Any] = [
    pytest.param("exit", {"code": 1}, SacctError, id="exit 1"),
    pytest.param("exit", {"code": 1, "records": 2}, SacctError, id="exit 1 behind two whole rows"),
    pytest.param("exit", {"code": 2, "stderr": "", "bytes": 10_000}, SacctError, id="exit 2 behind everything"),
    pytest.param("stderr_exit0", {}, SacctError, id="error on stderr, exit 0"),
    pytest.param("stderr_exit0", {"stderr": "sacct: fatal: out of luck"}, SacctError, id="fatal, exit 0"),
    pytest.param("blank_tres", {}, SacctError, id="TRES unavailable, exit 0"),
    pytest.param("kill", {}, SacctError, id="killed half-way"),
    pytest.param("garbage", {}, SacctOutputError, id="garbage"),
    pytest.param("garbage", {"bytes": 0}, SacctOutputError, id="nothing at all"),
    pytest.param("cut", {"bytes": 3}, SacctOutputError, id="cut in the header"),
    pytest.param("cut", {}, SacctOutputError, id="cut in the middle"),
    pytest.param("hang", {}, SacctTimeoutError, id="hangs"),
    pytest.param("hang", {"records": 2, "bytes": 0}, SacctTimeoutError, id="hangs behind two whole rows"),
]


def _rig(folder: Path, timeout: str = "20s") -> Rig:
    return Rig(folder, slurm={"bin_dir": str(folder / "bin"), "timeout": timeout})


@pytest.mark.parametrize(("kind", "wish", "error"), FAULTS)
async def test_watermark_does_not_move_and_the_next_reading_has_everything(
    tmp_path: Path, kind: str, wish: Wish, error: type[TransientError]
) -> None:
    with _rig(tmp_path, timeout="1s" if kind == "hang" else "20s") as rig:
        rig.ended(60, job_name="before")
        await rig.once()
        assert rig.watermark() == 0
        rig.move(30)
        for number in range(5):
            rig.ended(5 + number, job_name=f"meanwhile {number}")
        rig.cluster.add_fault("sacct", kind, match=WINDOW, **wish)
        with pytest.raises(error):
            await rig.once()
        assert rig.watermark() == 0
        rig.move(10)
        await rig.once()
        assert rig.watermark() == 40
        assert differences(rig.cluster, rig.records()) == []


@pytest.mark.parametrize("size", range(0, 2000, 191))
async def test_answer_cut_off_at_any_byte_with_exit_0_moves_nothing(tmp_path: Path, size: int) -> None:
    with _rig(tmp_path) as rig:
        for number in range(4):
            rig.ended(60 + number, job_name=f"job {number}\n|", work_dir="/home/" + "x" * 200)
        rig.cluster.add_fault("sacct", "cut", match=WINDOW, bytes=size)
        with pytest.raises(SacctOutputError):
            await rig.once()
        assert rig.watermark() == 0
        assert rig.ask_store("SELECT * FROM horizons") == []
        await rig.once()
        assert differences(rig.cluster, rig.records()) == []


@pytest.mark.heavy
async def test_large_answer_cut_off_keeps_its_true_rows_but_moves_nothing(tmp_path: Path) -> None:
    with _rig(tmp_path) as rig:
        Workload(rig.cluster, seed=3).load(8400, START - 3000, START - 10, steps=False)
        rig.cluster.add_fault("sacct", "cut", match=WINDOW)
        with pytest.raises(SacctOutputError):
            await rig.once()
        # What was read before the cut is true, and was stored batch by batch; the ledger moves with the last.
        (kept,) = rig.ask_store("SELECT count(*) FROM jobs")[0]
        assert 0 < kept < 4200
        assert rig.ask_store("SELECT * FROM horizons") == []
        await rig.once()
        assert differences(rig.cluster, rig.records()) == []
        assert len({record["id"] for record in rig.records()}) == 8400


async def test_answer_that_silently_lacks_some_rows_is_made_good_by_the_next_reading(tmp_path: Path) -> None:
    # Exit 0, no complaint, whole rows: slurmdbd was never seen to do that, but everything is asked twice anyway.
    with _rig(tmp_path) as rig:
        await rig.once()
        rig.move(30)
        for number in range(3):
            rig.ended(5 + number, job_name=f"job {number}")
        rig.cluster.add_fault("sacct", "cut", match=WINDOW, records=1)
        await rig.once()
        assert len(rig.records()) < 3
        rig.move(30)
        await rig.once()
        assert differences(rig.cluster, rig.records()) == []


async def test_long_silence_is_no_quiet_hour(tmp_path: Path) -> None:
    with _rig(tmp_path) as rig:
        await rig.once()
        for number in range(4):
            rig.move(60)
            rig.ended(5, job_name=f"job {number}")
            rig.cluster.add_fault("sacct", "header_only", match=WINDOW)
            with pytest.raises(SilenceError, match="a query failed inside slurmdbd"):
                await rig.once()
        assert rig.watermark() == 0
        rig.move(600)
        await rig.once()
        assert differences(rig.cluster, rig.records()) == []
        assert {record["found_by"] for record in rig.records()} == {"poll"}


async def test_slurmdbd_down_moves_nothing_and_is_told_in_its_own_words(tmp_path: Path) -> None:
    with _rig(tmp_path) as rig:
        await rig.once()
        rig.cluster.set_slurmdbd_down()
        rig.move(120)
        rig.ended(10, job_name="while slurmdbd is down")
        with pytest.raises(SacctError, match="Problem talking to the database: Connection refused"):
            await rig.once()
        assert rig.watermark() == 0
        rig.cluster.set_slurmdbd_down(down=False)
        await rig.once()
        assert rig.names() == ["while slurmdbd is down"]


async def test_failures_are_followed_by_ever_longer_pauses_and_then_everything_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with _rig(tmp_path) as rig:
        async with rig.daemon() as daemon, anyio.create_task_group() as group:
            rig.cluster.set_slurmdbd_down()
            watcher, health = daemon.watchers[0], daemon.health.clusters["sim"]
            group.start_soon(watcher.run)
            with anyio.fail_after(HANGS_SECONDS):
                while len(rig.clock.asked) < 6:
                    rig.move(1)
                    await anyio.sleep(0.01)
            # Twice as long each time, up to the interval of 30 s, and cut by up to a quarter.
            for pause, longest in zip(rig.clock.asked, (5, 10, 20, 30, 30, 30), strict=True):
                assert 0.75 * longest <= pause <= longest
            assert health.last_ok == 0
            # It is told once, and not with each of them.
            warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
            assert sum("query failed" in line for line in warnings) == 1
            rig.cluster.set_slurmdbd_down(down=False)
            rig.ended(30, job_name="at last")
            with anyio.fail_after(HANGS_SECONDS):
                while not health.answered:
                    rig.move(5)
                    await anyio.sleep(0.02)
            assert (health.error, health.failures) == ("", 0)
            group.cancel_scope.cancel()
        assert rig.ask_store("SELECT count(*) FROM jobs") == [(1,)]


@pytest.mark.heavy
async def test_after_three_failures_only_a_probe_is_sent_until_it_is_answered(tmp_path: Path) -> None:
    with _rig(tmp_path) as rig:
        async with rig.daemon() as daemon, anyio.create_task_group() as group:
            rig.cluster.set_slurmdbd_down()
            watcher, health = daemon.watchers[0], daemon.health.clusters["sim"]

            def breaker() -> float | None:
                return daemon.metrics.registry.get_sample_value(
                    "slurmwatchd_breaker_open", {"slurm_cluster": "sim"}
                )

            async def until(failures: int) -> None:
                with anyio.fail_after(HANGS_SECONDS):
                    while health.failures < failures:
                        rig.move(1)
                        await anyio.sleep(0.01)

            assert breaker() == 0
            group.start_soon(watcher.run)
            await until(3)
            assert (health.probing, breaker()) == (True, 1)
            assert "3 failed, only probing" in daemon.health.line()
            rig.cluster.clear_calls()
            await until(7)
            asked = [call.argv for call in rig.cluster.calls("sacct") if "-S" in call.argv]
            # A window of 1970 in which nothing ended, and one field of it: what costs slurmdbd nothing.
            assert {argv[argv.index("-S") + 1] for argv in asked} == {"uts1000000"}
            assert {argv[-1] for argv in asked} == {"JobIDRaw"}

            # One reading is let through once that is answered; if it fails, only the probe is sent again.
            rig.cluster.add_fault("sacct", "exit", match="JobID,State", code=1)
            rig.cluster.set_slurmdbd_down(down=False)
            rig.cluster.clear_calls()
            rig.ended(30, job_name="at last")
            with anyio.fail_after(HANGS_SECONDS):
                while not health.answered:
                    rig.move(1)
                    await anyio.sleep(0.02)
            assert (health.probing, breaker()) == (False, 0)
            first = [call.argv[-1] for call in rig.cluster.calls("sacct") if "-S" in call.argv][:4]
            assert [argv == "JobIDRaw" for argv in first] == [True, False, True, False]
            group.cancel_scope.cancel()


async def test_slurm_that_was_upgraded_between_two_polls_makes_no_revisions(tmp_path: Path) -> None:
    with Rig(tmp_path, poll={"slice": "6h"}) as rig:
        for number in range(20):
            rig.ended(number * 60, job_name=f"job {number}", comment="a comment", extra="set long ago")
        rig.ended(70, state="CANCELLED", time_start=0)
        for version in ("20.11.9", "22.05.8", "24.11.5", "26.05.5", "23.02.7"):
            rig.cluster.set_version(version)
            await rig.once()
            rig.ended(1, job_name=f"under {version}")
            rig.move(1200)
        await rig.once()
        assert {record["event"] for record in rig.records()} == {"job_ended"}
        assert len(rig.records()) == 26
        assert differences(rig.cluster, rig.records()) == []


async def test_upgrade_of_a_running_daemon_makes_no_revisions_and_brings_the_new_fields(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        async with rig.daemon() as daemon:
            rig.ended(30, job_name="old")
            await daemon.once()
            rig.cluster.set_version("24.11.5")
            rig.move(30)
            rig.ended(5, job_name="new", restart_cnt=2)
            await daemon.once()
        old, new = rig.records()
        assert "restarts" not in old
        assert new["restarts"] == 2
        assert (old["event"], new["event"]) == ("job_ended", "job_ended")


async def test_real_change_after_the_end_is_told_once(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        key = rig.ended(30, job_name="job")
        await rig.once()
        rig.cluster.update_job(key, admin_comment="checked", state="FAILED")
        for _ in range(3):
            rig.move(20)
            await rig.once()
        assert [record["event"] for record in rig.records()] == ["job_ended", "job_revised"]
        revised = rig.records()[1]
        assert revised["changed"] == {"state": ["COMPLETED", "FAILED"], "admin_comment": [None, "checked"]}
        assert (revised["revision"], revised["state"], revised["admin_comment"]) == (2, "FAILED", "checked")


async def test_sacct_is_never_run_twice_at_once_for_a_cluster(tmp_path: Path) -> None:
    with Rig(tmp_path, poll={"since": "10h"}) as rig:
        rig.cluster.set_now(None)
        for number in range(100):
            rig.cluster.add_job(
                time_submit=START - number * 360 - 20,
                time_start=START - number * 360 - 10,
                time_end=START - number * 360,
                state="COMPLETED",
            )
        await rig.once()
        calls = sorted(rig.cluster.calls("sacct"), key=lambda call: call.started)
        assert len(calls) > 10
        for before, after in pairwise(calls):
            assert before.ended is not None
            assert before.ended <= after.started
        assert len(rig.records()) == 100
