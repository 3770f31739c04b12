"""The states of attempts, in full and as Slurm's commands shorten them."""

from collections.abc import Mapping

_SHORT = {
    "BF": "BOOT_FAIL", "CA": "CANCELLED", "CD": "COMPLETED", "DL": "DEADLINE", "F": "FAILED", "NF": "NODE_FAIL",
    "OOM": "OUT_OF_MEMORY", "PR": "PREEMPTED", "RQ": "REQUEUED", "RS": "RESIZING", "RV": "REVOKED",
    "TO": "TIMEOUT",
}  # fmt: skip

_OPEN_SHORT = {"PD": "PENDING", "R": "RUNNING", "S": "SUSPENDED"}
"""Of what has not ended; a store has these where slurmdbd's row never got an end."""

OPEN_STATES = ("RUNNING", "SUSPENDED")
"""What an attempt without an end must be for the store to call it running still."""

STATES = tuple(_SHORT.values())
"""Those in which one can end."""


def state_of(word: str) -> str:
    """Return the state that a word means, in full: `f` and `failed` are FAILED.

    Raises:
        ValueError: It means none.
    """
    return _named(word, _SHORT)


def stored_state_of(word: str) -> str:
    """Return the same of all states that a record may have: also of those that have not ended.

    Raises:
        ValueError: It means none.
    """
    return _named(word, {**_SHORT, **_OPEN_SHORT})


def _named(word: str, short: Mapping[str, str]) -> str:
    upper = word.upper()
    state = short.get(upper, upper)
    if state not in short.values():
        raise ValueError(f"{word!r} is not one of {', '.join(short.values())}")
    return state
