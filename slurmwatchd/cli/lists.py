"""What `expand` and `compact` share: where their words come from, and which Slurm they ask."""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from slurmwatchd import locations
from slurmwatchd.process import SystemProcessRunner
from slurmwatchd.sources.commands import Commands

F = TypeVar("F", bound=Callable[..., Any])

_BETWEEN = re.compile(r"[\s]+")


def config_option(function: F) -> F:
    """Add `--config`, for where Slurm's commands are."""
    return click.option(
        "--config", "config", type=click.Path(path_type=Path, dir_okay=False),
        help="The configuration file, for [slurm] bin_dir and conf [default: as for `run`].",
    )(function)  # fmt: skip


def given(arguments: Sequence[str]) -> Iterator[str]:
    """Give the words to work on: the arguments, or standard input where there are none; `-` is that too."""
    for argument in arguments or ("-",):
        if argument == "-":
            for line in sys.stdin:
                yield from filter(None, _BETWEEN.split(line))
        else:
            yield from filter(None, _BETWEEN.split(argument))


def commands_of(config: Path | None) -> Commands:
    """Return Slurm's commands as the configuration has them.

    Raises:
        ConfigError: The configuration file cannot be read.
    """
    slurm = locations.slurm_section(config)
    return Commands.of(SystemProcessRunner(), bin_dir=slurm.get("bin_dir", ""), conf=slurm.get("conf", ""))
