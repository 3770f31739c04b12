"""What `expand` and `compact` share: where their words come from, and which Slurm they ask."""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from slurmwatchd.config import paths
from slurmwatchd.sources.commands import Commands
from slurmwatchd.sources.process import SystemProcessRunner

F = TypeVar("F", bound=Callable[..., Any])

_BETWEEN = re.compile(r"[\s]+")
_SHOWN_BYTES = 60


def config_option(function: F) -> F:
    """Add `--config`, for where Slurm's commands are."""
    return click.option(
        "--config", "config", type=click.Path(path_type=Path, readable=False),
        help="The configuration file, for [slurm] bin_dir and conf [default: as for `run`].",
    )(function)  # fmt: skip


def given(arguments: Sequence[str]) -> Iterator[str]:
    """Give the words to work on: the arguments, or standard input where there are none; `-` is that too.

    Raises:
        UsageError: Standard input is no text.
    """
    for argument in arguments or ("-",):
        if argument == "-":
            for line in sys.stdin.buffer:
                yield from filter(None, _BETWEEN.split(_text(line)))
        else:
            yield from filter(None, _BETWEEN.split(argument))


def _text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise click.UsageError(f"standard input is not UTF-8 text: {line[:_SHOWN_BYTES]!r}") from None


def commands_of(config: Path | None) -> Commands:
    """Return Slurm's commands as the configuration has them.

    Raises:
        ConfigError: The configuration file cannot be read.
    """
    slurm = paths.slurm_section(config)
    return Commands.of(SystemProcessRunner(), bin_dir=slurm.get("bin_dir", ""), conf=slurm.get("conf", ""))
