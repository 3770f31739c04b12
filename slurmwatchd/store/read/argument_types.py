"""What scripts get wrong in a question: SQLite would find nothing for it, and say nothing."""


def check_list(name: str, value: object) -> None:
    """Look whether a list is none by mistake: a text is a list of its letters.

    Raises:
        TypeError: It is a text.
    """
    if isinstance(value, str):
        raise TypeError(f"{name}: must be a list such as [{value!r}], not {value!r}")


def check_moment(name: str, value: object) -> None:
    """Look whether a moment is epoch seconds, or None.

    Raises:
        TypeError: It is neither.
    """
    if value is not None and not isinstance(value, int | float):
        raise TypeError(f"{name}: must be epoch seconds, such as int(moment.timestamp()), not {value!r}")
