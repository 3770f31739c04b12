"""What the commands that ask the store share: where it is, how moments are written, what an error says."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from slurmwatchd import locations, moments
from slurmwatchd.cli.tables import local_time
from slurmwatchd.clock import rfc3339
from slurmwatchd.store import telling
from slurmwatchd.store.access import no_store
from slurmwatchd.store.asking import StoreReader

F = TypeVar("F", bound=Callable[..., Any])


class Moment(click.ParamType[int]):
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
    path = store or locations.store_path(config)
    if locations.is_missing(path):
        raise no_store(path)
    with StoreReader(path) as reader:
        yield reader


def warn_of_unread(store: StoreReader, begin: int, end: int) -> None:
    """Say on stderr what of an interval cannot be known: what the daemon has not read, and what still runs.

    Args:
        store: The store.
        begin: The interval's first second.
        end: Its last one.
    """
    for reading in telling.readings(store):
        ledger = reading.ledger
        if begin < ledger.horizon:
            known = f"what ended before {local_time(rfc3339(ledger.horizon))} was never read"
            click.echo(f"slurmwatchd: {reading.cluster}: {known}", err=True)
        if end >= ledger.watermark:
            known = f"what ended after {local_time(rfc3339(ledger.watermark))}, or still runs, is not in the store"
            click.echo(f"slurmwatchd: {reading.cluster}: {known}", err=True)
