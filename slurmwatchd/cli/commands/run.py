"""`slurmwatchd run`: the service."""

from pathlib import Path

import anyio
import click

from slurmwatchd.cli.options import config_options, load
from slurmwatchd.cli.tuning import tune
from slurmwatchd.daemon import startup
from slurmwatchd.daemon.sighup import ignore_hangups


@click.command("run")
@config_options
def command(path: Path | None, **flags: str | None) -> None:
    """Run the service: poll sacct, store records, deliver events.

    SIGTERM and SIGINT stop it after the sinks have received what is in the store; SIGHUP reloads the configuration
    and reopens files.

    Example: slurmwatchd run --config /etc/slurmwatchd/slurmwatchd.toml

    Exit codes: 0 stopped on request; 1 it cannot run (store, address, sacct); 78 the configuration is wrong.
    """
    ignore_hangups()
    config = load(path, flags)

    async def serve() -> None:
        await startup.run(config, reload=lambda: load(path, flags))

    tune()
    anyio.run(serve)
