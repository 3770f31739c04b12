"""A connection to a stream, by nats-py: the only module that imports it.

Nothing is sent again by the library itself: what it would send after a reconnect overtakes what was on its way. A
connection that was lost is given up, and the sink makes a new one.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import anyio
import nats.errors
import nats.js.errors
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext, api

from slurmwatchd.errors import SinkError, SinkFullError
from slurmwatchd.sinks.credentials import credential_path, read_credential
from slurmwatchd.sinks.nats.options import NatsOptions
from slurmwatchd.sinks.nats.stream import StreamMessage
from slurmwatchd.sinks.nats.subjects import Subjects
from slurmwatchd.sinks.tls import client_context
from slurmwatchd.telemetry.log import get_logger

CONNECT_SECONDS = 120.0
"""After so long the servers that are left are not tried: who waits longer looks as if it were stuck."""

SHORT_WINDOW = 120.0
"""A stream that forgets ids sooner is worth a warning: a delivery is tried again after up to a minute."""

_FULL = (10077, 10023, 10047)
"""Codes of JetStream: a limit of the stream is reached, or one of the account or the server."""
_NO_RESPONDERS = "503"
_BATCH = 500

_log = get_logger(__name__)

_HALF_OPEN = "returning true from eof_received()"


def _is_news(record: logging.LogRecord) -> bool:
    """Return whether a line of asyncio's says anything: nats-py makes it warn whenever a TLS connection ends."""
    return not str(record.msg).startswith(_HALF_OPEN)


logging.getLogger("asyncio").addFilter(_is_news)


