"""Recipes of a page of the documentation, taken as they stand there."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def recipe(page: str, name: str) -> str:
    """Return the block of code behind the comment `<!-- recipe: NAME -->`."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.search(rf"<!-- recipe: {re.escape(name)} -->\n+```\w+\n(.*?)\n```", text, re.DOTALL)
    assert found is not None, f"{page} has no recipe {name}"
    return found[1]
