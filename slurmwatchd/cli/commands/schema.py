"""`slurmwatchd schema`: the JSON Schema of a line, or the schema for a tool that reads the file."""

import json
from typing import Literal

import click

from slurmwatchd.model.tool_schemas import Tool, schema_for
from slurmwatchd.sinks.forms.options import EventFormat
from slurmwatchd.sinks.forms.schemas import FORMATS, json_schema


@click.command("schema")
@click.option(
    "--for",
    "tool",
    type=click.Choice([tool.value for tool in Tool]),
    help="Print it as this tool takes it: duckdb's `columns`, a polars or pyarrow expression, ClickHouse's or "
    "Spark's list of columns, PostgreSQL's CREATE TABLE.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="flat",
    show_default=True,
    help="As a sink has it.",
)
@click.option(
    "--tres", type=click.Choice(["object", "list"]), default="object", show_default=True, help="As a sink has it."
)
def command(tool: str | None, form: EventFormat, tres: Literal["object", "list"]) -> None:
    """Print the JSON Schema of an event as sinks write it.

    The schema follows draft 2020-12. With --for, the command prints the schema of `flat` for a tool that would
    otherwise guess it from the first lines of the file; docs/reading.md shows where it goes.

    Example: slurmwatchd schema --for duckdb > columns.txt

    Exit codes: 0 printed; 2 the command line is wrong.
    """
    if tool is not None and (form, tres) != ("flat", "object"):
        raise click.UsageError("--for is about the format flat: leave --format and --tres out")
    click.echo(json.dumps(json_schema(form, tres=tres), indent=2) if tool is None else schema_for(Tool(tool)))
