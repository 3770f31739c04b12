"""`/`, `/metrics` and what is below `/-/`: they ask neither the store nor Slurm; `api/` and `pages/` do."""

from collections.abc import Sequence
from functools import partial

import anyio.to_thread
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Receive, Scope, Send

from slurmwatchd.daemon.web.pages import render
from slurmwatchd.daemon.web.status import status
from slurmwatchd.model.clock import rfc3339
from slurmwatchd.telemetry.exposition import exposition
from slurmwatchd.telemetry.health import Health


class _Application(Starlette):
    """Starlette, which leaves what is mounted to itself: it makes its own errors, and needs no middleware."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http":
            for route in self.routes:
                if isinstance(route, Mount) and scope["path"].startswith(f"{route.path}/"):
                    await route.app(scope, receive, send)
                    return
        await super().__call__(scope, receive, send)


def make_app(health: Health, registry: CollectorRegistry, more: Sequence[BaseRoute] = ()) -> Starlette:
    """Return the application over what the daemon knows of itself, and more routes beside it."""

    async def index(_: Request) -> Response:
        clusters, sinks = _clusters(health), _sinks(health)
        text = await anyio.to_thread.run_sync(partial(_page, clusters=clusters, sinks=sinks))
        return HTMLResponse(text, headers=render.HEADERS)

    async def metrics(request: Request) -> Response:
        # Rendering thousands of series takes tens of milliseconds, so it is done off the event loop.
        accept = request.headers.get("accept", "")
        text, content_type = await anyio.to_thread.run_sync(exposition, registry, accept)
        return Response(text, media_type=content_type, headers=render.HEADERS)

    async def healthy(_: Request) -> Response:
        return PlainTextResponse("slurmwatchd is alive.\n", headers=render.HEADERS)

    async def ready(_: Request) -> Response:
        reasons = health.not_ready()
        if reasons:
            text = "".join(f"{reason}\n" for reason in reasons)
            return PlainTextResponse(text, status_code=503, headers=render.HEADERS)
        return PlainTextResponse("slurmwatchd is ready.\n", headers=render.HEADERS)

    async def state(_: Request) -> Response:
        return Response(status(health), media_type="application/json", headers=render.HEADERS)

    return _Application(
        routes=[
            Route("/", index),
            Route("/metrics", metrics),
            Route("/-/healthy", healthy),
            Route("/-/ready", ready),
            Route("/-/status", state),
            *more,
        ]
    )


_Row = tuple[str, int, int | str, str]


def _page(*, clusters: Sequence[_Row], sinks: Sequence[_Row]) -> bytes:
    return render.page("home.html", clusters=clusters, sinks=sinks)


def _clusters(health: Health) -> list[_Row]:
    return [
        (
            name,
            entry.new,
            rfc3339(entry.watermark) if entry.answered else "",
            entry.trouble or ("" if entry.answered else "first query"),
        )
        for name, entry in health.clusters.items()
    ]


def _sinks(health: Health) -> list[_Row]:
    return [(name, entry.delivered, entry.seq, entry.error) for name, entry in health.sinks.items()]
