"""Child processes as they really are: scripts that hang, flood, fork and die."""

import errno
import gc
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.from_thread
import pytest

from slurmwatchd.errors import CommandError, SlurmNotFoundError
from slurmwatchd.sources.process import (
    STDERR_BYTES,
    UNKEPT,
    Completed,
    StderrTail,
    SystemProcessRunner,
    TimedOutError,
    child_environment,
)
from tests.patience import HANGS_SECONDS, Patience

ENV = {"PATH": os.defpath}
SLEEP = "sleep 600"


async def shell(script: str, *, timeout_seconds: float = 30) -> Completed:
    return await SystemProcessRunner().run(["/bin/sh", "-c", script], env=ENV, timeout_seconds=timeout_seconds)


def is_running(pid: int) -> bool:
    """Tell whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in {
            "Z",
            "X",
        }
    except (FileNotFoundError, ProcessLookupError):
        return False


async def gone(pid: int) -> bool:
    """Wait until a process that was killed is no more."""
    patience = Patience()
    while is_running(pid):
        if patience.is_over():
            return False
        await anyio.sleep(0.01)
    return True


class Pids:
    """A spool of the process numbers that a script prints, one a line."""

    def __init__(self, count: int) -> None:
        self._text = b""
        self._count = count
        self.all_there = anyio.Event()

    def write(self, chunk: bytes) -> None:
        self._text += chunk
        if self._text.count(b"\n") == self._count:
            anyio.from_thread.run_sync(self.all_there.set)

    @property
    def numbers(self) -> list[int]:
        return [int(word) for word in self._text.split()]


async def timed_out(script: str, count: int) -> tuple[TimedOutError, float, list[int]]:
    """Run a script that never ends, for so long that it has printed `count` process numbers."""
    for seconds in (1, 4, 16, HANGS_SECONDS):
        pids = Pids(count)
        with pytest.raises(TimedOutError) as caught:
            await SystemProcessRunner().run(
                ["/bin/sh", "-c", script], env=ENV, timeout_seconds=seconds, spool=pids
            )
        if len(pids.numbers) == count:
            break
    return caught.value, seconds, pids.numbers


async def test_what_a_child_prints_says_and_returns_comes_back() -> None:
    done = await shell("echo out; echo warning >&2; exit 3")
    assert (done.returncode, done.stdout, done.stderr, done.complained) == (3, b"out\n", "warning\n", False)
    assert done.argv == ("/bin/sh", "-c", "echo out; echo warning >&2; exit 3")
    assert 0 < done.seconds < 30


async def test_a_child_ended_by_a_signal_has_a_negative_status() -> None:
    assert (await shell("kill -9 $$")).returncode == -9


async def test_a_child_has_nothing_to_read_on_stdin() -> None:
    assert (await shell("cat; echo end")).stdout == b"end\n"


async def test_a_child_sees_the_environment_it_is_given_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SACCT_FORMAT", "jobid")
    env = shutil.which("env", path=os.defpath)
    assert env is not None
    given = child_environment(
        {"PATH": "/usr/bin:/bin", "SLURM_CLUSTERS": "other", "SLURM_CONF": "/etc/slurm.conf"}
    )
    done = await SystemProcessRunner().run([env], env=given, timeout_seconds=30)
    assert sorted(done.stdout.decode().splitlines()) == [
        "LC_ALL=C",
        "PATH=/usr/bin:/bin",
        "SLURM_BITSTR_LEN=0",
        "SLURM_CONF=/etc/slurm.conf",
        "SLURM_TIME_FORMAT=%s",
        "TZ=UTC",
    ]


def test_only_what_finds_the_cluster_and_proves_who_we_are_is_handed_on() -> None:
    kept = {
        "PATH": "/opt/slurm/bin", "SLURM_CONF": "/etc/slurm/slurm.conf", "SLURM_CONF_SERVER": "ctl:6817",
        "SLURM_JWT": "token", "SLURM_SACK_SOCKET": "/run/sack", "LD_LIBRARY_PATH": "/opt/lib", "HOME": "/root",
    }  # fmt: skip
    scrubbed = [
        "SACCT_FORMAT", "SACCT_FEDERATION", "SACCT_LOCAL", "SLURM_CLUSTERS", "SLURM_DEBUG_FLAGS", "SLURM_JSON",
        "SLURM_YAML", "SCONTROL_ALL", "SLURM_NODELIST", "LANG", "PYTHONPATH",
    ]  # fmt: skip
    environ = kept | dict.fromkeys(scrubbed, "x") | {"TZ": "Asia/Tokyo", "SLURM_TIME_FORMAT": "relative"}
    assert child_environment(environ) == kept | {
        "TZ": "UTC", "LC_ALL": "C", "SLURM_TIME_FORMAT": "%s", "SLURM_BITSTR_LEN": "0",
    }  # fmt: skip


def test_the_configured_slurm_conf_wins_over_the_inherited_one() -> None:
    assert child_environment({"SLURM_CONF": "/etc/a"}, conf="/etc/b")["SLURM_CONF"] == "/etc/b"
    assert child_environment({"SLURM_CONF": "/etc/a"})["SLURM_CONF"] == "/etc/a"
    assert "SLURM_CONF" not in child_environment({})


def test_a_variable_that_is_empty_is_none() -> None:
    """With an empty SLURM_JWT every command fails, also where munge would do."""
    assert set(child_environment({"SLURM_JWT": "", "SLURM_CONF": "", "HOME": "/root"})) == {
        "HOME", "PATH", "TZ", "LC_ALL", "SLURM_TIME_FORMAT", "SLURM_BITSTR_LEN",
    }  # fmt: skip


def test_without_a_path_the_systems_default_is_used() -> None:
    assert child_environment({})["PATH"] == os.defpath


async def test_output_is_handed_over_as_it_comes_and_not_collected() -> None:
    first = Pids(1)

    async with anyio.create_task_group() as group:
        group.start_soon(
            lambda: SystemProcessRunner().run(
                ["/bin/sh", "-c", f"echo 1; {SLEEP}"], env=ENV, timeout_seconds=60, spool=first
            )
        )
        with anyio.fail_after(HANGS_SECONDS):
            await first.all_there.wait()
        group.cancel_scope.cancel()
    assert first.numbers == [1]


async def test_with_a_spool_stdout_is_not_kept() -> None:
    pids = Pids(1)
    done = await SystemProcessRunner().run(["/bin/sh", "-c", "echo 12"], env=ENV, timeout_seconds=30, spool=pids)
    assert done.stdout == b""
    assert pids.numbers == [12]


async def test_a_timeout_kills_the_child_and_its_grandchildren() -> None:
    error, seconds, pids = await timed_out(f"echo still here >&2; {SLEEP} & echo $!; echo $$; wait", 2)
    assert str(error).startswith(f"sh gave no complete answer in {seconds:g} s and was killed: still here")
    assert error.stderr == "still here\n"
    assert len(pids) == 2
    for pid in pids:
        assert await gone(pid)


async def test_a_child_that_ends_but_leaves_its_output_open_has_given_no_complete_answer() -> None:
    _, _, pids = await timed_out(f"{SLEEP} & echo $!", 1)
    assert await gone(*pids)


async def test_what_a_child_leaves_behind_is_killed_though_it_ended_well() -> None:
    done = await shell(f"{SLEEP} >/dev/null 2>&1 & echo $!")
    assert done.returncode == 0
    assert await gone(int(done.stdout))


async def test_a_child_that_ignores_polite_signals_is_killed_too() -> None:
    _, _, pids = await timed_out("trap '' TERM INT HUP; echo $$; while :; do sleep 600; done", 1)
    assert await gone(*pids)


async def test_cancelling_kills_the_whole_group_and_leaves_no_zombie() -> None:
    pids = Pids(2)
    async with anyio.create_task_group() as group:
        group.start_soon(
            lambda: SystemProcessRunner().run(
                ["/bin/sh", "-c", f"{SLEEP} & echo $!; echo $$; wait"],
                env=ENV,
                timeout_seconds=60,
                spool=pids,
            )
        )
        with anyio.fail_after(HANGS_SECONDS):
            await pids.all_there.wait()
        assert all(is_running(pid) for pid in pids.numbers)
        group.cancel_scope.cancel()
    # The shell is ours to wait for, and that has been done: else it would be there still, as a zombie.
    assert not Path(f"/proc/{pids.numbers[1]}").exists()
    for pid in pids.numbers:
        assert await gone(pid)


class Full:
    """A spool whose disk is full."""

    pid = 0

    def write(self, chunk: bytes) -> None:
        self.pid = int(chunk)
        raise OSError(errno.ENOSPC, "No space left on device")


async def test_an_error_of_the_spool_ends_the_child_and_is_raised_as_it_is() -> None:
    full = Full()
    with pytest.raises(OSError, match="No space left on device"):
        await SystemProcessRunner().run(
            ["/bin/sh", "-c", f"echo $$; {SLEEP}"], env=ENV, timeout_seconds=60, spool=full
        )
    assert full.pid
    assert await gone(full.pid)


async def test_a_flood_on_stderr_is_bounded_and_its_first_complaint_remembered() -> None:
    done = await shell(
        "echo 'sacct: error: first' >&2; head -c 1000000 /dev/zero | tr '\\0' x >&2; echo last >&2; echo done"
    )
    assert done.complained
    assert done.stdout == b"done\n"
    assert len(done.stderr) == STDERR_BYTES
    assert done.stderr.endswith("xlast\n")
    assert "error:" not in done.stderr


@pytest.mark.parametrize(
    ("words", "complained"),
    [
        ("sacct: error: Connection refused", True),
        ("sacct: fatal: Could not establish a configuration source", True),
        ("sacct: warning: can't honor", False),
        ("no errors here", False),
    ],
)
async def test_error_and_fatal_are_complaints_and_other_words_are_not(words: str, complained: bool) -> None:
    assert (await shell(f'echo "{words}" >&2')).complained is complained


def test_a_complaint_cut_in_two_pieces_is_heard() -> None:
    tail = StderrTail()
    for piece in (b"x" * 100_000, b"sacct: err", b"or: half", b"y" * 100_000):
        tail.take(piece)
    assert len(tail.complaints) == 1
    assert tail.kept == b"y" * STDERR_BYTES


async def test_complaints_are_whole_lines_each_once_also_those_that_are_no_longer_kept() -> None:
    complaining = "for n in 1 2 3 1; do echo 'sacct: error: node '$n' is odd'; done; echo 'loading modules'"
    ran = await shell(
        f"({complaining}; head -c 100000 /dev/zero | tr '\\0' '\\n'; printf 'sacct: fatal: end') >&2"
    )
    assert ran.complaints == (
        *(f"sacct: error: node {number} is odd" for number in (1, 2, 3)),
        "sacct: fatal: end",
    )


def test_complaints_that_are_more_than_is_kept_are_said_to_be() -> None:
    tail = StderrTail()
    for number in range(20_000):
        tail.take(b"sacct: error: node n%05d has CPUs that are not sockets times cores times threads\n" % number)
    assert 10_000 < len(tail.complaints) < 20_000
    assert tail.complaints[-1] == UNKEPT


async def test_stderr_that_is_no_text_is_shown_anyway() -> None:
    assert (await shell("printf '\\377\\376 bad' >&2")).stderr == "\\xff\\xfe bad"


async def test_much_output_on_both_pipes_does_not_block_the_child() -> None:
    done = await shell("head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2; echo end")
    assert len(done.stdout) == 3_000_004
    assert done.stdout.endswith(b"end\n")


def missing(folder: Path) -> Path:
    return folder / "sacct"


def not_executable(folder: Path) -> Path:
    (folder / "sacct").write_text("#!/bin/sh\n")
    return folder / "sacct"


@pytest.mark.parametrize("make", [missing, not_executable])
async def test_a_program_that_cannot_be_run_is_not_found(make: Callable[[Path], Path], tmp_path: Path) -> None:
    program = str(make(tmp_path))
    with pytest.raises(SlurmNotFoundError, match=f"cannot run {program}: "):
        await SystemProcessRunner().run([program], env=ENV, timeout_seconds=30)


async def test_a_child_that_cannot_be_started_now_may_be_startable_later() -> None:
    with pytest.raises(CommandError, match="cannot start /bin/echo: Argument list too long") as caught:
        await SystemProcessRunner().run(["/bin/echo", "x" * 200_000], env=ENV, timeout_seconds=30)
    assert not isinstance(caught.value, SlurmNotFoundError | TimedOutError)


async def test_a_run_cancelled_at_once_leaves_no_pipe_open() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        with anyio.CancelScope() as scope:
            scope.cancel()
            await shell("echo never read")
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
