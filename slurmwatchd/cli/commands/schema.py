"""`slurmwatchd schema`: the JSON Schema of a line."""

import json

import click

from slurmwatchd.model.event_fields import json_schema


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of the events in a file.

    The format is `flat`, the draft 2020-12.

    Example: slurmwatchd schema > slurmwatchd-event.schema.json

    Exit codes: 0 printed; 2 the command line is wrong.
    """
    click.echo(json.dumps(json_schema(), indent=2))
