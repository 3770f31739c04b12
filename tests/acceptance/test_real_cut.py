"""MariaDB ends slurmdbd's statements (`max_statement_time`): sacct's answers are empty and nothing says so.

20,000 ended jobs are loaded. The limit is there before the start, comes in the middle, and is lifted: nothing may
be taken as read while answers are cut, and all must come once afterwards.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.watch import Watch
from tests.real_slurm import jobs, truth
from tests.real_slurm.daemons import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.real_slurm.cluster import RealCluster

pytestmark = [pytest.mark.real_slurm, pytest.mark.timeout(900)]

COUNT = 20_000
SPREAD_SECONDS = 4 * 3600
SETTLED_SECONDS = 200
"""So long ago the newest loaded job ended: a window that reaches to it is not empty for being early."""

LIMIT_SECONDS = 0.002
"""MariaDB sends a hundred rows in it and not a thousand."""

DEFAULTS = {"steps": "off", "since": "5h"}


@pytest.fixture(scope="module")
def _own_job(cluster: RealCluster) -> None:
    """Let a job end that slurmctld knows: the numbers of the loaded ones it never gave out."""
    started = jobs.new_second(cluster)
    jobs.batch(cluster, "--job-name=own")
    jobs.settle(cluster, started)


@pytest.fixture(autouse=True)
def _no_limit(cluster: RealCluster, _own_job: None) -> Iterator[None]:
    """Leave MariaDB without a limit, whatever the test did."""
    yield
    cluster.limit_statements(0)


@contextmanager
def _loaded(cluster: RealCluster, count: int, start: int, end: int) -> Iterator[range]:
    first = cluster.load_jobs(count, start, end)
    try:
        yield range(first, first + count)
    finally:
        cluster.remove_jobs(first, count)


@pytest.fixture
def crowd(cluster: RealCluster) -> Iterator[range]:
    """Load the jobs; their ids."""
    end = int(time.time()) - SETTLED_SECONDS
    with _loaded(cluster, COUNT, end - SPREAD_SECONDS, end) as ids:
        yield ids


@pytest.fixture
def installed(cluster: RealCluster, tmp_path: Path) -> Iterator[Callable[..., Watch]]:
    """Make a slurmwatchd; ended with the test."""
    made: list[Watch] = []

    def make(**settings: Any) -> Watch:  # noqa: ANN401 - what Watch takes
        made.append(Watch(cluster, tmp_path / f"watch-{len(made)}", **{**DEFAULTS, **settings}))
        return made[-1]

    yield make
    for watch in made:
        watch.kill()
        print(watch.log_tail())  # noqa: T201 - pytest shows it where the test failed


def told(watch: Watch) -> Counter[tuple[int, int]]:
    """How often each attempt's end stands in the file."""
    if not watch.file.exists():
        return Counter()
    lines = (json.loads(line) for line in watch.file.read_bytes().split(b"\n")[:-1])
    return Counter(truth.key_of(line) for line in lines if line["event"] == "job_ended")


def says_so(text: str) -> bool:
    """Whether a log tells that an answer lacks what it must show, or that MariaDB ended the query.

    Which of the two depends on whether the first row was sent by then: on how busy the machine is.
    """
    return "sacct exits 0 without the attempts that its answer must show" in text or "Unknown error 1969" in text


def doubts(watch: Watch) -> bool:
    """Whether the daemon has told it; where shorter windows are answered it goes on meanwhile, which is right."""
    return says_so(watch.log.read_text(encoding="utf-8"))


def has_all(watch: Watch, crowd: range) -> bool:
    return {job for job, _ in told(watch)} >= set(crowd)


def agree(watch: Watch, crowd: range) -> None:
    """Hold the file to slurmdbd's own table, and let the program do so too."""
    everything = truth.ended(watch.cluster)
    expected = {key: attempt for key, attempt in everything.items() if key[0] in crowd}
    assert len(expected) == len(crowd)
    counted = told(watch)
    assert {key: counted[key] for key in expected if counted[key] != 1} == {}
    records = [json.loads(line) for line in watch.file.read_bytes().split(b"\n")[:-1]]
    assert not truth.compare(expected, records, everything)
    verified = watch.run("verify", "--since", "6h", "--sink", "jobs", "--json")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_limit_before_the_start_holds_everything_back_until_it_is_lifted(
    cluster: RealCluster, crowd: range, installed: Callable[..., Watch]
) -> None:
    watch = installed()
    cluster.limit_statements(LIMIT_SECONDS)
    watch.start()
    watch.wait_until(lambda: doubts(watch), "the doubt to be told")
    assert not has_all(watch, crowd)
    cluster.limit_statements(0)
    watch.wait_until(lambda: has_all(watch, crowd), "all jobs")
    watch.wait_until(lambda: watch.get("/-/ready")[0] == 200, "ready")
    agree(watch, crowd)


