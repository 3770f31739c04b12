"""The pages: `/`, `/metrics` and those below `/-/`. None of them asks the store or Slurm anything; `api/` does."""

from collections.abc import Callable, Sequence
from html import escape

import anyio.to_thread
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from slurmwatchd._version import __version__
from slurmwatchd.daemon.web.status import status
from slurmwatchd.model.clock import rfc3339
from slurmwatchd.telemetry.health import Health

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>slurmwatchd</title>
<style>
 body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
 table {{ border-collapse: collapse; width: 100%; margin: 1rem 0; }}
 th, td {{ text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884; vertical-align: top; }}
 td {{ overflow-wrap: anywhere; }}
 td:nth-child(3) {{ white-space: nowrap; }}
 .bad {{ color: #b00020; }}
 @media (prefers-color-scheme: dark) {{
  body {{ background: #111; color: #ddd; }}
  a {{ color: #8bf; }}
  .bad {{ color: #f88; }}
 }}
</style>
<h1>slurmwatchd {version}</h1>
<p>Detects every finished Slurm job and delivers it exactly once.</p>
<p><a href="/metrics">Metrics</a> · <a href="/-/healthy">Healthy</a> · <a href="/-/ready">Ready</a>
 · <a href="/-/status">Status</a> · <a href="/api/v1/openapi.json">API</a></p>
<h2>Clusters</h2>
<table>
<thead><tr><th>Cluster<th>Ended since the start<th>Read up to<th>State</thead>
<tbody>{clusters}</tbody>
</table>
<h2>Sinks</h2>
<table>
<thead><tr><th>Sink<th>Events since the start<th>Position<th>State</thead>
<tbody>{sinks}</tbody>
</table>
</html>
"""

# Nothing on these pages is script; say so, in case something hostile ever gets past the escaping.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def make_app(health: Health, registry: CollectorRegistry, more: Sequence[BaseRoute] = ()) -> Starlette:
    """Return the application over what the daemon knows of itself, and more routes beside it."""

    async def index(_: Request) -> Response:
        return HTMLResponse(_page(health), headers=_HEADERS)

    async def metrics(request: Request) -> Response:
        encode, content_type = _encoder(request.headers.get("accept", ""))
        # Rendering thousands of series takes tens of milliseconds, so it is done off the event loop.
        text = await anyio.to_thread.run_sync(encode, registry)
        return Response(text, media_type=content_type, headers=_HEADERS)

    async def healthy(_: Request) -> Response:
        return PlainTextResponse("slurmwatchd is alive.\n", headers=_HEADERS)

    async def ready(_: Request) -> Response:
        reasons = health.not_ready()
        if reasons:
            text = "".join(f"{reason}\n" for reason in reasons)
            return PlainTextResponse(text, status_code=503, headers=_HEADERS)
        return PlainTextResponse("slurmwatchd is ready.\n", headers=_HEADERS)

    async def state(_: Request) -> Response:
        return Response(status(health), media_type="application/json", headers=_HEADERS)

    return Starlette(
        routes=[
            Route("/", index),
            Route("/metrics", metrics),
            Route("/-/healthy", healthy),
            Route("/-/ready", ready),
            Route("/-/status", state),
            *more,
        ]
    )


def _encoder(accept: str) -> tuple[Callable[[CollectorRegistry], bytes], str]:
    """Return what writes the metrics as a scraper wants them, and what that is called."""
    try:
        return choose_encoder(accept)
    except (TypeError, ValueError):
        # A version that is no number is not to be had, like any other form that nobody writes.
        return choose_encoder("")


def _page(health: Health) -> str:
    clusters = [
        _row(
            name,
            entry.new,
            rfc3339(entry.watermark) if entry.answered else "",
            error=entry.trouble or _waiting(entry.answered),
        )
        for name, entry in health.clusters.items()
    ]
    sinks = [_row(name, entry.delivered, entry.seq, error=entry.error) for name, entry in health.sinks.items()]
    return _PAGE.format(version=escape(__version__), clusters="".join(clusters), sinks="".join(sinks))


def _waiting(answered: bool) -> str:  # noqa: FBT001 - one value
    return "" if answered else "first query"


def _row(*cells: object, error: str) -> str:
    row = "".join(f"<td>{escape(str(cell))}" for cell in cells)
    state = f'<td class="bad">{escape(error)}' if error else "<td>ok"
    return f"<tr>{row}{state}</tr>"
