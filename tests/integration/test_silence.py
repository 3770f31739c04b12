"""Answers that are complete in form and cannot be all there is: not believed, told, and made good afterwards."""

from pathlib import Path

import pytest

from slurmwatchd.daemon.daemon import Daemon
from slurmwatchd.errors import SilenceError
from tests.integration.rig import START, Rig
from tests.sim_truth import differences
from tests.tokens import token

QUIET = {"since": "5m", "overlap": "1m", "reread": [], "open_set": "0s"}
STRANGER = 4711
"""A user without rights and without jobs."""


def suspected(daemon: Daemon) -> set[str]:
    """The reasons that the metric shows."""
    return {
        reason
        for reason in ("cluster", "privileges", "rows_gone")
        if daemon.metrics.registry.get_sample_value(
            "slurmwatchd_suspicion", {"slurm_cluster": daemon.watchers[0].cluster, "reason": reason}
        )
    }


async def look(rig: Rig, daemon: Daemon, seconds: int) -> str:
    """Let time pass and read; return why that failed, if it did."""
    rig.move(seconds)
    try:
        await daemon.watchers[0].once()
    except SilenceError as error:
        return error.reason
    return ""


async def test_privileges_lost_move_no_watermark_and_what_ended_meanwhile_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # From root slurmdbd hides nothing.
    monkeypatch.setattr("slurmwatchd.sources.sacctmgr.process_user", lambda: "watch")
    with Rig(tmp_path, poll=QUIET) as rig:
        async with rig.daemon() as daemon:
            for number in range(6):
                rig.ended(20 + number, job_name=f"before {number}", user=f"u{number}", id_user=1000 + number)
            assert await look(rig, daemon, 0) == ""
            rig.cluster.set_private_data("jobs")
            rig.cluster.add_user("watch", STRANGER, admin_level="None")
            rig.cluster.set_caller(STRANGER)
            for _ in range(3):
                rig.ended(5, job_name="hidden")
                assert await look(rig, daemon, 200) == "privileges"
            assert rig.watermark() == 0
            assert suspected(daemon) == {"privileges"}
            (line,) = daemon.health.not_ready()
            assert line.startswith("sim: PrivateData hides")
            rig.cluster.set_caller(None)
            assert await look(rig, daemon, 30) == ""
            assert suspected(daemon) == set()
            assert daemon.health.not_ready() == []
            assert rig.watermark() == 630
            await daemon.once()
        assert differences(rig.cluster, rig.records()) == []


async def test_user_who_sees_only_his_own_jobs_is_not_taken_for_everybody(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=QUIET) as rig:
        async with rig.daemon() as daemon:
            for number in range(5):
                rig.ended(20 + number, user=f"u{number}", id_user=1000 + number)
            assert await look(rig, daemon, 0) == ""
            rig.cluster.set_private_data("jobs")
            rig.cluster.set_caller(1000)
            # One row comes, where the overlap had five before.
            assert await look(rig, daemon, 30) == "rows_gone"
            assert rig.watermark() == 0


async def test_cluster_that_slurmdbd_does_not_know_is_told_and_not_taken_for_an_idle_one(tmp_path: Path) -> None:
    slurm = {"bin_dir": str(tmp_path / "bin"), "timeout": "20s", "clusters": ["nosuch"]}
    with Rig(tmp_path, poll=QUIET, slurm=slurm) as rig:
        async with rig.daemon() as daemon:
            assert await look(rig, daemon, 0) == "cluster"
            assert await look(rig, daemon, 60) == "cluster"
            assert rig.ask_store("SELECT * FROM horizons") == []
            assert suspected(daemon) == {"cluster"}
            assert daemon.health.not_ready() == ["nosuch: slurmdbd does not know a cluster of this name"]
            rig.cluster.add_cluster("nosuch")
            assert await look(rig, daemon, 60) == ""
            assert suspected(daemon) == set()


async def test_rows_that_are_gone_stop_the_watermark_until_others_end(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=QUIET) as rig:
        async with rig.daemon() as daemon:
            lost = [rig.ended(20 + n, user=f"u{n}", id_user=1000 + n) for n in range(3)]
            assert await look(rig, daemon, 0) == ""
            # A database restored from before.
            for key in lost:
                rig.cluster.delete_job(key)
            assert await look(rig, daemon, 300) == "rows_gone"
            assert rig.watermark() == 0
            for number in range(3):
                rig.ended(10 + number, job_name="new", user=f"u{number}", id_user=1000 + number)
            # They are kept at once; that they are there again is believed when they are.
            await look(rig, daemon, 30)
            assert rig.ask_store("SELECT count(*) FROM jobs") == [(6,)]
            assert await look(rig, daemon, 30) == ""
            assert rig.watermark() == 360
            assert suspected(daemon) == set()


