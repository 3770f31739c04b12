"""`slurmwatchd running`: what was running in an interval."""

import time
from pathlib import Path
from typing import Any

import click

from slurmwatchd.cli.job_filters import answer, shape_of, shape_options
from slurmwatchd.cli.store_access import MOMENT, open_store, store_options
from slurmwatchd.store.read.query import Order, Question


@click.command("running")
@click.option("--from", "begin", type=MOMENT, required=True, help="The interval's first moment.")
@click.option("--to", "end", type=MOMENT, help="Its last moment [default: now].")
@shape_options
@store_options
def command(begin: int, end: int | None, config: Path | None, store: Path | None, **options: Any) -> None:  # noqa: ANN401 - many kinds
    """Show what was running in an interval.

    That is what started by the interval's end and ended at its beginning or later.

    The store does not have jobs that still run, or that ended after the last poll; stderr says so. With
    --json, the output is an object like that of `slurmwatchd jobs --json`.

    Example: slurmwatchd running --from 2026-11-20T03:00 --to 2026-11-20T03:30

    Exit codes: 0 done, even if nothing matches; 1 the store cannot be read; 2 the command line is wrong; 75 the
    store is busy, try again; 78 the configuration is wrong.
    """
    until = int(time.time()) if end is None else end
    if begin > until:
        raise click.UsageError("--from and --to: the interval ends before it begins", click.get_current_context())
    shape = shape_of(options)
    question = Question(running_from=begin, running_until=until, order=Order.START)
    with open_store(config, store) as reader:
        answer(reader, question, shape)
