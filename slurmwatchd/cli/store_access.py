"""What the commands that ask the store share: where it is, how moments are written, what an error says."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import click

from slurmwatchd.config import moments, paths
from slurmwatchd.errors import ConfigError
from slurmwatchd.store.opening import no_store
from slurmwatchd.store.read.reader import StoreReader

F = TypeVar("F", bound=Callable[..., Any])


class MomentType(click.ParamType):  # type: ignore[type-arg]  # no generic before click 8.2
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


MOMENT = MomentType()

_ARCHIVE = "slurmwatchd archive"


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
        click.option(
            "--archive", "archive", type=click.Path(path_type=Path, readable=False), metavar="FOLDER",
            callback=_remember_archive, expose_value=False,
            help="The Parquet archive behind it [default: archive.path of the configuration, for its store].",
        ),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


@contextmanager
def open_store(config: Path | None, store: Path | None) -> Iterator[StoreReader]:
    """Open the store that the options name, for reading.

    What the store has pruned is answered from the archive, where there is one.

    Raises:
        ConfigError: The configuration file cannot be read, or the archive needs a library that is not installed.
        StoreError: There is no store, it is none, or it cannot be read.
    """
    path = store or paths.store_path(config)
    if paths.is_missing(path):
        raise no_store(path)
    with _reader(path, _archive_of(path, config, store)) as reader:
        yield reader


def _reader(path: Path, archive: Path | None) -> StoreReader:
    if archive is None:
        return StoreReader(path)
    # Most machines have no archive.
    from importlib.util import find_spec  # noqa: PLC0415

    if find_spec("pyarrow") is None:
        text = "needs pyarrow, which is not installed: install slurmwatchd[parquet]"
        raise ConfigError([f"archive.path: {text}"])
    from slurmwatchd.store.archive.reader import ArchivedReader  # noqa: PLC0415

    return ArchivedReader(path, archive)


def _archive_of(path: Path, config: Path | None, store: Path | None) -> Path | None:
    """Return the archive that an option names, or that the configuration has for this very store."""
    named = click.get_current_context().meta.get(_ARCHIVE)
    if named is not None:
        return Path(named)
    if store is None:
        return paths.archive_path(config)
    # Whoever names a store need not be able to read the service's configuration.
    with suppress(ConfigError):
        if paths.real_path(path) == paths.real_path(paths.store_path(config)):
            return paths.archive_path(config)
    return None


def _remember_archive(ctx: click.Context, _: click.Parameter, value: Path | None) -> None:
    ctx.meta[_ARCHIVE] = value
