"""A proof that who asks can read the store: with it, this machine's commands are told the daemon's state.

`slurmwatchd status` has no password of `web.yml`. But who reads the store may know the daemon's state, and the
store has a secret. The proof is made of that and of the minute, so it is good for nothing else, and not for long.
"""

import hmac
import time

SCHEME = "Slurmwatchd-Store"
"""Of the header `Authorization`."""

PATH = "/-/status"
"""What it opens."""

_MINUTE_SECONDS = 60
_LABEL = b"slurmwatchd status"


def proof(secret: bytes, *, now: float | None = None) -> str:
    """Return the header's value.

    Args:
        secret: The store's own.
        now: Epoch seconds.
    """
    minute = int(time.time() if now is None else now) // _MINUTE_SECONDS
    return f"{SCHEME} {_of(secret, minute)}"


def is_proof(secret: bytes, header: str, *, now: float | None = None) -> bool:
    """Return whether a header's value proves it; a clock may be a minute off."""
    word, _, given = header.partition(" ")
    minute = int(time.time() if now is None else now) // _MINUTE_SECONDS
    if word.lower() != SCHEME.lower():
        return False
    expected = [_of(secret, minute + off).encode() for off in (-1, 0, 1)]
    # All three are compared, so that it takes as long whichever it is.
    return sum(hmac.compare_digest(one, given.strip().encode()) for one in expected) > 0


def _of(secret: bytes, minute: int) -> str:
    return hmac.digest(hmac.digest(secret, _LABEL, "sha256"), str(minute).encode(), "sha256").hex()
