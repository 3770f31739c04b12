"""The files that make a service of the installed program: which there are, what to do, and how to undo it.

For a program that came by pip; a Debian or an RPM package brings the same files itself. A file written here ends
in a seal, a comment with the digest of all before it. A file whose seal is right is as it was written: a newer
version may rewrite it, and `--remove` removes it. Any other was changed by someone, or never ours: it stays.
"""

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from slurmwatchd.errors import InstallError

USER = "slurmwatchd"
CONFIGURATION = Path("/etc/slurmwatchd/slurmwatchd.toml")
FOLDERS = (Path("/var/lib/slurmwatchd"), Path("/var/log/slurmwatchd"))
LINK = Path("/usr/local/bin/slurmwatchd")

_SEAL = "Written by `slurmwatchd install-service`, sha256 "
_PLACES = {
    "share/slurmwatchd/slurmwatchd.sysusers.conf": Path("/etc/sysusers.d/slurmwatchd.conf"),
    "share/slurmwatchd/slurmwatchd.service": Path("/etc/systemd/system/slurmwatchd.service"),
    "share/slurmwatchd/slurmwatchd.logrotate": Path("/etc/logrotate.d/slurmwatchd"),
    "share/man/man1/slurmwatchd.1": Path("/usr/local/share/man/man1/slurmwatchd.1"),
    "share/bash-completion/completions/slurmwatchd": Path(
        "/usr/local/share/bash-completion/completions/slurmwatchd"
    ),
    "share/zsh/site-functions/_slurmwatchd": Path("/usr/local/share/zsh/site-functions/_slurmwatchd"),
    "share/fish/vendor_completions.d/slurmwatchd.fish": Path(
        "/usr/local/share/fish/vendor_completions.d/slurmwatchd.fish"
    ),
}
"""What the wheel brings, and where the machine looks for it."""

_SYSUSERS = _PLACES["share/slurmwatchd/slurmwatchd.sysusers.conf"]
_SHIPPED_CONFIGURATION = "share/slurmwatchd/slurmwatchd.toml"
_PACKAGED_UNITS = (
    Path("/usr/lib/systemd/system/slurmwatchd.service"),
    Path("/lib/systemd/system/slurmwatchd.service"),
)
_HIDDEN = {
    "/home": "ProtectHome=",
    "/root": "ProtectHome=",
    "/run/user": "ProtectHome=",
    "/tmp": "PrivateTmp=",  # noqa: S108 - named, not opened
    "/var/tmp": "PrivateTmp=",  # noqa: S108
}
"""Where the unit's sandbox sees nothing, and the directive that hides it."""

Run = Callable[[Sequence[str]], None]


@dataclass(frozen=True, slots=True)
class Action:
    """A thing to do, or to leave as it is.

    Attributes:
        text: What is said of it: the file, then what becomes of it.
        do: Does it; None: there is nothing to do.
    """

    text: str
    do: Callable[[], None] | None = None


def run(argv: Sequence[str]) -> None:
    """Run a command of systemd's.

    Raises:
        InstallError: It is not there, or it failed.
    """
    try:
        done = subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    except OSError as error:
        raise InstallError(f"{argv[0]}: {error.strerror}: install-service needs a machine with systemd") from None
    if done.returncode != 0:
        raise InstallError(f"{' '.join(argv)}: exit status {done.returncode}: {done.stderr.strip()}")


def refuse_unless_root(uid: int) -> None:
    """Let no one but root go on.

    Raises:
        InstallError: It is someone else.
    """
    if uid != 0:
        raise InstallError("install-service --yes: only root can do this")


def installed_program() -> Path:
    """Return where this program's command is.

    Raises:
        InstallError: It is in none of the usual places.
    """
    beside = Path(sysconfig.get_path("scripts")) / "slurmwatchd"
    found = str(beside) if beside.exists() else shutil.which("slurmwatchd")
    if found is None:
        raise InstallError(f"{beside}: there is no such program: name it by --program")
    return Path(os.path.abspath(found))  # noqa: PTH100 - a link stays one: it may be moved to a new version


