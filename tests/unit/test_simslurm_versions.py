"""What the simulated commands change from release to release."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simslurm import SimCluster
from simslurm.jobids import sluid_text
from simslurm.versions import release_of

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_no_version_is_refused() -> None:
    with pytest.raises(ValueError, match="not a Slurm version"):
        release_of("latest")


def test_db_indexes_are_small_until_24_05_and_pass_2_to_the_63_since_24_11(tmp_path: Path) -> None:
    with SimCluster.create(tmp_path / "sim.db", version="24.05.1") as cluster:
        small = cluster.job(cluster.add_job(time_submit=1_700_000_000))
        cluster.set_version("24.11.5")
        large = cluster.job(cluster.add_job(time_submit=1_700_000_000))
    assert small["job_db_inx"] == "1"
    # cluster_id << 52 | milliseconds << 10 | sequence
    assert large["job_db_inx"] == str(2500 << 52 | 1_700_000_000_000 << 10 | 2)
    assert int(large["job_db_inx"]) > 1 << 63


def test_a_sluid_is_crockfords_base_32() -> None:
    assert sluid_text(0) == "s0000000000000"
    assert sluid_text((1 << 64) - 1) == "sFZZZZZZZZZZZZ"
