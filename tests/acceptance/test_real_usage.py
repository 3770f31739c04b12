"""What jobs used on a real cluster: `job_usage` against sacct's own answer, slurmdbd's step table and seff."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.watch import Watch
from tests.real_slurm import jobs, truth

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.real_slurm.cluster import RealCluster
    from tests.real_slurm.truth import Key

pytestmark = [pytest.mark.real_slurm, pytest.mark.timeout(900)]

SEFF_VARIABLE = "SEFF"
FIELDS = (
    "JobIDRaw", "Submit", "TotalCPU", "UserCPU", "SystemCPU", "MaxRSS", "AveRSS", "MaxVMSize", "AllocCPUS",
    "ElapsedRaw", "ConsumedEnergyRaw",
)  # fmt: skip
# Perl, since it is in every Debian however small.
BURN = "perl -e 'until ((times)[0] >= 2) { $n++ for 1 .. 1000000 }'"
FILL = "perl -e 'vec($heap, (200 << 20) - 1, 8) = 1; sleep 3'"
FILE = "/dev/shm/usage-$SLURM_JOB_ID"
WRITE = f"sh -c 'dd if=/dev/zero of={FILE} bs=1M count=50 2>/dev/null; rm {FILE}; sleep 2'"
THREE_STEPS = f"srun -N1 -n1 {WRITE}\nsrun -n2 {FILL}\nsrun -N2 -n2 {BURN}"


def run_jobs(cluster: RealCluster) -> tuple[int, dict[str, str]]:
    """Run a job of each kind to its end; return when that began and the ids by kind."""
    started = jobs.new_second(cluster)
    again = '[ -n "$SLURM_RESTART_COUNT" ] || srun sleep 600\nsrun sleep 1'
    ids = {
        "three steps": jobs.batch(cluster, "--nodes=2", "--ntasks=4", "--mem=1000M", script=THREE_STEPS),
        "cancelled": jobs.batch(cluster, script=f"srun {BURN}; srun sleep 600"),
        "requeued": jobs.batch(cluster, "--requeue", script=again),
        "array": jobs.batch(cluster, "--array=0-2", script="srun sleep 1"),
        "held": jobs.batch(cluster, "--hold"),
    }
    cluster.run(
        "sbatch", "--parsable", *jobs.QUIET, "--ntasks=1", ":", "--ntasks=2",
        stdin="#!/bin/sh\nsrun --het-group=0-1 sleep 1\n",
    )  # fmt: skip
    # Nothing is run in it: an allocation without a step.
    said = cluster.run("salloc", "--no-shell", "--ntasks=1", "--chdir=/tmp").stderr
    ids["without steps"] = re.search(r"Granted job allocation (\d+)", said)[1]  # type: ignore[index]
    jobs.wait_for_state(cluster, ids["requeued"], "RUNNING")
    second_step = f"{ids['cancelled']}.1"
    cluster.wait_until(
        lambda: second_step in cluster.run("squeue", "-h", "-s", "-o", "%i").stdout.split(), "its second step"
    )
    cluster.run("scancel", ids["cancelled"], ids["held"], ids["without steps"])
    cluster.run("scontrol", "requeue", ids["requeued"])
    jobs.settle(cluster, started)
    return started, ids


def sacct_says(cluster: RealCluster, started: int) -> dict[Key, list[dict[str, str]]]:
    """Every attempt since then with its steps, as sacct prints them: the attempt's row first."""
    printed = cluster.run(
        "sacct", "-a", "-D", "-P", "--noconvert", "--delimiter=@", "-S", f"uts{started}", "-E", "now",
        "-s", "CA,CD,F,NF,PR,TO,BF,DL,OOM,RQ", "-o", ",".join(FIELDS),
        environment={"SLURM_TIME_FORMAT": "%s", "TZ": "UTC"},
    ).stdout  # fmt: skip
    found: dict[Key, list[dict[str, str]]] = {}
    for line in printed.splitlines()[1:]:
        row = dict(zip(FIELDS, line.split("@"), strict=True))
        if "." not in row["JobIDRaw"]:
            rows: list[dict[str, str]] = []
            found[int(row["JobIDRaw"]), int(row["Submit"])] = rows
        rows.append(row)
    return found


def seconds(text: str) -> float:
    """Processor time as sacct prints it."""
    days, _, clock = text.rpartition("-")
    parts = [float(part) for part in clock.split(":")]
    total = 0.0
    for part in parts:
        total = total * 60 + part
    return round(int(days or 0) * 86400 + total, 3)


def usages(watch: Watch) -> dict[Key, Mapping[str, Any]]:
    found = [record for record in watch.records() if record["event"] == "job_usage"]
    by_key = {truth.key_of(record): record for record in found}
    assert len(by_key) == len(found)
    return by_key


