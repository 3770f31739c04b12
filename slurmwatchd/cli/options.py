"""The options that commands share, and how a configuration is made of them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from slurmwatchd import config as configuration
from slurmwatchd.config import Config
from slurmwatchd.log import configure
from slurmwatchd.sinks.registry import sink_kinds

F = TypeVar("F", bound=Callable[..., Any])


def config_options(function: F) -> F:
    """Add `--config` and the flags that override keys of it."""
    options = (
        click.option(
            "--config", "path", type=click.Path(path_type=Path, dir_okay=False),
            help="The configuration file [default: $SLURMWATCHD_CONFIG, else /etc/slurmwatchd/slurmwatchd.toml].",
        ),
        click.option("--store", metavar="FILE", help="Override store.path."),
        click.option("--interval", metavar="TIME", help="Override poll.interval, such as 10s."),
        click.option("--since", metavar="TIME", help="Override poll.since, such as 2h."),
        click.option("--listen", metavar="ADDRESS", help="Override web.listen; empty for no web server."),
        click.option("--log-level", help="Override log.level: debug, info, warning, error."),
        click.option("--log-format", help="Override log.format: logfmt, json."),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


_KEYS = {
    "store": ("store", "path"),
    "interval": ("poll", "interval"),
    "since": ("poll", "since"),
    "listen": ("web", "listen"),
    "log_level": ("log", "level"),
    "log_format": ("log", "format"),
}


def load(path: Path | None, flags: Mapping[str, str | None]) -> Config:
    """Read the configuration and set up logging by it.

    Raises:
        ConfigError: With a line for each fault.
    """
    layer: dict[str, dict[str, Any]] = {}
    for name, value in flags.items():
        if value is not None:
            section, key = _KEYS[name]
            layer.setdefault(section, {})[key] = value
    kinds = sink_kinds()
    config = configuration.load(
        path, sink_options={name: kind.options for name, kind in kinds.items()}, flags=layer
    )
    configure(format=config.log.format, level=config.log.level)
    return config
