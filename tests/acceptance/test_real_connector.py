"""The connector on a real Slurm: against sacct's own output, slurmdbd's tables, and the daemon's store."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from slurmwatchd import connector
from slurmwatchd.connector import Slurm, jobs_running_between
from slurmwatchd.connector.from_store import FIELDS
from slurmwatchd.errors import SacctError
from tests.real_slurm import jobs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.acceptance.watch import Watch
    from tests.real_slurm.cluster import RealCluster

pytestmark = [pytest.mark.real_slurm, pytest.mark.one_release, pytest.mark.timeout(900)]

HOSTILE = "a|b\n999999|999999|COMPLETED|\x1f\x1e\u2028"
COLUMNS = ("jobidraw", "jobid", "state", "start", "end", "nodelist", "exitcode")


@pytest.fixture(autouse=True)
def _path(cluster: RealCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cluster's commands first on PATH, and an environment that would bend what they print."""
    monkeypatch.setenv("PATH", f"{cluster.bin_dir}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SACCT_FORMAT", "jobid")
    monkeypatch.setenv("SLURM_TIME_FORMAT", "relative")


def as_sacct_prints(cluster: RealCluster, *arguments: str) -> dict[str, dict[str, str]]:
    """Task id to columns, none of which users write: plain `sacct -P` will do. The last row of an id counts."""
    printed = cluster.run(
        "sacct", "-n", "-P", "-o", ",".join(COLUMNS), *arguments, environment={"SLURM_TIME_FORMAT": "standard"}
    ).stdout
    rows = [dict(zip(COLUMNS, line.split("|"), strict=True)) for line in printed.splitlines()]
    return {row["jobidraw"]: row for row in rows}


def as_texts(slurm: Mapping[str, Mapping[str, object]], cluster: RealCluster) -> dict[str, dict[str, str]]:
    """What the connector holds, in sacct's spelling, by Slurm's own words and not the connector's."""

    def text(value: object) -> str:
        if isinstance(value, datetime):
            return value.strftime("%Y-%m-%dT%H:%M:%S")
        if isinstance(value, set):
            names = ",".join(sorted(value))
            return cluster.run("scontrol", "show", "hostlist", names).stdout.strip() if value else "None assigned"
        return str(value)

    return {task: {key: text(value) for key, value in row.items()} for task, row in slurm.items()}


@pytest.fixture(scope="module")
def submitted(cluster: RealCluster) -> dict[str, str]:
    """Jobs of the kinds that differ, all ended; kind to id."""
    started = jobs.new_second(cluster)
    once = f'[ -n "$SLURM_RESTART_COUNT" ] || {jobs.LONG}'
    ids = {
        "simple": jobs.batch(cluster, f"--job-name={HOSTILE}", "--nodes=2", "--ntasks=2", script="srun -n2 true"),
        "array": jobs.batch(
            cluster, "--array=0-3", "--job-name=array", script="exit $((SLURM_ARRAY_TASK_ID % 2))"
        ),
        "het": cluster.run(
            *("sbatch", "--parsable", *jobs.QUIET, "--job-name=het", "-n1", ":", "-n2", ":", "-N2"),
            stdin="#!/bin/sh\nsrun --het-group=0-2 true\n",
        ).stdout.strip(),
        "requeued": jobs.batch(cluster, "--requeue", "--job-name=requeued", script=f"srun true; {once}"),
        "cancelled": jobs.batch(cluster, "--hold", "--job-name=cancelled"),
    }
    jobs.wait_for_state(cluster, ids["requeued"], "RUNNING")
    cluster.wait_until(
        lambda: f"{ids['requeued']}.0" in cluster.run("sacct", "-n", "-P", "-o", "jobid").stdout.split(),
        "the first attempt's step",
    )
    cluster.run("scontrol", "requeue", ids["requeued"])
    cluster.run("scancel", ids["cancelled"])
    jobs.settle(cluster, started)
    return ids


@pytest.mark.parametrize("kind", ["simple", "array", "het", "requeued"])
def test_a_job_is_what_sacct_shows(cluster: RealCluster, submitted: dict[str, str], kind: str) -> None:
    slurm = Slurm(submitted[kind])
    slurm.load_keys(*COLUMNS)
    assert as_texts(slurm, cluster) == as_sacct_prints(cluster, "-j", submitted[kind])
    assert Slurm(from_string=str(slurm)) == slurm
    assert Slurm(from_string=slurm.to_json(indent=2)) == slurm


