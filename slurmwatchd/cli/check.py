"""`slurmwatchd check`: is the configuration valid, is Slurm there, does slurmdbd answer?"""

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import click

from slurmwatchd.cli.options import config_options, load
from slurmwatchd.config import Config
from slurmwatchd.errors import SlurmwatchError
from slurmwatchd.process import SystemProcessRunner
from slurmwatchd.sources.commands import Commands
from slurmwatchd.sources.fields import Layout
from slurmwatchd.sources.sacct import Sacct
from slurmwatchd.sources.sacctmgr import Sacctmgr
from slurmwatchd.sources.scontrol import Scontrol
from slurmwatchd.suspicion import REASONS
from slurmwatchd.units import spoken_duration

_MARKS = {"ok": "green", "warning": "yellow", "failed": "red"}


@click.command("check")
@config_options
def command(path: Path | None, **flags: str | None) -> None:
    """Check the configuration, Slurm's commands, and that slurmdbd answers; change nothing.

    Example: slurmwatchd check --config /etc/slurmwatchd/slurmwatchd.toml

    Exit codes: 0 all is well (warnings included); 1 something failed; 78 the configuration is wrong.
    """
    config = load(path, flags)
    _say("ok", "configuration", f"valid; sinks: {', '.join(config.sinks)}")
    if not anyio.run(_check, config):
        sys.exit(1)


async def _check(config: Config) -> bool:
    commands = Commands.of(SystemProcessRunner(), bin_dir=config.slurm.bin_dir, conf=config.slurm.conf)
    good = True
    for name in config.slurm.clusters or ("",):
        sacct = Sacct(commands, timeout_seconds=config.slurm.timeout, spool_dir=Path(), cluster=name)
        suffix = f" ({name})" if name else ""
        good &= await _try(f"sacct{suffix}", sacct.version)

        async def fields(sacct: Sacct = sacct) -> str:
            layout = Layout(await sacct.available_fields())
            return f"{len(layout.fields)} fields are asked for"

        async def answers(sacct: Sacct = sacct) -> str:
            await sacct.answers()
            return "answers"

        good &= await _try(f"slurmdbd{suffix}", answers)
        good &= await _try(f"fields{suffix}", fields)
        good &= await _check_standing(commands, name, suffix)
    await _check_limits(commands, config)
    try:
        _say("ok", "scontrol", commands.path("scontrol"))
    except SlurmwatchError as error:
        _say("warning", "scontrol", f"{error}: node lists are expanded by ClusterShell instead")
    return good


async def _check_standing(commands: Commands, name: str, suffix: str) -> bool:
    """Say whether sacct may show nothing although there is something; it would not say so itself."""
    known = name or await Scontrol(commands).cluster_name() or ""
    standing = await Sacctmgr(commands, cluster=known).standing()
    if standing.clusters is None or standing.sees_all is None:
        _say("warning", f"visibility{suffix}", "sacctmgr does not tell what slurmdbd knows of cluster and user")
    elif standing.fault:
        _say("failed", f"visibility{suffix}", REASONS[standing.fault])
        return False
    else:
        seen = "everybody's jobs" if standing.sees_all else "everybody's jobs, as PrivateData hides none"
        _say("ok", f"visibility{suffix}", f"slurmdbd knows {known or 'the cluster'}; this user sees {seen}")
    return True


async def _check_limits(commands: Commands, config: Config) -> None:
    """Hold slurmdbd's limits against the configuration; what nobody tells is no failure."""
    limits = await Sacctmgr(commands).limits()
    if limits is None:
        _say("warning", "limits", "sacctmgr does not tell slurmdbd's configuration now")
        return
    if limits.purge_seconds is not None and config.poll.since > limits.purge_seconds:
        purged = spoken_duration(limits.purge_seconds)
        _say(
            "warning", "limits", f"poll.since is longer ago than PurgeJobAfter ({purged}): what is purged is gone"
        )
    shown = "none" if limits.query_seconds is None else spoken_duration(limits.query_seconds)
    _say("ok", "limits", f"MaxQueryTimeRange: {shown}")


async def _try(what: str, attempt: Callable[[], Awaitable[str]]) -> bool:
    try:
        _say("ok", what, await attempt())
    except (SlurmwatchError, ValueError) as error:
        _say("failed", what, str(error))
        return False
    return True


def _say(mark: str, what: str, text: str) -> None:
    click.echo(f"{click.style(f'{mark:8}', fg=_MARKS[mark])} {what}: {text}")
