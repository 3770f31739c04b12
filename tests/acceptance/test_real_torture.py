"""slurmdbd, MariaDB, sacct and the daemon are harmed at random while hostile jobs end on a real cluster.

`TORTURE_SECONDS=600` tortures for so long, `TORTURE_SEED` draws the same jobs and harms again, and
`TORTURE_WITHOUT=anchor` takes a protection out of a copy of the program first, which must make the test fail.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.complaining import BACKUP, CONTROL, complaining_conf
from tests.acceptance.watch import REPOSITORY, Watch
from tests.real_slurm import jobs, truth
from tests.real_slurm.daemons import ClusterError
from tests.torture.sabotage import copy_without

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.acceptance.complaining import ComplainingConf
    from tests.real_slurm.cluster import RealCluster

SEED_VARIABLE = "TORTURE_SEED"
SECONDS_VARIABLE = "TORTURE_SECONDS"
WITHOUT_VARIABLE = "TORTURE_WITHOUT"
SECONDS = 50
MORE_SECONDS = 75
"""For so long it goes on at the most until there was enough of everything: a sacct is not there to be killed while
the daemon waits after a failure."""

LEAST = {"outages": 2, "kills of the daemon": 3, "kills of sacct": 2, "limits": 2, "complaints": 2}
"""At least so many of each must have happened, or the test proved nothing."""

LIMIT_SECONDS = (0.0002, 0.0005, 0.001)
"""For each statement of MariaDB: so long that a few rows come, or so short that none do."""

LONG_RUN_SECONDS = 300
REREAD = ("10s", "20s", "40s")
LIMITED_SECONDS = (2, 5, 12, 20)
"""How long a limit is in force."""

LULL_SECONDS, SILENT_SECONDS = 20, 75
"""In a long run queries may be silenced after a lull, so that no window holds an end that is known, and for longer
than the whole schedule of re-reads: what ends meanwhile comes only if the empty answers are not believed."""

AGREE_SECONDS = 300
STEADY_SECONDS = 3.0

tortured_seconds = float(os.environ.get(SECONDS_VARIABLE) or SECONDS)

pytestmark = [
    pytest.mark.real_slurm,
    pytest.mark.one_release,
    pytest.mark.timeout(900 + 2 * tortured_seconds),
]


@pytest.fixture(autouse=True)
def _slurmdbd_back(cluster: RealCluster) -> Iterator[None]:
    """Leave slurmdbd running and MariaDB unlimited, whatever the test did."""
    yield
    cluster.unsilence_queries()
    cluster.start_slurmdbd()


@pytest.fixture
def conf(cluster: RealCluster, tmp_path: Path) -> Iterator[ComplainingConf]:
    """A slurm.conf of the daemon's own, which changes under it."""
    with complaining_conf(cluster, tmp_path) as made:
        yield made


@pytest.fixture
def watch(conf: ComplainingConf, tmp_path: Path) -> Iterator[Watch]:
    """A slurmwatchd whose schedule is over in a minute."""
    without = os.environ.get(WITHOUT_VARIABLE)
    program = copy_without(without, tmp_path / "program") if without else REPOSITORY
    made = Watch(conf.cluster, tmp_path / "watch", overlap="5s", reread=REREAD, program=program)
    try:
        yield made
    finally:
        made.kill()
        print(made.log_tail())  # noqa: T201 - pytest shows it where the test failed


