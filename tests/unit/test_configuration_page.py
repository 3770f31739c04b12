"""docs/configuration.md against the program: it is the rendering, and what it says of each key is true."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import BaseModel

from slurmwatchd.config.loader import load
from slurmwatchd.config.settings import Config
from slurmwatchd.sinks.jsonl import JsonlOptions
from slurmwatchd.sinks.kafka.options import KafkaOptions
from slurmwatchd.sinks.nats.options import NatsOptions
from slurmwatchd.sinks.prometheus import PrometheusOptions
from slurmwatchd.sinks.webhook.options import HttpOptions

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "configuration.md").read_text(encoding="utf-8")
MODELS: Mapping[str, type[BaseModel]] = {
    "http": HttpOptions,
    "jsonl": JsonlOptions,
    "kafka": KafkaOptions,
    "nats": NatsOptions,
    "prometheus": PrometheusOptions,
}
SECTIONS = {
    name: info.annotation
    for name, info in Config.model_fields.items()
    if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)
}


def chapter(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def documented(title: str) -> dict[str, str]:
    """Key to default, as the headings of a chapter have them."""
    return dict(re.findall(r"^### `(\w+)(?: = (.*))?`$", chapter(title), re.MULTILINE))


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_of_a_section_is_on_the_page(section: str) -> None:
    assert list(documented(f"`[{section}]`")) == list(SECTIONS[section].model_fields)


@pytest.mark.parametrize("kind", MODELS)
def test_every_key_of_a_sink_is_on_the_page(kind: str) -> None:
    assert list(documented(f"Sinks of type `{kind}`")) == list(MODELS[kind].model_fields)


def test_every_key_has_its_text_and_what_it_takes() -> None:
    for part in PAGE.split("\n### ")[1:]:
        text, takes = part.split("\n\n")[1:3]
        assert text.strip() not in {"", "None"}
        assert ". Variable: `SLURMWATCHD_" in takes


def test_the_defaults_on_the_page_are_the_defaults(tmp_path: Path) -> None:
    lines = []
    for section in SECTIONS:
        lines += [f"[{section}]", *(f"{key} = {text}" for key, text in documented(f"`[{section}]`").items())]
    lines += [
        "[sinks.jobs]",
        *(f"{key} = {text}" for key, text in documented("Sinks of type `jsonl`").items() if text),
    ]
    lines.append('path = "/var/log/slurmwatchd/jobs.jsonl"')
    file, empty = tmp_path / "page.toml", tmp_path / "empty.toml"
    file.write_text("\n".join(lines), encoding="utf-8")
    empty.write_text("", encoding="utf-8")
    assert tomllib.loads("\n".join(lines))["poll"]["interval"] == "30s"
    written = load(file, sink_options=MODELS, environ={})
    bare = load(empty, sink_options=MODELS, environ={})
    assert written.model_dump(exclude={"sinks"}) == bare.model_dump(exclude={"sinks"})
    jobs = written.sinks["jobs"]
    assert isinstance(jobs, JsonlOptions)
    assert jobs.wants_backfill
    assert jobs.model_dump(exclude={"backfill"}) == bare.sinks["jobs"].model_dump(exclude={"backfill"})


def test_the_variables_on_the_page_set_the_keys(tmp_path: Path) -> None:
    empty = tmp_path / "empty.toml"
    empty.write_text("", encoding="utf-8")
    for section in SECTIONS:
        for key, text in documented(f"`[{section}]`").items():
            variable = f"SLURMWATCHD_{section}__{key}".upper()
            assert f"`{variable}`" in chapter(f"`[{section}]`")
            default = tomllib.loads(f"value = {text}")["value"]
            value = ",".join(default) if isinstance(default, list) else str(default)
            config = load(empty, sink_options=MODELS, environ={variable: value})
            assert config.model_dump() == load(empty, sink_options=MODELS, environ={}).model_dump(), variable


def test_a_sinks_own_limits_are_on_the_page() -> None:
    assert "Whole number, at least 4,096, at most 16,777,216." in chapter("Sinks of type `jsonl`")
    assert 'Duration, at least "1s".' in chapter("`[poll]`")


def test_the_page_says_what_each_table_holds() -> None:
    tables = dict(re.findall(r"^### `(\w+) = \{\}`\n\n.+?\n\n([^.]+)", PAGE, re.MULTILINE | re.DOTALL))
    assert tables == {
        "family_labels": "Table of lists",
        "family_limits": "Table of numbers",
        "people": "Table of texts",
        "prices": "Table of numbers",
    }


def test_no_text_of_the_page_is_a_block_of_code() -> None:
    code = False
    for line in PAGE.splitlines():
        code ^= line.startswith("```")
        assert code or not line.startswith("    "), line
