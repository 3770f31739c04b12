"""Ask slurmdbd, through sacctmgr, for the limits under which it answers."""

import re
from dataclasses import dataclass

from slurmwatchd.errors import SlurmNotFoundError
from slurmwatchd.process import TimedOutError
from slurmwatchd.sources.commands import Commands

_TIMEOUT_SECONDS = 60.0
_SETTING = re.compile(r"^(\w+)\s*=\s*(.*?)\s*$", re.MULTILINE)
_RANGE = re.compile(r"(?:(\d+)-)?(\d+):(\d\d):(\d\d)")
_PURGE = re.compile(r"(\d+)\s*(hour|day|month)s?\*?", re.IGNORECASE)
_PURGE_SECONDS = {"hour": 3600, "day": 86400, "month": 30 * 86400}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What slurmdbd's configuration means for reading it; None where there is no limit or nobody tells.

    Attributes:
        query_seconds: The widest stretch an ordinary user may ask for (MaxQueryTimeRange).
        purge_seconds: Jobs older than this may have been purged (PurgeJobAfter; a month is 30 days).
        private: What ordinary users see only of themselves (PrivateData), such as `jobs`.
    """

    query_seconds: int | None = None
    purge_seconds: int | None = None
    private: frozenset[str] = frozenset()


class Sacctmgr:
    """Slurmdbd's own configuration, as any user may see it."""

    def __init__(self, commands: Commands) -> None:
        """Prepare; nothing is run."""
        self._commands = commands

    async def limits(self) -> Limits | None:
        """Return the limits, or None where nobody tells them now.

        While slurmdbd is down `sacctmgr show configuration` prints the client's half of its answer and exits 0
        (measured on 22.05.8), so the server's half must be there.
        """
        try:
            done = await self._commands.run(
                "sacctmgr", "-nP", "show", "configuration", timeout_seconds=_TIMEOUT_SECONDS
            )
        except (TimedOutError, SlurmNotFoundError):
            return None
        _, found, server = done.stdout.decode(errors="backslashreplace").partition("SlurmDBD configuration:")
        if done.returncode != 0 or not found:
            return None
        return parse_limits(server)


def parse_limits(text: str) -> Limits:
    """Read the limits out of the server's half of `sacctmgr show configuration`."""
    settings = dict(_SETTING.findall(text))
    private = settings.get("PrivateData", "none").lower()
    return Limits(
        query_seconds=_range(settings.get("MaxQueryTimeRange", "")),
        purge_seconds=_purge(settings.get("PurgeJobAfter", "")),
        private=frozenset() if private == "none" else frozenset(private.split(",")),
    )


def _range(text: str) -> int | None:
    """Read `[D-]HH:MM:SS`; anything else (`UNLIMITED`) is no limit."""
    match = _RANGE.fullmatch(text)
    if match is None:
        return None
    days, hours, minutes, seconds = match.groups(default="0")
    return int(days) * 86400 + int(hours) * 3600 + int(minutes) * 60 + int(seconds) or None


def _purge(text: str) -> int | None:
    """Read `12 months`, `36 hours*`; anything else (`NONE`) is no limit."""
    match = _PURGE.fullmatch(text)
    return int(match[1]) * _PURGE_SECONDS[match[2].lower()] if match else None
