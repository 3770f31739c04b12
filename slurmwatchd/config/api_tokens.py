"""The API's tokens: who may ask what, kept hashed in a file of their own.

The file has a line for each token: its name, its scope, the hash, and when it was added. A token is 256 random
bits, so a plain SHA-256 is as good as a slow hash: there is nothing to guess. `slurmwatchd token` changes the
file, the daemon reads it.
"""

import fcntl
import grp
import hashlib
import hmac
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from slurmwatchd.config.file_stamps import stamp
from slurmwatchd.config.ownership import reason
from slurmwatchd.errors import ConfigError

SERVICE_GROUP = "slurmwatchd"
"""The group of the shipped unit, which must read the file that root writes."""

_HEAD = "# The tokens of slurmwatchd's API, hashed. `slurmwatchd token add|list|revoke` changes this file.\n"
_MODE = 0o640
_TOO_OPEN = stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO
_MARK = "swd_"
_HASH = re.compile(r"sha256:([0-9a-f]{64})")
_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_MAX_BYTES = 1 << 20


class ScopeKind(StrEnum):
    """What a scope is about."""

    ALL = "all"
    ACCOUNT = "account"
    USER = "user"
    METRICS = "metrics"


@dataclass(frozen=True, slots=True)
class TokenScope:
    """What a token may see.

    Attributes:
        name: The account's or the user's; empty for the others.
    """

    kind: ScopeKind
    name: str = ""

    @classmethod
    def parse(cls, text: str) -> "TokenScope":
        """Read `all`, `metrics`, `account:NAME` or `user:NAME`.

        Raises:
            ValueError: It is none of these.
        """
        word, colon, name = text.partition(":")
        named = word in {ScopeKind.ACCOUNT, ScopeKind.USER}
        if word not in set(ScopeKind) or named != bool(colon) or named != bool(name):
            raise ValueError(f"{text!r} is not a scope: all, metrics, account:NAME or user:NAME")
        if not name.isprintable() or " " in name:
            raise ValueError(f"{text!r}: the name has a blank or a control character")
        return cls(ScopeKind(word), name)

    def __str__(self) -> str:
        """Return it as `parse` takes it."""
        return f"{self.kind}:{self.name}" if self.name else str(self.kind)


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A line of the file.

    Attributes:
        digest: SHA-256 of the token.
        added: When, as RFC 3339.
    """

    name: str
    scope: TokenScope
    digest: bytes
    added: str


def read_tokens(path: Path) -> tuple[ApiToken, ...]:
    """Read the file; where there is none, there is no token.

    Raises:
        ConfigError: It cannot be read, other users may read or change it, or a line is no token.
    """
    try:
        with path.open("rb") as file:
            _check_rights(path, os.fstat(file.fileno()))
            data = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {reason(path, error, shared=True)}"]) from error
    if len(data) > _MAX_BYTES:
        raise ConfigError([f"{path}: is larger than {_MAX_BYTES:,} bytes"])
    try:
        return _parsed(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise ConfigError([f"{path}: is not UTF-8 text"]) from None
    except ValueError as error:
        raise ConfigError([f"{path}: {error}"]) from None


def find(tokens: Sequence[ApiToken], presented: str) -> ApiToken | None:
    """Return the token that was presented, or None; takes as long whichever it is."""
    digest = _digest(presented)
    found = None
    for token in tokens:
        if hmac.compare_digest(token.digest, digest):
            found = token
    return found


def check_name(name: str) -> str:
    """Return what a token may be called.

    Raises:
        ValueError: It may not be.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a token's name: up to 64 letters, digits and . _ @ -")
    return name


def add_token(path: Path, name: str, scope: TokenScope, *, added: str, state_folder: Path) -> str:
    """Make a token, write its hash into the file, and return it: it is nowhere else.

    Args:
        path: The file; it is made where there is none.
        name: What it is called in lists and in the log.
        scope: What it may see.
        added: The moment, RFC 3339.
        state_folder: A folder of the service's user, whose group may read a file that root makes.

    Raises:
        ValueError: The name is taken, or is none.
        ConfigError: The file cannot be read or written.
    """
    check_name(name)
    presented = _MARK + secrets.token_urlsafe(32)

    def change(tokens: tuple[ApiToken, ...]) -> tuple[ApiToken, ...]:
        if any(token.name == name for token in tokens):
            raise ValueError(f"{path}: there is a token {name!r} already; `slurmwatchd token revoke` removes it")
        return (*tokens, ApiToken(name, scope, _digest(presented), added))

    _rewrite(path, change, state_folder)
    return presented


