"""`slurmwatchd demo`: the whole daemon on a simulated cluster, with no privileges and nothing left behind."""

import contextlib
import math
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import click

from simslurm import SimCluster, Workload, install_commands
from slurmwatchd.config import loader
from slurmwatchd.config.api_tokens import ScopeKind, TokenScope, add_token
from slurmwatchd.config.settings import Config
from slurmwatchd.daemon import startup
from slurmwatchd.daemon.web.server import bind
from slurmwatchd.errors import ListenError
from slurmwatchd.model.clock import rfc3339
from slurmwatchd.sinks.registry import sink_options
from slurmwatchd.telemetry.log import configure

_NODES = 64
_MEAN_RUNTIME_SECONDS = 6.0
_PREFERRED_ADDRESS = "127.0.0.1:10025"
_LOGIN = "demo"


class _Number(click.FloatRange):
    """A number in a range; `nan` passes every comparison with one, and is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401 - click's signature
        """Return the number."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


@click.command("demo")
@click.option("--seconds", type=_Number(min=1), help="Stop after this many seconds.")
@click.option("--rate", type=_Number(0.1, 50), default=2.0, show_default=True, help="Jobs submitted per second.")
@click.option("--seed", type=int, default=0, show_default=True, help="Random seed: the same jobs each time.")
@click.option("--listen", metavar="ADDRESS", help=f"Web address [default: {_PREFERRED_ADDRESS}, or a free port].")
@click.option("--log-level", default="warning", show_default=True, help="debug, info, warning, error.")
def command(seconds: float | None, rate: float, seed: int, listen: str | None, log_level: str) -> None:
    """Run the whole daemon on a simulated cluster.

    Events appear here as they come, metrics in the browser.

    The jobs include arrays, heterogeneous jobs, requeues, failures and hostile job names. sacct and scontrol are
    simulated, but run as real child processes. The demo keeps nothing. Ctrl-C stops it.

    Example: slurmwatchd demo --seconds 30

    Exit codes: 0 stopped on request; 1 it cannot run; 2 the command line is wrong.
    """
    with tempfile.TemporaryDirectory(prefix="slurmwatchd-demo-") as folder:
        config = _config(Path(folder), listen or _free_address(), log_level)
        configure(format=config.log.format, level=config.log.level)
        with _living_cluster(Path(folder), rate=rate, seed=seed):
            anyio.run(_serve, config, seconds)
    click.echo("Stopped; nothing is left behind.")


def _config(folder: Path, listen: str, log_level: str) -> Config:
    return loader.load(
        None,
        sink_options=sink_options(),
        environ={},
        flags={
            "slurm": {"bin_dir": str(folder / "bin")},
            "poll": {"interval": "1s", "since": "10m"},
            "store": {"path": str(folder / "slurmwatchd.db")},
            "sinks": {
                "jobs": {"type": "jsonl", "path": str(folder / "jobs.jsonl")},
                "screen": {"type": "terminal"},
            },
            "web": {"listen": listen, "tokens_file": str(folder / "tokens")},
            "log": {"level": log_level},
        },
    )


def _free_address() -> str:
    """Return the usual address, or any free port where that is taken."""
    try:
        bind(_PREFERRED_ADDRESS).close()
    except ListenError:
        return "127.0.0.1:0"
    return _PREFERRED_ADDRESS


@contextlib.contextmanager
def _living_cluster(folder: Path, *, rate: float, seed: int) -> Iterator[None]:
    """Have jobs start and end in a simulated cluster, in a thread, while the block runs."""
    database = folder / "cluster.db"
    cluster = SimCluster.create(database, cluster="demo")
    install_commands(folder / "bin", database)
    workload = Workload(cluster, seed=seed, nodes=_NODES, rate=rate, runtime=_MEAN_RUNTIME_SECONDS)
    stop = threading.Event()
    life = threading.Thread(target=workload.run_live, args=(stop,), name="simulated cluster")
    life.start()
    try:
        yield
    finally:
        stop.set()
        life.join()


async def _serve(config: Config, seconds: float | None) -> None:
    async with anyio.create_task_group() as group:
        if seconds is not None:
            group.start_soon(_stop_after, seconds)
        await startup.run(config, reload=lambda: config, listening=lambda url: _greet(config, url))
        group.cancel_scope.cancel()


async def _stop_after(seconds: float) -> None:
    """Stop the way a service is stopped, so that the demo shows that too."""
    await anyio.sleep(seconds)
    os.kill(os.getpid(), signal.SIGTERM)


def _greet(config: Config, url: str) -> None:
    store = config.store.path
    click.echo(f"slurmwatchd on a simulated cluster of {_NODES} nodes. Ctrl-C stops.\n")
    token = add_token(
        config.web.tokens_file,
        _LOGIN,
        TokenScope(ScopeKind.ALL),
        added=rfc3339(int(time.time())),
        state_folder=store.parent,
    )
    click.echo(f"  pages    {url}/overview")
    click.echo(f"           log in as {_LOGIN}, password {token}")
    click.echo(f"  status   {url}/")
    click.echo(f"  metrics  {url}/metrics")
    click.echo(f"  events   {store.parent / 'jobs.jsonl'}\n")
    click.echo("Each job appears when it ends, and again when the usage of its steps is known.")
    click.echo(
        f"{'ended':<15} {'job':<16} {'state':<13} {'user':<10} {'partition':<10} {'nodes':>13} {'ran':>8}  name"
    )
