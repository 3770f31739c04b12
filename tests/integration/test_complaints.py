"""A slurm.conf that Slurm's commands complain of: the daemon goes on, tells it once, and misses no real error."""

import logging
from pathlib import Path

import pytest

from simslurm.troubles import CONTROL_MACHINE
from slurmwatchd.errors import SacctError
from tests.integration.rig import WINDOW, Rig
from tests.sim_truth import differences

ODD_NODE = "COMMAND: error: NodeNames=n1 CPUs=16 match no Sockets, ignoring CPUs"
SETTINGS = {"open_set": "0s"}


async def test_complaint_from_the_start_that_changes_and_goes_stops_nothing_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with Rig(tmp_path, poll=SETTINGS) as rig:
        rig.cluster.set_complaints("loading slurm for you", CONTROL_MACHINE)
        async with rig.daemon() as daemon:
            for number, complaints in enumerate(
                [(CONTROL_MACHINE,), (CONTROL_MACHINE,), (CONTROL_MACHINE, ODD_NODE), (ODD_NODE,), (), ()]
            ):
                rig.cluster.set_complaints("loading slurm for you", *complaints)
                rig.ended(5, job_name=f"job {number}", nodelist=f"n[{number}-{number + 3}]", nodes_alloc=4)
                await daemon.once()
                rig.move(60)
            assert daemon.health.not_ready() == []
        assert rig.names() == [f"job {number}" for number in range(6)]
        assert differences(rig.cluster, rig.records()) == []
        assert [len(record["nodes"]) for record in rig.records()] == [4] * 6
        told = [record for record in caplog.records if "print errors" in record.getMessage()]
        assert [(line.levelname, line.getMessage().count("error:")) for line in told] == [
            ("WARNING", 1), ("WARNING", 2), ("INFO", 0),
        ]  # fmt: skip


async def test_an_error_beside_a_complaint_still_fails_the_call(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=SETTINGS) as rig:
        rig.cluster.set_complaints(CONTROL_MACHINE)
        rig.ended(5, job_name="before")
        async with rig.daemon() as daemon:
            await daemon.once()
            rig.move(60)
            rig.ended(5, job_name="after")
            watermark = rig.watermark()
            for kind in ("blank_tres", "stderr_exit0"):
                rig.cluster.add_fault("sacct", kind, match=WINDOW)
                with pytest.raises(SacctError, match=r"^sacct failed") as caught:
                    await daemon.watchers[0].once()
                assert "ControlMachine" not in str(caught.value)
                assert rig.watermark() == watermark
            rig.move(600)
            await daemon.once()
        assert rig.names() == ["before", "after"]


async def test_the_words_of_a_complaint_that_is_mended_are_an_error_again(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=SETTINGS) as rig:
        rig.cluster.set_complaints(CONTROL_MACHINE)
        async with rig.daemon() as daemon:
            await daemon.once()
            rig.cluster.set_complaints()
            rig.move(60)
            stderr = CONTROL_MACHINE.replace("COMMAND", "sacct")
            rig.cluster.add_fault("sacct", "stderr_exit0", match=WINDOW, stderr=stderr)
            with pytest.raises(SacctError, match="ControlMachine"):
                await daemon.watchers[0].once()
