"""The metrics of ended jobs against slurmdbd's own tables, and bad nodes by command and metric, on real Slurm."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.watch import Watch
from tests.real_slurm import jobs, truth, untidy
from tests.real_slurm.daemons import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.real_slurm.cluster import RealCluster

pytestmark = [pytest.mark.real_slurm, pytest.mark.timeout(900)]

COUNTERS = {
    "slurmwatchd_jobs_ended_total": "attempts",
    "slurmwatchd_job_outcomes_total": "outcomes",
    "slurmwatchd_ended_cpu_seconds_total": "cpu",
    "slurmwatchd_ended_node_seconds_total": "node",
    "slurmwatchd_ended_memory_byte_seconds_total": "memory",
    "slurmwatchd_ended_billing_seconds_total": "billing",
    "slurmwatchd_ended_gpu_seconds_total": "gpu",
}
TRES = {"cpu": 1, "memory": 2, "node": 4, "billing": 5}
"""The numbers that slurmdbd gives them in every cluster."""
FAILURES = 6
NUMBERS = ("id_job", "time_submit", "time_start", "time_end", "time_suspended")
LABELS = '\n[metrics]\nlabels = ["partition", "account", "user", "qos"]\n'


def counted(watch: Watch) -> dict[str, float]:
    """What a scrape adds up to; nothing while nobody answers."""
    status, text = watch.get("/metrics")
    if status != 200:
        return {}
    found = dict.fromkeys(COUNTERS.values(), 0.0)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in COUNTERS:
                found[COUNTERS[sample.name]] += sample.value
    return found


def accounted(cluster: RealCluster, watch: Watch) -> dict[str, float]:
    """The same from slurmdbd's job table, of the attempts that the file has."""
    rows = cluster.sql(
        "select id_job, time_submit, time_start, time_end, time_suspended, tres_alloc from {job_table} job "
        "where time_end != 0"
    )
    (gpu,) = cluster.sql("select id from tres_table where type = 'gres' and name = 'gpu'")
    numbers = {**TRES, "gpu": gpu["id"]}
    wanted = watch.keys()
    sums = Counter(dict.fromkeys(COUNTERS.values(), 0))
    for row in rows:
        job, submit, start, end, suspended = (int(row[name] or 0) for name in NUMBERS)
        if (job, submit) not in wanted:
            continue
        sums["attempts"] += 1
        sums["outcomes"] += 1
        ran = end - start - suspended if start else 0
        tres = dict(pair.split("=") for pair in (row["tres_alloc"] or "").split(",") if pair)
        for name, number in numbers.items():
            sums[name] += int(tres.get(str(number), 0)) * ran * (1 << 20 if name == "memory" else 1)
    return {name: float(value) for name, value in sums.items()}


def some_jobs(cluster: RealCluster) -> None:
    """Jobs of several sizes and ends, and wait until all have ended."""
    started = jobs.new_second(cluster)
    jobs.batch(
        cluster, "--array=0-5", script="sleep $((SLURM_ARRAY_TASK_ID % 3)); exit $((SLURM_ARRAY_TASK_ID % 2))"
    )
    jobs.batch(cluster, "--nodes=2", "--ntasks=2", "--mem=100M", script="sleep 2")
    for gres in (f"gpu:{untidy.GPU}:2", f"gpu:{untidy.MIG}:1", "gpu:3"):
        jobs.batch(cluster, f"--gres={gres}", script="sleep 2")
    again = jobs.batch(cluster, "--requeue", script='[ -n "$SLURM_RESTART_COUNT" ] || sleep 600')
    held = jobs.batch(cluster, "--hold")
    jobs.wait_for_state(cluster, again, "RUNNING")
    cluster.run("scontrol", "requeue", again)
    cluster.run("scancel", held)
    jobs.settle(cluster, started)


def test_counters_equal_slurmdbds_tables_over_kills_and_a_rebuilt_store(
    cluster: RealCluster, watch: Watch
) -> None:
    watch.config.write_text(watch.config.read_text(encoding="utf-8") + LABELS, encoding="utf-8")
    watch.start()
    some_jobs(cluster)
    equal(cluster, watch)
    assert min(counted(watch)[name] for name in ("cpu", "gpu")) > 0
    watch.kill()
    some_jobs(cluster)
    watch.start()
    equal(cluster, watch)
    watch.kill()
    damage(watch)
    some_jobs(cluster)
    watch.start()
    equal(cluster, watch)
    assert counted(watch)["attempts"] >= 36
    assert watch.stop() == 0


