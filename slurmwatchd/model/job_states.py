"""The states in which an attempt can end, in full and as Slurm's commands shorten them."""

_SHORT = {
    "BF": "BOOT_FAIL", "CA": "CANCELLED", "CD": "COMPLETED", "DL": "DEADLINE", "F": "FAILED", "NF": "NODE_FAIL",
    "OOM": "OUT_OF_MEMORY", "PR": "PREEMPTED", "RQ": "REQUEUED", "RS": "RESIZING", "RV": "REVOKED",
    "TO": "TIMEOUT",
}  # fmt: skip

STATES = tuple(_SHORT.values())


def state_of(word: str) -> str:
    """Return the state that a word means, in full: `f` and `failed` are FAILED.

    Raises:
        ValueError: It means none.
    """
    upper = word.upper()
    state = _SHORT.get(upper, upper)
    if state not in STATES:
        raise ValueError(f"{word!r} is not one of {', '.join(STATES)}")
    return state