def revoke_token(path: Path, name: str, *, state_folder: Path) -> None:
    """Take a token out of the file.

    Raises:
        ValueError: There is none of this name.
        ConfigError: The file cannot be read or written.
    """

    def change(tokens: tuple[ApiToken, ...]) -> tuple[ApiToken, ...]:
        if all(token.name != name for token in tokens):
            raise ValueError(f"{path}: has no token {name!r}")
        return tuple(token for token in tokens if token.name != name)

    _rewrite(path, change, state_folder)


class TokenFile:
    """The file as the daemon reads it: again whenever it has changed."""

    def __init__(self, path: Path) -> None:
        """Read nothing yet."""
        self.path = path
        self._seen: object = ()
        self._tokens: tuple[ApiToken, ...] = ()
        self._fault: ConfigError | None = None

    def tokens(self) -> tuple[ApiToken, ...]:
        """Return the tokens that are valid now.

        Raises:
            ConfigError: The file cannot be used. Then no token is valid: one of those known before may be the one
                that someone meant to revoke.
        """
        seen = stamp(self.path)
        if seen != self._seen:
            self._seen = seen
            try:
                self._tokens, self._fault = read_tokens(self.path), None
            except ConfigError as error:
                self._tokens, self._fault = (), error
        if self._fault is not None:
            raise self._fault
        return self._tokens


def _digest(presented: str) -> bytes:
    return hashlib.sha256(presented.encode("utf-8", "surrogateescape")).digest()


def _check_rights(path: Path, found: os.stat_result) -> None:
    # Whoever has the folder may put another file there anyway.
    owners = {0, os.geteuid(), path.parent.stat().st_uid}
    if not stat.S_ISREG(found.st_mode):
        raise ConfigError([f"{path}: is not a file"])
    if found.st_uid not in owners:
        raise ConfigError([f"{path}: belongs to the user {found.st_uid}, and neither to root nor to this user"])
    if found.st_mode & _TOO_OPEN:
        mode = stat.S_IMODE(found.st_mode)
        raise ConfigError([f"{path}: mode {mode:04o} lets other users read or change it: chmod 0640 {path}"])


def _parsed(text: str) -> tuple[ApiToken, ...]:
    tokens: list[ApiToken] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            token = _token(line.split())
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
        if any(token.name == other.name for other in tokens):
            raise ValueError(f"line {number}: there is a token {token.name!r} already")
        tokens.append(token)
    return tuple(tokens)


def _token(words: list[str]) -> ApiToken:
    if len(words) != 4:  # noqa: PLR2004 - those named here
        raise ValueError("is not: name, scope, hash, moment")
    name, scope, digest, added = words
    found = _HASH.fullmatch(digest)
    if not _NAME.fullmatch(name) or found is None or not _MOMENT.fullmatch(added):
        raise ValueError("is not: name, scope, hash, moment")
    return ApiToken(name, TokenScope.parse(scope), bytes.fromhex(found[1]), added)


def _rewrite(
    path: Path, change: Callable[[tuple[ApiToken, ...]], tuple[ApiToken, ...]], state_folder: Path
) -> None:
    """Change the file as a whole: who reads it meanwhile has the old one."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with _alone(path.parent):
            tokens = change(read_tokens(path))
            lines = (f"{token.name} {token.scope} sha256:{token.digest.hex()} {token.added}\n" for token in tokens)
            try:
                descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    _give(file.fileno(), path, state_folder)
                    file.write("".join((_HEAD, *lines)))
                    file.flush()
                    os.fsync(file.fileno())
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError([f"{path}: cannot be written: {reason(path, error)}"]) from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder, so that two commands do not undo each other's change."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _give(descriptor: int, path: Path, state_folder: Path) -> None:
    """Let the service read the file: one that was there keeps its owner, root's gets the service's group."""
    with suppress(FileNotFoundError):
        before = path.stat()
        if os.geteuid() == 0:
            os.fchown(descriptor, before.st_uid, before.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
        return
    if os.geteuid() == 0:
        os.fchown(descriptor, -1, _service_group(state_folder))
    os.fchmod(descriptor, _MODE)


def _service_group(state_folder: Path) -> int:
    with suppress(OSError):
        return state_folder.stat().st_gid
    with suppress(KeyError):
        return grp.getgrnam(SERVICE_GROUP).gr_gid
    return -1
