"""A node that fails every job at once is named by command, metric and alert; a user's broken array names none."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.scraper import install_prometheus, prometheus, quick_rules
from tests.acceptance.watch import Watch
from tests.real_slurm import jobs, truth
from tests.real_slurm.daemons import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.scraper import Prometheus
    from tests.real_slurm.cluster import RealCluster

pytestmark = [pytest.mark.real_slurm, pytest.mark.one_release, pytest.mark.timeout(900)]

USERS = {"bin": "astronomy", "sys": "astronomy", "mail": "geology", "news": "geology"}
"""Users that every Debian has, and the accounts they get."""
UNLUCKY = "games"
"""Whose array is broken."""

JOBS_OF_EACH = 8
TASKS = 32


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    install_prometheus()


@pytest.fixture
def scratch(cluster: RealCluster) -> Path:
    """A folder that has each node's own scratch folder.

    The nodes are one machine, so that a folder stands for what a node has mounted.
    """
    folder = cluster.run_dir / "scratch"
    for node in nodes_of(cluster):
        (folder / node).mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def _accounts(cluster: RealCluster) -> None:
    for user, account in {**USERS, UNLUCKY: "geology"}.items():
        # What slurmdbd knows already it says so, which is fine.
        cluster.run("sacctmgr", "-i", "add", "account", account, check=False)
        cluster.run("sacctmgr", "-i", "add", "user", user, f"account={account}", check=False)


def nodes_of(cluster: RealCluster) -> list[str]:
    return cluster.run("sinfo", "-h", "-N", "-p", "main", "-o", "%N").stdout.split()


def work(cluster: RealCluster, scratch: Path, count: int) -> None:
    """Have each user submit jobs that begin in the scratch folder of their node, as many users' jobs do."""
    script = f'cd "{scratch}/$SLURMD_NODENAME" || exit 1\nsleep 3'
    for _ in range(count):
        for user, account in USERS.items():
            jobs.batch(cluster, f"--account={account}", "--exclusive", "--time=10", script=script, user=user)


def where(cluster: RealCluster, since: int, *users: str) -> dict[str, Counter[str]]:
    """Count the attempts on each node by state, as slurmdbd has them."""
    found: dict[str, Counter[str]] = {}
    for attempt in truth.ended(cluster, since).values():
        if attempt.values["user"] in users:
            found.setdefault(str(attempt.values["node_list"]), Counter())[str(attempt.values["state"])] += 1
    return found


def suspects(watch: Watch) -> list[dict[str, Any]]:
    """What the command says."""
    said = watch.run("nodes", "--suspect", "--json")
    assert said.returncode == 0, said.stderr
    found: list[dict[str, Any]] = json.loads(said.stdout)["nodes"]
    return found


def all_are_in_the_file(cluster: RealCluster, watch: Watch, since: int) -> None:
    jobs.settle(cluster, since)
    ended = truth.ended(cluster, since)
    watch.wait_until(lambda: set(ended) <= watch.keys(), "every job to be in the file")


def scores(scraper: Prometheus) -> dict[str, float]:
    """What Prometheus holds of the metric."""
    found = scraper.samples("slurmwatchd_suspect_node_score")
    return {labels["node"]: value for labels, value in found}


@pytest.mark.usefixtures("_accounts")
def test_a_black_hole_is_named_and_a_users_broken_array_names_none(
    cluster: RealCluster, scratch: Path, tmp_path: Path
) -> None:
    nodes = nodes_of(cluster)
    bad = nodes[4]
    # What other tests have done to nodes would be seen as well.
    started = jobs.new_second(cluster)
    watch = Watch(cluster, tmp_path / "watch", since="0s", overlap="1s", steps="off")
    watch.start()
    try:
        watch.wait_until(lambda: watch.get("/-/ready")[0] == 200, "ready")
        with prometheus(tmp_path, watch.port, quick_rules(tmp_path)) as scraper:
            broken = ("--account=geology", f"--array=1-{TASKS}")
            jobs.batch(cluster, *broken, "--ntasks=8", script="exit 1", user=UNLUCKY)
            # Most of what failed did so on one node: whose it was says that this is no fault of the node.
            jobs.batch(cluster, *broken, f"--nodelist={nodes[1]}", script="exit 1", user=UNLUCKY)
            jobs.batch(cluster, "--account=geology", f"--array=1-{4 * TASKS}", "--ntasks=4", user="news")
            work(cluster, scratch, 1)
            all_are_in_the_file(cluster, watch, started)
            failed = where(cluster, started, UNLUCKY)
            assert set(failed) == set(nodes)
            assert sum(failed.values(), Counter()) == {"FAILED": 2 * TASKS}
            assert suspects(watch) == []

            # The scratch of one node is gone. A node on which all ends at once is the first that is free again.
            (scratch / bad).rmdir()
            hole = jobs.new_second(cluster)
            work(cluster, scratch, JOBS_OF_EACH)
            all_are_in_the_file(cluster, watch, hole)
            worked = where(cluster, hole, *USERS)
            assert set(worked.pop(bad)) == {"FAILED"}
            assert set(worked) == set(nodes) - {bad}
            assert set(sum(worked.values(), Counter())) == {"COMPLETED"}

            (suspect,) = suspects(watch)
            assert (suspect["node"], suspect["users"]) == (bad, len({*USERS, UNLUCKY}))
            wait_until(lambda: scores(scraper), "the node on /metrics", explain=watch.log_tail)
            assert set(scores(scraper)) == {bad}
            wait_until(scraper.firing, "an alert", explain=watch.log_tail)
            assert ("SlurmwatchdNodeSuspect", bad) in scraper.firing()
            assert {node for _, node in scraper.firing()} - {""} == {bad}
        assert watch.stop() == 0
    finally:
        watch.kill()
        print(watch.log_tail())  # noqa: T201 - pytest shows it where the test failed
