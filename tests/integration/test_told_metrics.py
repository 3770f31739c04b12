"""What a scrape tells of the readings: what they cost, what they brought, what was odd in it, and when."""

from pathlib import Path

import pytest

from slurmwatchd.daemon.daemon import Daemon
from slurmwatchd.errors import SacctError
from tests.integration.rig import START, Rig


def told(daemon: Daemon, name: str) -> float | None:
    """A sample of the one cluster there is; None where there is no such series."""
    return daemon.metrics.registry.get_sample_value(f"slurmwatchd_{name}", {"slurm_cluster": "sim"})


async def test_last_successful_poll_is_0_before_the_first_and_stays_what_it_was_in_an_outage(
    tmp_path: Path,
) -> None:
    with Rig(tmp_path) as rig:
        async with rig.daemon() as daemon:
            rig.cluster.set_slurmdbd_down()
            with pytest.raises(SacctError):
                await daemon.once()
            # Not absent: time() minus nothing would alert nobody.
            assert told(daemon, "last_successful_poll_timestamp_seconds") == 0
            assert told(daemon, "slurmdbd_up") == 0
            rig.cluster.set_slurmdbd_down(down=False)
            rig.move(30)
            await daemon.once()
            assert told(daemon, "last_successful_poll_timestamp_seconds") == START + 30
            assert told(daemon, "slurmdbd_up") == 1
            rig.cluster.set_slurmdbd_down()
            rig.move(30)
            with pytest.raises(SacctError):
                await daemon.once()
            assert told(daemon, "last_successful_poll_timestamp_seconds") == START + 30
            assert told(daemon, "slurmdbd_up") == 0


async def test_poll_is_charged_to_the_time_spent_in_sacct(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        async with rig.daemon() as daemon:
            assert told(daemon, "sacct_seconds_total") == 0
            await daemon.once()
            spent = told(daemon, "sacct_seconds_total")
            assert spent is not None
            assert spent > 0


async def test_rows_without_a_key_and_values_nobody_understands_are_counted(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.ended(5, job_name="good")
        rig.ended(5, job_name="odd", time_eligible=-5)
        rig.ended(5, job_name="bad", time_submit=0)
        async with rig.daemon() as daemon:
            await daemon.once()
            # An eligible time that is none, and a wait of 56 years that was counted from it.
            assert (told(daemon, "quarantined_rows_total"), told(daemon, "unparsed_values_total")) == (1, 2)
        assert {record["name"]: record.get("raw") for record in rig.records()} == {
            "good": None,
            "odd": {"Eligible": "-5", "Reserved": "20781-05:59:00"},
        }


async def test_node_list_of_another_length_than_slurm_says_is_told_and_kept_as_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Rig(tmp_path) as rig:
        rig.ended(5, job_name="right", nodelist="n[1-2]", nodes_alloc=2)
        rig.ended(5, job_name="wrong", nodelist="n[1-3]", nodes_alloc=4)
        async with rig.daemon() as daemon:
            await daemon.once()
            assert told(daemon, "nodelist_mismatches_total") == 1
        assert caplog.text.count("node list and node count differ") == 1
        (record,) = [record for record in rig.records() if record["name"] == "wrong"]
        assert (record["node_list"], record["node_count"], record["nodes"]) == ("n[1-3]", 4, ["n1", "n2", "n3"])
