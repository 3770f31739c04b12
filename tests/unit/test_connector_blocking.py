"""Child processes for callers without an event loop: the same words for the same ends as with one."""

import asyncio
import os
import select
from pathlib import Path

import anyio
import pytest

from slurmwatchd.connector.blocking_runner import BlockingProcessRunner, run_blocking
from slurmwatchd.errors import CommandError, SlurmNotFoundError
from slurmwatchd.sources.process import Completed, TimedOutError

ENV = {"PATH": "/bin:/usr/bin"}


def run(script: str, timeout_seconds: float = 20.0) -> Completed:
    return run_blocking(
        BlockingProcessRunner().run(["/bin/sh", "-c", script], env=ENV, timeout_seconds=timeout_seconds)
    )


def test_output_status_and_complaints() -> None:
    done = run("printf 'a\\000b'; echo 'sacct: error: no' >&2; exit 3")
    assert (done.stdout, done.stderr, done.returncode, done.complained) == (b"a\0b", "sacct: error: no\n", 3, True)
    assert not run("echo fine >&2").complained
    assert run("kill -9 $$").returncode == -9


def test_it_sees_the_environment_it_is_given_and_reads_nothing() -> None:
    assert run("env | grep -v -e ^PWD -e ^_ -e ^SHLVL; cat").stdout == b"PATH=/bin:/usr/bin\n"


def test_a_child_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    held = tmp_path / "held"
    os.mkfifo(held)
    reader = os.open(held, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(TimedOutError, match=r"gave no complete answer in 0\.5 s"):
        run(f"exec 3>{held}; echo begun >&3; sleep 60 & sleep 60", 0.5)
    assert os.read(reader, 100) == b"begun\n"
    # It is hung up once nobody has the other end any more.
    ended = select.poll()
    ended.register(reader, select.POLLHUP)
    assert ended.poll(10_000) == [(reader, select.POLLHUP)]
    os.close(reader)


def test_what_cannot_be_started_is_said(tmp_path: Path) -> None:
    with pytest.raises(SlurmNotFoundError, match="cannot run"):
        run_blocking(BlockingProcessRunner().run([str(tmp_path / "none")], env=ENV, timeout_seconds=1))
    with pytest.raises(CommandError, match="Argument list too long"):
        run_blocking(BlockingProcessRunner().run(["/bin/true", "x" * 200_000], env=ENV, timeout_seconds=1))


async def test_it_works_inside_an_event_loop_as_a_notebook_has_one() -> None:
    assert asyncio.get_running_loop().is_running()
    assert run("echo here").stdout == b"here\n"


def test_waiting_for_an_event_loop_is_a_fault() -> None:
    with pytest.raises(RuntimeError, match="event loop"):
        run_blocking(_yields())


async def _yields() -> None:
    await asyncio.sleep(0)
    await anyio.lowlevel.checkpoint()
