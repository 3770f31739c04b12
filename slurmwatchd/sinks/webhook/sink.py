"""Events posted to a URL, in order, and what becomes of each answer.

A good answer: the events are safe. A refusal of many: they are sent in halves until it is known which of them is
refused. A refusal of one: it comes again with the usual pauses, and is set aside when it was refused often enough.
Anything else: nothing is known, and the same request comes again, with the same key.
"""

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

import anyio
import anyio.to_thread
import orjson
from anyio.lowlevel import checkpoint

from slurmwatchd.errors import SinkError
from slurmwatchd.model.records import Event
from slurmwatchd.sinks.base import Sink
from slurmwatchd.sinks.forms.form import EventForm
from slurmwatchd.sinks.webhook.answer import HttpAnswer
from slurmwatchd.sinks.webhook.batch import Batch
from slurmwatchd.sinks.webhook.chat import message
from slurmwatchd.sinks.webhook.options import HttpOptions
from slurmwatchd.sinks.webhook.request import Request, Sent, named, signature
from slurmwatchd.sinks.webhook.secrets import read_secrets
from slurmwatchd.telemetry.log import get_logger
from slurmwatchd.telemetry.metrics import Metrics

KEPT_ASIDE = 100
"""The state names so many of the events set aside last."""

_STATE_KEY = "aside"
_MESSAGE = "message"
"""Under this the refusals of messages for people are counted, which have no id."""

_log = get_logger(__name__)


