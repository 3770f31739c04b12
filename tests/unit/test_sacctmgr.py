"""Slurmdbd's limits, as `sacctmgr show configuration` prints them, and who sees everybody's jobs."""

import os
import pwd
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from slurmwatchd.errors import CommandError
from slurmwatchd.sources.process import Completed
from slurmwatchd.sources.sacctmgr import Limits, Sacctmgr, Standing, parse_limits
from tests.tokens import token
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
SLURMDBD_VERSION       = 22.05.8
SlurmUser              = slurm(64030)
TrackWCKey             = No
"""


def test_without_limits_there_are_none() -> None:
    assert parse_limits(SERVER) == Limits(slurm_user="slurm")


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
    assert parse_limits("PrivateData            = jobs,users\n").private == frozenset({"jobs", "users"})


async def test_only_the_servers_half_counts(tmp_path: Path) -> None:
    runner = FakeRunner(lambda _: done((CLIENT + SERVER).encode()))
    assert await Sacctmgr(commands(runner, tmp_path)).limits() == Limits(slurm_user="slurm")


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
    found = await Sacctmgr(commands(runner, tmp_path), cluster="tux", user="watcher").standing()
    assert found == Standing(clusters=None, limits=None, sees_all=None, cluster="tux")
    assert found.fault == ""


class Slurmdbd:
    """What sacctmgr prints of users and clusters."""

    def __init__(
        self, private: str = "jobs", level: str = "None", slurm_user: str = "slurm", version: str = "24.11.5"
    ) -> None:
        self.private, self.level, self.slurm_user, self.version = private, level, slurm_user, version
        self.users = "root|Administrator\nwatcher|{level}\n"
        self.down = False

    def __call__(self, arguments: Sequence[str]) -> Completed:
        if self.down:
            return done(stderr="sacctmgr: error: Sending PersistInit msg: Connection refused\n", returncode=1)
        if "configuration" in arguments:
            settings = {
                "MaxQueryTimeRange": "UNLIMITED", "PrivateData": self.private, "PurgeJobAfter": "NONE",
                "SLURMDBD_VERSION": self.version, "SlurmUser": f"{self.slurm_user}(64030)", "TrackWCKey": "no",
            }  # fmt: skip
            lines = [f"{name:<22} = {value}\n" for name, value in settings.items()]
            return done(("SlurmDBD configuration:\n" + "".join(lines)).encode())
        if "cluster" in arguments:
            return done(b"larch\nTux\n")
        assert list(arguments) == ["-nP", "show", "user", arguments[3], "format=user,adminlevel"]
        asked = arguments[3].split(",")
        rows = self.users.format(level=self.level).splitlines(keepends=True)
        return done("".join(row for row in rows if row.partition("|")[0] in asked).encode())


def unknown(**settings: str) -> Slurmdbd:
    """One that has never heard of the user."""
    made = Slurmdbd(**settings)
    made.users = "root|Administrator\n"
    return made


def silent(**settings: str) -> Slurmdbd:
    """One that shows no user at all."""
    made = Slurmdbd(**settings)
    made.users = ""
    return made


async def standing(
    folder: Path, slurmdbd: Slurmdbd, cluster: str = "tux", user: str | None = "watcher"
) -> Standing:
    return await Sacctmgr(commands(FakeRunner(slurmdbd), folder), cluster=cluster, user=user).standing()


@pytest.mark.parametrize(
    ("slurmdbd", "sees_all", "fault"),
    [
        (Slurmdbd(), False, "privileges"),
        (unknown(), False, "privileges"),
        (Slurmdbd(private="accounts,jobs"), False, "privileges"),
        (Slurmdbd(private="none"), True, ""),
        (Slurmdbd(private="users"), True, ""),
        (Slurmdbd(level="Operator"), True, ""),
        (Slurmdbd(level="Administrator"), True, ""),
        (unknown(slurm_user="watcher"), True, ""),
        # An operator would be shown root, or himself at least.
        (silent(private="jobs,users"), False, "privileges"),
        (silent(), None, ""),
        # 26.05 prints `none` whatever it is, and of releases between nobody knows.
        (Slurmdbd(private="none", version="26.05.5"), None, ""),
        (unknown(private="none", version="25.05.1"), None, ""),
        (silent(private="none", version="26.05.5"), None, ""),
        (Slurmdbd(private="none", version="26.05.5", level="Operator"), True, ""),
        (Slurmdbd(private="none", version="(null)"), None, ""),
        (Slurmdbd(private="jobs", version="26.05.5"), False, "privileges"),
        (Slurmdbd(private="users", version="26.05.5"), True, ""),
    ],
)
async def test_who_sees_everybodys_jobs_who_does_not_and_of_whom_it_is_not_known(
    tmp_path: Path, slurmdbd: Slurmdbd, sees_all: bool | None, fault: str
) -> None:
    found = await standing(tmp_path, slurmdbd)
    assert (found.sees_all, found.fault) == (sees_all, fault)


async def test_from_root_nothing_is_hidden(tmp_path: Path) -> None:
    assert (await standing(tmp_path, unknown(), user="root")).sees_all is True
    assert (await standing(tmp_path, unknown(), user="rooty")).sees_all is False
    assert (await standing(tmp_path, Slurmdbd("none", version="26.05.5"), user="root")).sees_all is True


@pytest.mark.parametrize(
    ("claims", "user", "sees_all"),
    [({"sun": "watcher"}, "watcher", False), ({"sun": "root"}, "root", True), ({"exp": 1}, "", None)],
)
async def test_with_a_token_the_rights_are_those_of_the_user_it_names(
    tmp_path: Path, claims: dict[str, object], user: str, sees_all: bool | None
) -> None:
    made = commands(FakeRunner(Slurmdbd()), tmp_path)
    asker = Sacctmgr(replace(made, env={**made.env, "SLURM_JWT": token(claims)}), cluster="tux")
    assert (asker.user, (await asker.standing()).sees_all) == (user, sees_all)


async def test_without_a_token_they_are_those_of_who_runs_the_process(tmp_path: Path) -> None:
    made = commands(FakeRunner(Slurmdbd()), tmp_path)
    assert Sacctmgr(made).user == pwd.getpwuid(os.geteuid()).pw_name


@pytest.mark.parametrize("left_out", ["MaxQueryTimeRange", "PurgeJobAfter", "SlurmUser", "TrackWCKey"])
async def test_a_configuration_without_a_key_that_is_relied_on_tells_nothing(
    tmp_path: Path, left_out: str
) -> None:
    text = "".join(line for line in SERVER.splitlines(keepends=True) if not line.startswith(left_out))
    runner = FakeRunner(lambda _: done((CLIENT + text).encode()))
    assert await Sacctmgr(commands(runner, tmp_path)).limits() is None


@pytest.mark.parametrize("stdout", [b"watcher\n", b"watcher|Operator|x\nroot|Administrator|x\n", b"-h\n"])
async def test_users_that_are_not_framed_as_asked_tell_nothing(tmp_path: Path, stdout: bytes) -> None:
    asker = Sacctmgr(commands(FakeRunner(lambda _: done(stdout)), tmp_path), user="watcher")
    assert await asker.is_operator(Limits()) is None


async def test_an_answer_beside_a_complaint_about_slurm_conf_is_taken_and_one_beside_an_error_is_not(
    tmp_path: Path,
) -> None:
    complaint, error = "sacctmgr: error: Ignoring ControlMachine\n", "sacctmgr: error: Unspecified error\n"
    runner = FakeRunner(lambda _: done(b"tux\n", stderr=complaint), version=done(stderr=complaint))
    assert await Sacctmgr(commands(runner, tmp_path)).only_cluster() == "tux"
    runner = FakeRunner(lambda _: done(b"tux\n", stderr=complaint + error), version=done(stderr=complaint))
    assert await Sacctmgr(commands(runner, tmp_path)).only_cluster() is None


@pytest.mark.parametrize(("watched", "expected"), [("tux", ""), ("larch", ""), ("", ""), ("birch", "cluster")])
async def test_cluster_of_another_name_is_told(tmp_path: Path, watched: str, expected: str) -> None:
    assert (await standing(tmp_path, Slurmdbd(private="none"), watched)).fault == expected


async def test_silence_of_sacctmgr_itself_speaks_against_nobody(tmp_path: Path) -> None:
    slurmdbd = Slurmdbd()
    slurmdbd.down = True
    assert (await standing(tmp_path, slurmdbd, "birch")).fault == ""
