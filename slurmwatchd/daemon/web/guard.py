"""Basic auth before `/`, `/metrics` and `/-/`, as exporter-toolkit has it; API and pages ask by themselves."""

from collections.abc import Callable
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slurmwatchd.config.api_tokens import ScopeKind
from slurmwatchd.daemon.web import proofs
from slurmwatchd.daemon.web.api.access import BASIC_CHALLENGE, Access
from slurmwatchd.daemon.web.api.problems import ProblemError
from slurmwatchd.daemon.web.tls import WebConfigFile


class Guard:
    """Lets in whom `web.yml` names, or who has a token for metrics or for all; adds the file's headers."""

    def __init__(
        self,
        app: ASGIApp,
        file: WebConfigFile,
        access: Access,
        *,
        asks_itself: Callable[[str], bool],
        secret: bytes,
    ) -> None:
        """Stand before an application.

        Args:
            app: What answers.
            file: Whom it names may come in.
            access: Knows logins.
            asks_itself: Tells of a path whether what answers there asks for a login by itself.
            secret: The store's own: who knows it may read `/-/status`.
        """
        self._app = app
        self._file = file
        self._access = access
        self._asks_itself = asks_itself
        self._secret = secret

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
            if self._file.config.users and not self._asks_itself(scope["path"]):
                await self._admit(Request(scope))
        except ProblemError as error:
            challenge = BASIC_CHALLENGE if error.status == HTTPStatus.UNAUTHORIZED else {}
            text = f"{error.detail}\n"
            answer = PlainTextResponse(text, error.status, headers={**error.headers, **challenge})
        await answer(scope, receive, with_headers)

    async def _admit(self, request: Request) -> None:
        header = request.headers.get("authorization", "")
        if request.url.path == proofs.PATH and proofs.is_proof(self._secret, header):
            return
        caller = await self._access.admit(request, metrics=True)
        if not caller.person and caller.scope.kind not in {ScopeKind.ALL, ScopeKind.METRICS}:
            raise ProblemError(403, "This token is for the API and the pages only.")
