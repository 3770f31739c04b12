"""The simulated commands go wrong when told to, exactly as often as told, and every call is counted."""

from __future__ import annotations

import resource
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from simslurm import SimCluster, install_commands
from tests.patience import HANGS_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

T0 = 1795436431
ASK = ("-aXDP", "-S", f"uts{T0}", "-E", f"uts{T0 + 100}", "-o", "jobid,alloctres,qos")
HEADER = b"JobID|AllocTRES|QOS\n"
ROWS = b"1|billing=1,cpu=1,node=1|normal\n2|billing=1,cpu=1,node=1|normal\n"


@pytest.fixture
def cluster(tmp_path: Path) -> SimCluster:
    made = SimCluster.create(tmp_path / "sim.db")
    made.set_now(T0 + 200)
    for number in (1, 2):
        made.add_job(
            id_job=number, time_submit=T0, time_start=T0, time_end=T0 + number, tres_alloc="cpu=1,node=1,billing=1"
        )
    install_commands(tmp_path / "bin", tmp_path / "sim.db")
    return made


def start(cluster: SimCluster) -> subprocess.Popen[bytes]:
    program = cluster.path.parent / "bin" / "sacct"
    return subprocess.Popen(
        [str(program), *ASK], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={"TZ": "UTC"}
    )


def run(cluster: SimCluster) -> tuple[int, bytes, bytes]:
    process = start(cluster)
    stdout, stderr = process.communicate(timeout=HANGS_SECONDS)
    return process.returncode, stdout, stderr


def test_a_fault_hits_as_many_calls_as_it_was_told_to(cluster: SimCluster) -> None:
    cluster.add_fault("sacct", "exit", count=2, code=7, stderr="sacct: error: no")
    failed = (7, b"", b"sacct: error: no\n")
    assert [run(cluster), run(cluster), run(cluster)] == [failed, failed, (0, HEADER + ROWS, b"")]
    assert [(call.exit_status, call.fault) for call in cluster.calls("sacct")] == [
        (7, "exit"),
        (7, "exit"),
        (0, None),
    ]
    assert cluster.calls()[0].argv == ASK


@pytest.mark.parametrize("kind", ["exit", "stderr_exit0", "errno", "blank_tres", "header_only"])
def test_version_asks_nobody_and_meets_no_fault_of_slurmdbd(cluster: SimCluster, kind: str) -> None:
    cluster.add_fault("sacct", kind, count=1)
    done = subprocess.run(
        [str(cluster.path.parent / "bin" / "sacct"), "-V"], capture_output=True, env={"TZ": "UTC"}, check=True
    )
    assert (done.stdout, done.stderr) == (b"slurm 22.05.8\n", b"")
    assert run(cluster) != (0, HEADER + ROWS, b"")


def test_concurrent_calls_share_one_fault_fairly(cluster: SimCluster) -> None:
    cluster.add_fault("sacct", "exit", count=3, code=9)
    processes = [start(cluster) for _ in range(6)]
    for process in processes:
        process.communicate(timeout=HANGS_SECONDS)
    assert sorted(process.returncode for process in processes) == [0, 0, 0, 9, 9, 9]


