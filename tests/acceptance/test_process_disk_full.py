"""Full disks under the real daemon: it waits, says so, and goes on by itself when there is room."""

import os
import resource
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.process import DaemonProcess
from tests.sim_truth import differences

root = pytest.mark.skipif(os.geteuid() != 0, reason="a tmpfs of some size can be mounted by root only")

FULL = "slurmwatchd_disk_full"


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A disk of its own, so small that it is soon full."""
    folder.mkdir()
    mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield
    finally:
        subprocess.run(["/usr/bin/umount", str(folder)], check=True)


def mount(*arguments: str) -> None:
    subprocess.run(["/usr/bin/mount", *arguments], check=True)


def fill(folder: Path) -> Path:
    """Leave no room on a disk."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    return ballast


def whole_truth(daemon: DaemonProcess) -> None:
    """Check that the file has every end once, and nothing but whole lines of JSON."""
    records = daemon.records()
    assert daemon.file.read_bytes().endswith(b"\n")
    assert differences(daemon.cluster, records) == []
    assert max(Counter(record["id"] for record in records).values()) == 1


@root
@pytest.mark.heavy
def test_full_disk_of_the_store_stops_the_reading_until_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "state", "4m"), DaemonProcess(tmp_path) as daemon:
        daemon.ended(60)
        daemon.start_ready()
        daemon.wait_until(lambda: len(daemon.records()) == 1, "the first event")
        ballast = fill(tmp_path / "state")
        for _ in range(200):
            daemon.ended(5)
        # SQLite may find room for a small write once more; it is full for good soon after.
        daemon.wait_until(lambda: daemon.get("/-/ready")[0] == 503, "the full disk to be noticed")
        daemon.wait_until(lambda: daemon.samples(FULL).get(("store",)) == 1, "the metric of the full disk")
        status, text, _ = daemon.get("/-/ready")
        assert status == 503
        assert text.startswith(f"store: {daemon.store}: ")
        assert text.endswith("the daemon continues when there is room\n")
        # slurmdbd has nothing to do with it, and is not asked while what it says cannot be kept.
        assert daemon.samples("slurmwatchd_slurmdbd_up") == {("sim",): 1}
        asked = daemon.samples("slurmwatchd_polls_total")[("sim",)]
        newest = daemon.samples("slurmwatchd_store_newest_events")[()]
        failures = daemon.samples("slurmwatchd_poll_failures_total")
        daemon.wait_until(
            lambda: sum(daemon.samples("slurmwatchd_poll_failures_total").values()) >= sum(failures.values()) + 2,
            "two more tries",
        )
        assert daemon.samples("slurmwatchd_polls_total")[("sim",)] <= asked + 1
        assert daemon.samples("slurmwatchd_store_newest_events")[()] == newest
        ballast.unlink()
        daemon.wait_until(lambda: len(daemon.records()) == 201, "all events")
        daemon.wait_until(lambda: daemon.get("/-/ready")[0] == 200, "ready again")
        assert daemon.samples(FULL)[("store",)] == 0
        assert {"disk full, waiting for space", "disk has space again"} <= {
            line["event"] for line in daemon.logged()
        }
        assert daemon.stop() == 0
        whole_truth(daemon)


@root
def test_full_disk_of_the_file_leaves_a_torn_line_that_is_completed_when_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "log", "1m"), DaemonProcess(tmp_path) as daemon:
        daemon.ended(60)
        daemon.start_ready()
        daemon.wait_until(lambda: len(daemon.records()) == 1, "the first event")
        ballast = fill(tmp_path / "log")
        for number in range(300):
            daemon.ended(5, job_name=f"job {number} " + "x" * (number % 97))
        daemon.wait_until(lambda: daemon.samples(FULL).get(("sink jobs",)) == 1, "the full disk to be noticed")
        assert not daemon.file.read_bytes().endswith(b"\n")
        status, text, _ = daemon.get("/-/ready")
        assert (status, text) == (
            503,
            f"sink jobs: {daemon.file}: No space left on device: the daemon continues when there is room\n",
        )
        # Reading goes on, and so does the other sink: the store holds what the file lacks.
        daemon.wait_until(
            lambda: sum(daemon.samples("slurmwatchd_jobs_ended_total").values()) == 301, "prometheus to have all"
        )
        assert len(daemon.records()) < 301
        ballast.unlink()
        daemon.wait_until(lambda: len(daemon.records()) == 301, "all events")
        daemon.wait_until(lambda: daemon.get("/-/ready")[0] == 200, "ready again")
        assert daemon.samples("slurmwatchd_jsonl_torn_lines_total") == {("jobs",): 1}
        assert daemon.stop() == 0
        whole_truth(daemon)