def test_kinds_of_jobs_have_the_tasks_they_have(cluster: RealCluster, submitted: dict[str, str]) -> None:
    simple, requeued = submitted["simple"], submitted["requeued"]
    assert sorted(Slurm(simple)) == [simple, f"{simple}.0", f"{simple}.batch"]
    assert len(Slurm(simple).get_job_nodes()) == 2
    assert len(Slurm(submitted["array"]).get_job_ids()) == 4
    assert len(Slurm(f"{submitted['array']}_2").get_job_ids()) == 1
    assert len(Slurm(submitted["het"]).get_job_ids()) == 3
    truth = cluster.sql(
        "select time_submit, time_start, time_end from {job_table} where id_job = %s order by time_submit",
        (int(requeued),),
    )
    slurm = Slurm(requeued, tz=UTC)
    slurm.load_keys("submit", "state")
    assert [attempt[requeued]["state"] for attempt in slurm.earlier[requeued]] == ["REQUEUED"]
    attempts = [*(attempt[requeued] for attempt in slurm.earlier[requeued]), slurm[requeued]]
    assert [
        (datetime.fromisoformat(row["submit"]).timestamp(), row["start"].timestamp(), row["end"].timestamp())
        for row in attempts
    ] == [tuple(float(str(value)) for value in row.values()) for row in truth]


def test_a_hostile_name_is_a_name(cluster: RealCluster, submitted: dict[str, str]) -> None:
    slurm = Slurm(submitted["simple"]).load_keys("jobname", "comment")
    (truth,) = cluster.sql("select job_name from {job_table} where id_job = %s", (int(submitted["simple"]),))
    assert slurm[submitted["simple"]]["jobname"] == truth["job_name"] == HOSTILE
    assert Slurm(from_string=str(slurm)) == slurm


def test_what_sacct_refuses_is_an_error_with_its_words() -> None:
    with pytest.raises(SacctError, match="Bad job/step specified"):
        Slurm("nosuch")
    with pytest.raises(SacctError, match="Invalid field requested"):
        Slurm(1).load_keys("nosuchfield")
    with pytest.warns(UserWarning, match="Bad job/step specified"):
        assert Slurm("nosuch", silent_errors=True) == {}


def test_every_field_of_this_sacct(submitted: dict[str, str], cluster: RealCluster) -> None:
    names = cluster.run("sacct", "--helpformat").stdout.lower().split()
    slurm = Slurm(submitted["simple"]).load_keys("all")
    assert set(slurm[submitted["simple"]]) == set(names)


