"""Posting by httpx: the only module that imports it."""

import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager

import anyio
import httpx

from slurmwatchd.errors import SinkError
from slurmwatchd.sinks.tls import client_context
from slurmwatchd.sinks.webhook.answer import HttpAnswer
from slurmwatchd.sinks.webhook.options import HttpOptions
from slurmwatchd.sinks.webhook.request import Sent

MAX_ANSWER_BYTES = 10_000
"""More of an answer is not read: the sink reports only its first words."""


class HttpxClient:
    """Connections to one URL."""

    def __init__(self, options: HttpOptions, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """Read the certificates; it connects when something is posted.

        Args:
            options: What to know of the server.
            transport: For tests that need no server.

        Raises:
            SinkError: A certificate cannot be read.
        """
        self._url = options.url
        self._timeout = options.timeout
        self._client = httpx.AsyncClient(
            verify=_context(options),
            timeout=options.timeout,
            transport=transport,
            headers={"User-Agent": "slurmwatchd"},
        )

    async def post(self, body: bytes, headers: Mapping[str, str], sent: Sent) -> HttpAnswer:
        """Post a body.

        Args:
            body: All of it.
            headers: What stands before it, besides what every request has.
            sent: What to do once all of it is on its way and only the answer is missing.

        Raises:
            SinkError: There was no answer.
        """
        headers = {**headers, "Content-Length": str(len(body))}
        content = _body(body, sent)
        with self._errors_named():
            async with self._client.stream("POST", self._url, content=content, headers=headers) as answer:
                text = b""
                async for chunk in answer.aiter_raw():
                    text += chunk
                    if len(text) >= MAX_ANSWER_BYTES:
                        break
        return HttpAnswer(answer.status_code, answer.headers, text.decode(errors="replace"))

    async def ask(self) -> int:
        """Ask what the URL takes, and return the answer's status: that sends no event.

        Raises:
            SinkError: There was no answer.
        """
        with self._errors_named():
            # The status is all: what an answer says besides may have no end.
            async with self._client.stream("OPTIONS", self._url) as answer:
                return answer.status_code

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        """Bound the time of a request, and say what went wrong with it."""
        try:
            # The client's own limits are for each step, not for the whole.
            with anyio.fail_after(self._timeout):
                yield
        except TimeoutError as error:
            raise SinkError(f"no answer within {self._timeout:g} s") from error
        except httpx.HTTPError as error:
            raise SinkError(str(error) or type(error).__name__) from error


async def _body(body: bytes, sent: Sent) -> AsyncIterator[bytes]:
    yield body
    # It asks for more once the system has taken all of this.
    await sent()


def _context(options: HttpOptions) -> ssl.SSLContext:
    try:
        return client_context(options)
    except OSError as error:
        raise SinkError(f"certificates: {error}") from error
