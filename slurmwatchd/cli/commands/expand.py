"""`slurmwatchd expand`: node lists into node names."""

from collections.abc import Iterable
from pathlib import Path

import anyio
import click

from slurmwatchd.cli.nodelist_input import commands_of, config_option, given
from slurmwatchd.model.terminal_text import shown
from slurmwatchd.sources.nodelists import Expanded, Expander
from slurmwatchd.sources.scontrol import Scontrol


@click.command("expand")
@click.argument("nodelists", nargs=-1, metavar="[NODELIST]...")
@config_option
@click.option("-s", "--separator", default="\n", help="Separator between nodes [default: a new line].")
@click.option("-u", "--unique", is_flag=True, help="Print each node only once, at its first place.")
@click.option("-c", "--count", is_flag=True, help="Print the number of nodes instead.")
def command(nodelists: tuple[str, ...], config: Path | None, separator: str, *, unique: bool, count: bool) -> None:
    """Print the nodes that node lists name.

    They come in Slurm's order. Without arguments the lists are read from standard input.

    The command uses scontrol if it exists, otherwise ClusterShell, which knows the same grammar and sorts each
    list.

    Example: slurmwatchd expand 'n[08-11],gpu[1-2]'

    Exit codes: 0 done; 1 an argument is not a node list; 2 the command line is wrong; 78 the configuration is
    wrong.
    """
    texts = list(given(nodelists))
    nodes = anyio.run(_expand, texts, config)
    if unique:
        nodes = list(dict.fromkeys(nodes))
    if count:
        click.echo(len(nodes))
    elif nodes:
        click.echo(separator.join(shown(node) for node in nodes))


async def _expand(texts: Iterable[str], config: Path | None) -> list[str]:
    answer: Expanded = await Expander(Scontrol(commands_of(config))).expand(dict.fromkeys(texts))
    for error in answer.failed.values():
        raise click.ClickException(str(error))
    return [node for text in texts for node in answer.nodes[text]]
