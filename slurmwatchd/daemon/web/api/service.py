"""The API as routes of the web server."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.types import Message, Receive, Scope, Send

from slurmwatchd.config.api_tokens import TokenFile
from slurmwatchd.config.settings import Config
from slurmwatchd.daemon.web.api import answers, openapi
from slurmwatchd.daemon.web.api.access import Access
from slurmwatchd.daemon.web.api.calls import Behind, Call
from slurmwatchd.daemon.web.api.cursors import Sealer
from slurmwatchd.daemon.web.api.endpoints import ENDPOINTS, INDEX, PREFIX, Endpoint
from slurmwatchd.daemon.web.api.news import News
from slurmwatchd.daemon.web.api.parameters import pairs, read
from slurmwatchd.daemon.web.api.problems import ProblemError
from slurmwatchd.daemon.web.api.questions import Questions
from slurmwatchd.daemon.web.logins import Passwords, People
from slurmwatchd.daemon.web.tls import WebConfigFile
from slurmwatchd.telemetry.health import Health
from slurmwatchd.telemetry.log import get_logger

if TYPE_CHECKING:
    from slurmwatchd.daemon.web.api.archive_reports import ArchiveReports

_DETAILS = {404: "There is no such path; /api/v1/openapi.json has them all.", 405: "Use GET."}

Answering = Callable[[Request], Awaitable[Response]]

_log = get_logger(__name__)


class Api:
    """The endpoints, over one store."""

    def __init__(self, config: Config, health: Health, *, key: bytes, file: WebConfigFile | None = None) -> None:
        """Prepare to answer; nothing is opened before the first question.

        Args:
            config: Where store, archive and tokens are, and how long a question may take.
            health: What the daemon knows of itself.
            key: The store's own, for cursors.
            file: `web.yml`, whose users may log in.
        """
        self.news = News()
        self._questions = Questions(config.store.path, seconds=config.web.timeout)
        passwords = Passwords(file)
        self.access = Access(TokenFile(config.web.tokens_file), passwords, People(config.web))
        self.behind = Behind(
            questions=self._questions,
            sealer=Sealer(key),
            news=self.news,
            health=health,
            report=config.report,
            archive=_archive(config),
        )

    def routes(self) -> list[BaseRoute]:
        """Return the routes, which answer with problem documents whatever goes wrong."""
        answering = {endpoint.path: self._answering(endpoint) for endpoint in ENDPOINTS}
        answering["/openapi.json"] = _openapi
        endpoints = _Endpoints(answering)
        mount = Mount(PREFIX, app=endpoints)
        # Starlette's dot stops at a line break, and what it does not match gets an error of another form.
        mount.path_regex = re.compile(mount.path_regex.pattern, re.DOTALL)
        # Without its slash too: so Grafana's JSON API source asks whether it works, and it follows no redirection.
        return [_exact(Route(PREFIX, endpoints)), mount]

    def close(self) -> None:
        """Close the connections to the store."""
        self._questions.close()

    def _answering(self, endpoint: Endpoint) -> Answering:
        async def answer(request: Request) -> Response:
            caller = await self.access.admit(request)
            query = read(endpoint.query, pairs(request.scope["query_string"]))
            return await endpoint.answer(Call(request=request, caller=caller, query=query, behind=self.behind))

        return answer


def _archive(config: Config) -> "ArchiveReports | None":
    """Return what reports from the archive, where there is one."""
    if config.archive.folder is None:
        return None
    from slurmwatchd.daemon.web.api.archive_reports import ArchiveReports  # noqa: PLC0415 - most have no archive

    return ArchiveReports(config.archive.folder)


class _Endpoints:
    """Calls what answers a path, makes a problem document of each error, and takes no body."""

    def __init__(self, answering: Mapping[str, Answering]) -> None:
        # Nearly all requests are for a path without parameters. To find those, no pattern need be tried.
        self._known = {f"{PREFIX}{path}": answer for path, answer in answering.items() if "{" not in path}
        self._known[PREFIX] = answering[INDEX.path]
        routes = [_exact(Route(path, answer, methods=["GET"])) for path, answer in answering.items()]
        self._router = Router(routes, redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            _refuse_body(scope["headers"])
            known = self._known.get(scope["path"]) if scope["method"] in {"GET", "HEAD"} else None
            if known is not None:
                response = await known(Request(scope, receive))
                begun = True
                await response(scope, receive, send)
            else:
                # The router answers by itself what it does not know only where there is no "app" to raise to.
                await self._router({**scope, "app": self, "root_path": PREFIX}, receive, noting)
        except ProblemError as error:
            await error.response()(scope, receive, send)
        except HTTPException as error:
            detail = _DETAILS.get(error.status_code, error.detail)
            await ProblemError(error.status_code, detail, headers=error.headers).response()(scope, receive, send)
        except Exception:
            _log.exception("the API failed", path=scope["path"])
            if begun:
                raise
            detail = "The daemon made a mistake; its log says which."
            await ProblemError(500, detail).response()(scope, receive, send)


def _refuse_body(headers: Iterable[tuple[bytes, bytes]]) -> None:
    for name, value in headers:
        if (name == b"content-length" and value.strip(b"0")) or name == b"transfer-encoding":
            raise ProblemError(413, "A request has no body here.", headers={"Connection": "close"})


async def _openapi(request: Request) -> Response:
    return answers.response(request, answers.prepared(openapi.description(), gzip=answers.takes_gzip(request)))


def _exact(route: Route) -> Route:
    """Have a route match its path alone: Starlette's dollar also matches before a line break at the end."""
    route.path_regex = re.compile(rf"{route.path_regex.pattern.removesuffix('$')}\Z")
    return route