class _Torture:
    """What is done, by chance, and how often it was."""

    def __init__(self, cluster: RealCluster, conf: ComplainingConf, watch: Watch, dice: random.Random) -> None:
        self._cluster = cluster
        self._conf = conf
        self._watch = watch
        self._dice = dice
        self._is_long = tortured_seconds >= LONG_RUN_SECONDS
        self._back_at = 0.0
        self._lift_at = 0.0
        self._lull_over_at = 0.0
        self._is_silent = False
        self._finish: list[tuple[float, Callable[[], object]]] = []
        self.done: Counter[str] = Counter()

    @property
    def is_enough(self) -> bool:
        """Whether so much was done that the rest proves something."""
        return all(self.done[what] >= least for what, least in LEAST.items())

    def tick(self) -> None:
        """End an outage whose time is over, and do what was put off."""
        now = time.monotonic()
        if self._back_at and now >= self._back_at:
            self._cluster.start_slurmdbd()
            self._back_at = 0.0
        if self._lift_at and now >= self._lift_at:
            self._lift()
        if self._lull_over_at and now >= self._lull_over_at:
            self._lull_over_at = 0.0
            self._cluster.silence_queries()
            self._lift_at = now + SILENT_SECONDS
            self._is_silent = True
            self.done["silences after a lull"] += 1
            self.done["limits"] += 1
        for due in [due for due in self._finish if due[0] <= now]:
            self._finish.remove(due)
            due[1]()

    def calm(self) -> None:
        """End everything that was begun."""
        self._back_at = min(self._back_at, 1.0)
        self._lift_at = min(self._lift_at, 1.0)
        self._lull_over_at = 0.0
        self._finish = [(0.0, action) for _, action in self._finish]
        self.tick()

    def harm(self) -> None:
        """Do one harm that is drawn."""
        kinds = {
            self._outage: 3, self._kill_daemon: 3, self._kill_sacct: 4, self._stop_daemon: 1,
            self._limit: 3, self._complain: 2,
        }  # fmt: skip
        self._dice.choices(list(kinds), list(kinds.values()))[0]()

    def submit(self) -> None:
        """Submit something that will end soon, each kind in its own way; nothing in a lull."""
        if self._lull_over_at:
            return
        cluster, dice = self._cluster, self._dice
        name = f"--job-name={dice.choice(jobs.NAMES)}"
        kind = dice.randrange(8)
        if kind == 0:
            jobs.batch(cluster, "--array=0-5%3", name, script="exit $((SLURM_ARRAY_TASK_ID % 3))")
        elif kind == 1:
            jobs.batch(cluster, name, "--nodes=2", script=f"sleep 1; exit {dice.choice(jobs.EXIT_CODES)}")
        elif kind == 2:
            held = jobs.batch(cluster, name, "--hold")
            self._later(dice.uniform(0.5, 4), "scancel", held)
        elif kind == 3:
            job = jobs.batch(cluster, name, script=jobs.LONG)
            self._later(dice.uniform(2, 3), "scontrol", "suspend", job)
            self._later(dice.uniform(4, 12), "scancel", job)
        elif kind == 4:
            job = jobs.batch(cluster, name, "--requeue", script=f'[ -n "$SLURM_RESTART_COUNT" ] || {jobs.LONG}')
            self._later(dice.uniform(2, 4), "scontrol", "requeue", job)
            self._later(25, "scancel", job)
        else:
            jobs.batch(cluster, name, script=f"sleep {dice.choice(('0', '0.5', '2'))}")

    def _later(self, seconds: float, *argv: str) -> None:
        # A job may have ended before: then there is nothing to be done to it.
        self._finish.append((time.monotonic() + seconds, lambda: self._cluster.run(*argv, check=False)))

    def _lift(self) -> None:
        self._cluster.unsilence_queries()
        self._lift_at = 0.0
        self._is_silent = False

    def _outage(self) -> None:
        # It would end the silence, and have the daemon read all of that time again.
        if self._back_at or self._lull_over_at or self._is_silent:
            return
        self._lift()
        if self._dice.random() < 0.5:
            # One that is still rolling up may take minutes to stop: systemd would end it by force, and so do we.
            with suppress(ClusterError):
                self._cluster.slurmdbd.stop(timeout_seconds=5)
        self._cluster.kill_slurmdbd()
        self._back_at = time.monotonic() + self._dice.choice((1, 4, 8, 16))
        self.done["outages"] += 1

    def _limit(self) -> None:
        """Have MariaDB end statements: sacct then shows nothing, and nothing says so."""
        # Under such a limit slurmdbd itself does not start.
        if self._lift_at or self._back_at or self._lull_over_at:
            return
        # Not so often that there is no time for outages.
        if self._is_long and self.done["outages"] > self.done["silences after a lull"]:
            self._lull_over_at = time.monotonic() + LULL_SECONDS
            return
        if self._dice.random() < 0.5:
            self._cluster.silence_queries()
        else:
            self._cluster.limit_statements(self._dice.choice(LIMIT_SECONDS))
        self._lift_at = time.monotonic() + self._dice.choice(LIMITED_SECONDS)
        self.done["limits"] += 1

    def _complain(self) -> None:
        """Have every command of the daemon's complain of slurm.conf, of something else than before, or no more."""
        self._conf.write(*self._dice.choice(((CONTROL,), (BACKUP,), (CONTROL, BACKUP), ())))
        self.done["complaints"] += 1

    def _kill_daemon(self) -> None:
        self._watch.kill()
        self._watch.start()
        self.done["kills of the daemon"] += 1

    def _stop_daemon(self) -> None:
        # Not while it starts: before it listens to signals SIGTERM just ends it, which is not an exit status 0.
        if self._watch.get("/-/healthy")[0] == 200:
            assert self._watch.stop() == 0
            self._watch.start()

    def _kill_sacct(self) -> None:
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            for pid in self._saccts():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    self.done["kills of sacct"] += 1
                    return
            time.sleep(0.001)

    def _saccts(self) -> list[int]:
        """The sacct processes whose parent is our daemon."""
        assert self._watch.process is not None
        pid = self._watch.process.pid
        found = []
        with suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                for child in task.joinpath("children").read_text(encoding="ascii").split():
                    with suppress(OSError):
                        if b"/sacct\0" in Path(f"/proc/{child}/cmdline").read_bytes():
                            found.append(int(child))
        return found