@root
@pytest.mark.heavy
def test_answer_too_large_for_the_spools_disk_is_asked_for_in_shorter_slices_and_read_when_there_is_room(
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path / "state", "6m"), DaemonProcess(tmp_path) as daemon:
        with daemon.cluster.batch():
            for number in range(3000):
                daemon.ended(60 + number % 300, submit_line="sbatch " + "x" * 3000)
        daemon.start()
        daemon.wait_until(lambda: daemon.samples_if_any(FULL).get(("spool",)) == 1, "the full disk to be noticed")
        status, text, _ = daemon.get("/-/ready")
        assert status == 503
        assert f"spool: {tmp_path / 'state'}: cannot keep sacct's answer: No space left on device\n" in text
        assert "slices shortened" in {line["event"] for line in daemon.logged()}
        mount("-o", "remount,size=64m", str(tmp_path / "state"))
        daemon.wait_until(lambda: len(daemon.records()) == 3000, "all events")
        daemon.wait_until(lambda: daemon.get("/-/ready")[0] == 200, "ready")
        assert daemon.samples(FULL)[("spool",)] == 0
        assert daemon.stop() == 0
        whole_truth(daemon)


@root
@pytest.mark.heavy
def test_daemon_killed_and_started_on_full_disks_goes_on_when_there_is_room(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "state", "4m"),
        small_disk(tmp_path / "log", "1m"),
        DaemonProcess(tmp_path) as daemon,
    ):
        daemon.ended(60)
        daemon.start_ready()
        daemon.wait_until(lambda: len(daemon.records()) == 1, "the first event")
        log = fill(tmp_path / "log")
        for number in range(100):
            daemon.ended(5, job_name=f"job {number}")
        daemon.wait_until(lambda: daemon.samples(FULL).get(("sink jobs",)) == 1, "the full disk to be noticed")
        state = fill(tmp_path / "state")
        daemon.kill()
        daemon.start()
        for _ in range(50):
            daemon.ended(5)
        daemon.wait_until(
            lambda: f"store: {daemon.store}: " in daemon.get("/-/ready")[1], "the full disk to be told"
        )
        assert "sink jobs: " in daemon.get("/-/ready")[1]
        state.unlink()
        log.unlink()
        daemon.wait_until(lambda: len(daemon.records()) == 151, "all events")
        daemon.wait_until(lambda: daemon.get("/-/ready")[0] == 200, "ready")
        assert daemon.stop() == 0
        whole_truth(daemon)


@pytest.mark.heavy
def test_files_that_may_not_grow_are_waited_for(tmp_path: Path) -> None:
    """The same for everybody: a limit on the size of files, raised while the daemon runs."""
    with DaemonProcess(tmp_path) as daemon:
        daemon.ended(60)
        daemon.start_ready()
        daemon.wait_until(lambda: len(daemon.records()) == 1, "the first event")
        assert daemon.process is not None
        _, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE)
        # Lines of fifteen kilobytes: the file meets a limit that sacct's own files do not.
        with daemon.cluster.batch():
            for number in range(120):
                daemon.ended(5, job_name=f"job {number}", nodelist="node[10001-12000]")
        limit = 400_000 + max(path.stat().st_size for path in tmp_path.glob("slurm.db*"))
        assert limit < 120 * 15_000
        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (limit, hard))
        daemon.wait_until(lambda: 1 in daemon.samples(FULL).values(), "the limit to be met")
        assert daemon.get("/-/ready")[0] == 503
        assert len(daemon.records()) < 121
        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        daemon.wait_until(lambda: len(daemon.records()) == 121, "all events")
        daemon.wait_until(lambda: daemon.get("/-/ready")[0] == 200, "ready again")
        assert daemon.stop() == 0
        whole_truth(daemon)
