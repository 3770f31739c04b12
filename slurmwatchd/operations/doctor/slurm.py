"""Slurm: are its commands there, does slurmdbd answer, may we see everyone's jobs, do the clocks agree?"""

import re
import stat
from collections.abc import AsyncIterator
from pathlib import Path

from slurmwatchd.config.settings import Config
from slurmwatchd.config.units import spoken_duration
from slurmwatchd.errors import CommandError, ScontrolError, SlurmNotFoundError, SlurmwatchError, TokenError
from slurmwatchd.model.clock import Clock
from slurmwatchd.operations.doctor.findings import Finding, failed, ok, warning
from slurmwatchd.sources.commands import Commands
from slurmwatchd.sources.complaints import REMEDY
from slurmwatchd.sources.sacct.client import Sacct
from slurmwatchd.sources.sacct.fields import Layout
from slurmwatchd.sources.sacctmgr import Limits, Sacctmgr, process_user
from slurmwatchd.sources.scontrol import Scontrol
from slurmwatchd.sources.tokens import VARIABLE

OLDEST_RELEASE = (20, 11)
SKEW_SECONDS = 5
"""Clocks that differ by more are worth a warning."""

TOKEN_SECONDS = 86_400
"""A token that expires sooner is worth a warning."""

_TIMEOUT_SECONDS = 60.0
_NODES = "n[1-2]"
_RELEASE = re.compile(r"(\d+)\.(\d+)")
_MOMENT = re.compile(rb"^sdiag output at .*\((\d+)\)\s*$", re.MULTILINE)
_NO_ACCOUNTING = re.compile("accounting storage is disabled|not running a supported accounting_storage plugin")
_ACCOUNTING = (
    "this cluster keeps no accounting: set AccountingStorageType=accounting_storage/slurmdbd in slurm.conf, and "
    "run slurmdbd"
)
_WITHOUT = {
    "scontrol": "ClusterShell expands node lists instead",
    "sdiag": "after an outage the daemon does not know when slurmctld has sent all it held back",
    "sacctmgr": "slurmdbd's limits and the user's rights are unknown",
}