def equal(cluster: RealCluster, watch: Watch) -> None:
    """Wait until the file has all that ended, and /metrics the same sums as slurmdbd."""
    # Before that a new store may not be there yet, or be empty.
    watch.wait_until(lambda: watch.get("/-/ready")[0] == 200, "ready")
    watch.wait_until(lambda: set(truth.ended(cluster)) <= watch.keys() | earlier(cluster, watch), "every job")
    try:
        watch.wait_until(lambda: counted(watch) == accounted(cluster, watch), "/metrics to equal SQL")
    except ClusterError:
        assert counted(watch) == accounted(cluster, watch)
        raise


def earlier(cluster: RealCluster, watch: Watch) -> set[truth.Key]:
    """What ended before this daemon began to read."""
    with closing(sqlite3.connect(f"file:{watch.store}?mode=ro", uri=True)) as store:
        ((horizon,),) = store.execute("SELECT min(horizon) FROM horizons").fetchall() or [(0,)]
    rows = cluster.sql(
        "select id_job, time_submit from {job_table} job where time_end != 0 and time_end < %s", (horizon or 0,)
    )
    return {(int(row["id_job"] or 0), int(row["time_submit"] or 0)) for row in rows}


def damage(watch: Watch) -> None:
    """Spoil the root page of the table of events."""
    with closing(sqlite3.connect(watch.store)) as store:
        ((page,),) = store.execute("SELECT rootpage FROM sqlite_master WHERE name = 'events'")
        ((size,),) = store.execute("PRAGMA page_size")
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with watch.store.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)


@pytest.fixture
def fresh(cluster: RealCluster, tmp_path: Path) -> Iterator[Watch]:
    """A slurmwatchd that has not read what other tests did to nodes within the last hour."""
    made = Watch(cluster, tmp_path / "fresh", since="0s")
    try:
        yield made
    finally:
        made.kill()
        print(made.log_tail())  # noqa: T201 - pytest shows it where the test failed


def test_a_node_that_fails_its_jobs_is_named_first_by_command_and_metric(
    cluster: RealCluster, fresh: Watch
) -> None:
    fresh.start()
    # What ends before is not its.
    fresh.wait_until(lambda: fresh.get("/-/ready")[0] == 200, "the daemon to have begun")
    started = jobs.new_second(cluster)
    # What else ran: on all nodes, and it ended well, before the node fails that some of it was on.
    jobs.batch(cluster, "--array=0-63", script="true")
    jobs.settle(cluster, started)
    bad = cluster.run("sinfo", "-h", "-N", "-o", "%N").stdout.split()[2]
    for _ in range(FAILURES):
        job = jobs.batch(cluster, f"--nodelist={bad}", "--no-requeue", script="sleep 600")
        jobs.wait_for_state(cluster, job, "RUNNING")
        cluster.run("scontrol", "update", f"nodename={bad}", "state=down", "reason=tried")
        jobs.wait_for_state(cluster, job, "NODE_FAIL")
        # A node that answers comes back by itself, so this may be too late, which is an error to scontrol.
        cluster.run("scontrol", "update", f"nodename={bad}", "state=resume", check=False)
    jobs.settle(cluster, started)
    ended = truth.ended(cluster, started)
    fresh.wait_until(lambda: set(ended) <= fresh.keys(), "every job to be in the file")

    said = fresh.run("nodes", "--suspect", "--since", f"@{started}", "--json")
    nodes: list[dict[str, Any]] = json.loads(said.stdout)["nodes"]
    assert [node["node"] for node in nodes][:1] == [bad], said
    assert nodes[0]["node_failures"] == FAILURES
    fresh.wait_until(lambda: worst(fresh) == bad, "the node on /metrics", 300)
    assert fresh.stop() == 0


def worst(watch: Watch) -> str:
    """The node with the highest score on /metrics."""
    status, text = watch.get("/metrics")
    scores = {
        sample.labels["node"]: sample.value
        for family in (text_string_to_metric_families(text) if status == 200 else ())
        for sample in family.samples
        if sample.name == "slurmwatchd_suspect_node_score"
    }
    return max(scores, key=lambda node: scores[node], default="")
