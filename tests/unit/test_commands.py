"""Where Slurm's commands are found."""

from pathlib import Path

import pytest

from slurmwatchd.errors import SlurmNotFoundError, TokenError
from slurmwatchd.sources.commands import Commands
from slurmwatchd.sources.process import SystemProcessRunner
from slurmwatchd.sources.tokens import SlurmToken
from tests.tokens import token


def install(folder: Path, script: str = '#!/bin/sh\necho "$@"\n') -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sacct").write_text(script)
    (folder / "sacct").chmod(0o755)
    return folder


def test_a_command_is_taken_from_bin_dir_though_another_is_on_path(tmp_path: Path) -> None:
    ours, other = install(tmp_path / "ours"), install(tmp_path / "other")
    commands = Commands.of(SystemProcessRunner(), bin_dir=str(ours), environ={"PATH": str(other)})
    assert commands.path("sacct") == str(ours / "sacct")


def test_without_bin_dir_the_path_decides(tmp_path: Path) -> None:
    folder = install(tmp_path)
    commands = Commands.of(SystemProcessRunner(), environ={"PATH": f"/nowhere:{folder}"})
    assert commands.path("sacct") == str(folder / "sacct")


def test_a_command_that_is_nowhere_is_missed_with_the_place_that_was_searched(tmp_path: Path) -> None:
    with pytest.raises(SlurmNotFoundError, match=rf"^sacct is not in slurm.bin_dir \({tmp_path}\)$"):
        Commands.of(SystemProcessRunner(), bin_dir=str(tmp_path)).path("sacct")
    with pytest.raises(SlurmNotFoundError, match=r"^sacct is not on PATH \(/nowhere\)$"):
        Commands.of(SystemProcessRunner(), environ={"PATH": "/nowhere"}).path("sacct")


def test_a_file_that_cannot_be_executed_is_no_command(tmp_path: Path) -> None:
    install(tmp_path)
    (tmp_path / "sacct").chmod(0o644)
    with pytest.raises(SlurmNotFoundError):
        Commands.of(SystemProcessRunner(), bin_dir=str(tmp_path)).path("sacct")


def test_a_relative_bin_dir_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "bin")
    monkeypatch.chdir(tmp_path)
    assert Commands.of(SystemProcessRunner(), bin_dir="bin").path("sacct") == str(tmp_path / "bin" / "sacct")


async def test_arguments_reach_the_command_as_they_are(tmp_path: Path) -> None:
    install(tmp_path)
    done = await Commands.of(SystemProcessRunner(), bin_dir=str(tmp_path)).run(
        "sacct", "-o", "a b;$HOME", timeout_seconds=30
    )
    assert done.stdout == b"-o a b;$HOME\n"


async def test_a_command_runs_in_the_scrubbed_environment_with_the_configured_slurm_conf(tmp_path: Path) -> None:
    install(tmp_path, '#!/bin/sh\necho "$TZ $SLURM_CONF $SACCT_FORMAT."\n')
    commands = Commands.of(
        SystemProcessRunner(),
        bin_dir=str(tmp_path),
        conf="/etc/slurm/other.conf",
        environ={"SACCT_FORMAT": "jobid", "TZ": "Asia/Tokyo"},
    )
    assert (await commands.run("sacct", timeout_seconds=30)).stdout == b"UTC /etc/slurm/other.conf .\n"


def test_a_command_that_is_installed_later_is_found_then(tmp_path: Path) -> None:
    commands = Commands.of(SystemProcessRunner(), bin_dir=str(tmp_path))
    with pytest.raises(SlurmNotFoundError):
        commands.path("sacct")
    install(tmp_path)
    assert commands.path("sacct") == str(tmp_path / "sacct")


async def test_each_call_gets_the_token_that_is_in_the_file_then(tmp_path: Path) -> None:
    install(tmp_path, '#!/bin/sh\necho "$SLURM_JWT"\n')
    file = tmp_path / "token"
    seen: list[SlurmToken] = []
    commands = Commands.of(
        SystemProcessRunner(),
        bin_dir=str(tmp_path),
        jwt_file=str(file),
        token_seen=seen.append,
        environ={"PATH": "/usr/bin:/bin", "SLURM_JWT": "of.the.shell"},
    )
    for expires in (1_795_900_000, 1_795_903_600):
        made = token({"sun": "ann", "exp": expires})
        file.write_text(f"SLURM_JWT={made}\n")
        assert (await commands.run("sacct", timeout_seconds=30)).stdout.decode() == f"{made}\n"
    assert seen == [SlurmToken("ann", 1_795_900_000.0), SlurmToken("ann", 1_795_903_600.0)]
    assert commands.token() == SlurmToken("ann", 1_795_903_600.0)


async def test_without_a_token_in_its_file_nothing_is_run(tmp_path: Path) -> None:
    install(tmp_path, '#!/bin/sh\ntouch "$0.ran"\n')
    (tmp_path / "token").touch()
    commands = Commands.of(SystemProcessRunner(), bin_dir=str(tmp_path), jwt_file=str(tmp_path / "token"))
    with pytest.raises(TokenError, match="it is empty"):
        await commands.run("sacct", timeout_seconds=30)
    assert not (tmp_path / "sacct.ran").exists()


async def test_a_configless_site_names_slurmctld(tmp_path: Path) -> None:
    install(tmp_path, '#!/bin/sh\necho "$SLURM_CONF_SERVER,$SLURM_CONF"\n')
    commands = Commands.of(
        SystemProcessRunner(),
        bin_dir=str(tmp_path),
        conf_server="head:6817",
        environ={"PATH": "/usr/bin:/bin", "SLURM_CONF": "/etc/slurm/slurm.conf"},
    )
    assert (await commands.run("sacct", timeout_seconds=30)).stdout == b"head:6817,\n"