def shipped(name: str) -> Path:
    """Return where a file that the wheel brings lies, such as `share/slurmwatchd/slurmwatchd.toml`.

    Raises:
        InstallError: It is not there.
    """
    for file in importlib.metadata.files("slurmwatchd") or ():
        if str(file).endswith(f"/{name}") and (found := Path(str(file.locate())).resolve()).exists():
            return found
    raise InstallError(f"{name}: this installation did not bring it: install the wheel with pip")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFiles:
    """The service's files on a machine.

    Attributes:
        program: The command that the unit starts.
        root: The machine's root; another one than `/` is an image, where nothing runs.
        run: Runs systemd's commands.
    """

    program: Path
    root: Path = Path("/")
    run: Run = run

    def installation(self) -> Iterator[Action]:
        """Give what is to be done so that the service can be enabled, in this order.

        Raises:
            InstallError: A package installed the service, or the unit could not start the program where it is.
        """
        self._refuse_packaged()
        self._refuse_hidden()
        for name, path in _PLACES.items():
            yield self._written(path, self._text(name))
            if path == _SYSUSERS:
                yield self._user()
                yield self._configuration()
                yield from map(self._folder, FOLDERS)
        if self.program.parent not in {LINK.parent, Path("/usr/bin")}:
            yield self._linked()
        yield from self._reloaded()

    def removal(self) -> Iterator[Action]:
        """Give what is to be done so that only what the service has written and the configuration stay."""
        unit = _PLACES["share/slurmwatchd/slurmwatchd.service"]
        if self._is_sealed(unit):
            argv = ["systemctl", *self._rooted(), "disable", unit.name]
            if self.root == Path("/"):
                argv.insert(-1, "--now")
            yield Action(f"{unit.name}: stop and disable", lambda: self.run(argv))
        for path in _PLACES.values():
            yield self._removed(path)
        link = self._in(LINK)
        if link.is_symlink() and link.readlink() == self.program:
            yield Action(f"{LINK}: remove", link.unlink)
        yield from self._reloaded()
        for path in (CONFIGURATION.parent, *FOLDERS):
            if self._in(path).exists():
                yield Action(f"{path}: kept; remove it when you no longer need it: rm -r {path}")

    def _in(self, path: Path) -> Path:
        return self.root / path.relative_to("/")

    def _rooted(self) -> list[str]:
        return [] if self.root == Path("/") else [f"--root={self.root}"]

    def _refuse_packaged(self) -> None:
        for path in _PACKAGED_UNITS:
            if self._in(path).exists():
                raise InstallError(f"{path}: a package has installed the service already; there is nothing to do")

    def _refuse_hidden(self) -> None:
        for path in (self.program, self.program.resolve()):
            for folder, directive in _HIDDEN.items():
                if path.is_relative_to(folder):
                    raise InstallError(
                        f"{path}: the service cannot start a program below {folder}, which {directive} hides from"
                        " it: install it in /opt/slurmwatchd"
                    )

    def _text(self, name: str) -> str:
        text = shipped(name).read_text(encoding="utf-8").replace("=/usr/bin/slurmwatchd ", f"={self.program} ")
        comment = '.\\"' if name.endswith(".1") else "#"
        return f"{text}{comment} {_SEAL}{_digest(text)}\n"

    def _written(self, path: Path, text: str) -> Action:
        try:
            found = self._in(path).read_text(encoding="utf-8")
        except FileNotFoundError:
            return Action(f"{path}: write", lambda: self._write(path, text))
        if found == text:
            return Action(f"{path}: is there")
        if self._is_sealed(path):
            return Action(f"{path}: replace by this version's", lambda: self._write(path, text))
        return Action(f"{path}: left as it is: it was not written by install-service, or has been changed since")

    def _removed(self, path: Path) -> Action:
        if self._is_sealed(path):
            return Action(f"{path}: remove", self._in(path).unlink)
        if self._in(path).exists():
            return Action(
                f"{path}: left as it is: it was not written by install-service, or has been changed since"
            )
        return Action(f"{path}: is not there")

    def _user(self) -> Action:
        if self._ids() is not None:
            return Action(f"user {USER}: is there")
        argv = ["systemd-sysusers", *self._rooted(), _SYSUSERS.name]
        return Action(f"user {USER}: make, by systemd-sysusers", lambda: self.run(argv))

    def _configuration(self) -> Action:
        if self._in(CONFIGURATION).exists():
            return Action(f"{CONFIGURATION}: is there")
        text = shipped(_SHIPPED_CONFIGURATION).read_text(encoding="utf-8")
        return Action(f"{CONFIGURATION}: write, for you to edit", lambda: self._write(CONFIGURATION, text))

    def _folder(self, path: Path) -> Action:
        inside = self._in(path)
        if inside.exists():
            return Action(f"{path}: is there")

        def make() -> None:
            ids = self._ids()
            if ids is None:
                raise InstallError(f"{path}: there is no user {USER} to give it to")
            inside.mkdir(parents=True, mode=0o750)
            os.chown(inside, *ids)

        return Action(f"{path}: make, mode 0750, for {USER}", make)

    def _linked(self) -> Action:
        link = self._in(LINK)
        if link.is_symlink() and link.readlink() == self.program:
            return Action(f"{LINK}: is there")
        if link.exists() or link.is_symlink():
            return Action(f"{LINK}: left as it is: it is not a link to {self.program}")

        def make() -> None:
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(self.program)

        return Action(f"{LINK}: link to {self.program}", make)

    def _reloaded(self) -> Iterator[Action]:
        if self.root == Path("/"):
            yield Action("systemd: read its units again", lambda: self.run(["systemctl", "daemon-reload"]))

    def _ids(self) -> tuple[int, int] | None:
        """Return uid and gid of the service's user on the machine below the root."""
        passwd = self._in(Path("/etc/passwd"))
        lines = passwd.read_text(encoding="utf-8", errors="replace").splitlines() if passwd.exists() else []
        for name, _, uid, gid, *_ in (line.split(":") for line in lines if line.count(":") == 6):  # noqa: PLR2004
            if name == USER:
                return int(uid), int(gid)
        return None

    def _is_sealed(self, path: Path) -> bool:
        """Return whether a file is there and as it was written."""
        try:
            text = self._in(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return False
        body, _, last = text.removesuffix("\n").rpartition("\n")
        return last.partition(_SEAL)[2] == _digest(f"{body}\n")

    def _write(self, path: Path, text: str) -> None:
        """Write a file as a whole or not at all."""
        inside = self._in(path)
        fresh = inside.with_name(f".{inside.name}.new")
        inside.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(text, encoding="utf-8")
        fresh.chmod(0o644)
        fresh.replace(inside)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
