"""`slurmwatchd jobs`: which attempts ended."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from slurmwatchd.cli.job_filters import (
    ARRAY_COLUMNS,
    DEFAULT_COLUMNS,
    answer,
    answer_arrays,
    filter_options,
    question_of,
    shape_of,
    shape_options,
)
from slurmwatchd.cli.store_access import open_store, store_options
from slurmwatchd.store.read.query import Order

_ORDERS = {"newest": (Order.END, True), "oldest": (Order.END, False), "longest": (Order.ELAPSED, True)}
_LEAST_EFFICIENT = "least-efficient"
_EFFICIENCY_COLUMNS = (
    "job_id,user,partition,state,end,elapsed_seconds,cpus,usage.cpu_efficiency,usage.memory_efficiency,name"
)


@click.command("jobs")
@filter_options
@click.option(
    "--order", type=click.Choice([*_ORDERS, _LEAST_EFFICIENT]), default="newest", show_default=True,
    help="Which attempts come first.",
)  # fmt: skip
@click.option("--longest", is_flag=True, help="The same as --order longest.")
@click.option(
    "--least-efficient",
    is_flag=True,
    help="The same as --order least-efficient: the lowest CPU efficiency first, if known.",
)
@click.option("--arrays", is_flag=True, help="One row per array, with its attempts by outcome.")
@shape_options
@store_options
def command(
    config: Path | None,
    store: Path | None,
    order: str,
    *,
    longest: bool,
    least_efficient: bool,
    arrays: bool,
    **options: Any,  # noqa: ANN401 - many kinds
) -> None:
    """Show attempts that ended, by user, state, node, time and more.

    The newest comes first. What still runs is not in the store.

    Separate several values of a filter with commas: an attempt matches if it has any of them. It must match all
    filters. Times are spans before now (-2h, -7d), words (yesterday), dates or ISO 8601, in the machine's zone
    unless they name one. With every format, stderr reports which part of the requested time was never read.
    With --json, the output is one object: "jobs" is the list of records, "truncated" says whether --limit left
    some out, and "unread" lists the stretches of ends that the store lacks (cluster, start, end; null: unlimited).

    With --arrays only tasks of arrays count, and an attempt of each counts in the row of its array.

    Example: slurmwatchd jobs --user ada --state FAILED,TIMEOUT --since -7d

    Example: slurmwatchd jobs --since -1d --limit 0 --json | jq '.jobs[]'

    Exit codes: 0 done, even if nothing matches; 1 the store cannot be read; 2 the command line is wrong; 75 the
    store is busy, try again; 78 the configuration is wrong.
    """
    question = question_of(options)
    if arrays:
        if order != "newest" or longest or least_efficient:
            raise click.UsageError("--arrays: the array that ended last comes first", click.get_current_context())
        with open_store(config, store) as reader:
            answer_arrays(reader, question, shape_of(options, ARRAY_COLUMNS, ARRAY_COLUMNS.split(",")))
        return
    # Options of their own: click before 8.2 loses the default where several share a name.
    if longest or least_efficient:
        order = _LEAST_EFFICIENT if least_efficient else "longest"
    by_efficiency = order == _LEAST_EFFICIENT
    shape = shape_of(options, _EFFICIENCY_COLUMNS if by_efficiency else DEFAULT_COLUMNS)
    key, descending = (Order.EFFICIENCY, False) if by_efficiency else _ORDERS[order]
    with open_store(config, store) as reader:
        if by_efficiency and not reader.has_usage:
            raise click.ClickException(f"{reader.path}: has no usage: this store never collected it")
        answer(reader, replace(question, order=key, descending=descending), shape)
