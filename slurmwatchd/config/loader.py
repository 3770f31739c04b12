"""Read the configuration: a TOML file, then `SLURMWATCHD_*` variables, then flags; later ones win.

`SLURMWATCHD_POLL__INTERVAL=10s` sets `interval` of `[poll]`. Each fault becomes a line that names the file (or the
variables, or the flags) and the key. Nothing starts before the whole configuration is valid.
"""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from slurmwatchd.config.paths import CONFIG_VARIABLE, config_path, read_config
from slurmwatchd.config.settings import DEFAULT_SINKS, PREFIX, Config, ReportSection
from slurmwatchd.config.units import format_duration, read_duration
from slurmwatchd.errors import ConfigError

PROMETHEUS_SINK: Mapping[str, Any] = {"type": "prometheus"}
"""The sink behind `/metrics`, which is there whenever the web server is, unless the file configures one."""

PROMETHEUS_NAME = "prometheus"
"""Its name, then."""

_LIMITS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}
"""Kind of fault to how the page on configuration puts such a limit, and what pydantic calls it."""


def load(
    path: Path | None,
    *,
    sink_options: Mapping[str, type[BaseModel]],
    environ: Mapping[str, str] = os.environ,
    flags: Mapping[str, Mapping[str, Any]] | None = None,
) -> Config:
    """Read and check the whole configuration.

    Args:
        path: The file; None: `SLURMWATCHD_CONFIG`, else the default path where there is a file.
        sink_options: For each `type` of sink the model of its table; raises ConfigError for one that is broken.
        environ: Where the variables are.
        flags: Section to key to value, as given on the command line.

    Raises:
        ConfigError: With a line for each fault.
    """
    layers = _layers(path, environ)
    layers["command line"] = {name: dict(keys) for name, keys in (flags or {}).items() if keys}
    merged = _all_of(layers)
    faults: list[str] = []
    sinks = _sinks(merged, sink_options, layers, faults)
    try:
        config = Config.model_validate({**merged, "sinks": sinks})
    except ValidationError as error:
        faults = [*_faults(error, (), layers), *faults]
    if faults:
        raise ConfigError(faults)
    _check_files(config, layers)
    return config


def load_report(path: Path | None, *, environ: Mapping[str, str] = os.environ) -> ReportSection:
    """Read and check `[report]` alone: a report needs its prices, and no sink.

    Args:
        path: The file; None: as `load` finds it.
        environ: Where the variables are.

    Raises:
        ConfigError: The file cannot be read, or with a line for each fault of the section.
    """
    layers = _layers(path, environ)
    try:
        return Config.model_validate({"report": _all_of(layers).get("report", {})}).report
    except ValidationError as error:
        raise ConfigError(_faults(error, (), layers)) from None


