"""Answers on the wire: JSON, gzip, ETag, and streams that end when the client goes."""

import hashlib
import zlib
from collections.abc import AsyncIterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import anyio
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from slurmwatchd.daemon.web.api.problems import ProblemError
from slurmwatchd.telemetry.log import get_logger

HEADERS = {
    # Whose token it is decides what is in it: no cache between may keep it.
    "Cache-Control": "private, no-cache",
    "Vary": "Accept-Encoding, Authorization",
    "X-Content-Type-Options": "nosniff",
}

MAX_PAGE_BYTES = 1 << 20
"""A page that would be longer ends earlier."""

_WORTH_BYTES = 1024
_LEVEL = 5
_GZIP = 16 + zlib.MAX_WBITS

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A body as it is sent, made in a worker thread."""

    body: bytes
    etag: str
    is_gzip: bool


def prepared(value: object, *, gzip: bool) -> Prepared:
    """Write a value as JSON, and pack it where the client takes that and it is worth it."""
    body = value if isinstance(value, bytes) else orjson.dumps(value)
    etag = f'W/"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
    if not gzip or len(body) < _WORTH_BYTES:
        return Prepared(body, etag, is_gzip=False)
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    return Prepared(packer.compress(body) + packer.flush(), etag, is_gzip=True)


def response(request: Request, answer: Prepared) -> Response:
    """Return the answer, or that the client has it already."""
    headers = {**HEADERS, "ETag": answer.etag}
    known = {tag.strip() for tag in request.headers.get("if-none-match", "").split(",")}
    if answer.etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    if answer.is_gzip:
        headers["Content-Encoding"] = "gzip"
    return Response(answer.body, headers=headers, media_type="application/json")


def takes_gzip(request: Request) -> bool:
    """Tell whether the client takes gzip."""
    for part in request.headers.get("accept-encoding", "").split(","):
        name, *parameters = (word.strip().lower() for word in part.split(";"))
        if name in {"gzip", "x-gzip", "*"}:
            return not any(word.replace(" ", "") in {"q=0", "q=0.0", "q=0.00", "q=0.000"} for word in parameters)
    return False


async def until_gone(receive: Receive) -> None:
    """Wait until the client has gone. What it still sends is thrown away."""
    while (await receive())["type"] != "http.disconnect":
        pass


class BodyStream(Response):
    """A body of parts, as they come; it ends when the client goes."""

    def __init__(
        self, parts: AsyncIterator[bytes], media_type: str, *, gzip: bool, headers: Mapping[str, str] | None = None
    ) -> None:
        """Prepare to send parts."""
        more = {"Content-Encoding": "gzip"} if gzip else {}
        super().__init__(headers={**HEADERS, **more, **(headers or {})}, media_type=media_type)
        del self.headers["content-length"]
        self._parts = parts
        self._packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP) if gzip else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them. An error half-way ends the connection without the end of the body, so that it shows."""
        async with anyio.create_task_group() as group:

            async def watch() -> None:
                await until_gone(receive)
                group.cancel_scope.cancel()

            group.start_soon(watch)
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            try:
                if scope["method"] != "HEAD":
                    async for part in self._parts:
                        await self._send(send, part if self._packer is None else self._packer.compress(part))
            except ProblemError as problem:
                _log.warning("an answer was torn off", path=scope["path"], error=problem.detail)
            else:
                end = b"" if self._packer is None or scope["method"] == "HEAD" else self._packer.flush()
                await send({"type": "http.response.body", "body": end, "more_body": False})
            group.cancel_scope.cancel()

    @staticmethod
    async def _send(send: Send, body: bytes) -> None:
        if body:
            message: MutableMapping[str, Any] = {"type": "http.response.body", "body": body, "more_body": True}
            await send(message)
