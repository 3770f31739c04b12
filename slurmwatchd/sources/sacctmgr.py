"""Ask slurmdbd, through sacctmgr, for the limits under which it answers, and what this user may see.

What proves an answer, besides exit status 0:

- `show configuration` prints sacctmgr's half and slurmdbd's; without slurmdbd it prints the first, complains and
  exits 0 (22.05, 24.11, 26.05). So every key of slurmdbd's half that is relied on must stand there, and one of its
  last (`TrackWCKey`).
- `show user` asks for root too, an administrator of every slurmdbd: either root's row or the user's own is there.
  Without any the answer is none, except where PrivateData hides users: an operator would be shown both.
- `show cluster` must name one: slurmdbd answers no one else. No row is no answer.
- None of the latter two may complain, beyond what `sacctmgr -V` does (see `complaints`).
"""

import os
import pwd
import re
from collections.abc import Mapping
from dataclasses import dataclass

import anyio

from slurmwatchd.errors import CommandError, SlurmNotFoundError, TokenError
from slurmwatchd.sources.commands import Commands

_TIMEOUT_SECONDS = 60.0
_SETTING = re.compile(r"^(\w+)\s*=\s*(.*?)\s*$", re.MULTILINE)
_RANGE = re.compile(r"(?:(\d+)-)?(\d+):(\d\d):(\d\d)")
_PURGE = re.compile(r"(\d+)\s*(hour|day|month)s?\*?", re.IGNORECASE)
_RELEASE = re.compile(r"(\d+)\.(\d+)")
_NEEDED = frozenset(
    {"MaxQueryTimeRange", "PrivateData", "PurgeJobAfter", "SLURMDBD_VERSION", "SlurmUser", "TrackWCKey"}
)
"""In slurmdbd's half of its configuration, of every release from 22.05 to 26.05."""

_TELLS_PRIVATE_DATA = (24, 11)
"""The newest release known to mean it when it prints `PrivateData = none`; 26.05 prints that and obeys `jobs`."""

_ALL_SEEING = frozenset({"operator", "administrator"})
_ROOT = "root"
_USER_COLUMNS = 2
UNKNOWN_CLUSTER, NO_PRIVILEGES = "cluster", "privileges"
_PURGE_SECONDS = {"hour": 3600, "day": 86400, "month": 30 * 86400}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What slurmdbd's configuration means for reading it; None where there is no limit or it is not known.

    Attributes:
        query_seconds: The widest stretch an ordinary user may ask for (MaxQueryTimeRange).
        purge_seconds: Jobs older than this may have been purged (PurgeJobAfter; a month is 30 days).
        private: What ordinary users see only of themselves (PrivateData), such as `jobs`; None where slurmdbd does
            not say so: 26.05 prints `none` whatever it is.
        slurm_user: Who may see everything besides operators and administrators.
    """

    query_seconds: int | None = None
    purge_seconds: int | None = None
    private: frozenset[str] | None = frozenset()
    slurm_user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What slurmdbd knows of the cluster and of the user who asks; None where it is not known.

    Attributes:
        clusters: All that slurmdbd has accounts of.
        limits: Under which slurmdbd answers.
        sees_all: Whether this user is shown everyone's jobs. None is "not known": there was no answer, or
            slurmdbd does not say whether it hides jobs and the user is neither operator nor administrator.
        cluster: The one that is watched; empty where its name is not known.
    """

    clusters: frozenset[str] | None
    limits: Limits | None
    sees_all: bool | None
    cluster: str

    @property
    def fault(self) -> str:
        """Why sacct shows less than there is; empty where nothing is known to speak for that."""
        if self.clusters is not None and self.cluster and self.cluster.lower() not in self.clusters:
            return UNKNOWN_CLUSTER
        return NO_PRIVILEGES if self.sees_all is False else ""


