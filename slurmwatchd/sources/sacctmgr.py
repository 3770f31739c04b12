"""Ask slurmdbd, through sacctmgr, for the limits under which it answers, and what this user may see."""

import os
import pwd
import re
from dataclasses import dataclass

import anyio

from slurmwatchd.errors import CommandError, SlurmNotFoundError
from slurmwatchd.sources.commands import Commands

_TIMEOUT_SECONDS = 60.0
_SETTING = re.compile(r"^(\w+)\s*=\s*(.*?)\s*$", re.MULTILINE)
_RANGE = re.compile(r"(?:(\d+)-)?(\d+):(\d\d):(\d\d)")
_PURGE = re.compile(r"(\d+)\s*(hour|day|month)s?\*?", re.IGNORECASE)
_ALL_SEEING = frozenset({"operator", "administrator"})
_ROOT = "root"
UNKNOWN_CLUSTER, NO_PRIVILEGES = "cluster", "privileges"
_PURGE_SECONDS = {"hour": 3600, "day": 86400, "month": 30 * 86400}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What slurmdbd's configuration means for reading it; None where there is no limit or nobody tells.

    Attributes:
        query_seconds: The widest stretch an ordinary user may ask for (MaxQueryTimeRange).
        purge_seconds: Jobs older than this may have been purged (PurgeJobAfter; a month is 30 days).
        private: What ordinary users see only of themselves (PrivateData), such as `jobs`.
        slurm_user: Who may see everything besides operators and administrators.
    """

    query_seconds: int | None = None
    purge_seconds: int | None = None
    private: frozenset[str] = frozenset()
    slurm_user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What slurmdbd knows of the cluster and of the user who asks; None where nobody tells.

    Attributes:
        clusters: All that slurmdbd has accounts of.
        limits: Under which slurmdbd answers.
        sees_all: Whether this user is shown everybody's jobs.
        cluster: The one that is watched; empty where its name is not known.
    """

    clusters: frozenset[str] | None
    limits: Limits | None
    sees_all: bool | None
    cluster: str

    @property
    def fault(self) -> str:
        """Why sacct may show nothing although there is something; empty where nothing speaks for that."""
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
            user: Who asks; None: who this process runs as.
        """
        self._commands = commands
        self._cluster = cluster
        self._user = process_user() if user is None else user
        self._turn = anyio.Lock()
        self._limits: Limits | None = None
        self._answers = 0

    async def standing(self) -> Standing:
        """Return what slurmdbd knows of the cluster and of the user who asks."""
        clusters: list[list[str]] | None = None

        async def ask_clusters() -> None:
            nonlocal clusters
            clusters = await self.show("cluster", "format=cluster")

        async with anyio.create_task_group() as group:
            group.start_soon(ask_clusters)
            limits = await self.limits()
        sees_all = None if limits is None else "jobs" not in limits.private or await self.is_operator(limits)
        return Standing(
            clusters=frozenset(row[0].lower() for row in clusters) if clusters else None,
            limits=limits,
            sees_all=sees_all,
            cluster=self._cluster,
        )

    async def only_cluster(self) -> str | None:
        """Return the name of the one cluster that slurmdbd knows; None where it has several, or none tells."""
        rows = await self.show("cluster", "format=cluster")
        return rows[0][0] if rows is not None and len(rows) == 1 else None

    async def is_operator(self, limits: Limits) -> bool | None:
        """Tell whether slurmdbd shows this user everything, whatever its limits; None where nobody tells."""
        if self._user in {_ROOT, limits.slurm_user}:
            return True
        levels = await self.show("user", self._user, "format=user,adminlevel")
        if levels is None:
            return None
        return any(len(row) > 1 and row[0] == self._user and row[1].lower() in _ALL_SEEING for row in levels)

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
        """Return the limits, or None where nobody tells them now; who asks while somebody does gets that answer.

        While slurmdbd is down `sacctmgr show configuration` prints the client's half of its answer and exits 0
        (measured on 22.05.8), so the server's half must be there.
        """
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
        slurm_user=settings.get("SlurmUser", "").partition("(")[0],
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


def process_user() -> str:
    """Return the name of who runs this process; its number where it has no name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
