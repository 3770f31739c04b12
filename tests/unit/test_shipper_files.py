"""packaging/shippers/: what cannot be run is parsed, and no event makes a field of an index."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from slurmwatchd.model.event_fields import HEAD, RECORD, TAIL, USAGE
from tools.pages import templates

ROOT = Path(__file__).parents[2]
SHIPPERS = ROOT / "packaging" / "shippers"
TEMPLATES = {"elasticsearch": "flattened", "opensearch": "flat_object"}


def properties(product: str) -> dict[str, Any]:
    template = json.loads((SHIPPERS / f"{product}-template.json").read_text(encoding="utf-8"))
    mappings = template["template"]["mappings"]
    assert mappings["dynamic"] is False
    found: dict[str, Any] = mappings["properties"]
    return found


def objects(mapping: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every place where a document could bring keys of its own."""
    for member in mapping.values():
        if member.get("type") in {None, "object"}:
            yield member
            yield from objects(member.get("properties", {}))


@pytest.mark.parametrize("product", TEMPLATES)
def test_the_committed_templates_are_the_rendering(product: str) -> None:
    committed = (SHIPPERS / f"{product}-template.json").read_text(encoding="utf-8")
    assert templates.render(product) == committed, "run `make docs`"


@pytest.mark.parametrize("product", TEMPLATES)
def test_every_field_of_a_line_has_a_place(product: str) -> None:
    found = properties(product)
    assert list(found) == [field.name for field in (*HEAD, *RECORD, *TAIL)]
    assert list(found["usage"]["properties"]) == [field.name for field in USAGE]
    assert found["end"] == {"type": "date"}
    assert found["elapsed_seconds"] == {"type": "long"}
    assert found["submit_line"] == {"type": "keyword", "ignore_above": 8191}


@pytest.mark.parametrize(("product", "kind"), TEMPLATES.items())
def test_what_a_site_or_a_user_names_makes_no_fields(product: str, kind: str) -> None:
    found = properties(product)
    for name in ("alloc_tres", "req_tres", "licenses", "raw"):
        assert found[name] == {"type": kind}
    assert found["usage"]["properties"]["raw"] == {"type": kind}
    for mapping in objects(found):
        assert mapping.get("dynamic") is False or mapping.get("enabled") is False


@pytest.mark.parametrize("name", ["vector.yaml", "filebeat.yml"])
def test_yaml_is_read_and_names_the_file_and_the_one_it_was_renamed_to(name: str) -> None:
    parsed = yaml.safe_load((SHIPPERS / name).read_text(encoding="utf-8"))
    if name == "vector.yaml":
        files = parsed["sources"]["slurmwatchd"]["include"]
        assert parsed["sinks"]["site"]["inputs"] == ["slurmwatchd"]
    else:
        files = parsed["filebeat.inputs"][0]["paths"]
    assert files == ["/var/log/slurmwatchd/jobs.jsonl", "/var/log/slurmwatchd/jobs.jsonl.1"]


@pytest.mark.parametrize("path", sorted(SHIPPERS.glob("*")), ids=lambda path: path.name)
def test_every_file_is_in_the_readme_and_sends_nothing_off_the_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert path.name == "README.md" or f"`{path.name}`" in (SHIPPERS / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"https?://([\w.]+)", text)) <= {"127.0.0.1", "lnav.org"}


def test_rsyslog_cuts_no_line_and_reads_the_rotated_file_too() -> None:
    conf = re.sub(r"(?m)^#.*$", "", (SHIPPERS / "rsyslog.conf").read_text(encoding="utf-8"))
    (longest,) = re.findall(r'maxMessageSize="(\d+)k"', conf)
    assert int(longest) * 1024 > 30_000
    inputs = re.findall(r'input\(type="imfile" file="([^"]+)"([^)]*)\)', conf)
    assert [file for file, _ in inputs] == ["/var/log/slurmwatchd/jobs.jsonl", "/var/log/slurmwatchd/jobs.jsonl.1"]
    for _, settings in inputs:
        assert 'ruleset="slurmwatchd"' in settings
        assert 'persistStateInterval="0"' in settings
