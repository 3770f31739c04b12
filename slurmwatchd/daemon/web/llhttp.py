"""A connection that llhttp parses, by httptools: quick, and without limits of its own."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from slurmwatchd.daemon.web.connection import MAX_AHEAD, MAX_HEAD_BYTES, Connection


class _TooFarAheadError(Exception):
    """A client has sent too many requests before it has an answer; llhttp makes a refusal of it."""


class LlhttpConnection(Connection, HttpToolsProtocol):
    """A connection whose parser sets no limit to heads and trailers, and does not tell them apart."""

    _head_bytes: int | None = 0
    """How much came before the head, or what stands behind the last chunk, was whole; None while it is."""

    _in_head = True

    def data_received(self, data: bytes) -> None:
        """Refuse a head that is too large."""
        if self._head_bytes is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if (self._head_bytes or 0) > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The request's head is too large.")

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._in_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Leave out trailers: uvicorn adds them to the headers, and a trusted proxy looks at headers only."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Stop to count bytes, and refuse what would only wait."""
        self._head_bytes, self._in_head = None, False
        super().on_headers_complete()
        if len(self.pipeline) > MAX_AHEAD:
            raise _TooFarAheadError

    def on_chunk_header(self) -> None:
        """Count the bytes of trailers, which begin here where no body follows."""
        self._head_bytes = 0

    def on_body(self, body: bytes) -> None:
        """Stop to count bytes."""
        self._head_bytes = None
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Count the bytes of the next head."""
        self._head_bytes = 0
        super().on_message_complete()