class Client(Protocol):
    """Posts to one URL."""

    async def post(self, body: bytes, headers: Mapping[str, str], sent: Sent) -> HttpAnswer:
        """Post a body, and call `sent` before the answer is waited for; raise `SinkError` where there is none."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


def _httpx(options: HttpOptions) -> Client:
    # Only who has such a sink needs the library.
    from slurmwatchd.sinks.webhook.client import HttpxClient  # noqa: PLC0415

    return HttpxClient(options)


class HttpSink(Sink):
    """One URL."""

    def __init__(
        self,
        name: str,
        options: HttpOptions,
        metrics: Metrics,
        *,
        client: Callable[[HttpOptions], Client] = _httpx,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        """Prepare; nothing is opened."""
        self._name = name
        self._options = options
        self._where = options.server
        self._set_aside = metrics.set_aside.labels(name)
        self._make_client = client
        self._now = now
        self._sleep = sleep
        self._form = EventForm(name, options)
        self._client: Client | None = None
        self._secrets: dict[str, bytes] = {}
        self._refused: Counter[str] = Counter()
        self._aside: list[dict[str, object]] = []
        self._saved = self._aside
        # How many events the request had that no one answered: it comes again as it was, with the same key.
        self._begun = 0
        self._spoke = 0.0
        self._ahead = self._nothing = Batch((), self._form, options)

    async def open(self, state: Mapping[str, bytes]) -> None:
        """Read the secrets, and what was set aside."""
        await anyio.to_thread.run_sync(self._form.prepare)
        self._aside = self._saved = orjson.loads(state[_STATE_KEY]) if _STATE_KEY in state else []

    async def write(self, events: Sequence[Event]) -> Mapping[str, bytes]:
        """Post events until all are with the receiver, or set aside."""
        client = self._client
        if client is None:
            self._secrets = await anyio.to_thread.run_sync(read_secrets, self._options)
            # It reads the system's certificates: that takes a tenth of a second, which no other sink waits for.
            client = self._client = await anyio.to_thread.run_sync(self._make_client, self._options)
        batch = self._ahead if self._ahead.events is events else Batch(events, self._form, self._options)
        self._ahead = self._nothing
        try:
            if self._options.chat:
                await self._speak(client, events)
            else:
                await self._post_all(client, batch)
        except SinkError:
            # They come again: a receiver that is away shall cost no more than asking for it.
            self._ahead = batch
            raise
        return {} if self._aside is self._saved else {_STATE_KEY: orjson.dumps(self._aside)}

    async def expect(self, events: Sequence[Event]) -> None:
        """Form the first of the next requests while the receiver works on those before, or the cursor moves."""
        self._ahead = Batch(events, self._form, self._options)
        if not self._options.chat:
            await self._ahead.prepare(0)

    def committed(self) -> None:
        """Forget refusals of events that do not come again."""
        self._refused.clear()
        self._saved = self._aside

    async def reopen(self) -> None:
        """Read secrets and certificates again, and connect again, at the next write."""
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _post_all(self, client: Client, batch: Batch) -> None:
        """Post events, request by request.

        Raises:
            SinkError: Not all are safe; `written` says how many are, from the first.
        """
        safe = 0
        begun, self._begun = self._begun, 0
        if begun > len(batch.events):
            begun = 0
        try:
            while safe < len(batch.events):
                request = await batch.request(safe, begun)
                begun = 0
                # What is behind it is formed once, however often it is halved.
                prepare = partial(batch.prepare, safe + request.count)
                safe += await self._post(client, batch, request, prepare)
        except SinkError as error:
            error.written += safe
            raise

    async def _post(self, client: Client, batch: Batch, request: Request, sent: Sent) -> int:
        """Post one request, in halves where it is refused; return how many events it had.

        Raises:
            SinkError: They are not all safe.
        """
        begin, end = request.begin, request.begin + request.count
        answer = await self._answer(client, request, sent)
        if answer.is_good:
            return request.count
        if request.count == 1:
            self._refuse(batch.events[begin], answer)
            return 1
        middle = begin + request.count // 2
        done = await self._post(client, batch, batch.part(begin, middle), sent)
        try:
            return done + await self._post(client, batch, batch.part(middle, end), sent)
        except SinkError as error:
            error.written += done
            raise

    async def _answer(self, client: Client, request: Request, sent: Sent) -> HttpAnswer:
        """Return an answer that is good, or is about the events.

        Raises:
            SinkError: There is none.
        """
        headers = dict(request.headers)
        if "token" in self._secrets:
            headers["Authorization"] = f"Bearer {self._secrets['token'].decode()}"
        if "key" in self._secrets:
            headers |= signature(self._secrets["key"], request, int(self._now()))
        try:
            answer = await client.post(request.body, headers, sent)
        except SinkError as error:
            self._begun = request.count
            # The next one reads the certificates again: they may have been renewed.
            await self.close()
            raise SinkError(f"{self._where}: {error}") from error
        if not (answer.is_good or answer.is_refusal):
            self._begun = request.count
            failure = SinkError(f"{self._where}: {answer.told()}")
            failure.retry_after = answer.retry_after(self._now())
            raise failure
        return answer

    def _refuse(self, event: Event, answer: HttpAnswer) -> None:
        """Count the refusal of one event; after so many it is set aside.

        Raises:
            SinkError: It is to come again.
        """
        identity = event.id
        self._refused[identity] += 1
        if self._refused[identity] < self._options.refusals:
            # It comes by itself next time.
            self._begun = 1
            raise SinkError(f"{self._where}: event {identity} is refused: {answer.told()}")
        fields = self._form.written([event])[0].fields
        told = {name: fields[name] for name in ("id", "cluster", "job_id")}
        reason = answer.told()
        _log.error("event set aside", sink=self._name, **told, kind=fields["event"], reason=reason)
        entry = {**told, "event": fields["event"], "reason": reason}
        self._aside = [*self._aside, entry][-KEPT_ASIDE:]
        self._set_aside.inc()
        del self._refused[identity]

    async def _speak(self, client: Client, events: Sequence[Event]) -> None:
        """Post one message about events, when it is time for another.

        Raises:
            SinkError: It did not arrive.
        """
        wait = self._spoke + self._options.chat_every - self._now()
        if self._spoke and 0 < wait <= self._options.chat_every:
            await self._sleep(wait)
        written = await anyio.to_thread.run_sync(self._form.written, events[: self._options.chat_lines])
        body = message(written, more=len(events) - len(written), chat=self._options.chat)
        request = named([event.id for event in events], body, "application/json")
        answer = await self._answer(client, request, checkpoint)
        if not answer.is_good:
            self._refused[_MESSAGE] += 1
            if self._refused[_MESSAGE] < self._options.refusals:
                raise SinkError(f"{self._where}: a message is refused: {answer.told()}")
            _log.error("message set aside", sink=self._name, events=len(events), reason=answer.told())
            self._set_aside.inc(len(events))
        self._spoke = self._now()
