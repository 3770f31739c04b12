"""Basic auth before every page, as exporter-toolkit has it; the API has its tokens instead."""

import base64
import binascii
import hashlib
import hmac
from collections import OrderedDict

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slurmwatchd.config.api_tokens import ScopeKind
from slurmwatchd.daemon.web.api.access import TokenAccess
from slurmwatchd.daemon.web.api.endpoints import PREFIX
from slurmwatchd.daemon.web.api.problems import ProblemError
from slurmwatchd.daemon.web.tls import WebConfigFile

_KNOWN = 100
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="slurmwatchd", charset="UTF-8"', "Cache-Control": "no-store"}
_DUMMY = b"$2b$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"
"""Compared with where there is no such user, so that it takes as long."""


class Guard:
    """Lets in whom `web.yml` names, or who has a token for metrics or for all; adds the file's headers."""

    def __init__(self, app: ASGIApp, file: WebConfigFile, access: TokenAccess) -> None:
        """Stand before an application."""
        self._app = app
        self._file = file
        self._access = access
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._one = anyio.CapacityLimiter(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in or send it away."""
        added = [(name.lower().encode(), value.encode()) for name, value in self._file.config.headers.items()]

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start" and added:
                names = {name for name, _ in added}
                kept = [(name, value) for name, value in message["headers"] if name not in names]
                message = {**message, "headers": [*kept, *added]}
            await send(message)

        answer = self._app
        try:
            if self._file.config.users and not scope["path"].startswith(f"{PREFIX}/"):
                await self._admit(Request(scope))
        except ProblemError as error:
            headers = {**_CHALLENGE, **error.headers}
            answer = PlainTextResponse(f"{error.detail}\n", error.status, headers=headers)
        await answer(scope, receive, with_headers)

    async def _admit(self, request: Request) -> None:
        word, _, rest = request.headers.get("authorization", "").partition(" ")
        if word.lower() == "bearer":
            token = await self._access.admit(request, metrics=True)
            if token.scope.kind not in {ScopeKind.ALL, ScopeKind.METRICS}:
                raise ProblemError(403, "This token is for the API only.")
            return
        try:
            name, colon, password = base64.b64decode(rest, validate=True).partition(b":")
        except (binascii.Error, ValueError):
            name = colon = password = b""
        if word.lower() != "basic" or not colon:
            raise ProblemError(401, "Log in with a name and a password, or a token.", headers=_CHALLENGE)
        if not await self._is_right(name, password):
            await self._access.refuse(request)
            raise ProblemError(401, "The name or the password is wrong.", headers=_CHALLENGE)

    async def _is_right(self, name: bytes, password: bytes) -> bool:
        """Compare a password; one that was right is remembered, since the hash is made to take long."""
        digest = self._file.config.users.get(name.decode("utf-8", "replace"), b"")
        seen = hashlib.sha256(b"\0".join((hashlib.sha256(name).digest(), digest, password))).digest()
        if any(hmac.compare_digest(seen, known) for known in self._known):
            return True
        # One at a time: guesses in bulk take one core at most, and the event loop none.
        right = await anyio.to_thread.run_sync(_matches, password, digest or _DUMMY, limiter=self._one)
        if not right or not digest:
            return False
        self._known[seen] = None
        while len(self._known) > _KNOWN:
            self._known.popitem(last=False)
        return True


def _matches(password: bytes, digest: bytes) -> bool:
    # An extra; `read_web_config` says where it is missing.
    import bcrypt  # noqa: PLC0415

    # Longer ones are cut off, as bcrypt always did and htpasswd does.
    return bcrypt.checkpw(password[:72].replace(b"\0", b""), digest)
