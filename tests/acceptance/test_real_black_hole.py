"""A node that fails every job at once is named by command, metric and alert; a user's broken array names none."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.acceptance.scraper import install_prometheus, prometheus, quick_rules
from tests.acceptance.watch import Watch
from tests.patience import Patience
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

JOBS_OF_EACH = 6
EATEN_OF_EACH = 2
"""So many failures of each user are wanted on the bad node."""
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


class Ended(NamedTuple):
    """Of one attempt."""

    user: str
    node: str
    state: str


def nodes_of(cluster: RealCluster) -> list[str]:
    return cluster.run("sinfo", "-h", "-N", "-p", "main", "-o", "%N").stdout.split()


def work(cluster: RealCluster, scratch: Path, count: int) -> None:
    """Queue jobs of each user, which begin in the scratch folder of their node, and wait until all have ended."""
    began = jobs.new_second(cluster)
    script = f'cd "{scratch}/$SLURMD_NODENAME" || exit 1\nsleep 3'
    waiting = [
        jobs.batch(cluster, "--hold", f"--account={account}", "--exclusive", script=script, user=user)
        for _ in range(count)
        for user, account in USERS.items()
    ]
    cluster.run("scontrol", "release", ",".join(waiting))
    jobs.settle(cluster, began)


def ended(cluster: RealCluster, since: int) -> list[Ended]:
    """Where and how the users' attempts ended, as slurmdbd has it."""
    found = (attempt.values for attempt in truth.ended(cluster, since).values())
    return [Ended(str(values["user"]), str(values["node_list"]), str(values["state"])) for values in found]


def eaten(cluster: RealCluster, since: int, node: str) -> Counter[str]:
    """How many attempts of each user failed on a node."""
    return Counter(one.user for one in ended(cluster, since) if (one.node, one.state) == (node, "FAILED"))


def suspects(watch: Watch) -> list[dict[str, Any]]:
    """What the command says."""
    said = watch.run("nodes", "--suspect", "--json")
    assert said.returncode == 0, said.stderr
    found: list[dict[str, Any]] = json.loads(said.stdout)["nodes"]
    return found


def all_are_in_the_file(cluster: RealCluster, watch: Watch, since: int) -> None:
    jobs.settle(cluster, since)
    keys = set(truth.ended(cluster, since))
    watch.wait_until(lambda: keys <= watch.keys(), "every job to be in the file")


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
            failed = [one for one in ended(cluster, started) if one.user == UNLUCKY]
            assert {one.node for one in failed} == set(nodes)
            assert Counter(one.state for one in failed) == {"FAILED": 2 * TASKS}
            assert suspects(watch) == []

            # The scratch of one node is gone. A node on which all ends at once is the first that is free again.
            (scratch / bad).rmdir()
            hole = jobs.new_second(cluster)
            patience = Patience(lambda: eaten(cluster, hole, bad))
            while min(eaten(cluster, hole, bad)[user] for user in USERS) < EATEN_OF_EACH:
                assert not patience.is_over(), ended(cluster, hole)
                work(cluster, scratch, JOBS_OF_EACH)
            all_are_in_the_file(cluster, watch, hole)
            assert {one.state for one in ended(cluster, hole) if one.node == bad} == {"FAILED"}
            assert {one.state for one in ended(cluster, hole) if one.node != bad} == {"COMPLETED"}

            (suspect,) = suspects(watch)
            assert (suspect["node"], suspect["users"]) == (bad, len({*USERS, UNLUCKY}))
            wait_until(lambda: scores(scraper), "the node on /metrics", explain=watch.log_tail)
            assert set(scores(scraper)) == {bad}
            alert = ("SlurmwatchdNodeSuspect", bad)
            wait_until(lambda: alert in scraper.firing(), "an alert", explain=lambda: repr(scraper.firing()))
            assert {node for _, node in scraper.firing()} - {""} == {bad}
        assert watch.stop() == 0
    finally:
        watch.kill()
        print(watch.log_tail())  # noqa: T201 - pytest shows it where the test failed