async def test_rows_that_stay_gone_stop_the_watermark_for_a_day_at_most(tmp_path: Path) -> None:
    with Rig(tmp_path, poll={**QUIET, "slice": "2d"}) as rig:
        async with rig.daemon() as daemon:
            lost = rig.ended(20)
            assert await look(rig, daemon, 0) == ""
            rig.cluster.delete_job(lost)
            assert await look(rig, daemon, 300) == "rows_gone"
            assert await look(rig, daemon, 86_000) == "rows_gone"
            assert rig.watermark() == 0
            assert await look(rig, daemon, 1000) == ""
            assert rig.watermark() == 87_300
            assert suspected(daemon) == set()
            gone = daemon.metrics.registry.get_sample_value(
                "slurmwatchd_gone_attempts_total", {"slurm_cluster": "sim"}
            )
            assert gone == 1


async def test_one_row_that_is_gone_among_others_stops_nothing(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=QUIET) as rig:
        async with rig.daemon() as daemon:
            keys = [rig.ended(5 + n, user=f"u{n}", id_user=1000 + n) for n in range(3)]
            assert await look(rig, daemon, 0) == ""
            rig.cluster.delete_job(keys[0])
            assert await look(rig, daemon, 30) == ""
            assert rig.watermark() == 30


async def test_quiet_night_moves_the_watermark_on(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=QUIET) as rig:
        async with rig.daemon() as daemon:
            rig.ended(20)
            assert await look(rig, daemon, 0) == ""
            for _ in range(4):
                assert await look(rig, daemon, 2 * 3600) == ""
            assert rig.watermark() == 8 * 3600


async def test_purge_of_everything_that_was_there_moves_the_watermark_on(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=QUIET) as rig:
        rig.cluster.set_purge_job_after("24 hours")
        async with rig.daemon() as daemon:
            rig.ended(20)
            assert await look(rig, daemon, 0) == ""
            assert await look(rig, daemon, 26 * 3600) == ""
            assert rig.watermark() == 26 * 3600


@pytest.mark.heavy
async def test_purge_that_a_daemon_started_anew_has_not_heard_of_is_asked_about(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=QUIET) as rig:
        rig.cluster.set_purge_job_after("24 hours")
        rig.ended(20)
        await rig.once()
        rig.move(26 * 3600)
        await rig.once()
        assert rig.watermark() == 26 * 3600


@pytest.mark.parametrize("jobs", [0, 3], ids=["new store", "old store"])
async def test_idle_cluster_costs_one_small_call_a_minute_at_most(tmp_path: Path, jobs: int) -> None:
    with Rig(tmp_path, poll=QUIET) as rig:
        async with rig.daemon() as daemon:
            for number in range(jobs):
                rig.ended(100 + number)
            await look(rig, daemon, 0)
            rig.cluster.clear_calls()
            for _ in range(10):
                await look(rig, daemon, 30)
        assert sum("-j" in call.argv for call in rig.cluster.calls("sacct")) <= 5
        assert len(rig.cluster.calls("sacctmgr")) <= 6


async def test_silence_that_a_restart_meets_is_not_believed_either(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=QUIET) as rig:
        rig.ended(20)
        await rig.once()
        rig.cluster.set_private_data("jobs")
        rig.cluster.set_caller(STRANGER)
        rig.move(600)
        with pytest.raises(SilenceError):
            await rig.once()
        assert rig.watermark() == 0
        assert rig.now == START + 600


@pytest.mark.parametrize(("private", "reason"), [(("jobs",), "privileges"), ((), "")])
async def test_with_a_token_the_rights_are_those_of_its_user_not_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, private: tuple[str, ...], reason: str
) -> None:
    monkeypatch.setenv("SLURM_JWT", token({"sun": "watch"}))
    monkeypatch.setattr("slurmwatchd.sources.sacctmgr.process_user", lambda: "root")
    with Rig(tmp_path, poll=QUIET) as rig:
        rig.cluster.add_user("watch", STRANGER, admin_level="None")
        rig.cluster.set_private_data(*private)
        rig.ended(20)
        async with rig.daemon() as daemon:
            assert await look(rig, daemon, 0) == reason
            assert len(rig.ask_store("SELECT * FROM jobs")) == int(not reason)
        assert suspected(daemon) == ({reason} if reason else set())


async def test_a_token_of_root_sees_all_whoever_runs_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JWT", token({"sun": "root"}))
    monkeypatch.setattr("slurmwatchd.sources.sacctmgr.process_user", lambda: "watch")
    with Rig(tmp_path, poll=QUIET) as rig:
        rig.cluster.add_user("watch", STRANGER, admin_level="None")
        rig.cluster.set_private_data("jobs")
        rig.cluster.set_caller(STRANGER)
        async with rig.daemon() as daemon:
            # An empty answer has the user's standing looked at.
            assert await look(rig, daemon, 0) == ""
            rig.ended(5, job_name="seen")
            assert await look(rig, daemon, 30) == ""
        assert rig.ask_store("SELECT count(*) FROM jobs") == [(1,)]
