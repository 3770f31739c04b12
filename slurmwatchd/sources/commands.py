"""Where Slurm's commands are, and the environment and limits under which they are run."""

import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from anyio import to_thread

from slurmwatchd.errors import CommandError, SlurmNotFoundError, TokenError
from slurmwatchd.model.clock import rfc3339
from slurmwatchd.sources import tokens
from slurmwatchd.sources.complaints import VERSION, Complaints, OnComplaint, known_from, said, to_nobody, without
from slurmwatchd.sources.process import Completed, ProcessRunner, Spool, child_environment

_VERSION_TIMEOUT_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """Runs `sacct`, `scontrol` and the others, all in the same scrubbed environment.

    Attributes:
        runner: Starts the processes.
        bin_dir: Where the commands are; empty: on PATH.
        env: The children's whole environment, without the token of a file.
        token_file: Holds the token they are given; it is read again for each.
        token_seen: Called with each token that was read.
        now: Epoch seconds.
        complaints: What the commands complain of without harm.
    """

    runner: ProcessRunner
    bin_dir: str
    env: Mapping[str, str]
    token_file: Path | None = None
    token_seen: Callable[[tokens.SlurmToken], None] | None = field(default=None, compare=False)
    now: Callable[[], float] = field(default=time.time, compare=False)
    complaints: Complaints = field(default_factory=Complaints, compare=False)

    @classmethod
    def of(
        cls,
        runner: ProcessRunner,
        *,
        bin_dir: str = "",
        conf: str = "",
        conf_server: str = "",
        jwt_file: str = "",
        token_seen: Callable[[tokens.SlurmToken], None] | None = None,
        environ: Mapping[str, str] = os.environ,
        tell: OnComplaint = to_nobody,
    ) -> "Commands":
        """Make one from configuration values; see `process.child_environment` and `complaints.Tell`."""
        env = child_environment(environ, conf=conf, conf_server=conf_server)
        file = Path(jwt_file) if jwt_file else None
        return cls(
            runner=runner,
            bin_dir=bin_dir,
            env=env,
            token_file=file,
            token_seen=token_seen,
            complaints=Complaints(tell),
        )

    @property
    def token_source(self) -> str:
        """Where the token comes from, as a person would look for it."""
        return f"slurm.jwt_file ({self.token_file})" if self.token_file else tokens.VARIABLE

    def environment(self) -> Mapping[str, str]:
        """Return what a child gets now.

        Raises:
            TokenError: There is no token in its file.
        """
        if self.token_file is None:
            return self.env
        text = tokens.text_in(self.token_file)
        if self.token_seen is not None:
            self.token_seen(tokens.read_token(text))
        return {**self.env, tokens.VARIABLE: text}

    def token(self) -> tokens.SlurmToken | None:
        """Return what the token says that the commands get; None where they get none.

        Raises:
            TokenError: There is no token in its file.
        """
        return tokens.token_in(self.environment())

    async def expired_token(self) -> str:
        """Return that the token expired, and when: Slurm reports it as any other refusal. Empty if it did not."""
        return self._expired() if self.token_file is None else await to_thread.run_sync(self._expired)

    def _expired(self) -> str:
        try:
            token = self.token()
        except TokenError:
            return ""
        if token is None or token.expires is None or token.expires > self.now():
            return ""
        return f"the token{f' of {token.user}' if token.user else ''} expired {rfc3339(int(token.expires))}"

    def path(self, name: str) -> str:
        """Return the absolute path of a command.

        Raises:
            SlurmNotFoundError: It is not there, or cannot be executed.
        """
        found = shutil.which(name, path=self.bin_dir or self.env["PATH"])
        if found is None:
            where = f"in slurm.bin_dir ({self.bin_dir})" if self.bin_dir else f"on PATH ({self.env['PATH']})"
            raise SlurmNotFoundError(f"{name} is not {where}")
        return str(Path(found).absolute())

    async def run(
        self, name: str, *arguments: str, timeout_seconds: float, spool: Spool | None = None
    ) -> Completed:
        """Run a command to its end, and collect what it prints unless a spool takes it.

        Of a command that exits 0 the answer's `stderr` and `complaints` leave out what the command prints with
        `-V` too, see `complaints`: any complaint that is left is one of this call.

        Raises:
            SlurmNotFoundError: It is not there.
            TokenError: There is no token for it; it was not started.
            TimedOutError: It was killed after `timeout_seconds`.
            CommandError: It cannot be started now.
        """
        argv = [self.path(name), *arguments]
        env = self.env if self.token_file is None else await to_thread.run_sync(self.environment)
        done = await self.runner.run(argv, env=env, timeout_seconds=timeout_seconds, spool=spool)
        if done.returncode == 0 and done.complained:
            known = known_from(done if arguments == VERSION else await self._version(argv[0]))
        else:
            # It failed anyway; what stands in the way of reading why is left out where it is known.
            known = {said(line) for line in self.complaints.of.get(name, ())}
        left = without(done.complaints, known)
        if done.returncode == 0:
            self.complaints.note(name, (said(line) for line in done.complaints if line not in left))
        if len(left) == len(done.complaints):
            return done
        stderr = "".join(line for line in done.stderr.splitlines(keepends=True) if said(line) not in known)
        return replace(done, complaints=left, stderr=stderr or (done.stderr if done.returncode else ""))

    async def _version(self, path: str) -> Completed:
        """Have a command print its version; where it does not, that is an answer without complaints."""
        argv = [path, *VERSION]
        try:
            return await self.runner.run(argv, env=self.env, timeout_seconds=_VERSION_TIMEOUT_SECONDS)
        except (CommandError, SlurmNotFoundError):
            return Completed(argv=tuple(argv), returncode=1, stdout=b"", stderr="", complaints=(), seconds=0.0)
