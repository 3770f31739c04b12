"""Pages for people are in the words of the field's manuals; these are not among them."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "packaging" / "man" / "slurmwatchd.1",
    ROOT / "packaging" / "prometheus" / "slurmwatchd.rules.yml",
    ROOT / "packaging" / "slurmwatchd.toml",
]
ODD = re.compile(r"\b(told|tells?|nobody|somebody|everybody|whoever|anew)\b", re.IGNORECASE)
"""A program delivers, records, reports, logs or prints; a person is an operator, a user or an administrator."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_none_of_these_words(page: Path) -> None:
    lines = enumerate(page.read_text(encoding="utf-8").splitlines(), 1)
    assert [f"{number}: {line}" for number, line in lines if ODD.search(line)] == []
