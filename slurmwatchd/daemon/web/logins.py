"""Who a person is: a name and a password of `web.yml`, or a proxy's word; and what that name may see."""

import base64
import binascii
import hashlib
import hmac
import ipaddress
from collections import Counter, OrderedDict
from collections.abc import Mapping

import anyio
import anyio.to_thread
from starlette.requests import Request

from slurmwatchd.config.api_tokens import ScopeKind, TokenScope
from slurmwatchd.config.settings import WebSection
from slurmwatchd.daemon.web.api.problems import ProblemError
from slurmwatchd.daemon.web.tls import WebConfigFile

OWN = "own"
ANYBODY = "*"

MAX_COMPARED = 32
"""So many passwords wait to be compared; more are answered at once, with 429."""

MAX_COMPARED_EACH = 8
"""So many of one address: who guesses in bulk leaves room for those who log in from elsewhere."""

_MAX_NAME = 255
_KNOWN = 100
_DUMMY = b"$2b$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"
"""Compared with where there is no such user, so that it takes as long."""


class Passwords:
    """The names and passwords of `web.yml`."""

    def __init__(self, file: WebConfigFile | None) -> None:
        """Know whom the file names; None: nobody."""
        self._file = file
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._one = anyio.CapacityLimiter(1)
        self._waiting: Counter[str] = Counter()

    @property
    def users(self) -> Mapping[str, bytes]:
        """Name to bcrypt hash, as the file has them now."""
        return {} if self._file is None else self._file.config.users

    async def are_right(self, name: str, password: bytes, *, address: str) -> bool:
        """Compare a password; one that was right is remembered, since the hash is made to take long.

        Args:
            name: Whose.
            password: As it was sent.
            address: From where.

        Raises:
            ProblemError: Too many wait already.
        """
        digest = self.users.get(name, b"")
        who = name.encode("utf-8", "surrogateescape")
        seen = hashlib.sha256(b"\0".join((hashlib.sha256(who).digest(), digest, password))).digest()
        if any(hmac.compare_digest(seen, known) for known in self._known):
            return True
        if self._waiting.total() >= MAX_COMPARED or self._waiting[address] >= MAX_COMPARED_EACH:
            raise ProblemError(429, "Too many log in now.", headers={"Retry-After": "10"})
        self._waiting[address] += 1
        try:
            # One at a time: guesses in bulk take one core at most, and the event loop none.
            right = await anyio.to_thread.run_sync(_matches, password, digest or _DUMMY, limiter=self._one)
        finally:
            self._waiting -= Counter((address,))
        if not right or not digest:
            return False
        self._known[seen] = None
        while len(self._known) > _KNOWN:
            self._known.popitem(last=False)
        return True


class People:
    """What people may see, by `[web] people`, and whose word counts for who they are."""

    def __init__(self, web: WebSection) -> None:
        """Know the configuration."""
        self._scopes = {name: text for name, text in web.people.items() if name != ANYBODY}
        self._anybody = web.people.get(ANYBODY)
        self._proxies = tuple(ipaddress.ip_network(text, strict=False) for text in web.trusted_proxies)
        self._header = web.user_header.lower()

    @property
    def are_there(self) -> bool:
        """Whether the configuration lets any person see anything."""
        return bool(self._scopes) or self._anybody is not None

    def scope(self, name: str) -> TokenScope:
        """Return what a person may see; who is not named may see metrics, as anybody who can log in."""
        text = self._scopes.get(name, self._anybody)
        if text is None:
            return TokenScope(ScopeKind.METRICS)
        return TokenScope(ScopeKind.USER, name) if text == OWN else TokenScope.parse(text)

    def named_by_proxy(self, request: Request) -> str | None:
        """Return whom a trusted proxy names; None where there is no such proxy, or it names nobody.

        Raises:
            ProblemError: It names more than one, or nobody who could be a user.
        """
        if not self._proxies or request.client is None:
            return None
        given = request.headers.getlist(self._header)
        if not given or not self._is_trusted(request.client.host):
            return None
        # Headers are bytes, which Starlette reads as Latin-1; a name is UTF-8.
        name = given[0].encode("latin-1").decode("utf-8", "replace")
        if len(given) > 1 or not is_name(name):
            raise ProblemError(401, "The proxy names nobody who could be a user.")
        return name

    def _is_trusted(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._proxies)


def is_name(name: str) -> bool:
    """Return whether it could be a user's name."""
    return 0 < len(name) <= _MAX_NAME and name.isprintable() and " " not in name and "\ufffd" not in name


def basic(header: str) -> tuple[str, bytes] | None:
    """Return name and password of an `Authorization` header; None where it has none."""
    word, _, rest = header.partition(" ")
    if word.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(rest.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return (name.decode("utf-8", "surrogateescape"), password) if colon else None


def _matches(password: bytes, digest: bytes) -> bool:
    # An extra; `read_web_config` says where it is missing.
    import bcrypt  # noqa: PLC0415

    # Longer ones are cut off, as bcrypt always did and htpasswd does.
    return bcrypt.checkpw(password[:72].replace(b"\0", b""), digest)