class JetStream:
    """See `stream.Stream`."""

    def __init__(self, client: Client, options: NatsOptions, lost: "asyncio.Future[SinkError]") -> None:
        """Take a client that is connected; `find` looks for the stream."""
        self._client = client
        self._options = options
        self._lost = lost
        self._js: JetStreamContext = client.jetstream(timeout=options.timeout)
        self._inbox = client.new_inbox()
        self._sent = 0
        self._open: dict[str, asyncio.Future[bytes]] = {}
        self._filter = Subjects(options.subject).filter
        self.created = ""
        self.warning = ""
        self.first_seq = 0
        self.last_seq = 0
        self.max_bytes = client.max_payload

    async def find(self, *, make: bool = True) -> None:
        """Find the stream, or make it where that is wanted, and see that it is fit to be used."""
        name = self._options.stream
        try:
            info = await self._js.stream_info(name)
        except nats.js.errors.NotFoundError:
            if not self._options.create:
                raise SinkError(f"there is no stream {name} on the server, and create is false") from None
            if not make:
                return
            info = await self._made()
        config = info.config
        window = config.duplicate_window or 0
        if config.no_ack:
            raise SinkError(f"stream {name}: it acknowledges nothing (no_ack)")
        if not window:
            raise SinkError(f"stream {name}: it knows no id again (it has sources, and no duplicate_window)")
        if window < SHORT_WINDOW:
            self.warning = f"stream {name} forgets ids after {window:g} s: others may find a message twice"
        self.created = str(info.created)
        self.first_seq, self.last_seq = info.state.first_seq, info.state.last_seq
        if config.max_msg_size is not None and config.max_msg_size > 0:
            self.max_bytes = min(self.max_bytes, config.max_msg_size)

    async def _made(self) -> api.StreamInfo:
        options = self._options
        info = await self._js.add_stream(
            api.StreamConfig(
                name=options.stream,
                subjects=[self._filter],
                storage=api.StorageType.FILE,
                num_replicas=options.replicas,
                duplicate_window=options.duplicate_window,
            )
        )
        _log.info("stream made", stream=options.stream, subjects=self._filter)
        return info

    async def listen(self) -> None:
        """Receive the acknowledgements of what will be sent.

        The library's own `publish_async` costs three times as much as sending a message.
        """
        await self._client.subscribe(f"{self._inbox}.*", cb=self._answered)

    async def _answered(self, message: Msg) -> None:
        future = self._open.pop(message.subject.rpartition(".")[2], None)
        if future is None or future.done():
            return
        is_nobody = message.headers is not None and message.headers.get("Status") == _NO_RESPONDERS
        future.set_result(b"" if is_nobody else message.data)

    async def publish(self, subject: str, body: bytes, headers: Mapping[str, str]) -> "asyncio.Future[bytes]":
        """Send a message."""
        self._raise_if_lost()
        self._sent += 1
        token = str(self._sent)
        self._open[token] = future = asyncio.get_running_loop().create_future()
        try:
            await self._client.publish(
                subject,
                body,
                reply=f"{self._inbox}.{token}",
                headers={**headers, "Nats-Expected-Stream": self._options.stream},
            )
        except (nats.errors.Error, OSError) as error:
            raise _told(error) from error
        return future

    async def acknowledged(self, future: "asyncio.Future[bytes]") -> int:
        """Wait until a message is stored."""
        timeout = self._options.timeout
        if not future.done():
            await asyncio.wait((future, self._lost), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if not future.done():
            self._raise_if_lost()
            raise SinkError(f"no acknowledgement within {timeout:g} s")
        data = future.result()
        if not data:
            raise SinkError(f"no stream takes these subjects; {self._options.stream} should")
        answer = orjson.loads(data)
        if error := answer.get("error"):
            known = {name: error.get(name) for name in ("code", "err_code", "description")}
            raise _told(nats.js.errors.APIError(**known))
        return int(answer["seq"])

    def _raise_if_lost(self) -> None:
        if self._lost.done():
            reason = self._lost.result()
            raise type(reason)(str(reason))

    async def messages(self, first_seq: int, *, bodies: bool = False) -> AsyncIterator[list[StreamMessage]]:
        """Read from a position on."""
        subscription = await _asked(
            self._js.pull_subscribe(
                self._filter,
                stream=self._options.stream,
                config=api.ConsumerConfig(
                    deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE,
                    opt_start_seq=first_seq,
                    ack_policy=api.AckPolicy.NONE,
                    headers_only=not bodies,
                    inactive_threshold=60.0,
                    mem_storage=True,
                ),
            )
        )
        left = (await _asked(subscription.consumer_info())).num_pending
        while left:
            found = await _asked(subscription.fetch(min(_BATCH, left), timeout=self._options.timeout))
            left = found[-1].metadata.num_pending
            reached = found[-1].metadata.sequence.stream
            yield [
                StreamMessage(
                    seq=message.metadata.sequence.stream,
                    id=(message.headers or {}).get("Nats-Msg-Id", ""),
                    body=message.data,
                )
                for message in found
            ]
            if reached >= self.last_seq:
                break
        await _asked(subscription.unsubscribe())

    async def close(self) -> None:
        """Hang up; what is on its way is given up."""
        with anyio.move_on_after(self._options.timeout):
            await self._client.close()


async def connect(options: NatsOptions, *, make: bool = True) -> JetStream:
    """Connect to the first server that answers, and find the stream.

    Args:
        options: Where, and which.
        make: Whether a stream that is missing is made, if the options have it so; else nothing is known of it.

    Raises:
        SinkError: No server answers, or the stream cannot be used.
    """
    failures = []
    began = time.monotonic()
    for server in options.servers:
        if time.monotonic() - began > CONNECT_SECONDS:
            break
        # The first error says why; what follows from it does not.
        lost: asyncio.Future[SinkError] = asyncio.get_running_loop().create_future()
        client: Client | None = None
        try:
            secrets = _secrets(options)
            client = Client()
            with anyio.fail_after(options.timeout):
                await client.connect(
                    server,
                    name="slurmwatchd",
                    allow_reconnect=False,
                    connect_timeout=options.timeout,
                    # A server that is not there would be knocked at until the time is up, and the next one would
                    # have to wait: this is the least that the library does.
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    **_listening(lost),
                    **secrets,
                )
                stream = JetStream(client, options, lost)
                await _asked(stream.find(make=make))
                await _asked(stream.listen())
        except (nats.errors.Error, SinkError, OSError, TimeoutError, ValueError) as error:
            is_empty = isinstance(error, TimeoutError | nats.errors.NoServersError)
            told = lost.result() if lost.done() and is_empty else _told(error)
            failures.append(f"{_host(server)}: {told}")
            await _give_up(client)
        except BaseException:
            await _give_up(client)
            raise
        else:
            return stream
    raise SinkError("; ".join(failures))


async def _give_up(client: Client | None) -> None:
    # One that never tried to connect refuses to be closed.
    if client is None:
        return
    with anyio.CancelScope(shield=True), anyio.move_on_after(1):
        await client.close()


def _listening(lost: "asyncio.Future[SinkError]") -> dict[str, Any]:
    """Return callbacks that note the first reason why a connection is of no use any more."""

    def note(error: SinkError) -> None:
        if not lost.done():
            lost.set_result(error)

    async def on_error(error: Exception) -> None:
        # Refusals of single messages come this way, too: the library raises them where no one can catch them.
        note(_told(error))

    async def on_end() -> None:
        note(SinkError("the connection was closed by the server"))

    return {"error_cb": on_error, "disconnected_cb": on_end, "closed_cb": on_end}


def _secrets(options: NatsOptions) -> dict[str, Any]:
    """Return what proves who we are, read again for each connection: certificates are renewed."""
    found: dict[str, Any] = {}
    for option in ("credentials_file", "nkey_file"):
        if text := getattr(options, option):
            # The library reads it only if the server asks, and its error then names no file.
            read_credential(option, text)
    if options.credentials_file:
        found["user_credentials"] = str(credential_path(options.credentials_file))
    if options.nkey_file:
        found["nkeys_seed"] = str(credential_path(options.nkey_file))
    if options.tls_ca_file or options.tls_certificate_file:
        found["tls"] = client_context(options)
    return found


async def _asked(question: Any) -> Any:  # noqa: ANN401 - whatever the library answers
    """Await an answer; what the library raises becomes an error of ours."""
    try:
        return await question
    except nats.js.errors.NotFoundError:
        raise
    except nats.errors.Error as error:
        raise _told(error) from error


def _told(error: BaseException) -> SinkError:
    """Return an error of the library as one of ours."""
    if isinstance(error, SinkError):
        return error
    if isinstance(error, nats.js.errors.APIError):
        text = f"JetStream: {error.description} ({error.err_code})"
        return SinkFullError(text) if error.err_code in _FULL else SinkError(text)
    if isinstance(error, nats.errors.NoRespondersError):
        return SinkError("the server does not answer for JetStream: it is off, or not allowed for this user")
    return SinkError(str(error).removeprefix("nats: ") or type(error).__name__)


def _host(server: str) -> str:
    """Return a server's name and port, without the password that its URL may hold."""
    parts = urlsplit(server)
    return parts.netloc.rpartition("@")[2]
