"""Records that a real slurmdbd shows late, old or changed: in the file once, and in time."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.watch import Watch
from tests.real_slurm import jobs, truth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.real_slurm.cluster import RealCluster

pytestmark = [pytest.mark.real_slurm, pytest.mark.one_release, pytest.mark.timeout(600)]

OVERLAP = 5
OUTAGE_SECONDS = {"22.05": 120}
SHORT_OUTAGE_SECONDS = 45
"""On the other releases: long enough for slurmctld and the daemon to be slow to come back."""

OUTAGE_INTERVAL = 10
"""As long as the longest pause after a failure: the first poll after an outage comes within it."""

SLACK_SECONDS = 5
"""For a sacct call, an sdiag call and a busy machine."""


@pytest.fixture(autouse=True)
def _slurmdbd_back(cluster: RealCluster) -> Iterator[None]:
    """Leave slurmdbd running, whatever the test did."""
    yield
    cluster.start_slurmdbd()


@pytest.fixture
def watching(cluster: RealCluster, tmp_path: Path) -> Iterator[Callable[..., Watch]]:
    """Starts a slurmwatchd with a short overlap and the re-reads asked for, ready when it is returned."""
    made: list[Watch] = []

    def make(*reread: str, interval: int = 2) -> Watch:
        watch = Watch(
            cluster, tmp_path / "watch", interval=f"{interval}s", overlap=f"{OVERLAP}s", since="5s", reread=reread
        )
        made.append(watch)
        watch.start()
        watch.wait_until(lambda: watch.get("/-/ready")[0] == 200, "ready")
        return watch

    yield make
    for watch in made:
        watch.kill()
        print(watch.log_tail())  # noqa: T201 - pytest shows it where the test failed


def test_job_that_ends_in_a_long_outage_is_in_the_file_once_soon_after_it_is_visible(
    cluster: RealCluster, watching: Callable[..., Watch]
) -> None:
    outage_seconds = OUTAGE_SECONDS.get(cluster.version, SHORT_OUTAGE_SECONDS)
    # No re-reads: what finds the record is that the outage was noticed.
    watch = watching(interval=OUTAGE_INTERVAL)
    started = jobs.new_second(cluster)
    job = jobs.batch(cluster, "--job-name=in the dark\n|", script="sleep 2")
    jobs.wait_for_state(cluster, job, "RUNNING")
    cluster.stop_slurmdbd()
    down = time.monotonic()
    cluster.wait_until(lambda: not cluster.run("squeue", "-h").stdout.strip(), "the job to end")
    watch.wait_until(lambda: "Connection refused" in watch.log_tail(), "the outage to be noticed")
    # The length of the outage is what is tested.
    time.sleep(max(0.0, outage_seconds - (time.monotonic() - down)))
    assert watch.keys() == set()
    cluster.start_slurmdbd()

    def is_visible() -> bool:
        asked = (
            "sacct",
            "-n",
            "-X",
            "-P",
            "-j",
            job,
            "-s",
            "CD",
            "-S",
            f"uts{started}",
            "-E",
            "now",
            "-o",
            "state",
        )
        return cluster.run(*asked).stdout.strip() == "COMPLETED"

    cluster.wait_until(is_visible, "sacct to show the job's end", 120)
    visible = time.time()
    watch.wait_until(watch.keys, "the job to be in the file", 60)
    took = time.time() - visible
    # Polls are spread by a tenth of the interval.
    assert took <= 1.1 * OUTAGE_INTERVAL + SLACK_SECONDS, f"{took:.1f} s after sacct showed it"

    jobs.settle(cluster, started)
    ended = truth.ended(cluster, started)
    assert len(ended) == 1
    (record,) = watch.ends()
    lateness = _epoch(record["observed"]) - _epoch(record["end"])
    assert lateness > outage_seconds - 30, "the record was not late at all"
    assert not truth.compare(ended, watch.records(), ended)


def test_job_suspended_for_longer_than_the_overlap_and_cancelled_is_found_by_the_rereads(
    cluster: RealCluster, watching: Callable[..., Watch]
) -> None:
    watch = watching("10s", "20s")
    started = jobs.new_second(cluster)
    job = jobs.batch(cluster, "--job-name=born old", script=jobs.LONG)
    jobs.wait_for_state(cluster, job, "RUNNING")
    cluster.run("scontrol", "suspend", job)
    suspended = time.time()
    # The length of the suspension is what is tested: polls must have passed over its second.
    time.sleep(OVERLAP + 8)
    assert watch.records() == []
    cluster.run("scancel", job)

    jobs.settle(cluster, started)
    ended = truth.ended(cluster, started)
    (attempt,) = ended.values()
    assert abs(int(str(attempt.values["end"])) - suspended) <= 2, "it was not born old"
    # An age of 20 s is read with a patience of half as much.
    watch.wait_until(watch.keys, "the job to be in the file", suspended + 30 + SLACK_SECONDS - time.time())
    (record,) = watch.ends()
    assert (record["state"], record["found_by"]) == ("CANCELLED", "reread")
    assert not truth.compare(ended, watch.records(), ended)


def test_admin_comment_set_afterwards_makes_one_revision(
    cluster: RealCluster, watching: Callable[..., Watch]
) -> None:
    watch = watching("5s", "20s")
    started = jobs.new_second(cluster)
    job = jobs.batch(cluster, "--job-name=commented on")
    watch.wait_until(watch.keys, "the job to be in the file")
    seen = time.time()
    jobs.settle(cluster, started)
    # Only a re-read can find it then, and one that is due is not over before 20 s after the end.
    cluster.wait_until(lambda: time.time() > seen + OVERLAP + 3, "the overlap to pass")
    cluster.run("sacctmgr", "-i", "modify", "job", "where", f"jobid={job}", "set", "admincomment=checked by hand")

    watch.wait_until(lambda: len(watch.ends()) > 1, "the revision")
    # Nothing more comes of it, also when the last re-read is over: 30 s after the end.
    cluster.wait_until(lambda: time.time() > seen + 35, "every re-read to be over")
    first, second = watch.ends()
    assert (first["event"], first["revision"]) == ("job_ended", 1)
    assert (second["event"], second["revision"]) == ("job_revised", 2)
    assert second["changed"] == {"admin_comment": [None, "checked by hand"]}
    assert second["admin_comment"] == "checked by hand"
    assert re.search("found_by=(poll|reread) .* revised=1 ", watch.log.read_text(encoding="utf-8"))
    ended = truth.ended(cluster, started)
    assert not truth.compare(ended, watch.records(), ended)


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
