"""Plain tables for people: columns as wide as they must be, and nothing in a cell that a terminal would obey."""

from collections.abc import Sequence

MAX_CELL = 60


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return lines of aligned columns; what is absent is a dash."""
    cells = [[cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in [list(head), *cells]
    )


def cell(value: object) -> str:
    """Return a value as it may stand in a terminal: no control characters, not too long."""
    if value is None or value == "":
        return "-"
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value))
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 3] + "..."
