"""docs/troubleshooting.md against the program: what it says an operator sees is what the program says."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
INDEX = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
# Words in capitals, numbers and times stand for what differs.
DIFFERS = re.compile(r"\b[A-Z]+\b(?:=\.\.\.)?|\.\.\.|\b\d+m?\b")
FOREIGN = {"FILE: Permission denied"}
"""What the operating system says."""


def texts() -> str:
    """Every text in the program's source but its documentation, and the parts of those with values in them."""
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in (ROOT / "slurmwatchd").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    documentation = {node.value for node in nodes if isinstance(node, ast.Expr)}
    constants = (node for node in nodes if isinstance(node, ast.Constant) and node not in documentation)
    return "\n".join(node.value for node in constants if isinstance(node.value, str))


def rows(title: str, *columns: int) -> list[str]:
    """The code spans in some columns of a chapter's tables."""
    chapter = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in chapter.splitlines() if line.startswith("| ")]
    cells = [line[column] for line in lines for column in columns]
    return [span for cell in cells for span in re.findall(r"`([^`]+)`", cell)]


SEEN = [
    *rows("`slurmwatchd status`", 0),
    *rows("`slurmwatchd check`", 0),
    *rows("The log", 0, 1),
    *re.findall(r"`([^`]+)` in (?:\[the log\]|the log)", PAGE),
]


def test_what_an_operator_sees_is_what_the_program_says() -> None:
    said = texts()
    parts = {
        part.strip(" :,()")
        for span in SEEN
        if span not in FOREIGN
        for part in DIFFERS.split(span)
        if part.strip(" :,()")
    }
    assert {
        "the last reload was refused",
        "no complete answer from sacct for",
        "is less than a poll queries",
    } <= parts
    assert sorted(part for part in parts if part not in said) == []


def test_every_alert_has_its_row() -> None:
    rules = (ROOT / "packaging" / "prometheus" / "slurmwatchd.rules.yml").read_text(encoding="utf-8")
    alerts = re.findall(r"- alert: (\w+)", rules)
    assert len(alerts) == 19
    assert rows("An alert fires", 0) == alerts


def test_the_first_chapters_are_those_of_the_list() -> None:
    titles = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    listed = re.findall(r"^- \[(.+)\]\(#", PAGE, re.MULTILINE)
    assert titles == listed


@pytest.mark.parametrize("page", sorted(page.name for page in (ROOT / "docs").glob("*.md")))
def test_every_page_is_on_the_index(page: str) -> None:
    assert page == "index.md" or f"]({page})" in INDEX
