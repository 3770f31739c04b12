"""Slurm is upgraded while the daemon runs."""

from pathlib import Path

import pytest

from tests.acceptance.process import DaemonProcess
from tests.sim_truth import differences


@pytest.mark.heavy
def test_upgrade_under_the_running_daemon_loses_and_repeats_nothing_and_brings_the_new_fields(
    tmp_path: Path,
) -> None:
    with DaemonProcess(tmp_path) as daemon:
        for number in range(20):
            # Half of them are within the overlap and are read again by every poll, before and after.
            daemon.ended(2 + 9 * number, job_name=f"22.05 {number}", licenses="matlab:2")
        daemon.ended(5, job_name="22.05 cancelled", state="CANCELLED", time_start=0, tres_alloc="", cpus_req=8)
        daemon.start_ready()
        daemon.wait_until(lambda: len(daemon.names()) == 21, "the jobs before the upgrade")

        # As an administrator does it: slurmdbd first, which takes a while, during which jobs end.
        daemon.cluster.set_slurmdbd_down()
        daemon.wait_until(lambda: daemon.samples("slurmwatchd_slurmdbd_up") == {("sim",): 0}, "the outage")
        daemon.ended(job_name="ended in between", licenses="matlab:2")
        daemon.cluster.set_version("24.11.5")
        daemon.cluster.set_slurmdbd_down(down=False)
        daemon.wait_until(lambda: "ended in between" in daemon.names(), "the job of the outage")
        daemon.ended(job_name="24.11", licenses="matlab:2", restart_cnt=2, nodelist="n[1-2]-ib0", nodes_alloc=2)
        daemon.wait_until(lambda: "24.11" in daemon.names(), "the job after the upgrade")
        polled = len(daemon.cluster.calls("sacct"))
        daemon.wait_until(lambda: len(daemon.cluster.calls("sacct")) > polled + 6, "more polls of the same jobs")
        assert daemon.stop() == 0

        records = daemon.records()
        assert [record["event"] for record in records] == ["job_ended"] * 23
        assert len({record["id"] for record in records}) == 23
        assert differences(daemon.cluster, records) == []
        by_name = {record["name"]: record for record in records}
        assert "licenses" not in by_name["22.05 0"]
        assert by_name["ended in between"]["licenses"] == {"matlab": 2}
        assert (by_name["24.11"]["licenses"], by_name["24.11"]["restarts"]) == ({"matlab": 2}, 2)
        assert by_name["24.11"]["nodes"] == ["n1-ib0", "n2-ib0"]
        assert int(by_name["24.11"]["db_index"]) > 1 << 63
        asked = [call for call in daemon.cluster.calls("sacct") if "--helpformat" in call.argv]
        assert [call.exit_status for call in asked if call.exit_status == 0] == [0, 0]


@pytest.mark.heavy
def test_exit_status_that_hides_an_error_is_not_believed_before_23_11_4(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.cluster.set_version("23.11.3")
        # errno 1024, modulo 256: an answer without rows and without shame.
        complaint = "sacct: error: slurmdbd: DBD_GET_JOBS_COND failure: Unspecified error"
        daemon.cluster.add_fault("sacct", "exit", match="--local", count=3, code=0, records=0, stderr=complaint)
        daemon.ended(job_name="there all the time")
        daemon.start()
        daemon.wait_until(lambda: daemon.names() == ["there all the time"], "the job")
        assert [call.fault for call in daemon.cluster.calls("sacct")].count("exit") == 3
        assert daemon.stop() == 0
