"""`slurmwatchd schema`: the JSON Schema of an event in each format."""

import json
from typing import Literal

import click

from slurmwatchd.sinks.forms.options import Format
from slurmwatchd.sinks.forms.schemas import FORMATS, json_schema


@click.command("schema")
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    default="flat",
    show_default=True,
    help="As a sink's format.",
)
@click.option(
    "--tres", type=click.Choice(["object", "list"]), default="object", show_default=True, help="As a sink's tres."
)
def command(format_: Format, tres: Literal["object", "list"]) -> None:
    """Print the JSON Schema (draft 2020-12) of an event as sinks write it.

    \b
    Example: slurmwatchd schema > slurmwatchd-event.schema.json
             slurmwatchd schema --format ecs --tres list

    Exit codes: 0 printed; 2 the command line is wrong.
    """  # noqa: D301 - click's mark for lines to be left alone
    click.echo(json.dumps(json_schema(format_, tres=tres), indent=2))
