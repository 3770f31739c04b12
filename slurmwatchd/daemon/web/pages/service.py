"""The pages as routes of the web server: who may see them, and what becomes of errors."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from slurmwatchd.config.api_tokens import ScopeKind
from slurmwatchd.daemon.web.api import answers
from slurmwatchd.daemon.web.api.access import BASIC_CHALLENGE, Caller
from slurmwatchd.daemon.web.api.calls import CLIENT_GONE
from slurmwatchd.daemon.web.api.problems import TITLES, ProblemError
from slurmwatchd.daemon.web.api.questions import ClientGoneError
from slurmwatchd.daemon.web.api.service import Api
from slurmwatchd.daemon.web.pages import coverage, jobs, nodes, overview, paths, render, report, state
from slurmwatchd.daemon.web.pages.view import View
from slurmwatchd.daemon.web.pages.visit import Visit
from slurmwatchd.telemetry.log import get_logger

_TITLES = {401: "Log in", 403: "Not for this login"}

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Page:
    """A page: its path, which place of the navigation it belongs to, and what it shows."""

    path: str
    place: str
    view: Callable[[Visit], Awaitable[View]] = field(compare=False)


_PAGES = (
    _Page(paths.OVERVIEW, paths.OVERVIEW, overview.view),
    _Page(paths.COVERAGE, paths.COVERAGE, coverage.view),
    _Page(paths.JOBS, paths.JOBS, jobs.search),
    _Page(f"{paths.JOBS}/{{job_id}}", paths.JOBS, jobs.one),
    _Page(paths.NODES, paths.NODES, nodes.search),
    _Page(f"{paths.NODES}/{{node}}", paths.NODES, nodes.one),
    _Page(paths.REPORT, paths.REPORT, report.view),
    _Page(paths.DAEMON, paths.DAEMON, state.view),
)


class Pages:
    """The pages over an API."""

    def __init__(self, api: Api) -> None:
        """Prepare to answer; nothing is read before the first request."""
        self._api = api

    def routes(self) -> list[Route]:
        """Return the routes, those of the style and of each page."""
        return [
            Route(paths.STYLE, _style, methods=["GET"]),
            *(Route(page.path, self._answering(page), methods=["GET"]) for page in _PAGES),
        ]

    def _answering(self, page: _Page) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            caller = None
            try:
                caller = await self._api.access.admit(request)
                visit = Visit.of(request, caller, self._api.behind)
                return await _shown(request, page, visit, await page.view(visit))
            except ClientGoneError:
                return Response(status_code=CLIENT_GONE)
            except ProblemError as error:
                return await _problem(request, page, caller, error)
            except Exception:  # noqa: BLE001 - logged, with its traceback
                _log.exception("a page failed", path=request.url.path)
                fault = ProblemError(500, "The daemon made a mistake; its log says which.")
                return await _problem(request, page, caller, fault)

        return answer


async def _shown(request: Request, page: _Page, visit: Visit, view: View) -> Response:
    if view.elsewhere is not None:
        return RedirectResponse(view.elsewhere, status_code=303, headers=answers.HEADERS)
    context = {**view.context, "links": visit.links}
    return await _written(request, page, visit.caller, view.template, context, status=view.status)


async def _problem(request: Request, page: _Page, caller: Caller | None, error: ProblemError) -> Response:
    """Say on a page what is wrong; who is not logged in is asked for a name and a password."""
    context = {"problem": error, "title": _TITLES.get(error.status, TITLES[error.status])}
    asks = BASIC_CHALLENGE if error.status == 401 else {}  # noqa: PLR2004 - HTTP's
    headers = {**error.headers, **asks}
    return await _written(request, page, caller, "problem.html", context, status=error.status, headers=headers)


async def _written(
    request: Request,
    page: _Page,
    caller: Caller | None,
    template: str,
    context: dict[str, Any],
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    gzip = answers.takes_gzip(request)

    def write() -> answers.Prepared:
        own = caller is not None and caller.scope.kind is ScopeKind.USER
        text = render.page(template, place=page.place, who=_who(caller), own=own, **context)
        return answers.prepared(text, gzip=gzip)

    made = await anyio.to_thread.run_sync(write)
    packed = {"Content-Encoding": "gzip"} if made.is_gzip else {}
    return Response(
        made.body,
        status_code=status,
        headers={**answers.HEADERS, **render.HEADERS, **packed, **(headers or {})},
        media_type="text/html",
    )


def _who(caller: Caller | None) -> str:
    """Return who is logged in, and what they see."""
    if caller is None:
        return ""
    scope = caller.scope
    name = caller.person or f"token {caller.name}"
    if scope.kind is ScopeKind.USER:
        return f"{name}: your jobs" if caller.person == scope.name else f"{name}: jobs of {scope.name}"
    return f"{name}: jobs of the account {scope.name}" if scope.kind is ScopeKind.ACCOUNT else f"{name}: all jobs"


async def _style(request: Request) -> Response:
    made = await anyio.to_thread.run_sync(lambda: answers.prepared(render.style(), gzip=False))
    headers = {"Cache-Control": "no-cache", "ETag": made.etag, "X-Content-Type-Options": "nosniff"}
    if made.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(made.body, headers=headers, media_type="text/css")