@pytest.mark.parametrize(
    ("kind", "wish", "status", "stdout", "stderr"),
    [
        ("exit", {"code": 1, "stderr": "x", "records": 1}, 1, HEADER + ROWS[:32], b"x\n"),
        ("stderr_exit0", {"stderr": "sacct: error: x"}, 0, HEADER + ROWS, b"sacct: error: x\n"),
        ("header_only", {}, 0, HEADER, b""),
        ("cut", {"bytes": 25}, 0, (HEADER + ROWS)[:25], b""),
        ("cut", {"records": 1}, 0, HEADER + ROWS[:32], b""),
        ("cut", {"records": 1, "bytes": 3}, 0, HEADER + ROWS[:35], b""),
        ("cut", {"records": 0}, 0, HEADER, b""),
        ("cut", {"bytes": 30, "signal": 15}, -15, (HEADER + ROWS)[:30], b""),
        ("kill", {}, -signal.SIGKILL, (HEADER + ROWS)[: len(HEADER + ROWS) // 2], b""),
        (
            "blank_tres",
            {},
            0,
            HEADER + b"1||\n2||\n",
            b"sacct: error: slurmdbd: Unspecified error\n",
        ),
        ("slow", {"seconds": 0.01}, 0, HEADER + ROWS, b""),
        ("trickle", {"bytes": 7, "seconds": 0.001}, 0, HEADER + ROWS, b""),
        ("errno", {}, 88, HEADER, b"sacct: error: slurmdbd: Unable to connect to database\n"),
        ("errno", {"number": 7006}, 94, HEADER, b"sacct: error: Query result exceeds size limit\n"),
        ("errno", {"number": 7007}, 95, HEADER, b"sacct: error: slurmdbd: Too wide of a date range in query\n"),
        # MySQL's 1024 (ER_ERROR_ON_READ): modulo 256 that is success.
        ("errno", {"number": 1024}, 0, HEADER, b"sacct: error: Unknown error 1024\n"),
        ("garbage", {"bytes": 3}, 0, b"\x00\xa7\x4e", b""),
    ],
)
def test_each_kind_of_fault_does_what_it_says(
    cluster: SimCluster,
    kind: str,
    wish: dict[str, str | float],
    status: int,
    stdout: bytes,
    stderr: bytes,
) -> None:
    cluster.add_fault("sacct", kind, **wish)  # type: ignore[arg-type]
    assert run(cluster) == (status, stdout, stderr)


def test_a_hanging_command_answers_nothing_more_until_it_is_killed(cluster: SimCluster) -> None:
    cluster.add_fault("sacct", "hang", bytes=len(HEADER))
    process = start(cluster)
    assert process.stdout is not None
    assert process.stdout.read(len(HEADER)) == HEADER
    assert process.poll() is None
    process.kill()
    process.communicate(timeout=HANGS_SECONDS)
    (call,) = cluster.calls("sacct")
    assert (call.fault, call.ended, call.exit_status) == ("hang", None, None)


def test_a_fault_may_end_at_a_time_and_pick_its_calls(cluster: SimCluster) -> None:
    cluster.add_fault("sacct", "exit", count=None, until=T0 + 201)
    cluster.add_fault("sacct", "exit", count=None, match="-j")
    assert run(cluster)[0] == 1
    cluster.set_now(T0 + 201)
    assert run(cluster)[0] == 0


def test_an_impossible_fault_is_refused(cluster: SimCluster) -> None:
    with pytest.raises(ValueError, match="no such fault"):
        cluster.add_fault("sacct", "explode")


def test_a_reader_that_leaves_early_ends_the_command_quietly(cluster: SimCluster) -> None:
    with cluster.batch():
        for number in range(3, 4000):
            cluster.add_job(id_job=number, time_submit=T0, time_start=T0, time_end=T0 + 1, job_name="x" * 200)
    program = cluster.path.parent / "bin" / "sacct"
    arguments = [str(program), "-aXP", "-S", f"uts{T0}", "-o", "jobid,jobname"]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={})
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=HANGS_SECONDS) == 141


def test_a_command_starts_fast_enough_to_be_polled(cluster: SimCluster) -> None:
    # Of processor time, which a busy machine does not stretch much: about 0.03 s.
    best = 9.0
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run(cluster)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert 0 < best < 0.3


def test_a_fault_is_not_looked_for_in_the_delimiter(cluster: SimCluster) -> None:
    cluster.add_fault("sacct", "exit", match="-j", code=7)
    argv = [str(cluster.path.parent / "bin" / "sacct"), "-aXD", "-o", "jobid"]

    def status(*more: str) -> int:
        return subprocess.run([*argv, *more], capture_output=True, env={"TZ": "UTC"}, check=False).returncode

    assert status("-p", "--delimiter=x-jy") == 0
    assert status("-j", "1") == 7
