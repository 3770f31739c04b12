"""What scripts get wrong in a question: SQLite would find nothing for it, and say nothing."""

from collections.abc import Iterable

from slurmwatchd.model.job_states import stored_state_of
from slurmwatchd.model.outcomes import Outcome

_OUTCOMES = tuple(outcome.value for outcome in Outcome)


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


def check_outcomes(values: Iterable[str]) -> None:
    """Look whether all are outcomes.

    Raises:
        ValueError: One is none.
    """
    if unknown := [word for word in values if word not in _OUTCOMES]:
        raise ValueError(f"outcomes: {unknown[0]!r} is not one of {', '.join(_OUTCOMES)}")


def states_in_full(values: Iterable[str]) -> tuple[str, ...]:
    """Return states as records have them.

    Raises:
        ValueError: One is none.
    """
    try:
        return tuple(map(stored_state_of, values))
    except ValueError as error:
        raise ValueError(f"states: {error}") from None
