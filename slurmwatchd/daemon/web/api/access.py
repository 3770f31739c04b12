"""Who asks, by a token or as a person; and what becomes of a login that is wrong."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NoReturn

import anyio
from starlette.requests import Request

from slurmwatchd.config.api_tokens import ApiToken, ScopeKind, TokenFile, TokenScope, find
from slurmwatchd.daemon.web.api.problems import ProblemError
from slurmwatchd.daemon.web.logins import Passwords, People, basic, is_name
from slurmwatchd.errors import ConfigError
from slurmwatchd.telemetry.log import get_logger

FIRST_DELAY_SECONDS = 0.25
MAX_DELAY_SECONDS = 4.0
MAX_DELAYED = 32
"""So many wrong logins wait at a time; more are answered at once, with 429."""

QUIET_SECONDS = 3600.0
"""An address whose logins fail is logged once in so long."""

_MAX_ADDRESSES = 1024
_MAX_TOKEN = 256
_PERSON = "person:"
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="slurmwatchd"'}
BASIC_CHALLENGE = {"WWW-Authenticate": 'Basic realm="slurmwatchd", charset="UTF-8"', "Cache-Control": "no-store"}
"""Has a browser ask for a name and a password."""

_log = get_logger(__name__)


@dataclass(slots=True)
class _Failures:
    """The wrong logins of one address."""

    count: int
    first: float


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        name: The token's, or the person's behind `person:`; for the log and for taking turns.
        scope: What they may see.
    """

    name: str
    scope: TokenScope

    @property
    def person(self) -> str:
        """The person's name; empty for a token."""
        return self.name.removeprefix(_PERSON) if self.name.startswith(_PERSON) else ""


class Access:
    """Lets requests in: by a token, a name and a password, or a proxy's word."""

    def __init__(
        self,
        file: TokenFile,
        passwords: Passwords,
        people: People,
        *,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        """Let in whoever has a token of the file, or is one of the people."""
        self._sleep = sleep
        self._file = file
        self._passwords = passwords
        self._people = people
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._delayed = 0
        self._fault = ""

    async def admit(self, request: Request, *, metrics: bool = False) -> Caller:
        """Return who asks.

        Args:
            request: What it came with.
            metrics: Whether somebody who may see metrics only will do.

        Raises:
            ProblemError: Nobody says who asks, it is wrong, or not for this. Who guesses waits, longer each time.
        """
        caller = await self._caller(request)
        if caller.scope.kind is ScopeKind.METRICS and not metrics:
            if caller.person:
                raise ProblemError(403, f"{caller.person} may see no jobs; [web] people says who may.")
            raise ProblemError(403, "This token is for metrics only.")
        return caller

    async def _caller(self, request: Request) -> Caller:
        if (name := self._people.named_by_proxy(request)) is not None:
            return self._person(name)
        header = request.headers.get("authorization", "")
        word, _, rest = header.partition(" ")
        login = basic(header)
        if login is not None and login[0] in self._passwords.users:
            return await self._by_password(request, *login)
        tokens = self._tokens()
        if not tokens and not self._people.are_there and not self._passwords.users:
            detail = "There is no token yet, so nothing is served; `slurmwatchd token add` makes one."
            raise ProblemError(401, detail, headers=_CHALLENGE)
        if login is not None:
            return await self._by_token_of(request, tokens, *login)
        if word.lower() != "bearer" or not rest.strip():
            detail = "Log in, or send a token: the header `Authorization: Bearer TOKEN`."
            raise ProblemError(401, detail, headers=_CHALLENGE)
        token = find(tokens, rest.strip()[:_MAX_TOKEN])
        if token is None:
            await self.refuse(request)
            headers = {"WWW-Authenticate": f'{_CHALLENGE["WWW-Authenticate"]}, error="invalid_token"'}
            raise ProblemError(401, "The token is not known, or was revoked.", headers=headers)
        return Caller(token.name, token.scope)

    async def _by_password(self, request: Request, name: str, password: bytes) -> Caller:
        if not is_name(name) or not await self._passwords.are_right(name, password, address=_address(request)):
            await self._refuse_login(request)
        return self._person(name)

    async def _by_token_of(
        self, request: Request, tokens: tuple[ApiToken, ...], name: str, password: bytes
    ) -> Caller:
        """Let in by a token's name and the token as its password: a browser can ask for nothing else."""
        token = find(tokens, password[:_MAX_TOKEN].decode("utf-8", "surrogateescape"))
        if token is None and self._passwords.users:
            # An unknown name takes as long as one that is known.
            await self._passwords.are_right(name, password, address=_address(request))
        if token is None or token.name != name:
            await self._refuse_login(request)
        return Caller(token.name, token.scope)

    async def _refuse_login(self, request: Request) -> NoReturn:
        await self.refuse(request)
        raise ProblemError(401, "The name or the password is wrong.", headers=BASIC_CHALLENGE)

    def _person(self, name: str) -> Caller:
        return Caller(f"{_PERSON}{name}", self._people.scope(name))

    def _tokens(self) -> tuple[ApiToken, ...]:
        try:
            tokens = self._file.tokens()
        except ConfigError as error:
            if str(error) != self._fault:
                self._fault = str(error)
                _log.error("tokens cannot be read, no token is accepted", error=self._fault)
            raise ProblemError(503, "The tokens cannot be read; the daemon's log says why.") from None
        self._fault = ""
        return tokens

    async def refuse(self, request: Request) -> None:
        """Note a wrong login, and make it wait.

        Raises:
            ProblemError: Too many wait already.
        """
        address = _address(request)
        now = time.monotonic()
        failures = self._failures.get(address)
        if failures is None or now - failures.first > QUIET_SECONDS:
            if failures is not None and failures.count > 1:
                _log.warning("logins failed", address=address, count=failures.count)
            failures = self._failures[address] = _Failures(0, now)
            _log.warning("a login failed, further ones are counted", address=address)
        self._failures.move_to_end(address)
        while len(self._failures) > _MAX_ADDRESSES:
            self._failures.popitem(last=False)
        failures.count += 1
        if self._delayed >= MAX_DELAYED:
            raise ProblemError(429, "Too many logins fail now.", headers={"Retry-After": "10"})
        self._delayed += 1
        try:
            await self._sleep(min(MAX_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2 ** min(failures.count - 1, 10)))
        finally:
            self._delayed -= 1


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
