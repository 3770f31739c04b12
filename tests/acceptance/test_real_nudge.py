"""slurmctld nudges the daemon at each end, by the script of docs/operations.md: lines come before the interval."""

from __future__ import annotations

import shutil
import socket
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.watch import Watch
from tests.real_slurm import jobs, truth
from tests.real_slurm.nudging import give_to_slurm, nudged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.real_slurm.cluster import RealCluster

pytestmark = [pytest.mark.real_slurm, pytest.mark.one_release, pytest.mark.timeout(900)]

NUDGE_EVERY_SECONDS = 2
"""The default."""

FLOOD_SECONDS = 15


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """A file that has a line for each call of one of Slurm's commands."""
    return tmp_path / "calls"


@pytest.fixture
def watch(cluster: RealCluster, tmp_path: Path, calls: Path) -> Iterator[Watch]:
    """A daemon that polls once an hour by itself, ready, nudged by slurmctld."""
    noting = tmp_path / "bin"
    noting.mkdir()
    for command in cluster.bin_dir.iterdir():
        script = noting / command.name
        script.write_text(
            f'#!/bin/sh\necho "$(date +%s) $0 $*" >>{calls}\nexec {command} "$@"\n', encoding="utf-8"
        )
        script.chmod(0o755)
    home = cluster.run_dir / "nudged"
    made = Watch(cluster, home, interval="1h", since="5s", reread=(), steps="off")
    give_to_slurm(cluster, home)
    text = made.config.read_text(encoding="utf-8")
    made.config.write_text(text.replace(f'"{cluster.bin_dir}"', f'"{noting}"'), encoding="utf-8")
    try:
        # First: what slurmctld could not deliver while it was away is asked for again.
        with nudged(cluster, nudge_socket(made)):
            made.start()
            made.wait_until(lambda: made.get("/-/ready")[0] == 200, "ready")
            yield made
    finally:
        made.kill()
        print(made.log_tail())  # noqa: T201 - pytest shows it where the test failed
        shutil.rmtree(home)


def nudge_socket(watch: Watch) -> Path:
    return watch.store.with_name(f"{watch.store.name}.nudge")


def polls(calls: Path) -> list[str]:
    """The calls of sacct for a window that reaches to the present, the head polls.

    What slurmctld had to hold back for a moment is asked for again, so there are windows of the past besides.
    """
    found = []
    for line in calls.read_text(encoding="utf-8").splitlines():
        moment, command, *arguments = line.split()
        if command.endswith("/sacct") and "-E" in arguments:
            end = int(arguments[arguments.index("-E") + 1].removeprefix("uts"))
            found += [line] if end >= int(moment) else []
    return found


def test_ends_are_in_the_file_though_the_daemon_polls_once_an_hour(cluster: RealCluster, watch: Watch) -> None:
    started = jobs.new_second(cluster)
    for count in (1, 2, 3):
        jobs.batch(cluster, f"--job-name=nudge {count}", script="sleep 1")
        jobs.settle(cluster, started)
        ended = truth.ended(cluster, started)
        assert len(ended) == count
        watch.wait_until(partial(_has, watch, started, count), "the line")
        assert not truth.compare(ended, watch.ends(started), truth.ended(cluster))


def _has(watch: Watch, started: int, count: int) -> bool:
    return len(watch.keys(started)) == count


def test_a_flood_of_nudges_costs_slurmdbd_no_more_than_the_shortest_time_between_them_allows(
    cluster: RealCluster, watch: Watch, calls: Path
) -> None:
    started = jobs.new_second(cluster)
    before, began, sent = len(polls(calls)), time.monotonic(), 0
    # Each of these ends nudges as well.
    jobs.batch(cluster, "--array=0-39", "--job-name=flood")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as flood:
        flood.connect(str(nudge_socket(watch)))
        # It blocks while the socket is full.
        while time.monotonic() - began < FLOOD_SECONDS:
            flood.send(b"now")
            sent += 1
    jobs.settle(cluster, started)
    ended = truth.ended(cluster, started)
    assert len(ended) == 40
    watch.wait_until(lambda: len(watch.keys(started)) == 40, "the lines")
    asked = polls(calls)[before:]
    assert sent > 50
    # The first nudge is answered at once, and the poll of the last one may be under way.
    assert 1 <= len(asked) <= (time.monotonic() - began) / NUDGE_EVERY_SECONDS + 2, asked
    assert not truth.compare(ended, watch.ends(started), truth.ended(cluster))