class Sacctmgr:
    """Slurmdbd's own configuration, as any user may see it."""

    def __init__(self, commands: Commands, *, cluster: str = "", user: str | None = None) -> None:
        """Prepare; nothing is run.

        Args:
            commands: Where sacctmgr is.
            cluster: The one that is watched; empty where its name is not known.
            user: Whose rights count; None: those of the token in SLURM_JWT, without one of who runs this process.
        """
        self._commands = commands
        self._cluster = cluster
        self._user = user
        self._turn = anyio.Lock()
        self._limits: Limits | None = None
        self._answers = 0

    @property
    def user(self) -> str:
        """Whose rights count; empty where the token does not say."""
        return user_of(self._commands) if self._user is None else self._user

    async def standing(self) -> Standing:
        """Return what slurmdbd knows of the cluster and of the user who asks."""
        clusters: list[list[str]] | None = None

        async def ask_clusters() -> None:
            nonlocal clusters
            clusters = await self.show("cluster", "format=cluster")

        async with anyio.create_task_group() as group:
            group.start_soon(ask_clusters)
            limits = await self.limits()
        sees_all = None if limits is None else await self.sees_all(limits)
        return Standing(
            clusters=frozenset(row[0].lower() for row in clusters) if clusters else None,
            limits=limits,
            sees_all=sees_all,
            cluster=self._cluster,
        )

    async def only_cluster(self) -> str | None:
        """Return the name of the one cluster that slurmdbd knows; None where it has several or does not answer."""
        rows = await self.show("cluster", "format=cluster")
        return rows[0][0] if rows is not None and len(rows) == 1 else None

    async def sees_all(self, limits: Limits) -> bool | None:
        """Return whether this user is shown everyone's jobs; None where that is not known."""
        if limits.private is not None and "jobs" not in limits.private:
            return True
        operator = await self.is_operator(limits)
        return operator if operator or limits.private is not None else None

    async def is_operator(self, limits: Limits) -> bool | None:
        """Return whether slurmdbd shows this user everything, whatever its limits; None where it is not known."""
        if not self.user:
            return None
        if self.user in {_ROOT, limits.slurm_user}:
            return True
        rows = await self.show("user", f"{self.user},{_ROOT}", "format=user,adminlevel")
        if rows is None or any(len(row) != _USER_COLUMNS for row in rows):
            return None
        levels = {name: level.lower() for name, level in rows}
        if not levels.keys() & {self.user, _ROOT}:
            return False if limits.private is not None and "users" in limits.private else None
        return levels.get(self.user) in _ALL_SEEING

    @property
    def is_missing(self) -> bool:
        """Whether there is no sacctmgr."""
        try:
            self._commands.path("sacctmgr")
        except SlurmNotFoundError:
            return True
        return False

    async def show(self, *arguments: str) -> list[list[str]] | None:
        """Return the values of each line of `sacctmgr show`, or None where it fails."""
        try:
            done = await self._commands.run(
                "sacctmgr", "-nP", "show", *arguments, timeout_seconds=_TIMEOUT_SECONDS
            )
        except (CommandError, SlurmNotFoundError):
            return None
        if done.returncode != 0 or done.complained:
            return None
        lines = done.stdout.decode(errors="backslashreplace").splitlines()
        return [line.split("|") for line in lines if line]

    async def limits(self) -> Limits | None:
        """Return the limits, or None if they are not known; who asks while another does gets that answer."""
        before = self._answers
        async with self._turn:
            if self._answers == before:
                self._limits = await self._ask_limits()
                self._answers += 1
            return self._limits

    async def _ask_limits(self) -> Limits | None:
        try:
            done = await self._commands.run(
                "sacctmgr", "-nP", "show", "configuration", timeout_seconds=_TIMEOUT_SECONDS
            )
        except (CommandError, SlurmNotFoundError):
            return None
        _, _, server = done.stdout.decode(errors="backslashreplace").partition("SlurmDBD configuration:")
        told = {name for name, _ in _SETTING.findall(server)}
        return parse_limits(server) if done.returncode == 0 and told >= _NEEDED else None


def parse_limits(text: str) -> Limits:
    """Read the limits out of the server's half of `sacctmgr show configuration`."""
    settings = dict(_SETTING.findall(text))
    return Limits(
        query_seconds=_range(settings.get("MaxQueryTimeRange", "")),
        purge_seconds=_purge(settings.get("PurgeJobAfter", "")),
        private=_private(settings),
        slurm_user=settings.get("SlurmUser", "").partition("(")[0],
    )


def _private(settings: Mapping[str, str]) -> frozenset[str] | None:
    private = settings.get("PrivateData", "none").lower()
    if private != "none":
        return frozenset(private.split(","))
    release = _RELEASE.match(settings.get("SLURMDBD_VERSION", ""))
    is_meant = release is not None and (int(release[1]), int(release[2])) <= _TELLS_PRIVATE_DATA
    return frozenset() if is_meant else None


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


def user_of(commands: Commands) -> str:
    """Return whose rights count for commands; empty where their token does not say, or is not there now."""
    try:
        token = commands.token()
    except TokenError:
        return ""
    return process_user() if token is None else token.user


def process_user() -> str:
    """Return the name of who runs this process; its number where it has no name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
