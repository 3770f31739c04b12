"""Slurm is upgraded, release by release, between two readings of the same jobs."""

from pathlib import Path
from typing import Any

import pytest

from simslurm import JobKey, Workload
from simslurm.versions import VERSIONS
from tests.integration.rig import START, Rig
from tests.sim_truth import differences

_OTHER = VERSIONS.index("23.11.10")
# The last version that exits with errno modulo 256 comes before the one of its release that does not.
INSTALLED = (*VERSIONS[:_OTHER], "23.11.3", *VERSIONS[_OTHER:])


def revised(records: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    return [(record["name"], record["changed"]) for record in records if record["event"] == "job_revised"]


@pytest.mark.heavy
async def test_the_same_jobs_read_by_every_release_in_turn_are_told_once(tmp_path: Path) -> None:
    with Rig(tmp_path, version=INSTALLED[0]) as rig:
        # Exit statuses of 128 and more are the one thing an upgrade really changes; see below.
        Workload(rig.cluster, seed=5).load(300, START - 100, START - 5)
        for job in rig.cluster.jobs():
            if job["exit_code"] >> 8 >= 128:
                key = JobKey(job["cluster"], job["id_job"], job["time_submit"])
                rig.cluster.update_job(key, exit_code=2 << 8, derived_ec=2 << 8)
        rig.ended(20, job_name="cancelled while it waited", time_start=0, state="CANCELLED", tres_alloc="")
        rig.ended(20, job_name="in a container", container="c", extra="e", licenses="l:1", restart_cnt=3)
        await rig.once()
        assert len(rig.records()) == 302
        for release in INSTALLED[1:]:
            rig.cluster.set_version(release)
            rig.move(1)
            await rig.once()
            assert revised(rig.records()) == [], release
        assert len(rig.records()) == 302
        assert differences(rig.cluster, rig.records()) == []


async def test_what_25_11_prints_of_old_exit_codes_revises_nothing(tmp_path: Path) -> None:
    with Rig(tmp_path, version="25.05.3") as rig:
        rig.ended(20, job_name="segfault in a shell", state="FAILED", exit_code=139 << 8, derived_ec=139 << 8)
        rig.ended(20, job_name="signal", state="FAILED", exit_code=11)
        rig.ended(20, job_name="exit 11", state="FAILED", exit_code=11 << 8)
        await rig.once()
        for release in ("25.11.1", "25.05.3", "26.05.5"):
            rig.cluster.set_version(release)
            for _ in range(3):
                rig.move(1)
                await rig.once()
            assert revised(rig.records()) == [], release
        # What ended since then has one meaning only, so a change is told by 128 as well.
        later = rig.ended(1, job_name="later", state="FAILED", exit_code=11 << 8)
        await rig.once()
        rig.cluster.update_job(later, exit_code=139 << 8)
        rig.move(1)
        await rig.once()
        assert revised(rig.records()) == [("later", {"exit_code": [11, 139]})]


async def test_a_code_that_changes_otherwise_while_slurm_is_upgraded_is_told(tmp_path: Path) -> None:
    with Rig(tmp_path, version="25.05.3") as rig:
        key = rig.ended(20, job_name="set right", state="FAILED", exit_code=139 << 8)
        await rig.once()
        rig.cluster.set_version("25.11.1")
        rig.cluster.update_job(key, exit_code=137 << 8)
        rig.move(1)
        await rig.once()
        assert revised(rig.records()) == [("set right", {"exit_code": [11, 137]})]


async def test_slurms_zero_is_no_original_sluid_of_what_an_older_release_wrote(tmp_path: Path) -> None:
    with Rig(tmp_path, version="22.05.8") as rig:
        rig.ended(20, job_name="before")
        rig.cluster.set_version("26.05.5")
        rig.move(5)
        rig.ended(1, job_name="after")
        await rig.once()
        before, after = sorted(rig.records(), key=lambda record: record["job_id_raw"])
        assert "original_sluid" not in before
        assert after["original_sluid"] == after["sluid"]


async def test_fields_a_release_brought_are_there_for_what_ends_from_then_on(tmp_path: Path) -> None:
    with Rig(tmp_path, version="22.05.8") as rig:
        columns: dict[str, Any] = {"extra": "e", "failed_node": "n1", "licenses": "l:1", "restart_cnt": 3}
        rig.ended(20, job_name="before", **columns)
        await rig.once()
        rig.cluster.set_version("24.11.5")
        rig.move(5)
        rig.ended(1, job_name="after", **columns)
        await rig.once()
        before, after = rig.records()
        new = {"extra": "e", "failed_node": "n1", "licenses": {"l": 1}, "restarts": 3}
        assert {name: before.get(name) for name in new} == dict.fromkeys(new)
        assert {name: after.get(name) for name in new} == new
        assert (before["db_index"], int(after["db_index"]) > 1 << 63) == ("1", True)
        assert after["sluid"].startswith("s")


async def test_a_release_that_takes_fields_away_revises_nothing(tmp_path: Path) -> None:
    with Rig(tmp_path, version="26.05.5") as rig:
        rig.ended(20, job_name="both", extra="e", failed_node="n1", licenses="l:1", restart_cnt=3)
        await rig.once()
        for release in ("22.05.8", "26.05.5"):
            rig.cluster.set_version(release)
            rig.move(1)
            await rig.once()
        assert [record["event"] for record in rig.records()] == ["job_ended"]
