"""`slurmwatchd compact`: node names into a node list."""

from collections.abc import Sequence
from pathlib import Path

import anyio
import click

from slurmwatchd.cli.nodelist_input import commands_of, config_option, given
from slurmwatchd.errors import NodelistError, ScontrolError, SlurmNotFoundError
from slurmwatchd.model.terminal_text import shown
from slurmwatchd.sources import nodelists
from slurmwatchd.sources.nodelists import Expander
from slurmwatchd.sources.scontrol import BATCH_BYTES, Scontrol


@click.command("compact")
@click.argument("nodes", nargs=-1, metavar="[NODE]...")
@config_option
def command(nodes: tuple[str, ...], config: Path | None) -> None:
    """Print one node list for some nodes.

    Without arguments the nodes are read from standard input.

    The input may contain node lists, too; the output has each node once. The command uses scontrol if it exists,
    otherwise ClusterShell.

    Example: slurmwatchd expand 'n[1-9]' | grep -v n4 | slurmwatchd compact

    Exit codes: 0 done; 1 an argument is not a node; 2 the command line is wrong; 78 the configuration is wrong.
    """
    texts = list(given(nodes))
    if texts:
        click.echo(shown(anyio.run(_compact, texts, config)))


async def _compact(texts: Sequence[str], config: Path | None) -> str:
    scontrol = Scontrol(commands_of(config))
    expanded = await Expander(scontrol).expand(dict.fromkeys(texts))
    for error in expanded.failed.values():
        raise click.ClickException(str(error))
    nodes = tuple(dict.fromkeys(node for text in texts for node in expanded.nodes[text]))
    # One argument of a process holds so much; ClusterShell has no such limit.
    if sum(len(node) + 1 for node in nodes) < BATCH_BYTES:
        try:
            return await scontrol.compact(nodes)
        except (SlurmNotFoundError, ScontrolError):
            pass
    try:
        return nodelists.compact(nodes)
    except NodelistError as error:
        raise click.ClickException(str(error)) from error
