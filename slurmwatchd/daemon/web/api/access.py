"""Who asks: the token of a request, and what becomes of one that is wrong."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio
from starlette.requests import Request

from slurmwatchd.config.api_tokens import ApiToken, ScopeKind, TokenFile, find
from slurmwatchd.daemon.web.api.problems import ProblemError
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
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="slurmwatchd"'}

_log = get_logger(__name__)


@dataclass(slots=True)
class _Failures:
    """The wrong logins of one address."""

    count: int
    first: float


class TokenAccess:
    """Lets requests in by their tokens."""

    def __init__(self, file: TokenFile, *, sleep: Callable[[float], Awaitable[None]] = anyio.sleep) -> None:
        """Let in whoever the file names."""
        self._sleep = sleep
        self._file = file
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._delayed = 0
        self._fault = ""

    async def admit(self, request: Request, *, metrics: bool = False) -> ApiToken:
        """Return the token of a request.

        Args:
            request: What it came with.
            metrics: Whether a token for metrics will do.

        Raises:
            ProblemError: There is none, it is wrong, or not for this. Who guesses waits, longer each time.
        """
        tokens = self._tokens()
        if not tokens:
            detail = "There is no token yet, so nothing is served; `slurmwatchd token add` makes one."
            raise ProblemError(401, detail, headers=_CHALLENGE)
        word, _, presented = request.headers.get("authorization", "").partition(" ")
        if word.lower() != "bearer" or not presented.strip():
            detail = "Send a token: the header `Authorization: Bearer TOKEN`."
            raise ProblemError(401, detail, headers=_CHALLENGE)
        token = find(tokens, presented.strip()[:_MAX_TOKEN])
        if token is None:
            await self.refuse(request)
            headers = {"WWW-Authenticate": f'{_CHALLENGE["WWW-Authenticate"]}, error="invalid_token"'}
            raise ProblemError(401, "The token is not known, or was revoked.", headers=headers)
        if token.scope.kind is ScopeKind.METRICS and not metrics:
            raise ProblemError(403, "This token is for metrics only.")
        return token

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
        address = request.client.host if request.client else ""
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
