"""One daemon, several clusters of one slurmdbd: each is read, labelled and delayed by itself."""

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from tests.acceptance.process import DaemonProcess
from tests.sim_truth import differences

BOTH = 'clusters = ["sim", "poplar"]'


def watching(folder: Path, clusters: str = BOTH) -> DaemonProcess:
    """A daemon on one slurmdbd with two clusters; their job ids and submissions are the same."""
    daemon = DaemonProcess(folder)
    daemon.cluster.add_cluster("poplar", cluster_id=7)
    daemon.change_config('timeout = "1m"', f'timeout = "1m"\n{clusters}')
    return daemon


def both(daemon: DaemonProcess, name: str, number: int, seconds_ago: int = 2) -> None:
    """End a job of the same id and dates on each cluster."""
    for cluster in ("sim", "poplar"):
        daemon.ended(seconds_ago, cluster=cluster, id_job=number, job_name=f"{name} on {cluster}")


def told(daemon: DaemonProcess) -> Counter[tuple[str, str]]:
    return Counter((record["cluster"], record["name"]) for record in daemon.records())


def asked(daemon: DaemonProcess, cluster: str) -> int:
    return sum(cluster in call.argv for call in daemon.cluster.calls("sacct"))


def up(daemon: DaemonProcess) -> dict[tuple[str, ...], float]:
    return daemon.samples("slurmwatchd_slurmdbd_up")


def failures(daemon: DaemonProcess) -> dict[str, float]:
    found: dict[str, float] = {}
    for (_, cluster), count in daemon.samples("slurmwatchd_poll_failures_total").items():
        found[cluster] = found.get(cluster, 0) + count
    return found


def test_two_clusters_with_the_same_job_ids_are_kept_apart(tmp_path: Path) -> None:
    with watching(tmp_path) as daemon:
        for number in range(1, 6):
            both(daemon, f"job {number}", number, seconds_ago=20 + number)
        daemon.start_ready()
        daemon.wait_until(lambda: len(daemon.records()) == 10, "ten events")
        assert set(told(daemon).values()) == {1}
        assert len({record["id"] for record in daemon.records()}) == 10
        assert up(daemon) == {("sim",): 1, ("poplar",): 1}
        assert set(daemon.samples("slurmwatchd_watermark_timestamp_seconds")) == {("sim",), ("poplar",)}
        assert daemon.stop() == 0
        assert differences(daemon.cluster, daemon.records()) == []


def test_verify_names_a_cluster_that_was_never_read_and_proves_nothing_of_it(tmp_path: Path) -> None:
    with watching(tmp_path, 'clusters = ["sim"]') as daemon:
        both(daemon, "job", 1, seconds_ago=1800)
        assert daemon.run("once").returncode == 0
        assert daemon.ask("verify", "--since", "50m").returncode == 0
        daemon.change_config('clusters = ["sim"]', BOTH)
        done = daemon.ask("verify", "--since", "50m")
        assert (done.returncode, done.stderr) == (
            75,
            "slurmwatchd: cluster poplar: nothing in that stretch has been read yet: nothing is proved\n",
        )
        assert daemon.ask("verify", "--since", "50m", "--cluster", "sim").returncode == 0
        with closing(sqlite3.connect(daemon.store)) as store, store:
            store.execute("DELETE FROM jobs")
        missing = daemon.ask("verify", "--since", "50m")
        assert missing.returncode == 1
        assert "cluster poplar: nothing in that stretch" in missing.stderr


@pytest.mark.heavy
def test_a_cluster_that_fails_delays_nobody_but_itself(tmp_path: Path) -> None:
    with watching(tmp_path) as daemon:
        both(daemon, "before", 1, seconds_ago=60)
        daemon.start_ready()
        daemon.wait_until(lambda: len(daemon.records()) == 2, "a job of each")
        daemon.cluster.add_fault("sacct", "exit", match="poplar", count=None)
        daemon.wait_until(lambda: up(daemon) == {("sim",): 1, ("poplar",): 0}, "poplar to fail")
        stopped = watermark(daemon, "poplar")

        both(daemon, "meanwhile", 2)
        daemon.wait_until(lambda: ("sim", "meanwhile on sim") in told(daemon), "the job of the healthy cluster")
        went = watermark(daemon, "sim")
        daemon.wait_until(
            lambda: watermark(daemon, "sim") > went + 2, "the healthy cluster's watermark to move on"
        )
        assert watermark(daemon, "poplar") == stopped
        assert ("poplar", "meanwhile on poplar") not in told(daemon)
        assert failures(daemon).get("sim", 0) == 0
        assert failures(daemon)["poplar"] >= 1
        assert "simulated failure" in daemon.get("/")[1]

        daemon.cluster.clear_faults()
        daemon.wait_until(lambda: len(daemon.records()) == 4, "the job of the cluster that is back")
        assert up(daemon) == {("sim",): 1, ("poplar",): 1}
        assert daemon.stop() == 0
        assert differences(daemon.cluster, daemon.records()) == []


def test_a_cluster_that_hangs_delays_nobody_but_itself(tmp_path: Path) -> None:
    with watching(tmp_path) as daemon:
        daemon.cluster.add_fault("sacct", "hang", match="poplar", count=None)
        both(daemon, "job", 1)
        daemon.start()
        daemon.wait_until(lambda: told(daemon) == {("sim", "job on sim"): 1}, "the job of the healthy cluster")
        daemon.wait_until(lambda: asked(daemon, "poplar"), "the other cluster to be asked for")
        both(daemon, "next", 2)
        daemon.wait_until(lambda: ("sim", "next on sim") in told(daemon), "the next job of the healthy cluster")
        assert asked(daemon, "poplar") == 1, "a second sacct for a cluster whose first one hangs"
        assert daemon.stop() == 0


@pytest.mark.heavy
def test_restart_goes_on_where_each_cluster_stopped(tmp_path: Path) -> None:
    with watching(tmp_path) as daemon:
        both(daemon, "first", 1, seconds_ago=60)
        daemon.start_ready()
        daemon.wait_until(lambda: len(daemon.records()) == 2, "a job of each")
        daemon.cluster.add_fault("sacct", "exit", match="poplar", count=None)
        daemon.wait_until(lambda: up(daemon)[("poplar",)] == 0, "poplar to fail")
        both(daemon, "second", 2)
        daemon.wait_until(lambda: len(daemon.records()) == 3, "the job of the healthy cluster")
        daemon.kill()
        daemon.cluster.clear_faults()
        both(daemon, "third", 3)
        daemon.start_ready()
        daemon.wait_until(lambda: len(daemon.records()) == 6, "all jobs of both")
        assert daemon.stop() == 0
        assert set(told(daemon).values()) == {1}
        assert differences(daemon.cluster, daemon.records()) == []


def watermark(daemon: DaemonProcess, cluster: str) -> float:
    return daemon.samples("slurmwatchd_watermark_timestamp_seconds")[cluster,]


def test_a_name_slurmdbd_does_not_know_is_no_empty_cluster(tmp_path: Path) -> None:
    with watching(tmp_path, 'clusters = ["sim", "popler"]') as daemon:
        daemon.ended(job_name="of the known one")
        daemon.start()
        daemon.wait_until(lambda: told(daemon) == {("sim", "of the known one"): 1}, "the job of the known cluster")
        reason = "popler: slurmdbd does not know a cluster of this name"
        daemon.wait_until(lambda: reason in daemon.get("/-/ready")[1], "the reason to be told")
        assert daemon.get("/-/ready")[0] == 503
        assert up(daemon) == {("sim",): 1, ("popler",): 0}
        assert daemon.stop() == 0
