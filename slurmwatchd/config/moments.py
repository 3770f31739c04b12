"""Moments as a person writes them, on a command line or in an address: `24h`, `yesterday`, `2026-11-20`, ISO 8601.

What is accepted, upper or lower case but for `M` (months, elsewhere):

- a duration as the configuration has them, which means that long before now: `24h`, `-2h`, `1.5h`, `1d12h`,
  `2 hours ago`, `3days`, and as sacct has it `now-2hours`;
- `now`, `today` (its midnight), `yesterday`, `midnight`;
- a date, which means its midnight: `2026-11-20`;
- a date with a time: `2026-11-20 14:30`, `2026-11-20T14:30:05`, with a zone where there is one:
  `2026-11-20T14:30:05Z`, `2026-11-20T14:30:05.5+01:00`, `20261120T143005Z`;
- a time of today: `14:30`, `14:30:05`;
- seconds since 1970-01-01 UTC behind an at sign, as date(1) and systemd have them: `@1795423566`.

What has no zone is in the machine's own, as `date` shows it. Where clocks are put back and an hour comes twice the
first one is meant; where an hour is skipped the moment lies as far behind the gap as it was written into it.
Parts of a second are cut off. A span that reaches beyond 1970 ends there.
"""

import re
from contextlib import suppress
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal

from slurmwatchd.config.units import read_duration

_SPAN = re.compile(r"(?:now\s*)?-?\s*([0-9].*?)(?:\s+ago)?", re.ASCII | re.IGNORECASE)
_TIME_OF_DAY = re.compile(r"(\d\d?):(\d\d)(?::(\d\d))?", re.ASCII)
_EPOCH = re.compile(r"@(\d{1,12})(?:\.\d+)?", re.ASCII)
_HAS_DATE = re.compile(r"\d{4}-?\d\d-?\d\d(?:[T ].+)?", re.ASCII)

EXAMPLES = "24h, 30d, yesterday, 2026-11-20, 2026-11-20T14:30 or 2026-11-20T14:30:00Z"


def parse_moment(text: str, *, now: float, zone: tzinfo | None = None) -> int:
    """Read a moment as a person writes it; the module's own text says what is accepted.

    Args:
        text: What was written.
        now: Epoch seconds; what spans and words are relative to.
        zone: What a moment without a zone is in; None: the machine's own.

    Returns:
        Epoch seconds.

    Raises:
        ValueError: It is no moment; the message is one line, shows it and says what would be one.
    """
    words = " ".join(text.split())
    found = _relative(words, now, zone)
    if found is None:
        with suppress(OverflowError, OSError, ValueError):
            found = _absolute(words.upper(), now, zone)
    if found is None:
        raise ValueError(f"{text!r} is not a moment such as {EXAMPLES}")
    if found < 0:
        raise ValueError(f"{text!r} is before 1970")
    return found


def parse_stretch(since: str, until: str | None, *, now: float, zone: tzinfo | None = None) -> tuple[int, int]:
    """Read a stretch `[since, until)`; without an end it ends now.

    Raises:
        ValueError: One is no moment, or the stretch is empty or lies in the future.
    """
    start = parse_moment(since, now=now, zone=zone)
    end = int(now) if until is None else parse_moment(until, now=now, zone=zone)
    if start >= end:
        what = "now" if until is None else repr(until)
        raise ValueError(f"the stretch is empty: it begins {since!r} and ends {what}")
    return start, end


def _relative(text: str, now: float, zone: tzinfo | None) -> int | None:
    """Read what is said from now on back; None if it is nothing of the kind."""
    words = text.lower()
    if words == "now":
        return int(now)
    if words in {"today", "midnight"}:
        return _midnight(now, zone, days_ago=0)
    if words == "yesterday":
        return _midnight(now, zone, days_ago=1)
    span = _SPAN.fullmatch(text)
    # "now2h" is no word for anything.
    if span is None or (words.startswith("now") and "-" not in words):
        return None
    try:
        return max(0, int(Decimal(now) - read_duration(span[1])))
    except ValueError:
        return None


def _absolute(words: str, now: float, zone: tzinfo | None) -> int | None:
    """Read a moment on its own, in upper case; None where it is nothing of the kind."""
    if epoch := _EPOCH.fullmatch(words):
        return int(epoch[1])
    if clock := _TIME_OF_DAY.fullmatch(words):
        today = datetime.fromtimestamp(now, zone)
        hour, minute, second = (int(part or 0) for part in clock.groups())
        moment = datetime(today.year, today.month, today.day, hour, minute, second, tzinfo=zone)
        return int(moment.timestamp())
    if not _HAS_DATE.fullmatch(words):
        return None
    moment = datetime.fromisoformat(words)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp() // 1)


def _midnight(now: float, zone: tzinfo | None, *, days_ago: int) -> int:
    """Return when a day began: counted in dates, since a day may have 23 or 25 hours."""
    day = (datetime.fromtimestamp(now, zone) - timedelta(days=days_ago)).date()
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())