def test_usage_is_what_sacct_and_slurmdbd_say(cluster: RealCluster, tmp_path: Path) -> None:
    started, ids = run_jobs(cluster)
    watch = Watch(cluster, tmp_path / "watch", steps="full")
    done = watch.once()
    assert done.returncode == 0, done.stderr
    said = sacct_says(cluster, started)
    ended = truth.ended(cluster, started)
    told = {key: record for key, record in usages(watch).items() if key in ended}
    assert set(told) == set(ended)
    assert len(told) == 11
    for key, record in told.items():
        usage, (job, *steps) = record["usage"], said[key]
        assert usage["complete"] is True, record
        for name, field in (("cpu", "TotalCPU"), ("user_cpu", "UserCPU"), ("system_cpu", "SystemCPU")):
            assert usage[f"{name}_seconds"] == seconds(job[field]), (key, field)
        for name, field in (("max_rss", "MaxRSS"), ("max_vmsize", "MaxVMSize")):
            peaks = [int(step[field]) for step in steps if step[field]]
            assert usage.get(f"{name}_bytes") == max(peaks, default=None), (key, field)
        assert usage["steps"] == len(steps)
        core_seconds = int(job["AllocCPUS"] or 0) * int(job["ElapsedRaw"])
        if core_seconds:
            assert usage["cpu_efficiency"] == pytest.approx(seconds(job["TotalCPU"]) / core_seconds, abs=1e-6)
        # A step that was too short to be looked at has no peak.
        assert {step["id"]: step.get("max_rss_bytes") for step in record.get("steps", [])} == {
            step["JobIDRaw"].partition(".")[2]: int(step["MaxRSS"]) if step["MaxRSS"] else None for step in steps
        }
        disk = step_sums(cluster, key)
        assert (usage.get("disk_read_bytes", 0), usage.get("disk_write_bytes", 0)) == disk

    by_id = {str(key[0]): record for key, record in told.items()}
    three = by_id[ids["three steps"]]["usage"]
    assert three["steps"] == 4
    assert 200 << 20 < three["max_rss_bytes"] < 260 << 20
    assert 400 << 20 < three["memory_bytes"] < 520 << 20
    assert three["disk_write_bytes"] > 50_000_000
    assert 4 <= three["cpu_seconds"] < 8
    assert 2 <= by_id[ids["cancelled"]]["usage"]["cpu_seconds"] < 4
    assert by_id[ids["without steps"]]["usage"]["steps"] == 0
    assert "max_rss_bytes" not in by_id[ids["held"]]["usage"]
    assert [record["state"] for record in told.values() if str(record["job_id_raw"]) == ids["requeued"]].count(
        "REQUEUED"
    ) == 1


def step_sums(cluster: RealCluster, key: Key) -> tuple[int, int]:
    """Bytes read and written, summed over the step table's own strings (6 is the id of fs/disk)."""
    rows = cluster.sql(
        "select step.tres_usage_in_tot as i, step.tres_usage_out_tot as o from {step_table} step "
        "join {job_table} job using (job_db_inx) where job.id_job = %s and job.time_submit = %s",
        key,
    )
    sums = []
    for column in ("i", "o"):
        counts = [dict(item.split("=") for item in (row[column] or "").split(",") if item) for row in rows]
        sums.append(sum(int(count.get("6", 0)) for count in counts))
    return sums[0], sums[1]


def test_efficiencies_are_those_of_seff(cluster: RealCluster, tmp_path: Path) -> None:
    seff = os.environ.get(SEFF_VARIABLE) or shutil.which("seff")
    if seff is None or cluster.version != "22.05":
        pytest.skip("needs seff of the cluster's own release, on PATH or named by SEFF")
    started = jobs.new_second(cluster)
    job = jobs.batch(cluster, "--nodes=2", "--ntasks=4", "--mem=1000M", script=THREE_STEPS)
    jobs.settle(cluster, started)
    # Where memory is allocated (CR_Core_Memory) slurmctld writes it here; TRES 2 is memory in MiB.
    cluster.sql("update {job_table} set tres_alloc = concat(tres_alloc, ',2=2000') where id_job = %s", (int(job),))
    watch = Watch(cluster, tmp_path / "watch")
    assert watch.once().returncode == 0

    (record,) = [found for key, found in usages(watch).items() if key[0] == int(job)]
    usage = record["usage"]
    said = subprocess.run(
        [seff, job],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "SLURM_CONF": str(cluster.conf)},
    ).stdout
    core_seconds = record["cpus"] * record["elapsed_seconds"]
    # seff rounds processor time to whole seconds before it divides.
    assert f"CPU Efficiency: {round(usage['cpu_seconds']) / core_seconds * 100:.2f}% of" in said
    assert f"Memory Utilized: {usage['memory_bytes'] / 2**20:.2f} MB" in said
    assert f"Memory Efficiency: {usage['memory_efficiency'] * 100:.2f}% of 1.95 GB" in said
