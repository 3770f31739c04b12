"""Text that users chose, made fit for a terminal: nothing in it moves the cursor or forges a line."""


def shown(text: str, width: int | None = None) -> str:
    """Return a text with escapes for what cannot be printed.

    That is control characters, C1 ones such as U+009B too, line and paragraph separators, and what turns the
    direction of writing; a space is kept.

    Args:
        text: Anything.
        width: The most characters returned; a longer text ends in `…`.
    """
    safe = text if text.isprintable() else "".join(_escaped(character) for character in text)
    return safe if width is None or len(safe) <= width else f"{safe[: width - 1]}…"


def json_shown(line: str) -> str:
    r"""Return a line of JSON, the same value, with `\u` escapes for what a terminal could obey."""
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else _unit_escapes(c) for c in line)


def is_text(text: str) -> bool:
    """Return whether it is text: bytes of an argument that are no UTF-8 are lone surrogates in it."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _escaped(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def _unit_escapes(character: str) -> str:
    """Escape a character as JSON does: in UTF-16, so in two parts where it lies beyond the first 65,536."""
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
