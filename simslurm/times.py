"""Times as Slurm reads and prints them: `uts1700000000`, `now-1hour`, `1-02:03:04`, `Unknown`."""

from __future__ import annotations

import os
import time

from .schema import INFINITE, NO_VAL, NO_VAL64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
_WORDS = {"": 0, "midnight": 0, "today": 0, "noon": 43200, "fika": 54000, "teatime": 57600, "tomorrow": 86400}
_SMALLEST_UTS = 1_000_000
_LONGEST_FORMAT = 32


class TimeError(ValueError):
    """A time sacct does not understand.

    Attributes:
        position: Where sacct says it stopped reading.
    """

    def __init__(self, text: str, position: int = 0) -> None:
        """Keep the position."""
        super().__init__(text)
        self.position = position


def parse_time(text: str, now: int) -> int:
    """Read a time as -S and -E take it, in the zone of TZ.

    Raises:
        TimeError: Slurm would not understand it either.
    """
    word = text.strip().lower()
    if word.startswith("uts") and word[3:].isdigit() and int(word[3:]) >= _SMALLEST_UTS:
        return int(word[3:])
    if word.startswith("now"):
        return now + _offset(word[3:], text)
    if word in _WORDS:
        return _on_day(time.localtime(now)[:3], (0, 0, 0)) + _WORDS[word]
    return _calendar(word, text, now)


def _offset(rest: str, text: str) -> int:
    """Read what follows `now`: `-90`, `+2hours`."""
    if not rest:
        return 0
    sign = {"+": 1, "-": -1}.get(rest[0])
    unit = rest[1:].lstrip("0123456789")
    number = rest[1 : len(rest) - len(unit)]
    if sign is None or not number:
        raise TimeError(text, 3)
    factor = _UNITS.get(unit.removesuffix("s")) if unit else 1
    if factor is None:
        raise TimeError(text, 4)
    return sign * int(number) * factor


def _on_day(day: tuple[int, ...], clock: tuple[int, int, int]) -> int:
    return int(time.mktime((day[0], day[1], day[2], *clock, 0, 0, -1)))


def _calendar(word: str, text: str, now: int) -> int:
    """Read `YYYY-MM-DD[THH:MM[:SS]]`, `MM/DD[/YY][-HH:MM[:SS]]`, `MMDD[YY]` or `HH:MM[:SS]`."""
    today = time.localtime(now)
    try:
        if word.isdigit() and len(word) in {4, 6}:  # MMDD[YY]
            word = "/".join(filter(None, (word[:2], word[2:4], word[4:])))
        if "/" in word:
            date, _, clock = word.partition("-")
            numbers = [int(part) for part in date.split("/")]
            year = 2000 + numbers[2] % 100 if len(numbers) > 2 else today.tm_year  # noqa: PLR2004 - MM/DD/YY
            day = (year, numbers[0], numbers[1])
        elif "-" in word:
            date, _, clock = word.partition("t")
            year, month, day_of_month = (int(part) for part in date.split("-"))
            day = (year, month, day_of_month)
        else:
            clock, day = word, today[:3]
            if ":" not in word:
                raise TimeError(text)
        return _on_day(day, _clock(clock))
    except (ValueError, OverflowError, IndexError):
        raise TimeError(text) from None


def _clock(text: str) -> tuple[int, int, int]:
    if not text:
        return 0, 0, 0
    afternoon = text.endswith("pm")
    numbers = [int(part) for part in text.removesuffix("am").removesuffix("pm").strip().split(":")]
    hours, minutes, seconds = (*numbers, 0, 0)[:3]
    if afternoon and hours < 12:  # noqa: PLR2004 - twelve hours
        hours += 12
    if not (0 <= hours < 25 and 0 <= minutes < 60 and 0 <= seconds < 60):  # noqa: PLR2004 - a clock
        raise ValueError(text)
    return hours, minutes, seconds


class TimePrinter:
    """Prints time stamps the way SLURM_TIME_FORMAT and TZ ask for.

    Attributes:
        complaint: What sacct says on stderr where the format cannot be used.
    """

    def __init__(self, now: int, environ: Mapping[str, str]) -> None:
        """Read SLURM_TIME_FORMAT."""
        self.complaint = ""
        self._now = now
        self._format = "%Y-%m-%dT%H:%M:%S"
        self._relative = False
        self._seconds = False
        wanted = environ.get("SLURM_TIME_FORMAT", "")
        if wanted == "relative":
            self._relative = True
        elif "%" in wanted and len(wanted) < _LONGEST_FORMAT:
            self._format = wanted
        elif wanted and wanted != "standard":
            self.complaint = f"invalid SLURM_TIME_FORMAT = '{wanted}'"
        self._seconds = self._format == "%s"

    def __call__(self, stamp: int) -> bytes:
        """Print one time stamp; 0 is `Unknown`, Slurm's NO_VAL is `None`."""
        if stamp in {0, INFINITE}:
            return b"Unknown"
        if stamp == NO_VAL:
            return b"None"
        if self._seconds:
            return b"%d" % stamp
        then = time.localtime(stamp)
        layout = self._relative_format(then) if self._relative else self._format
        return os.fsencode(time.strftime(layout, then))

    def _relative_format(self, then: time.struct_time) -> str:
        today = time.localtime(self._now)
        days = (_on_day(then[:3], (12, 0, 0)) - _on_day(today[:3], (12, 0, 0)) + 3600) // 86400
        if days == 0:
            return "%H:%M:%S"
        if days in {-1, 1}:
            return "Ystday %H:%M" if days < 0 else "Tomorr %H:%M"
        if 1 < days < 7:  # noqa: PLR2004 - a week
            return "%a %H:%M"
        return "%-d %b %H:%M" if days > -7 else "%-d %b %Y"  # noqa: PLR2004 - a week


def duration(seconds: int) -> bytes:
    """Print a duration as `[D-]HH:MM:SS`."""
    if seconds == NO_VAL64:
        return b""
    if seconds < 0:
        return b"INVALID"
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    text = b"%02d:%02d:%02d" % (hours, minutes, rest)
    return b"%d-%s" % (days, text) if days else text


def cpu_duration(seconds: int, microseconds: int) -> bytes:
    """Print processor time, which shows milliseconds below one hour: `MM:SS.mmm`."""
    seconds += microseconds // 1_000_000
    milliseconds = microseconds % 1_000_000 // 1000
    if seconds >= 3600 or not milliseconds:  # noqa: PLR2004 - one hour
        return duration(seconds)
    return b"%02d:%02d.%03d" % (seconds // 60, seconds % 60, milliseconds)