@pytest.mark.one_release
def test_a_limit_in_the_middle_loses_nothing(
    cluster: RealCluster, crowd: range, installed: Callable[..., Watch]
) -> None:
    # With re-reads that fall due while the limit is in force.
    watch = installed(reread=("5s", "10s", "20s"))
    watch.start()
    watch.wait_until(lambda: has_all(watch, crowd), "all jobs")
    cluster.limit_statements(LIMIT_SECONDS)
    # These ended just now, and sacct shows none of them.
    now = int(time.time())
    with _loaded(cluster, 2000, now - 5, now) as late:
        watch.wait_until(lambda: doubts(watch), "the doubt to be told")
        assert not has_all(watch, late)
        cluster.limit_statements(0)
        watch.wait_until(lambda: has_all(watch, late), "the late jobs")
        watch.wait_until(lambda: watch.get("/-/ready")[0] == 200, "ready")
        agree(watch, range(crowd.start, late.stop))


@pytest.mark.one_release
def test_once_fails_while_answers_are_cut_and_reads_all_of_it_afterwards(
    cluster: RealCluster, crowd: range, installed: Callable[..., Watch]
) -> None:
    watch = installed()
    cluster.limit_statements(LIMIT_SECONDS)
    cut = watch.run("once")
    assert cut.returncode == 75, cut.stderr
    assert says_so(cut.stderr)
    assert not has_all(watch, crowd)
    cluster.limit_statements(0)
    whole = watch.run("once")
    assert whole.returncode == 0, whole.stderr
    agree(watch, crowd)


@pytest.mark.one_release
def test_a_backfill_under_a_limit_is_not_done_and_reads_all_of_it_afterwards(
    cluster: RealCluster, crowd: range, installed: Callable[..., Watch]
) -> None:
    watch = installed(since="1s")
    assert watch.run("once").returncode == 0
    assert not has_all(watch, crowd)
    cluster.limit_statements(LIMIT_SECONDS)
    # It asks for less and less, for as long as that takes.
    cut = watch.begin("backfill", "--since", "5h")
    try:
        wait_until(lambda: doubts(watch), "the doubt to be told", explain=watch.log_tail)
        # Where even the shortest stretch is refused it gives up.
        assert cut.poll() in {None, 75}, "a backfill is done that cannot be"
    finally:
        cut.kill()
        cut.wait()
    assert not has_all(watch, crowd)
    cluster.limit_statements(0)
    whole = watch.run("backfill", "--since", "5h")
    assert whole.returncode == 0, whole.stdout + whole.stderr
    agree(watch, crowd)


MANY_STEPS = 80_000
STEPS_LIMIT_SECONDS = 0.05
"""A window of a few dozen jobs is answered within it, on a busy machine too; the steps of one that has MANY_STEPS
are not."""


def usages(watch: Watch) -> set[int]:
    """The jobs whose steps' usage stands in the file."""
    if not watch.file.exists():
        return set()
    lines = (json.loads(line) for line in watch.file.read_bytes().split(b"\n")[:-1])
    return {int(line["job_id_raw"]) for line in lines if line["event"] == "job_usage"}


@pytest.mark.one_release
def test_a_list_of_steps_that_is_cut_is_asked_for_again(
    cluster: RealCluster, installed: Callable[..., Watch]
) -> None:
    end = int(time.time()) - SETTLED_SECONDS
    with _loaded(cluster, 40, end - 400, end) as ids:
        cluster.load_steps(ids.start, len(ids))
        cluster.copy_steps(ids.start + 1, MANY_STEPS)
        watch = installed(steps="summary", since="1h")
        cluster.limit_statements(STEPS_LIMIT_SECONDS)
        watch.start()
        watch.wait_until(lambda: has_all(watch, ids), "the jobs' ends")
        # One whose steps are cut empties the whole list; it is found, and put off.
        put_off = "sacct gives no steps of jobs that it shows"
        watch.wait_until(lambda: put_off in watch.log.read_text(encoding="utf-8"), "the doubt to be told")
        watch.wait_until(lambda: set(ids) - usages(watch) == {ids.start + 1}, "the usage of the others")
        cluster.limit_statements(0)
