"""The promise above all: whatever the daemon is killed in the middle of, the file has each end exactly once."""

import random
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from simslurm import SimCluster, Workload
from tests.acceptance.process import DaemonProcess
from tests.patience import Patience
from tests.sim_truth import differences, ended

KILLS = 20


@pytest.mark.heavy
def test_daemon_killed_twenty_times_has_told_every_end_exactly_once(tmp_path: Path) -> None:
    chance = random.Random(20261123)  # noqa: S311 - seeded, so that a failure comes again
    with DaemonProcess(tmp_path, steps="summary") as daemon:
        stop = threading.Event()
        life = threading.Thread(target=_let_jobs_end, args=(daemon.cluster.path, stop))
        life.start()
        try:
            for number in range(KILLS):
                daemon.start()
                if number % 2:
                    # Some die while they start, some in the middle of a poll or a commit ...
                    time.sleep(chance.uniform(0.25, 1.2))
                else:
                    # ... and some between writing lines and moving the cursor.
                    _wait_for_lines(daemon)
                daemon.kill()
        finally:
            stop.set()
            life.join()
        daemon.start_ready()
        ends = len(ended(daemon.cluster))
        assert ends > 300
        # An end, and what was used: each once.
        daemon.wait_until(lambda: len(_told(daemon, "job_usage")) >= ends, f"all {ends} usages")
        counted = daemon.counted("slurmwatchd_jobs_ended_total")
        assert daemon.stop() == 0

        records = daemon.records()
        assert daemon.file.read_bytes().endswith(b"\n")
        assert differences(daemon.cluster, records) == []
        assert [id_ for id_, count in Counter(record["id"] for record in records).items() if count > 1] == []
        assert set(_told(daemon, "job_usage")) == set(_told(daemon, "job_ended"))
        assert len(_told(daemon, "job_usage")) == ends
        seqs = [record["seq"] for record in records]
        assert seqs == sorted(seqs)
        # Labels in the order of their names: partition, cluster, state.
        in_file = Counter(
            (record.get("partition", ""), record["cluster"], record["state"])
            for record in records
            if record["event"] == "job_ended"
        )
        assert counted == dict(in_file)


def _told(daemon: DaemonProcess, event: str) -> list[tuple[int, str]]:
    return [(record["job_id_raw"], record["submit"]) for record in daemon.records() if record["event"] == event]


def _wait_for_lines(daemon: DaemonProcess) -> None:
    """Return the moment the file grows."""
    before = daemon.file.stat().st_size if daemon.file.exists() else 0
    patience = Patience()
    while (daemon.file.stat().st_size if daemon.file.exists() else 0) <= before:
        assert not patience.is_over(), daemon.stderr()
        time.sleep(0.0005)


def _let_jobs_end(path: Path, stop: threading.Event) -> None:
    with SimCluster.open(path) as cluster:
        Workload(cluster, seed=7, nodes=20, rate=20, runtime=2, late=0).run_live(stop)
