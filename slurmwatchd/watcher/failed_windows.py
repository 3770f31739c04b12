"""Windows that cannot be read though the present can: they wait a while, so that all others have their turn.

Without that one window that fails for ever would be the most urgent for ever, and no re-read and no backfill would
be made. While the present cannot be read either it is not the window that is at fault, and none waits.
"""

from dataclasses import dataclass

from slurmwatchd.model.records import FoundBy
from slurmwatchd.model.windows import Window

FIRST_SECONDS = 60
LAST_SECONDS = 3600
"""How long a window waits after its first failure, then twice as long after each, and at most.

An hour, so that rows that are gone are waited for little longer than the day that they are given."""

Stretch = tuple[int, int]
"""Half-open, epoch seconds of end time."""


@dataclass(slots=True)
class _Failure:
    count: int
    until: float


class FailedWindows:
    """Those of one cluster that wait. They are not kept over a restart, which tries each once more."""

    def __init__(self) -> None:
        """Begin with none."""
        self._failures: dict[Stretch, _Failure] = {}
        self._present_fails = False
        self.is_present_last = False
        """Whether what failed last was the present: then it is the others' turn once."""

    def failed(self, window: Window, now: float, *, at_fault: bool) -> None:
        """Take note of a failure.

        Args:
            window: What was asked for.
            now: Epoch seconds.
            at_fault: Whether it is to wait; else it is tried in another way, as with a shorter stretch.
        """
        self.is_present_last = window.head
        if window.head:
            self._present_fails = True
            self._failures.clear()
        elif at_fault and not self._present_fails and window.found_by is not FoundBy.OPEN_SET:
            # Its edges move on with the time, so the same stretch may be asked for in other windows.
            touched = [each for each in self._failures if each[0] < window.end and window.start < each[1]]
            count = max((self._failures[each].count for each in touched), default=0)
            for start, end in touched:
                if window.start <= start and end <= window.end:
                    del self._failures[start, end]
            until = now + min(LAST_SECONDS, FIRST_SECONDS << min(count, 10))
            self._failures[window.start, window.end] = _Failure(count + 1, until)

    def succeeded(self, window: Window) -> None:
        """Take note that a window was read: none in it waits any more."""
        self.is_present_last = False
        if window.head:
            self._present_fails = False
        for start, end in list(self._failures):
            if window.start <= start and end <= window.end:
                del self._failures[start, end]

    def waiting(self, now: float) -> list[Stretch]:
        """Return what is not to be asked for now."""
        return [stretch for stretch, failure in self._failures.items() if now < failure.until]
