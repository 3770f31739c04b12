"""`slurmwatchd run`: the service."""

import sys
from pathlib import Path

import anyio
import click

from slurmwatchd.cli.memory_tuning import tune
from slurmwatchd.cli.options import config_options, load
from slurmwatchd.daemon import startup
from slurmwatchd.daemon.sighup import ignore_hangups

_SWITCH_SECONDS = 0.0005
"""So long a thread may compute while another waits for Python's lock.

What a poll brings goes through some hundred steps before it is in the sinks, and each of them may meet a thread
that computes the answer to a question. With Python's own 5 ms these waits add up to a fifth of a second.
"""


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
    sys.setswitchinterval(_SWITCH_SECONDS)
    anyio.run(serve)
