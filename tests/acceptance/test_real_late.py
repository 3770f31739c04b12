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

pytestmark = [pytest.mark.real_slurm, pytest.mark.one_release, pytest.mark.timeout(900)]

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
    job = jobs.batch(cluster, "--job-name=in the dark\n|", script="sleep 10")
    jobs.wait_for_state(cluster, job, "RUNNING")
    cluster.stop_slurmdbd()
    down = time.monotonic()
    cluster.wait_until(lambda: not cluster.run("squeue", "-h").stdout.strip(), "the job to end")
    watch.wait_until(lambda: "Connection refused" in watch.log_tail(), "the outage to be noticed")
    # The length of the outage is what is tested.
    time.sleep(max(0.0, outage_seconds - (time.monotonic() - down)))
    assert watch.keys(started) == set()
    cluster.start_slurmdbd()

    asking_seconds = 0.0

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
        nonlocal asking_seconds
        began = time.monotonic()
        try:
            return cluster.run(*asked).stdout.strip() == "COMPLETED"
        finally:
            asking_seconds = max(asking_seconds, time.monotonic() - began)

    cluster.wait_until(is_visible, "sacct to show the job's end")
    visible = time.time()
    watch.wait_until(lambda: watch.keys(started), "the job to be in the file")
    took = time.time() - visible
    # Polls are spread by a tenth of the interval; each asks sacct and others a few times.
    allowed = 1.1 * OUTAGE_INTERVAL + SLACK_SECONDS + 10 * asking_seconds
    assert took <= allowed, f"{took:.1f} s after sacct showed it"

    jobs.settle(cluster, started)
    ended = truth.ended(cluster, started)
    assert len(ended) == 1
    # A job may be told of without its end while the queue drains; the next poll revises it.
    watch.wait_until(
        lambda: not truth.compare(ended, watch.ends(started), ended), "the file to agree with slurmdbd"
    )
    first, last = watch.ends(started)[0], watch.ends(started)[-1]
    lateness = _epoch(first["observed"]) - _epoch(last["end"])
    assert lateness > outage_seconds - 30, "the record was not late at all"


def test_job_suspended_for_longer_than_the_overlap_and_cancelled_is_found_by_the_rereads(
    cluster: RealCluster, watching: Callable[..., Watch]
) -> None:
    watch = watching("10s", "60s")
    started = jobs.new_second(cluster)
    job = jobs.batch(cluster, "--job-name=born old", script=jobs.LONG)
    jobs.wait_for_state(cluster, job, "RUNNING")
    running = time.time()
    cluster.run("scontrol", "suspend", job)
    suspended = time.time()
    # The length of the suspension is what is tested: polls must have passed over its second.
    time.sleep(OVERLAP + 8)
    assert watch.ends(started) == []
    cluster.run("scancel", job)

    jobs.settle(cluster, started)
    ended = truth.ended(cluster, started)
    (attempt,) = ended.values()
    assert running - 2 <= int(str(attempt.values["end"])) <= suspended + 2, "it was not born old"
    watch.wait_until(lambda: watch.keys(started), "the job to be in the file")
    (record,) = watch.ends(started)
    assert (record["state"], record["found_by"]) == ("CANCELLED", "reread")
    assert not truth.compare(ended, watch.ends(started), ended)


def test_admin_comment_set_afterwards_makes_one_revision(
    cluster: RealCluster, watching: Callable[..., Watch]
) -> None:
    watch = watching("5s", "60s")
    started = jobs.new_second(cluster)
    job = jobs.batch(cluster, "--job-name=commented on")
    watch.wait_until(lambda: watch.keys(started), "the job to be in the file")
    seen = time.time()
    jobs.settle(cluster, started)
    # Only a re-read can find it then, and one that is due is not over before a minute after the end.
    cluster.wait_until(lambda: time.time() > seen + OVERLAP + 3, "the overlap to pass")
    cluster.run("sacctmgr", "-i", "modify", "job", "where", f"jobid={job}", "set", "admincomment=checked by hand")

    watch.wait_until(lambda: len(watch.ends(started)) > 1, "the revision")
    # Nothing more comes of it, also when another poll has been over it.
    revised = time.time()
    cluster.wait_until(lambda: time.time() > revised + 5, "more polls")
    first, second = watch.ends(started)
    assert (first["event"], first["revision"]) == ("job_ended", 1)
    assert (second["event"], second["revision"]) == ("job_revised", 2)
    assert second["changed"] == {"admin_comment": [None, "checked by hand"]}
    assert second["admin_comment"] == "checked by hand"
    assert re.search("found_by=(poll|reread) .* revised=1 ", watch.log.read_text(encoding="utf-8"))
    ended = truth.ended(cluster, started)
    assert not truth.compare(ended, watch.ends(started), ended)


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
