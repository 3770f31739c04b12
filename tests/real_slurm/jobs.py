"""Submits jobs of every kind a cluster sees, and waits until slurmdbd knows that all have ended.

What became of them is read by `truth`; nothing here says how a job should end.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.real_slurm.truth import unended

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.real_slurm.cluster import RealCluster

LONG = "sleep 600"
QUIET = ("--output=/dev/null", "--chdir=/tmp")
SETTLE_SECONDS = 240

NAMES = (
    "pipe|name",
    "new\nline",
    "crlf\r\nname",
    "unit\x1fseparator\x1e",
    "tab\tname",
    'quote"d',
    "single'quoted",
    "back\\slash\\n",
    "<script>alert('x')</script>&amp;",
    "x" * 300,
    "\u00fc" * 200,
    "a" + "\U0001f680" * 100,
    "\udcff\udcfe bytes",
    "cut \udce2\udc82",
    "\x1b[31mred\x07\x7f\x01",
    " spaces around ",
    "\n",
    "evil\n999999|999999|1795423566|COMPLETED|0:0|root|main|forged",
    "evil\r\nlarch|999998|1795423566|1|999998|COMPLETED|1795423566|1795423567|forged|",
    "'; drop table jobs; --",
    "$(touch /tmp/owned)`id`%s%n${x}",
    '{"id":"forged"}\n{"id":"forged"}',
    "line\u2028separator\u0085",
    "=1+1,@x,-2",
)

EXIT_CODES = (1, 2, 127, 128, 139, 255)
SIGNALS = ("TERM", "SEGV", "KILL")


def run_mix(cluster: RealCluster, *others: Callable[[RealCluster], Callable[[], None]]) -> int:
    """Submit the whole mix and wait until all of it has ended in slurmdbd.

    Args:
        cluster: Where to.
        *others: Submit what more is wanted, and return what ends it.

    Returns:
        Epoch seconds just before the first submission: no row of the mix was submitted earlier.
    """
    started = new_second(cluster)
    waiting = [begin(cluster) for begin in (*others, _timed_out, _requeued, _suspended, _resized)]
    for kind in (_plain, _named, _failed, _steps, _arrays, _het, _cancelled):
        kind(cluster)
    for kind in (_preempted, _node_failed, _deadline_missed):
        kind(cluster)
    for finish in waiting:
        finish()
    settle(cluster, started)
    return started


def new_second(cluster: RealCluster) -> int:
    """Wait for the next second of the clock and return it: no job of an earlier test was submitted in it."""
    before = int(time.time())
    cluster.wait_until(lambda: int(time.time()) > before, "the next second")
    return before + 1


def settle(cluster: RealCluster, since: int, timeout_seconds: float = SETTLE_SECONDS) -> None:
    """Wait until no job is left and slurmdbd has the end of every one submitted since then.

    Args:
        cluster: Where.
        since: Epoch seconds.
        timeout_seconds: For so long nothing at all may happen on the way.
    """

    seen: list[object] = []

    def settled() -> bool:
        left = cluster.run("squeue", "-h", "-t", "pending,running,suspended,completing", "-o", "%i %T").stdout
        seen[:] = left, cluster.undelivered(), unended(cluster, since)
        return not left.strip() and not any(seen[1:])

    def explain() -> str:
        return cluster.run("squeue", "-a", check=False).stdout + repr(unended(cluster, since)[:10])

    cluster.wait_until(settled, "all jobs to end in slurmdbd", timeout_seconds, explain, lambda: tuple(seen))


def batch(cluster: RealCluster, *options: str, script: str = "true", user: str = "root") -> str:
    """Submit a batch job and return its id."""
    argv = ["sbatch", "--parsable", *QUIET, f"--uid={user}", *options]
    return cluster.run(*argv, stdin=f"#!/bin/sh\n{script}\n").stdout.strip()


def wait_for_state(cluster: RealCluster, job: str, *states: str) -> None:
    """Wait until squeue shows a job in one of the states."""

    def reached() -> bool:
        return cluster.run("squeue", "-h", "-t", "all", "-j", job, "-o", "%T").stdout.split()[:1] in (
            [[state] for state in states]
        )

    cluster.wait_until(
        reached, f"job {job} to be {states}", explain=lambda: cluster.run("squeue", "-a", check=False).stdout
    )


def _plain(cluster: RealCluster) -> None:
    for nodes in (1, 2, 3, 4):
        batch(cluster, f"--nodes={nodes}", f"--ntasks={nodes * 2}", "--job-name=plain")
    batch(cluster, "--nodes=8", "--exclusive", "--job-name=whole machine")
    batch(cluster, "--nodelist=" + ",".join(f"{cluster.name}{n}" for n in (1, 3, 5, 6)), "--job-name=gaps")
    batch(cluster, "--job-name=somebody else", "--account=chemistry", user="daemon")
    batch(cluster, "--comment=a|b\nc", "--time=10", "--mem=100M", "--job-name=commented", script="sleep 2")


def _named(cluster: RealCluster) -> None:
    for name in NAMES:
        batch(cluster, f"--job-name={name}")


def _failed(cluster: RealCluster) -> None:
    for code in EXIT_CODES:
        batch(cluster, f"--job-name=exit {code}", script=f"exit {code}")
    for signal in SIGNALS:
        batch(cluster, f"--job-name=signal {signal}", script=f"kill -{signal} $$; sleep 5")


def _steps(cluster: RealCluster) -> None:
    batch(cluster, "--ntasks=2", "--job-name=steps", script="srun -n1 true; srun -n2 sleep 1; srun -n1 hostname")
    batch(cluster, "--job-name=worst step wins", script="srun false; srun sh -c 'exit 7'; true")
    cluster.run("srun", "--chdir=/tmp", "--job-name=interactive", "-N2", "-n2", "true")
    cluster.run("srun", "--chdir=/tmp", "--job-name=fails", "sh", "-c", "exit 3", check=False)


def _arrays(cluster: RealCluster) -> None:
    batch(cluster, "--array=0-5", "--job-name=array", script="exit $((SLURM_ARRAY_TASK_ID % 2))")
    batch(cluster, "--array=1-9:4%1", "--job-name=throttled")
    whole = batch(cluster, "--array=0-399:3%2", "--hold", "--job-name=never an array")
    cluster.run("scancel", whole)
    part = batch(cluster, "--array=0-20%2", "--job-name=cut short", script=LONG)
    wait_for_state(cluster, f"{part}_0", "RUNNING")
    cluster.run("scancel", f"{part}_[4-7]")
    cluster.run("scancel", part)


def _het(cluster: RealCluster) -> None:
    for name, script in (("het", "srun --het-group=0-2 hostname"), ("het fails", "exit 4")):
        components = ("--ntasks=1", ":", "--ntasks=2", ":", "--nodes=2")
        argv = ["sbatch", "--parsable", *QUIET, f"--job-name={name}", *components]
        cluster.run(*argv, stdin=f"#!/bin/sh\n{script}\n")
    argv = ["sbatch", "--parsable", *QUIET, "--hold", "--job-name=het pending", "-n1", ":", "-n1"]
    cluster.run("scancel", cluster.run(*argv, stdin="#!/bin/sh\ntrue\n").stdout.strip())


def _cancelled(cluster: RealCluster) -> None:
    running = [batch(cluster, "--job-name=cancel running", f"--nodes={n}", script=LONG) for n in (1, 2)]
    pending = [
        batch(cluster, "--job-name=cancel held", "--hold"),
        batch(cluster, "--job-name=cancel future", "--begin=now+1hour", "--nodes=4"),
        batch(cluster, "--job-name=cancel dependent", f"--dependency=afterok:{running[0]}"),
    ]
    for job in running:
        wait_for_state(cluster, job, "RUNNING")
    cluster.run("scancel", *running, *pending)


def _timed_out(cluster: RealCluster) -> Callable[[], None]:
    job = batch(cluster, "--time=1", "--job-name=timed out", script=LONG)
    wait_for_state(cluster, job, "RUNNING")
    # Time limits are looked at every 30 s: this makes the first look the last.
    cluster.run("scontrol", "update", f"JobId={job}", "EndTime=now+1")
    return lambda: None


def _requeued(cluster: RealCluster) -> Callable[[], None]:
    names = ("requeued and cancelled", "requeued and done")
    script = f'[ -n "$SLURM_RESTART_COUNT" ] || {LONG}'
    cancelled, done = (batch(cluster, "--requeue", f"--job-name={name}", script=script) for name in names)
    for job in (cancelled, done):
        wait_for_state(cluster, job, "RUNNING")
        cluster.run("scontrol", "requeue", job)
    wait_for_state(cluster, cancelled, "PENDING")
    cluster.run("scancel", cancelled)
    return lambda: None


def _suspended(cluster: RealCluster) -> Callable[[], None]:
    born_old = batch(cluster, "--job-name=suspended then cancelled", script=LONG)
    resumed = batch(cluster, "--job-name=suspended and resumed", script="sleep 4")
    for job in (born_old, resumed):
        wait_for_state(cluster, job, "RUNNING")
        cluster.run("scontrol", "suspend", job)

    def finish() -> None:
        cluster.run("scontrol", "resume", resumed)
        # Its end will be the moment it was suspended.
        cluster.run("scancel", born_old)

    return finish


def _resized(cluster: RealCluster) -> Callable[[], None]:
    job = batch(cluster, "--nodes=3", "--job-name=shrunk", script=LONG)
    wait_for_state(cluster, job, "RUNNING")

    def finish() -> None:
        cluster.run("scontrol", "update", f"JobId={job}", "NumNodes=1")
        cluster.run("scancel", job)

    return finish


def _preempted(cluster: RealCluster) -> None:
    node = f"--nodelist={cluster.name}7"
    weak = batch(cluster, "--partition=scavenge", node, "--exclusive", "--job-name=preempted", script=LONG)
    wait_for_state(cluster, weak, "RUNNING")
    batch(cluster, node, "--exclusive", "--job-name=preempts")
    wait_for_state(cluster, weak, "PREEMPTED")


def _node_failed(cluster: RealCluster) -> None:
    node = f"{cluster.name}8"
    job = batch(
        cluster, "--no-requeue", f"--nodelist={node}", "--exclusive", "--job-name=node failed", script=LONG
    )
    wait_for_state(cluster, job, "RUNNING")
    cluster.run("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")
    wait_for_state(cluster, job, "NODE_FAIL")
    # A node that answers comes back by itself, so this may be too late, which is an error to scontrol.
    cluster.run("scontrol", "update", f"NodeName={node}", "State=RESUME", check=False)


def _deadline_missed(cluster: RealCluster) -> None:
    job = batch(cluster, "--hold", "--time=1", "--deadline=now+600", "--job-name=deadline missed")
    cluster.run("scontrol", "update", f"JobId={job}", "Deadline=now+2")
    cluster.run("scontrol", "release", job)
