"""Configurations as a test writes them, and what is wrong with them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from slurmwatchd.config.loader import load
from slurmwatchd.config.settings import Config
from slurmwatchd.errors import ConfigError
from slurmwatchd.sinks.jsonl import JsonlOptions
from slurmwatchd.sinks.prometheus import PrometheusOptions

MODELS: Mapping[str, type[BaseModel]] = {"jsonl": JsonlOptions, "prometheus": PrometheusOptions}


def read(
    file: Path,
    text: str = "",
    *,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Mapping[str, Any]] | None = None,
) -> Config:
    file.write_text(text, encoding="utf-8")
    return load(file, sink_options=MODELS, environ=environ or {}, flags=flags)


def faults(file: Path, text: str = "", **layers: Mapping[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(file, text, **layers)
    return list(caught.value.faults)


def jsonl(config: Config, name: str = "jobs") -> JsonlOptions:
    options = config.sinks[name]
    assert isinstance(options, JsonlOptions)
    return options