class Examination:
    """One look at Slurm."""

    def __init__(self, config: Config, commands: Commands, clock: Clock) -> None:
        """Prepare; nothing is run."""
        self._config = config
        self._commands = commands
        self._clock = clock
        self._sacctmgr = Sacctmgr(commands)

    async def findings(self) -> AsyncIterator[Finding]:
        """Give what is found, as it is found."""
        async for finding in self._binaries():
            yield finding
        for finding in await self._answers():
            yield finding
        for finding in (*self._token_file(), *self._token()):
            yield finding
        for name in self._config.slurm.clusters or ("",):
            async for finding in self._accounting(name):
                yield finding
        limits = await self._sacctmgr.limits()
        async for finding in self._clusters():
            yield finding
        if limits is None:
            yield warning(
                "limits", "sacctmgr does not show slurmdbd's configuration now", "run: sacctmgr show conf"
            )
        else:
            operator = await self._sacctmgr.is_operator(limits)
            yield self._privileges(limits, operator=operator)
            for finding in self._limits(limits, operator=operator):
                yield finding
        for name in self._config.slurm.clusters or ("",):
            yield await self._clocks(name)

    async def _binaries(self) -> AsyncIterator[Finding]:
        versions: dict[str, str] = {}
        for name in ("sacct", *_WITHOUT):
            try:
                path = self._commands.path(name)
                done = await self._commands.run(name, "-V", timeout_seconds=_TIMEOUT_SECONDS)
            except SlurmwatchError as error:
                if name == "sacct":
                    yield failed(name, str(error), "install Slurm's commands, or set slurm.bin_dir")
                else:
                    yield warning(name, f"{error}: {_WITHOUT[name]}", "install it beside sacct")
                continue
            version = done.stdout.decode(errors="backslashreplace").strip()
            release = _RELEASE.search(version)
            if done.returncode != 0 or release is None:
                todo = "run it by hand"
                yield failed(
                    name, f"{path} -V failed (exit status {done.returncode}): {done.stderr.strip()}", todo
                )
                continue
            versions[name] = version
            if (int(release[1]), int(release[2])) < OLDEST_RELEASE:
                yield warning(name, f"{version}, {path}: older than 20.11", "not tested: upgrade Slurm")
            else:
                yield ok(name, f"{version}, {path}")
        if len(set(versions.values())) > 1:
            yield warning(
                "versions", f"the commands come from different releases: {versions}", "check slurm.bin_dir"
            )

    async def _answers(self) -> list[Finding]:
        """See what the commands complain of without being asked, and whether scontrol expands node lists."""
        found, complaints = [], self._commands.complaints.of
        for line in dict.fromkeys(line for lines in complaints.values() for line in lines):
            names = ", ".join(name for name, lines in complaints.items() if line in lines)
            found.append(warning("complaints", f"{line} ({names})", REMEDY))
        try:
            await Scontrol(self._commands).expand([_NODES])
        except ScontrolError as error:
            text = f"{error}: {_WITHOUT['scontrol']}"
            found.append(warning("node lists", text, f"run: scontrol show hostnames '{_NODES}'"))
        except SlurmNotFoundError:
            # Another finding has it.
            pass
        return found

    def _token_file(self) -> list[Finding]:
        """See that the token is not everyone's: it gives the rights of its user to whoever can read it."""
        file = self._commands.token_file
        if file is None or not file.exists() or not file.stat().st_mode & stat.S_IROTH:
            return []
        return [warning("token file", f"{file}: every user of this machine can read it", f"chmod o-r {file}")]

    def _token(self) -> list[Finding]:
        """See whose rights a token gives, and until when: Slurm does not say that one expired."""
        where = self._commands.token_source
        try:
            token = self._commands.token()
        except TokenError as error:
            return [failed("token", str(error), "put one there: scontrol token username=NAME lifespan=SECONDS")]
        if token is None:
            return []
        todo = f"get another: scontrol token username={token.user or process_user()} lifespan=SECONDS"
        if not token.user:
            text = f"{where} has no token that names a user (sun): it is unknown whose rights apply"
            return [warning("token", text, f"{todo}; or {self._without_token()}")]
        if token.expires is None:
            return [ok("token", f"the rights are those of {token.user}, see {where}; the token does not expire")]
        left = token.expires - self._clock.now()
        if left <= 0:
            return [failed("token", f"the token of {token.user} expired {spoken_duration(-left)} ago", todo)]
        text = f"the rights are those of {token.user}, see {where}; the token expires in {spoken_duration(left)}"
        return [ok("token", text) if left > TOKEN_SECONDS else warning("token", text, todo)]

    def _without_token(self) -> str:
        return "take jwt_file out" if self._commands.token_file else f"unset {VARIABLE}"

    async def _accounting(self, cluster: str) -> AsyncIterator[Finding]:
        """See whether slurmdbd answers for a cluster."""
        check = f"slurmdbd ({cluster})" if cluster else "slurmdbd"
        sacct = Sacct(
            self._commands, timeout_seconds=self._config.slurm.timeout, spool_dir=Path(), cluster=cluster
        )
        try:
            await sacct.answers()
            layout = Layout(await sacct.available_fields())
        except (SlurmwatchError, ValueError) as error:
            yield failed(check, str(error), self._remedy(str(error)))
        else:
            yield ok(check, f"answers; {len(layout.fields)} fields requested")

    def _remedy(self, error: str) -> str:
        """Return what to do where sacct does not answer."""
        if _NO_ACCOUNTING.search(error):
            return _ACCOUNTING
        if not self._commands.token_file and VARIABLE not in self._commands.env:
            return "check that slurmdbd and munge run, and run sacct by hand"
        # Slurm says "Unspecified error" or "Protocol authentication error" if it does not.
        where = self._commands.token_source
        see = f"slurmdbd runs, has AuthAltTypes=auth/jwt in slurmdbd.conf, and accepts the token in {where}"
        return f"check that {see}, and run sacct by hand"

    async def _clusters(self) -> AsyncIterator[Finding]:
        """See whether slurmdbd knows the clusters: of an unknown one sacct shows nothing, and says nothing."""
        known = await self._sacctmgr.show("cluster", "format=Cluster")
        if known is None:
            yield warning("clusters", "sacctmgr does not list the clusters", "run: sacctmgr show cluster")
            return
        names = {row[0] for row in known}
        shown = ", ".join(sorted(names)) or "none"
        missing = [name for name in self._config.slurm.clusters if name not in names]
        if missing:
            text = f"slurmdbd does not know {', '.join(missing)}; it knows {shown}"
            yield failed("clusters", text, "correct slurm.clusters")
        elif not names:
            yield failed("clusters", "slurmdbd knows no cluster", "sacctmgr add cluster NAME")
        else:
            yield ok("clusters", f"slurmdbd knows {shown}")

    def _privileges(self, limits: Limits, *, operator: bool | None) -> Finding:
        user = self._sacctmgr.user or "the token's user"
        if limits.private is not None and "jobs" not in limits.private:
            return ok("privileges", "PrivateData does not hide jobs: every user sees all of them")
        if limits.private is None:
            private = "slurmdbd does not show whether PrivateData has jobs"
        else:
            private = "PrivateData has jobs"
        if operator:
            return ok("privileges", f"{private}, and {user} sees them all")
        todo = f"sacctmgr add user {self._sacctmgr.user or 'NAME'} account=root adminlevel=Operator"
        if operator is None or limits.private is None:
            return warning("privileges", f"{private}; it is unknown whether {user} sees them", todo)
        return failed("privileges", f"{private}: sacct shows {user} no jobs, and reports no error", todo)

    def _limits(self, limits: Limits, *, operator: bool | None) -> list[Finding]:
        """Hold slurmdbd's limits against the configuration."""
        poll, found = self._config.poll, []
        purge, widest = limits.purge_seconds, limits.query_seconds
        if purge is not None and poll.since > purge:
            text = f"poll.since is longer ago than PurgeJobAfter ({spoken_duration(purge)}): purged jobs are lost"
            found.append(warning("purge", text, "shorten poll.since"))
        if purge is not None and poll.reread and poll.reread[-1] > purge:
            text = f"poll.reread reaches beyond PurgeJobAfter ({spoken_duration(purge)})"
            found.append(warning("purge", text, "shorten the ages of poll.reread"))
        if not found:
            shown = "never purges jobs" if purge is None else f"purges jobs after {spoken_duration(purge)}"
            found.append(ok("purge", f"slurmdbd {shown}"))
        if widest is None or operator:
            found.append(ok("query range", "no limit for this user"))
        elif widest < 2 * (poll.overlap + poll.interval):
            text = f"MaxQueryTimeRange ({spoken_duration(widest)}) is less than a poll queries"
            found.append(failed("query range", text, "give the user AdminLevel=Operator, or shorten poll.overlap"))
        elif widest < 2 * poll.slice:
            text = f"MaxQueryTimeRange ({spoken_duration(widest)}) is less than poll.slice: queries cover less"
            found.append(warning("query range", text, "catching up takes longer; shorten poll.slice, or raise it"))
        else:
            found.append(ok("query range", f"MaxQueryTimeRange is {spoken_duration(widest)}"))
        return found

    async def _clocks(self, cluster: str) -> Finding:
        """Compare our clock with slurmctld's, which dates the ends; no command shows slurmdbd's own."""
        check = f"clock ({cluster})" if cluster else "clock"
        arguments = ["-M", cluster] if cluster else []
        begun = self._clock.now()
        try:
            done = await self._commands.run("sdiag", *arguments, timeout_seconds=_TIMEOUT_SECONDS)
        except (CommandError, SlurmNotFoundError):
            done = None
        asked = self._clock.now()
        moment = _MOMENT.search(done.stdout) if done is not None and done.returncode == 0 else None
        if moment is None:
            return warning(check, "slurmctld does not report its time", "check that slurmctld runs: sdiag")
        theirs = int(moment[1])
        # It answered at some moment of the call, and shows whole seconds.
        ahead = theirs - asked if theirs > asked else min(0.0, theirs + 1 - begun)
        if abs(ahead) < 1:
            return ok(check, "agrees with slurmctld's")
        where = "ahead of" if ahead > 0 else "behind"
        text = f"slurmctld's clock is {spoken_duration(abs(ahead))} {where} this machine's"
        if abs(ahead) > self._config.poll.overlap:
            return failed(
                check, f"{text}, more than poll.overlap: the daemon reads ends too late", "synchronise the clocks"
            )
        if abs(ahead) > SKEW_SECONDS:
            return warning(check, text, "synchronise the clocks")
        return ok(check, text)