def test_running_between_has_both_bounds_and_what_still_runs(cluster: RealCluster) -> None:
    started = jobs.new_second(cluster)

    def ended(name: str, *options: str, script: str = "true") -> dict[str, int]:
        job = jobs.batch(cluster, f"--job-name={name}", *options, script=script)
        jobs.wait_for_state(cluster, job, "COMPLETED")
        cluster.wait_until(lambda: any(row["time_end"] for row in rows(job)), f"job {job}'s end in slurmdbd")
        return rows(job)[0]

    def rows(job: str) -> list[dict[str, int]]:
        found = cluster.sql(
            "select time_start, time_end from {job_table} where id_job = %s and time_start != 0", (int(job),)
        )
        return [{key: int(str(value)) for key, value in row.items()} for row in found]

    def tick() -> None:
        now = int(time.time())
        cluster.wait_until(lambda: int(time.time()) > now + 1, "the next second")

    def names_of(found: Slurm) -> set[object]:
        """The names of this test's jobs: others' may still run, and rows written by hand have ids far above."""
        ids = range(int(runs) - 1, int(after) + 1)
        return {row["jobname"] for task, row in found.items() if "." not in task and int(task) in ids}

    ended("before")
    tick()
    runs = jobs.batch(cluster, "--job-name=runs still", script=jobs.LONG)
    sleeps = jobs.batch(cluster, "--job-name=suspended later", script=jobs.LONG)
    for job in (runs, sleeps):
        jobs.wait_for_state(cluster, job, "RUNNING")
    first = ended("ends at the first second", script="sleep 1")["time_end"]
    tick()
    ended("during")
    ended("two attempts' names | \n 1", script="sleep 1")
    tick()
    last = ended("starts at the last second", script="sleep 3")["time_start"]
    tick()
    after = jobs.batch(cluster, "--job-name=after", script=jobs.LONG)
    pending = jobs.batch(cluster, "--job-name=pending", "--hold")
    jobs.wait_for_state(cluster, after, "RUNNING")
    cluster.run("scontrol", "suspend", sleeps)
    jobs.wait_for_state(cluster, sleeps, "SUSPENDED")
    cluster.run("scancel", pending)
    cluster.wait_until(lambda: rows(after), f"job {after} in slurmdbd")
    try:
        found = jobs_running_between(
            datetime.fromtimestamp(first),  # noqa: DTZ006 - naive, as the original takes them
            datetime.fromtimestamp(last, UTC),
            ["jobidraw", "jobname", "start", "end"],
        )
        mine = names_of(found)
        assert mine == {
            "runs still", "suspended later", "ends at the first second", "during", "two attempts' names | \n 1",
            "starts at the last second",
        }  # fmt: skip
        assert found[runs]["end"] is None
        # A second less on either side, and the two at the bounds are out.
        inner = jobs_running_between(
            datetime.fromtimestamp(first + 1, UTC), datetime.fromtimestamp(last - 1, UTC), ["jobname"]
        )
        assert names_of(inner) == mine - {"ends at the first second", "starts at the last second"}
        truth = cluster.sql(
            "select id_job from {job_table} where time_start != 0 and time_start <= %s "
            "and (time_end = 0 or time_end >= %s) and nodelist != 'None assigned' and nodelist is not null",
            (last, first),
        )
        assert sorted(found.get_job_ids()) == sorted({str(row["id_job"]) for row in truth})
    finally:
        cluster.run("scancel", runs, sleeps, after)
        jobs.settle(cluster, started)


def test_the_store_answers_as_sacct_does(cluster: RealCluster, submitted: dict[str, str], watch: Watch) -> None:
    assert watch.once().returncode == 0
    offered = cluster.run("sacct", "--helpformat").stdout.lower().split()
    names = [name for name in FIELDS if name in offered]
    with connector.open(watch.store) as store:
        for kind, job in submitted.items():
            asked = Slurm(job, tz=UTC).load_keys(*names)
            known = Slurm(job, store=store, tz=UTC).load_keys(*names)
            steps = [task for task in asked if "." in task]
            assert dict(known) == {task: row for task, row in asked.items() if task not in steps}, kind
            earlier = {jobid: [{jobid: a[jobid]} for a in found] for jobid, found in asked.earlier.items()}
            assert known.earlier == earlier, kind

        job = submitted["simple"]
        (record,) = store.jobs(job)
        assert record["start"] == Slurm(job, tz=UTC)[job]["start"]
        assert store.nodes_of(job) == Slurm(job).get_job_nodes()
        node, moment = min(record["nodes"]), record["start"]
        beside = jobs_running_between(moment, moment, ["jobidraw", "nodelist"])
        on_node = {task for task in beside.get_job_ids() if node in beside[task]["nodelist"]}
        assert {str(found["job_id_raw"]) for found in store.on_node(node, moment)} == on_node

        begin, end = datetime.fromtimestamp(time.time() - 3600, UTC), datetime.now(UTC)
        ran = jobs_running_between(begin, end, ["jobidraw"], store=store)
        truth = cluster.sql(
            "select id_job, sum(nodes_alloc * (time_end - time_start)) as used from {job_table} "
            "where time_start != 0 and time_end != 0 and time_end >= %s and nodelist != 'None assigned' "
            "group by id_job",
            (int(begin.timestamp()),),
        )
        assert sorted(ran.get_job_ids()) == sorted(str(row["id_job"]) for row in truth)
        hours = sum(int(str(row["used"])) for row in truth) / 3600
        assert store.totals(begin, end)[None].node_hours == pytest.approx(hours, abs=1e-6)
