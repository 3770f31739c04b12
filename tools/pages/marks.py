"""Tables inside a page written by hand: each stands between two marks, and only what is there is replaced."""

import re
from collections.abc import Mapping

_MARKED = re.compile(r"(<!-- (\w+): generated -->\n).*?(<!-- end -->)", re.DOTALL)


def replaced(page: str, tables: Mapping[str, str]) -> str:
    """Return a page with its tables as they must be now.

    Raises:
        ValueError: The page has not one mark for each table.
    """
    marks = [mark for _, mark, _ in _MARKED.findall(page)]
    if sorted(marks) != sorted(tables):
        raise ValueError(f"the page has marks for {sorted(marks)}, and the tables are {sorted(tables)}")
    return _MARKED.sub(lambda match: f"{match[1]}\n{tables[match[2]]}\n{match[3]}", page)


def cell(text: str) -> str:
    """Return a text as it stands in a cell of a table."""
    return text.replace("|", "\\|")
