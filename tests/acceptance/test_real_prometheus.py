"""Debian's own Prometheus scrapes the daemon, and promtool has nothing to say about its metrics."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.patience import HANGS_SECONDS
from tests.real_slurm import jobs, truth
from tests.real_slurm.daemons import wait_until
from tests.real_slurm.packages import CannotInstallError, install
from tests.real_slurm.ports import free_block

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.watch import Watch
    from tests.real_slurm.cluster import RealCluster

pytestmark = [pytest.mark.real_slurm, pytest.mark.one_release, pytest.mark.timeout(900)]

PROMETHEUS = "/usr/bin/prometheus"
PROMTOOL = "/usr/bin/promtool"
CONFIG = """
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: slurmwatchd
    static_configs:
      - targets: ["127.0.0.1:{port}"]
"""


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    try:
        install({PROMETHEUS: "prometheus", PROMTOOL: "prometheus"})
    except CannotInstallError as error:
        pytest.skip(f"Prometheus could not be installed: {error}")


@pytest.fixture
def prometheus(watch: Watch, tmp_path: Path) -> Iterator[int]:
    """A Prometheus that scrapes the daemon every second; yields its port."""
    port = free_block(1)
    config = tmp_path / "prometheus.yml"
    config.write_text(CONFIG.format(port=watch.port), encoding="ascii")
    argv = [PROMETHEUS, f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'tsdb'}"]
    argv += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    log = tmp_path / "prometheus.log"
    with log.open("wb") as output:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(timeout=HANGS_SECONDS)
        print(log.read_text(encoding="utf-8", errors="replace")[-2000:])  # noqa: T201


def ended_by_state(port: int) -> Counter[str]:
    """What Prometheus holds, or nothing while it does not answer."""
    query = urllib.parse.urlencode({"query": "sum by (state) (slurmwatchd_jobs_ended_total)"})
    try:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}/api/v1/query?{query}", timeout=HANGS_SECONDS
        ) as answer:
            result = json.load(answer)["data"]["result"]
    except (OSError, urllib.error.URLError):
        return Counter()
    return Counter({sample["metric"]["state"]: int(sample["value"][1]) for sample in result})


def test_prometheus_counts_what_the_file_holds(cluster: RealCluster, watch: Watch, prometheus: int) -> None:
    watch.start()
    watch.wait_until(lambda: watch.get("/-/ready")[0] == 200, "ready")
    started = jobs.new_second(cluster)
    jobs.batch(cluster, "--array=0-9", script="exit $((SLURM_ARRAY_TASK_ID % 3))")
    jobs.settle(cluster, started)
    ended = truth.ended(cluster, started)
    watch.wait_until(lambda: set(ended) <= watch.keys(), "every job to be in the file")

    states = watch.states()
    assert states["COMPLETED"] >= 4
    assert states["FAILED"] >= 6
    # What earlier jobs left late may still come.
    wait_until(
        lambda: ended_by_state(prometheus) == watch.states(),
        f"Prometheus to hold {states}",
        explain=lambda: repr(ended_by_state(prometheus)),
    )


def test_promtool_finds_no_fault_with_the_metrics(cluster: RealCluster, watch: Watch) -> None:
    started = jobs.new_second(cluster)
    watch.start()
    jobs.batch(cluster)
    jobs.settle(cluster, started)
    watch.wait_until(lambda: watch.get("/-/ready")[0] == 200, "ready")
    watch.wait_until(watch.ended_by_state, "jobs to be counted")

    argv = [PROMTOOL, "check", "metrics"]
    checked = subprocess.run(argv, check=False, input=watch.get("/metrics")[1], capture_output=True, text=True)

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
