"""After failures in a row slurmdbd is asked something small before it is asked for a window again."""

FAILURES = 3
"""So many in a row open the breaker."""


class Breaker:
    """Counts the failures of one cluster's sacct.

    Closed, windows are read. Open, only a cheap probe is sent, after the same pauses as before; once that is
    answered one reading is let through (half-open), and only its success closes the breaker.
    """

    def __init__(self, failures: int = FAILURES) -> None:
        """Begin closed."""
        self._threshold = failures
        self._failures = 0

    @property
    def open(self) -> bool:
        """Whether a probe must be answered before the next reading."""
        return self._failures >= self._threshold

    def failed(self) -> None:
        """Note that a reading, or a probe, failed."""
        self._failures += 1

    def succeeded(self) -> None:
        """Note that a reading was complete."""
        self._failures = 0