def test_file_agrees_with_slurmdbd_after_outages_and_kills_while_hostile_jobs_end(
    cluster: RealCluster, conf: ComplainingConf, watch: Watch, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get(SEED_VARIABLE) or random.SystemRandom().randrange(2**32))
    with capsys.disabled():
        print(f"\n{SEED_VARIABLE}={seed}", end=" ")  # noqa: T201 - to run the same again
    dice = random.Random(seed)  # noqa: S311 - moments, not secrets
    started = jobs.new_second(cluster)
    torture = _Torture(cluster, conf, watch, dice)
    watch.start()
    end = time.monotonic() + tortured_seconds
    next_harm = time.monotonic() + 3
    while time.monotonic() < end or (not torture.is_enough and time.monotonic() < end + MORE_SECONDS):
        torture.tick()
        torture.submit()
        if time.monotonic() >= next_harm:
            torture.harm()
            next_harm = time.monotonic() + dice.uniform(0, 5)
        assert watch.is_running, watch.log_tail()
        time.sleep(dice.uniform(0, 0.8))
    torture.calm()
    assert torture.is_enough, torture.done

    ended = _settled(cluster, started)
    calm = time.monotonic()
    assert len(ended) > 50

    def difference() -> truth.Difference:
        return truth.compare(ended, watch.records(), truth.ended(cluster))

    with suppress(ClusterError):
        watch.wait_until(lambda: not difference(), "file and slurmdbd to agree", AGREE_SECONDS)
    found = difference()
    counts = f"missing {len(found.missing)}, twice {len(found.twice)}, wrong {len(found.wrong)}"
    assert not found, f"{counts} of {len(ended)}: {found}"
    took = time.monotonic() - calm
    watch.wait_until(lambda: watch.ended_by_state() == watch.states(), "/metrics to equal the file")
    assert watch.stop() == 0

    assert watch.file.read_bytes().endswith(b"\n")
    assert not difference()
    with capsys.disabled():
        print(  # noqa: T201 - what a run was worth
            f"{len(ended)} attempts, {', '.join(f'{count} {what}' for what, count in torture.done.items())}: "
            f"{counts}, {took:.1f} s after slurmdbd had all ends",
            end=" ",
        )


def _settled(cluster: RealCluster, started: int) -> dict[truth.Key, truth.Attempt]:
    """Wait until nothing runs, nothing waits in slurmctld, and slurmdbd's table changes no more.

    Not for every row to have an end: a slurmdbd that was killed may have lost one for good, and the file tells
    what slurmdbd says.
    """
    seen: list[tuple[float, dict[truth.Key, truth.Attempt]]] = []

    def steady() -> bool:
        left = cluster.run("squeue", "-h", "-t", "pending,running,suspended,completing").stdout.strip()
        if left or cluster.undelivered():
            seen.clear()
            return False
        now = truth.ended(cluster, started)
        if not seen or seen[-1][1] != now:
            seen.append((time.monotonic(), now))
        return time.monotonic() - seen[-1][0] >= STEADY_SECONDS

    cluster.wait_until(
        steady, "all jobs to end in slurmdbd", jobs.SETTLE_SECONDS, lambda: cluster.run("squeue", "-a").stdout
    )
    return seen[-1][1]
