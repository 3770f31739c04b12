"""`events`: what was reported after a place, at once, by waiting for it, or as a stream that goes on."""

from collections.abc import AsyncIterator, Sequence
from functools import partial

import anyio
from starlette.responses import Response

from slurmwatchd.config.api_tokens import ScopeKind
from slurmwatchd.daemon.web.api import answers
from slurmwatchd.daemon.web.api.answers import MAX_PAGE_BYTES, BodyStream
from slurmwatchd.daemon.web.api.calls import CLIENT_GONE, Call
from slurmwatchd.daemon.web.api.parameters import EventsQuery
from slurmwatchd.daemon.web.api.problems import ProblemError
from slurmwatchd.daemon.web.api.questions import Asking
from slurmwatchd.daemon.web.api.sight import Sight

STREAM_TYPE = "text/event-stream"

_KIND = b"v"
_LOOK_SECONDS = 5.0
"""At the latest after so long the store is looked at, whoever wrote into it."""

_COMMENT_SECONDS = 15.0
"""A stream says that it is there at least so often; proxies end what is silent for a minute."""

_MAX_SEQ = (1 << 63) - 1
_BATCH = 50

Page = tuple[list[tuple[int, bytes]], int]


async def events(call: Call[EventsQuery]) -> Response:
    """Answer `events`."""
    is_stream = STREAM_TYPE in call.request.headers.get("accept", "")
    resumed = call.request.headers.get("last-event-id") if is_stream else None
    if (is_stream or call.query.wait) and call.behind.news.is_crowded:
        raise ProblemError(503, "Too many wait for events; ask again later.", headers={"Retry-After": "10"})
    after = await _place(call, resumed or call.query.after, "Last-Event-ID" if resumed else "after")
    if is_stream:
        return BodyStream(_stream(call, after), STREAM_TYPE, gzip=False, headers={"X-Accel-Buffering": "no"})
    page = await call.while_there(lambda: _waited(call, after))
    if page is None:
        return Response(status_code=CLIENT_GONE)
    lines, until = page
    body = b'{"events":[%b],"next":"%b"}' % (
        b",".join(line for _, line in lines),
        _cursor(call, until).encode(),
    )
    made = await anyio.to_thread.run_sync(partial(answers.prepared, body, gzip=answers.takes_gzip(call.request)))
    return answers.response(call.request, made)


async def _place(call: Call[EventsQuery], text: str, parameter: str) -> int:
    """Read where to begin."""
    if text == "oldest":
        return 0
    if text == "now":
        return await call.ask(lambda sight, _: sight.newest_event())
    if text.isascii() and text.isdigit():
        if call.caller.scope.kind is not ScopeKind.ALL:
            detail = f"{parameter}: this token takes `now`, `oldest` or the `next` of an answer, and no position"
            raise ProblemError(400, detail, parameter=parameter)
        return min(int(text[:20]), _MAX_SEQ)
    try:
        return call.behind.sealer.open(_KIND, text)[1]
    except ValueError as error:
        raise ProblemError(400, f"{parameter}: {error}", parameter=parameter) from None


def _cursor(call: Call[EventsQuery], seq: int) -> str:
    return str(seq) if call.caller.scope.kind is ScopeKind.ALL else call.cursor(_KIND, (0, seq), unlike=True)


async def _waited(call: Call[EventsQuery], after: int) -> Page:
    """Return the next events; where there are none, wait for some as long as is asked for."""
    news = call.behind.news
    bell = news.bell()
    found, until = await _next(call, after)
    if found or not call.query.wait:
        return found, until
    with news.waiting(), anyio.move_on_after(call.query.wait):
        while not found and not news.stopped:
            with anyio.move_on_after(_LOOK_SECONDS):
                await bell.wait()
            bell = news.bell()
            found, until = await _next(call, until)
    return found, until


async def _stream(call: Call[EventsQuery], after: int) -> AsyncIterator[bytes]:
    """Give events as they come, as server-sent events whose ids are places."""
    news = call.behind.news
    with news.waiting():
        yield b": slurmwatchd\nretry: 2000\n\n"
        silent = anyio.current_time()
        while not news.stopped:
            bell = news.bell()
            found, after = await _next(call, after)
            if found:
                yield b"".join(_sent(call, found))
                silent = anyio.current_time()
                continue
            with anyio.move_on_after(_LOOK_SECONDS):
                await bell.wait()
            if anyio.current_time() - silent >= _COMMENT_SECONDS:
                yield b": nothing new\n\n"
                silent = anyio.current_time()


def _sent(call: Call[EventsQuery], found: Sequence[tuple[int, bytes]]) -> list[bytes]:
    return [b"id: %b\ndata: %b\n\n" % (_cursor(call, seq).encode(), line) for seq, line in found]


async def _next(call: Call[EventsQuery], after: int) -> Page:
    def build(sight: Sight, asking: Asking) -> Page:
        lines: list[tuple[int, bytes]] = []
        size, until = 0, after
        while len(lines) < call.query.limit and size < MAX_PAGE_BYTES:
            asking.check()
            count = min(_BATCH, call.query.limit - len(lines))
            found, until = sight.events(until, count)
            lines += found
            size += sum(len(line) for _, line in found)
            if len(found) < count:
                break
        return lines, until

    return await call.ask(build)
