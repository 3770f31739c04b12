"""The options that commands share, and how a configuration is made of them."""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import ValidationError

from slurmwatchd.config import loader
from slurmwatchd.config.moments import parse_stretch
from slurmwatchd.config.paths import STORE_VARIABLE, config_path, read_config
from slurmwatchd.config.settings import Config
from slurmwatchd.errors import ConfigError
from slurmwatchd.model.clock import rfc3339
from slurmwatchd.sinks.registry import sink_options
from slurmwatchd.sources.sacct.arguments import EARLIEST_SECONDS
from slurmwatchd.telemetry.log import configure

F = TypeVar("F", bound=Callable[..., Any])


def config_options(function: F) -> F:
    """Add `--config` and the flags that override keys of it."""
    return _added(
        function,
        *_FILE,
        click.option("--interval", metavar="TIME", help="Override poll.interval, such as 10s."),
        click.option("--since", metavar="TIME", help="Override poll.since, such as 2h."),
        click.option("--listen", metavar="ADDRESS", help="Override web.listen; empty: no web server."),
        *_LOG,
    )


def store_options(function: F) -> F:
    """Add `--config` and the flags of a command that works on the store and asks for what it wants itself."""
    return _added(function, *_FILE, *_LOG)


def load_quietly(path: Path | None, flags: Mapping[str, str | None]) -> Config:
    """Read the configuration as `load` does, but log warnings only, unless a flag says otherwise."""
    return load(path, {**flags, "log_level": flags.get("log_level") or "warning"})


def stretch_options(*, since: str | None) -> Callable[[F], F]:
    """Add `--since` and `--until` for `stretch_of`.

    Args:
        since: The default; None: there is none.
    """

    def add(function: F) -> F:
        return _added(
            function,
            click.option(
                "--since", metavar="WHEN", default=since, show_default=since is not None,
                help="Start here: 24h, 30d, yesterday, 2026-11-20, 2026-11-20T14:30.",
            ),
            click.option("--until", metavar="WHEN", help="End here [default: now]."),
        )  # fmt: skip

    return add


def stretch_of(since: str, until: str | None, *, now: float | None = None) -> tuple[int, int]:
    """Read `--since` and `--until`, as `moments.parse_stretch` does.

    Raises:
        UsageError: One is no moment, the stretch is empty, or sacct cannot be asked for it: exit 2.
    """
    try:
        start, end = parse_stretch(since, until, now=time.time() if now is None else now)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if start < EARLIEST_SECONDS:
        earliest = f"@{EARLIEST_SECONDS} ({rfc3339(EARLIEST_SECONDS)})"
        raise click.UsageError(f"--since: {since!r} is too long ago: sacct accepts no time before {earliest}")
    return start, end


def _added(function: F, *options: Callable[[Any], Any]) -> F:
    for option in reversed(options):
        function = option(function)
    return function


_FILE = (
    click.option(
        # What cannot be read is the configuration's fault, 78, and no mistake on the command line, 2: a service
        # that ended with that would be started again for ever.
        "--config", "path", type=click.Path(path_type=Path, readable=False),
        help="The configuration file [default: $SLURMWATCHD_CONFIG, else /etc/slurmwatchd/slurmwatchd.toml].",
    ),
    click.option("--store", metavar="FILE", help="Override store.path."),
)  # fmt: skip

_LOG = (
    click.option("--log-level", help="Override log.level: debug, info, warning, error."),
    click.option("--log-format", help="Override log.format: logfmt, json."),
)

_KEYS = {
    "store": ("store", "path"),
    "interval": ("poll", "interval"),
    "since": ("poll", "since"),
    "listen": ("web", "listen"),
    "log_level": ("log", "level"),
    "log_format": ("log", "format"),
}


def load(path: Path | None, flags: Mapping[str, str | None], *, environ: Mapping[str, str] = os.environ) -> Config:
    """Read the configuration and set up logging by it.

    Raises:
        ConfigError: With a line for each fault.
    """
    config = _loaded(path, flags, environ)
    configure(format=config.log.format, level=config.log.level)
    return config


def configuration_of(path: Path | None, store: Path | None) -> Config:
    """Read the configuration for a command that only looks: no logging is set up.

    Raises:
        ConfigError: With a line for each fault.
    """
    return _loaded(path, {"store": None if store is None else str(store)})


def usable_configuration(path: Path | None, store: Path | None) -> tuple[Config, tuple[str, ...]]:
    """Read the configuration as far as it can be used, for a command that looks at a daemon that runs already.

    Returns:
        The configuration, and its faults. Where there are any, it has the sections that are valid, and no sinks.
    """
    try:
        return configuration_of(path, store), ()
    except ConfigError as error:
        faults = error.faults
    file, sections = path or config_path(), dict[str, Any]()
    with suppress(ConfigError):
        sections = read_config(file) if file else {}
    if store is not None:
        sections["store"] = {"path": str(store)}
    elif named := os.environ.get(STORE_VARIABLE):
        sections["store"] = {"path": named}
    valid: dict[str, Any] = {}
    for name in ("slurm", "poll", "store", "archive", "web"):
        with suppress(ValidationError):
            if name in sections:
                Config.model_validate({name: sections[name]})
                valid[name] = sections[name]
    return Config.model_validate(valid), faults


def _loaded(path: Path | None, flags: Mapping[str, str | None], environ: Mapping[str, str] = os.environ) -> Config:
    layer: dict[str, dict[str, Any]] = {}
    for name, value in flags.items():
        if value is not None:
            section, key = _KEYS[name]
            layer.setdefault(section, {})[key] = value
    return loader.load(path, sink_options=sink_options(), environ=environ, flags=layer)
