"""`slurmwatchd tail`: the newest events, and those that come, one line each."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import click

from slurmwatchd.cli.job_filters import WORDS, outcome_named, state_named
from slurmwatchd.cli.store_access import MOMENT, store_options
from slurmwatchd.cli.tables import colours
from slurmwatchd.config import paths
from slurmwatchd.errors import StoreBusyError
from slurmwatchd.model import formats
from slurmwatchd.model.records import Event, EventKind
from slurmwatchd.sinks.selection import Selection, check_nodes
from slurmwatchd.sinks.terminal import readable
from slurmwatchd.store import event_log
from slurmwatchd.store.read.second_process import ComparisonReader, open_for_reading

POLL_SECONDS = 1.0
"""How often the store is looked at; the daemon polls sacct far less often."""

MAX_SEARCHED = 50_000
"""So many of the newest events are looked through for those that are asked for."""

_MAX_LINE_BYTES = 1 << 30

_FILTERS = {
    "events": ("--event", f"Only these events: {', '.join(EventKind)}."),
    "clusters": ("--cluster", "Only attempts of these clusters; * and ? as in a shell."),
    "partitions": ("--partition", "Only attempts in these partitions, likewise."),
    "accounts": ("--account", "Only attempts of these accounts, likewise."),
    "users": ("--user", "Only attempts of these users, likewise."),
    "states": ("--state", "Only attempts that ended so: FAILED,TIMEOUT or F,TO."),
    "outcomes": ("--outcome", "Only attempts with this outcome, such as node_failure."),
    "nodes": ("--node", "Only attempts that ran on one of these nodes: gpu[01-16], gpu*."),
}
"""Setting of a selection to option and help."""

_READERS = {"states": state_named, "outcomes": outcome_named}


def _filters(function: Callable[..., Any]) -> Callable[..., Any]:
    for name, (option, text) in reversed(_FILTERS.items()):
        kind = {"events": click.Choice([str(kind) for kind in EventKind]), "nodes": None}.get(name, WORDS)
        function = click.option(option, name, multiple=True, type=kind, help=text)(function)
    return function


@click.command("tail")
@click.option(
    "-n", "--lines", type=click.IntRange(0, 10_000), default=10, show_default=True, help="So many events first."
)
@click.option("--since", type=MOMENT, metavar="TIME", help="Instead of --lines: all first seen from then on.")
@click.option("--no-follow", is_flag=True, help="Do not wait for those that come.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines, as in a file of format flat.")
@_filters
@store_options
def command(
    lines: int,
    since: int | None,
    config: Path | None,
    store: Path | None,
    *,
    no_follow: bool,
    as_json: bool,
    **filters: tuple[Any, ...],
) -> None:
    """Print the newest events, and each new one, one line each, until interrupted.

    An option with several values, by commas or given more than once, takes what fits any of them; an event must
    fit every option. The daemon may run or not; nothing is changed.

    \b
    Example: slurmwatchd tail --partition gpu --state FAILED,NODE_FAIL
             slurmwatchd tail -n 100 --no-follow --json

    Exit codes: 0 done; 1 the store cannot be read; 2 the command line is wrong; 75 the store is busy, try again;
    78 the configuration is wrong; 130 interrupted; 141 the reader of the output closed it.
    """  # noqa: D301 - click's mark for lines to be left alone
    try:
        check_nodes(filters["nodes"])
    except ValueError as error:
        raise click.UsageError(f"--node: {error}") from None
    selection = Selection({name: _values(name, given) for name, given in filters.items() if given})
    path = store or paths.store_path(config)
    show = _as_json if as_json else _as_text

    async def tail() -> None:
        async with open_for_reading(path) as reader:
            seq = await _begin(reader, selection, lines if since is None else None, since or 0, show)
            while not no_follow:
                await anyio.sleep(POLL_SECONDS)
                try:
                    seq = await _show_after(reader, selection, seq, show)
                except StoreBusyError as error:
                    click.echo(f"slurmwatchd: {error}: trying again", err=True)

    anyio.run(tail)


def _values(name: str, given: Sequence[Any]) -> list[str]:
    """Return the values of an option, however often it was given."""
    words = [word for part in given for word in ((part,) if isinstance(part, str) else part)]
    return list(map(_READERS.get(name, str), words))


async def _begin(
    reader: ComparisonReader,
    selection: Selection,
    lines: int | None,
    since: int,
    show: Callable[[Sequence[Event]], None],
) -> int:
    """Show the newest events, or with None all since a moment; return the newest position looked at."""
    if lines is None:
        first = await event_log.first_since(reader, since)
        return await _show_after(reader, selection, first - 1, show, since=since)
    seq = (await event_log.ends(reader))[1]
    show(await _newest(reader, selection, lines, seq))
    return seq


async def _newest(reader: ComparisonReader, selection: Selection, count: int, seq: int) -> list[Event]:
    """Return the newest events that are asked for, up to a position, in their order."""
    found: list[Event] = []
    searched = 0
    if count:
        async for page in event_log.before(reader, seq + 1):
            found += await selection.among(page)
            searched += len(page)
            if len(found) >= count or searched >= MAX_SEARCHED:
                break
    return found[:count][::-1]


async def _show_after(
    reader: ComparisonReader,
    selection: Selection,
    seq: int,
    show: Callable[[Sequence[Event]], None],
    *,
    since: int = 0,
) -> int:
    """Show what stands behind a position; return the newest position looked at."""
    async for page in event_log.after(reader, seq, since=since):
        show(await selection.among(page))
        seq = page[-1].seq
    return seq


def _as_json(events: Sequence[Event]) -> None:
    for line in formats.flat_lines(events, max_line_bytes=_MAX_LINE_BYTES):
        click.echo(line, nl=False)
    sys.stdout.flush()


def _as_text(events: Sequence[Event]) -> None:
    for event in events:
        if line := readable(event, colour=colours()):
            click.echo(line, color=colours())
    sys.stdout.flush()