def _layers(path: Path | None, environ: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
    """Return what the file and the variables say; later ones win."""
    path = path or config_path(environ)
    file = read_config(path) if path else {}
    return {str(path) if path else "defaults": file, "environment": _read_environment(environ)}


def _all_of(layers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for layer in layers.values():
        merged = _merged(merged, layer)
    return merged


def _read_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    sections = tuple(Config.model_fields)
    known = tuple(f"{PREFIX}{name.upper()}__" for name in sections)
    ours = [name for name in environ if name.startswith(PREFIX) and name != CONFIG_VARIABLE]
    faults = [
        f"environment: {name}: is not a variable of slurmwatchd; write SLURMWATCHD_<SECTION>__<KEY>"
        for name in ours
        if not name.startswith(known)
    ]
    if faults:
        raise ConfigError(faults)
    read: dict[str, Any] = {}
    # Sorted, a table comes before its keys.
    for name in sorted(ours):
        *tables, key = name.removeprefix(PREFIX).lower().split("__")
        table: Any = read
        for part in tables:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise ConfigError([f"environment: {name}: {part} has a value of its own"])
        table[key] = environ[name]
    return read


def _sinks(
    merged: Mapping[str, Any],
    models: Mapping[str, type[BaseModel]],
    layers: Mapping[str, Mapping[str, Any]],
    faults: list[str],
) -> dict[str, BaseModel]:
    """Check each sink's table against the model of its type."""
    tables = merged.get("sinks", {})
    tables = DEFAULT_SINKS if tables == {} else tables
    result: dict[str, BaseModel] = {}
    if not isinstance(tables, Mapping):
        faults.append(f"{_source(('sinks',), layers)}: sinks: must be a table of tables")
        return result
    for name, table in tables.items():
        where = _source(("sinks", name), layers)
        if not isinstance(table, Mapping):
            faults.append(f"{where}: sinks.{name}: must be a table, not {table!r}")
            continue
        kind = table.get("type")
        if not isinstance(kind, str) or kind not in models:
            known = ", ".join(sorted(models))
            wrong = f"is required: one of {known}" if kind is None else f"must be one of {known}, not {kind!r}"
            faults.append(f"{where}: sinks.{name}.type: {wrong}")
            continue
        try:
            model = models[kind]
        except ConfigError as error:
            faults += [f"{where}: sinks.{name}.type: {fault}" for fault in error.faults]
            continue
        try:
            result[name] = model.model_validate(table)
        except ValidationError as error:
            faults += _faults(error, ("sinks", name), layers)
    has_web = not isinstance(merged.get("web"), Mapping) or merged["web"].get("listen", "default") != ""
    types = {getattr(options, "type", "") for options in result.values()}
    if has_web and "prometheus" in models and "prometheus" not in types:
        if PROMETHEUS_NAME in result:
            where = _source(("sinks", PROMETHEUS_NAME), layers)
            faults.append(f"{where}: sinks.{PROMETHEUS_NAME}: this name is reserved for the sink behind /metrics")
        else:
            result[PROMETHEUS_NAME] = models["prometheus"].model_validate(PROMETHEUS_SINK)
    return result


def _check_files(config: Config, layers: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse two writers on one file."""
    owners: dict[str, str] = {os.path.realpath(config.store.path): "store.path"}
    faults = []
    for name, options in config.sinks.items():
        files: Iterable[str] = getattr(options, "files", tuple)()
        for file in files:
            if file in owners:
                where = _source(("sinks", name, "path"), layers)
                faults.append(f"{where}: sinks.{name}.path: {file} is already used by {owners[file]}")
            owners[file] = f"sinks.{name}.path"
    kinds = [name for name, options in config.sinks.items() if getattr(options, "type", "") == "prometheus"]
    if len(kinds) > 1:
        where = _source(("sinks", kinds[1]), layers)
        faults.append(
            f"{where}: sinks.{kinds[1]}.type: there is only one /metrics, and {kinds[0]} already fills it"
        )
    if faults:
        raise ConfigError(faults)


def _faults(error: ValidationError, prefix: tuple[str, ...], layers: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Write each fault of a model as one line: where it stands, which key, what is wrong."""
    lines = []
    for fault in error.errors():
        location = (*prefix, *(str(part) for part in fault["loc"]))
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            message = "unknown key"
        elif fault["type"] == "missing":
            message = "is required"
        elif not isinstance(fault["input"], Mapping | BaseModel):
            # As it was written: a limit is checked on what a reader has made of it.
            written = _written(location, layers, fault["input"])
            message = _plain(fault, written) or message
            values = written if isinstance(written, list) else [written]
            if not any(repr(value) in message for value in values):
                message = f"{message}, not {written!r}"
        lines.append(f"{_source(location, layers)}: {'.'.join(location)}: {message}")
    return lines


def _plain(fault: ErrorDetails, written: object) -> str:
    """Write a limit or a missing table in the words of the file; empty for all other faults."""
    if fault["type"] in {"dict_type", "model_type"}:
        return "must be a table"
    words, name = _LIMITS.get(fault["type"], ("", ""))
    if not words:
        return ""
    limit = fault["ctx"][name]
    with suppress(ValueError):
        read_duration(written)
        return f'must be {words} "{format_duration(limit)}"'
    return f"must be {words} {limit:g}" if isinstance(limit, float) else f"must be {words} {limit}"


def _source(location: tuple[str, ...], layers: Mapping[str, Mapping[str, Any]]) -> str:
    """Return where a key was set: the last layer that has it, or as much of its path as any has."""
    names = list(layers)
    for depth in range(len(location), 0, -1):
        for name in reversed(names):
            value: Any = layers[name]
            for part in location[:depth]:
                value = value.get(part) if isinstance(value, Mapping) else None
            if value is not None:
                return name
    return names[0]


def _written(location: tuple[str, ...], layers: Mapping[str, Mapping[str, Any]], default: object) -> object:
    """Return the value of a key as the last layer that has it gives it."""
    for layer in reversed(list(layers.values())):
        value: Any = layer
        for part in location:
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is not None:
            return value
    return default


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        result[key] = _merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result
