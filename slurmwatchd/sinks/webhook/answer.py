"""What a receiver answered, and what follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

_OK, _REDIRECT = 200, 300
_REFUSED = frozenset({400, 413, 422})
"""Statuses that say that these events will not be taken, however often they come; others may heal."""

MAX_RETRY_AFTER = 3600.0
"""So long a receiver may have it wait, in seconds."""

_TEXT_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """One answer.

    Attributes:
        headers: By their names in any case, as the client has them.
    """

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def is_good(self) -> bool:
        """Whether the events are safe with the receiver."""
        return _OK <= self.status < _REDIRECT

    @property
    def is_refusal(self) -> bool:
        """Whether it is about the events, and not about the receiver or who asks."""
        return self.status in _REFUSED

    def retry_after(self, now: float) -> float:
        """Return for how many seconds it asks to be left alone; 0 where it does not say."""
        text = self.headers.get("Retry-After", "").strip()
        if text.isascii() and text.isdigit():
            return min(float(text), MAX_RETRY_AFTER)
        try:
            until = parsedate_to_datetime(text).timestamp() if text else now
        except (TypeError, ValueError, OverflowError):
            return 0.0
        return min(max(0.0, until - now), MAX_RETRY_AFTER)

    def told(self) -> str:
        """Say it in one line."""
        text = " ".join(self.text.split())[:_TEXT_CHARACTERS]
        return f"HTTP {self.status}" + (f": {text}" if text else "")
