"""`slurmwatchd once`: one round, for cron and for trying out."""

from pathlib import Path

import anyio
import click

from slurmwatchd.cli.options import config_options, load
from slurmwatchd.cli.tuning import tune
from slurmwatchd.daemon import startup


@click.command("once")
@config_options
def command(path: Path | None, **flags: str | None) -> None:
    """Poll once, deliver, and exit.

    Example: slurmwatchd once --config jobs.toml --since 2h

    Exit codes: 0 everything due was read and delivered; 75 slurmdbd, the store or a sink failed, try again
    later; 1 it cannot run; 78 the configuration is wrong.
    """
    config = load(path, flags)

    async def round_trip() -> None:
        await startup.once(config)

    tune()
    anyio.run(round_trip)
