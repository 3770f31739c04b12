"""What the commands that ask the store share: where it is, how moments are written, what an error says."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from slurmwatchd.cli import moments
from slurmwatchd.config import paths
from slurmwatchd.store.read.reader import StoreReader
from slurmwatchd.store.read.uris import no_store

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
