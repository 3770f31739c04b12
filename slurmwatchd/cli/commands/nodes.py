"""`slurmwatchd nodes`: what ran on a node."""

from pathlib import Path
from typing import Any

import click

from slurmwatchd.cli.job_filters import answer, shape_of, shape_options
from slurmwatchd.cli.store_access import MOMENT, open_store, store_options
from slurmwatchd.cli.unread import note_unread, unread
from slurmwatchd.store.read import status
from slurmwatchd.store.read.query import Question


@click.command("nodes")
@click.argument("node")
@click.option("--at", "moment", type=MOMENT, help="Running there at this moment.")
@click.option("-S", "--since", "since", type=MOMENT, help="Ended at or after this time.")
@click.option("-E", "--until", "until", type=MOMENT, help="Ended at or before this time.")
@click.option("-M", "--cluster", "cluster", help="Only this cluster.")
@shape_options
@store_options
def command(
    node: str,
    moment: int | None,
    since: int | None,
    until: int | None,
    cluster: str | None,
    config: Path | None,
    store: Path | None,
    **options: Any,  # noqa: ANN401 - many kinds
) -> None:
    """Show what ran on a node.

    The newest comes first. With --at: what was running there at that moment.

    With every format, stderr reports which part of the requested time was never read. With
    --json, the output is an object like that of `slurmwatchd jobs --json`.

    Example: slurmwatchd nodes n0417 --at '2026-11-20 03:12'

    Exit codes: 0 done, even if nothing matches; 1 the node is unknown, or the store cannot be read; 2 the
    command line is wrong; 75 the store is busy, try again; 78 the configuration is wrong.
    """
    shape = shape_of(options)
    question = Question(
        node=node,
        clusters=(cluster,) if cluster else (),
        ended_from=since,
        ended_until=until,
        running_from=moment,
        running_until=moment,
        descending=True,
    )
    with open_store(config, store) as reader:
        if not status.knows_node(reader, node):
            note_unread(unread(reader, question), question, empty=True)
            raise click.ClickException(f"no attempt in the store ran on a node {node!r}")
        answer(reader, question, shape)
