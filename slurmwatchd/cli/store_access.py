"""What the commands that ask the store share: where it is, how moments are written, what an error says."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from slurmwatchd.cli import moments
from slurmwatchd.cli.tables import local_time
from slurmwatchd.config import paths
from slurmwatchd.model.clock import rfc3339
from slurmwatchd.model.terminal_text import shown
from slurmwatchd.store.read import status
from slurmwatchd.store.read.query import Question
from slurmwatchd.store.read.reader import StoreReader
from slurmwatchd.store.read.uris import no_store
from slurmwatchd.watcher.half_written import holes

F = TypeVar("F", bound=Callable[..., Any])


class Moment(click.ParamType):  # type: ignore[type-arg]  # no generic before click 8.2
    """A moment as a person writes it: `-2h`, `yesterday`, `2026-11-20`, ISO 8601."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401 - click's signature
        """Return epoch seconds."""
        if isinstance(value, int):
            return value
        try:
            return moments.parse_moment(value, now=time.time())
        except ValueError as error:
            self.fail(str(error), param, ctx)


MOMENT = Moment()

BEHIND_SECONDS = 600
"""A daemon that polls is never as far behind as this."""


def store_options(function: F) -> F:
    """Add `--config` and `--store`: all that a question to the store needs. Who opens them says what is wrong."""
    options = (
        click.option(
            "--config", "config", type=click.Path(path_type=Path, readable=False), metavar="FILE",
            help="The configuration file [default: $SLURMWATCHD_CONFIG, else /etc/slurmwatchd/slurmwatchd.toml].",
        ),
        click.option(
            "--store", "store", type=click.Path(path_type=Path, readable=False), metavar="FILE",
            help="The store [default: store.path of the configuration].",
        ),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


@contextmanager
def open_store(config: Path | None, store: Path | None) -> Iterator[StoreReader]:
    """Open the store that the options name, for reading.

    Raises:
        ConfigError: The configuration file cannot be read.
        StoreError: There is no store, it is none, or it cannot be read.
    """
    path = store or paths.store_path(config)
    if paths.is_missing(path):
        raise no_store(path)
    with StoreReader(path) as reader:
        yield reader


def note_unread(store: StoreReader, question: Question, *, empty: bool) -> None:
    """Say on stderr what of an answer cannot be known, because the daemon has not read it or it still runs.

    Nothing is said where no time was asked for and something was found.

    Args:
        store: The store.
        question: What was asked.
        empty: Whether nothing was found.
    """
    begin = question.ended_from if question.running_from is None else question.running_from
    end = question.ended_until if question.running_until is None else question.running_until
    if begin is None and end is None and not empty:
        return
    readings = [
        reading
        for reading in status.readings(store)
        if not question.clusters or reading.cluster in question.clusters
    ]
    if not readings:
        _note(
            "nothing has been read yet" if not question.clusters else "nothing has been read yet for this cluster"
        )
    now = int(time.time())
    is_running = question.running_until is not None or question.running_from is not None
    for reading in readings:
        ledger = reading.ledger
        # What ran at a moment may have ended long after it.
        last = now if is_running or end is None else min(end + 1, now)
        _, withheld = holes(ledger)
        for start, stop in ledger.unread(0, ledger.newest):
            if start < last and stop > (begin or 0) and (start, stop) not in withheld:
                when = f"between {_local(start)} and {_local(stop)}" if start else f"before {_local(stop)}"
                _note(f"{reading.cluster}: jobs that ended {when} were never read")
        if is_running and (now if end is None else end) >= ledger.watermark:
            late = f"jobs that ended after {_local(ledger.watermark)}, or still run, are not in the store"
            _note(f"{reading.cluster}: {late}")
        elif not is_running and last - ledger.newest > BEHIND_SECONDS:
            _note(f"{reading.cluster}: jobs that ended after {_local(ledger.newest)} are not read yet")


def _note(text: str) -> None:
    click.echo(f"slurmwatchd: {shown(text)}", err=True)


def _local(moment: int) -> str:
    return local_time(rfc3339(moment))
