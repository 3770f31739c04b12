"""`slurmwatchd nodes`: what ran on a node."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from slurmwatchd.cli import tables
from slurmwatchd.cli.job_filters import answer, shape_of, shape_options
from slurmwatchd.cli.store_access import MOMENT, open_store, store_options
from slurmwatchd.cli.tables import TableFormat
from slurmwatchd.cli.unread import note_unread, unread
from slurmwatchd.config.units import DAY
from slurmwatchd.store.read import status
from slurmwatchd.store.read.query import Question
from slurmwatchd.store.read.reader import StoreReader
from slurmwatchd.store.read.suspects import suspects

SUSPECT_COLUMNS = "cluster,node,score,attempts,failures,expected,quick_failures,node_failures,users"


@click.command("nodes")
@click.argument("node", required=False)
@click.option("--at", "moment", type=MOMENT, help="Running there at this moment.")
@click.option("-S", "--since", "since", type=MOMENT, help="Ended at or after this time.")
@click.option("-E", "--until", "until", type=MOMENT, help="Ended at or before this time.")
@click.option("-M", "--cluster", "cluster", help="Only this cluster.")
@click.option("--suspect", is_flag=True, help="Instead: nodes whose failures cannot be chance [default: of 24h].")
@shape_options
@store_options
def command(
    node: str | None,
    moment: int | None,
    since: int | None,
    until: int | None,
    cluster: str | None,
    config: Path | None,
    store: Path | None,
    *,
    suspect: bool,
    **options: Any,  # noqa: ANN401 - many kinds
) -> None:
    """Show what ran on a node.

    The newest comes first. With --at: what was running there at that moment.

    With every format, stderr reports which part of the requested time was never read. With
    --json, the output is an object like that of `slurmwatchd jobs --json`.

    With --suspect: the nodes whose failures cannot be chance, the worst first. A user's or an array's own failure
    rate is taken out, so one broken array on many nodes accuses none of them; several users must see a node fail.
    SCORE is the power of ten of how unlikely it is that any good node looks as bad; from 2 on a node is named.
    What Slurm itself calls a node failure counts in full; failures within a minute of the start are also judged
    by themselves.

    \b
    Example: slurmwatchd nodes n0417 --at '2026-11-20 03:12'
             slurmwatchd nodes --suspect --since 7d

    Exit codes: 0 done, even if nothing matches; 1 the node is unknown, or the store cannot be read; 2 the
    command line is wrong; 75 the store is busy, try again; 78 the configuration is wrong.
    """  # noqa: D301 - click's mark for lines to be left alone
    if suspect:
        if node is not None or moment is not None:
            raise click.UsageError("--suspect takes neither a node nor --at", click.get_current_context())
        now = int(time.time())
        asked = (now - DAY if since is None else since, now if until is None else until)
        with open_store(config, store) as reader:
            _show_suspects(reader, (cluster,) if cluster else tuple(reader.clusters()), asked, options)
        return
    if node is None:
        raise click.UsageError("Missing argument 'NODE'.", click.get_current_context())
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


def _show_suspects(
    reader: StoreReader, clusters: Sequence[str], asked: tuple[int, int], options: Mapping[str, Any]
) -> None:
    """Write the suspects of some clusters, the worst first."""
    shape = shape_of(options, SUSPECT_COLUMNS, SUSPECT_COLUMNS.split(","))
    found = [
        {"cluster": cluster, **asdict(suspect)}
        for cluster in clusters
        for suspect in suspects(reader, cluster, *asked)
    ]
    rows = sorted(found, key=lambda row: -row["score"])[: shape.limit]
    question = Question(ended_from=asked[0], ended_until=asked[1], clusters=tuple(clusters))
    stretches = unread(reader, question)
    if shape.form is TableFormat.JSON:
        tables.write_json({"nodes": rows, "unread": [stretch.on_wire() for stretch in stretches]})
    else:
        tables.write(rows, shape.columns, shape.form, chosen=shape.chosen)
        if not rows and shape.form is TableFormat.TABLE:
            click.echo("slurmwatchd: no node whose failures chance does not explain", err=True)
    note_unread(stretches, question, empty=not rows)
