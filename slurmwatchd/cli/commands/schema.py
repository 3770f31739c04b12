"""`slurmwatchd schema`: the JSON Schema of a line, or the schema for a tool that reads the file."""

import json

import click

from slurmwatchd.model.event_fields import json_schema
from slurmwatchd.model.tool_schemas import Tool, schema_for


@click.command("schema")
@click.option(
    "--for",
    "tool",
    type=click.Choice([tool.value for tool in Tool]),
    help="Print it as this tool takes it: duckdb's `columns`, a polars or pyarrow expression, ClickHouse's or "
    "Spark's list of columns, PostgreSQL's CREATE TABLE.",
)
def command(tool: str | None) -> None:
    """Print the JSON Schema of the events in a file.

    The format is `flat`, the draft 2020-12.

    With --for the same schema is written for a tool that would else guess it from the first lines of the file;
    docs/reading.md shows where it goes.

    Example: slurmwatchd schema --for duckdb > columns.txt

    Exit codes: 0 printed; 2 the command line is wrong.
    """
    click.echo(json.dumps(json_schema(), indent=2) if tool is None else schema_for(Tool(tool)))
