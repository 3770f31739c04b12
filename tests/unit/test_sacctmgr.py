"""Slurmdbd's limits, as `sacctmgr show configuration` prints them."""

from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from slurmwatchd.errors import CommandError
from slurmwatchd.process import Completed
from slurmwatchd.sources.sacctmgr import Limits, Sacctmgr, Standing, parse_limits
from tests.unit.runners import FakeRunner, commands, done

# Cut down from what 22.05.8 prints.
CLIENT = """Configuration data as of 2026-11-23T12:22:35
AccountingStorageHost  = 127.0.0.1
PrivateData            = jobs
SLURM_VERSION          = 22.05.8

"""
SERVER = """SlurmDBD configuration:
ArchiveJobs            = No
MaxQueryTimeRange      = UNLIMITED
PrivateData            = none
PurgeJobAfter          = NONE
PurgeStepAfter         = 1 months
"""


def test_without_limits_there_are_none() -> None:
    assert parse_limits(SERVER) == Limits()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1-00:00:00", 86_400), ("60-00:00:00", 5_184_000), ("02:30:00", 9_000), ("UNLIMITED", None), ("", None)],
)
def test_the_widest_query_is_read(text: str, seconds: int | None) -> None:
    assert parse_limits(f"MaxQueryTimeRange      = {text}\n").query_seconds == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12 months", 31_104_000),
        ("12 months*", 31_104_000),
        ("30 days", 2_592_000),
        ("36 hours", 129_600),
        ("1 hour", 3_600),
        ("NONE", None),
    ],
)
def test_the_purge_is_read(text: str, seconds: int | None) -> None:
    assert parse_limits(f"PurgeJobAfter          = {text}\n").purge_seconds == seconds


def test_private_data_is_read_as_a_set() -> None:
    assert parse_limits("PrivateData            = jobs,users\n").private == {"jobs", "users"}


async def test_only_the_servers_half_counts(tmp_path: Path) -> None:
    runner = FakeRunner(lambda _: done((CLIENT + SERVER).encode()))
    assert await Sacctmgr(commands(runner, tmp_path)).limits() == Limits()


async def test_half_an_answer_with_exit_zero_tells_nothing(tmp_path: Path) -> None:
    runner = FakeRunner(lambda _: done(CLIENT.encode()))
    assert await Sacctmgr(commands(runner, tmp_path)).limits() is None


async def test_who_asks_while_somebody_does_gets_that_answer_and_who_asks_later_a_new_one(tmp_path: Path) -> None:
    runner = FakeRunner(lambda _: done((CLIENT + SERVER + f"SlurmUser = u{len(runner.calls)}\n").encode()))
    asker = Sacctmgr(commands(runner, tmp_path))
    found: list[Limits | None] = []

    async def ask() -> None:
        found.append(await asker.limits())

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(ask)
    assert found == [Limits(slurm_user="u1")] * 3
    await ask()
    assert found[3] == Limits(slurm_user="u2")
    assert len(runner.calls) == 2


async def test_a_sacctmgr_that_cannot_be_started_tells_nothing(tmp_path: Path) -> None:
    runner = FakeRunner(lambda _: CommandError("cannot start sacctmgr: Cannot allocate memory", argv=["sacctmgr"]))
    standing = await Sacctmgr(commands(runner, tmp_path), cluster="tux", user="watcher").standing()
    assert standing == Standing(clusters=None, limits=None, sees_all=None, cluster="tux")
    assert standing.fault == ""


class Slurmdbd:
    """What sacctmgr prints of users and clusters."""

    def __init__(self, private: str = "jobs", level: str = "None", slurm_user: str = "slurm") -> None:
        self.private, self.level, self.slurm_user = private, level, slurm_user
        self.down = False

    def __call__(self, arguments: Sequence[str]) -> Completed:
        if self.down:
            return done(stderr="sacctmgr: error: Sending PersistInit msg: Connection refused\n", returncode=1)
        if "configuration" in arguments:
            text = f"SlurmDBD configuration:\nPrivateData = {self.private}\nSlurmUser = {self.slurm_user}(64030)\n"
            return done(text.encode())
        if "cluster" in arguments:
            return done(b"larch\nTux\n")
        return done(f"watcher|{self.level}\n".encode() if self.level else b"")


async def fault(folder: Path, slurmdbd: Slurmdbd, cluster: str = "tux", user: str = "watcher") -> str:
    asker = Sacctmgr(commands(FakeRunner(slurmdbd), folder), cluster=cluster, user=user)
    return (await asker.standing()).fault


@pytest.mark.parametrize(
    ("slurmdbd", "expected"),
    [
        (Slurmdbd(), "privileges"),
        (Slurmdbd(level=""), "privileges"),
        (Slurmdbd(private="accounts,jobs"), "privileges"),
        (Slurmdbd(private="none"), ""),
        (Slurmdbd(private="users"), ""),
        (Slurmdbd(level="Operator"), ""),
        (Slurmdbd(level="Administrator"), ""),
        (Slurmdbd(level="", slurm_user="watcher"), ""),
    ],
)
async def test_ordinary_user_under_private_data_is_told_apart(
    tmp_path: Path, slurmdbd: Slurmdbd, expected: str
) -> None:
    assert await fault(tmp_path, slurmdbd) == expected


async def test_from_root_nothing_is_hidden(tmp_path: Path) -> None:
    assert await fault(tmp_path, Slurmdbd(level=""), user="root") == ""
    assert await fault(tmp_path, Slurmdbd(level=""), user="rooty") == "privileges"


@pytest.mark.parametrize(("watched", "expected"), [("tux", ""), ("larch", ""), ("", ""), ("birch", "cluster")])
async def test_cluster_of_another_name_is_told(tmp_path: Path, watched: str, expected: str) -> None:
    assert await fault(tmp_path, Slurmdbd(private="none"), watched) == expected


async def test_silence_of_sacctmgr_itself_speaks_against_nobody(tmp_path: Path) -> None:
    slurmdbd = Slurmdbd()
    slurmdbd.down = True
    assert await fault(tmp_path, slurmdbd, "birch") == ""
