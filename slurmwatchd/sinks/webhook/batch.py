"""The events of one write as requests, each of which is formed while the one before is with the receiver."""

from collections.abc import Sequence
from time import perf_counter

from anyio.lowlevel import checkpoint

from slurmwatchd.model.records import Event
from slurmwatchd.sinks.forms.form import EventForm
from slurmwatchd.sinks.webhook.options import HttpOptions
from slurmwatchd.sinks.webhook.request import Request, fitting, request_of

AT_ONCE = 25
"""So many events are formed before a look at the clock: some lines cost a hundred times as much as others."""

TURN_SECONDS = 0.001
"""For so long they are formed before the event loop turns to others; with each turn, a thread that computes takes
Python's lock."""


class Batch:
    """Events in order, of which the first so many are formed.

    They are formed on the event loop: while a receiver works there is nothing else to do, and a thread would wait
    for Python's lock just when the loop has to send.
    """

    def __init__(self, events: Sequence[Event], form: EventForm, options: HttpOptions) -> None:
        """Take events; none is formed yet."""
        self.events = events
        self._form = form
        self._options = options
        self._lines: list[bytes] = []
        self._ready: Request | None = None

    async def prepare(self, begin: int) -> None:
        """Form the request that begins with an event, as long as it may be; none behind the last."""
        most = min(len(self.events), begin + self._options.max_events)
        if begin < most and (self._ready is None or self._ready.begin != begin):
            await self._form_until(most)
            count = fitting(self._lines[begin:most], self._options.max_body_bytes)
            self._ready = self.part(begin, begin + count)

    async def request(self, begin: int, count: int = 0) -> Request:
        """Return the request that begins with an event, which there must be.

        Args:
            begin: Its position, from 0.
            count: How many events the request has; 0: as many as it may have.
        """
        if count:
            await self._form_until(begin + count)
            return self.part(begin, begin + count)
        await self.prepare(begin)
        ready, self._ready = self._ready, None
        # It was just prepared: `begin` is within the events.
        assert ready is not None  # noqa: S101 - for mypy
        return ready

    def part(self, begin: int, end: int) -> Request:
        """Return events that are formed as one request."""
        identities = [event.id for event in self.events[begin:end]]
        return request_of(identities, self._lines[begin:end], self._options, begin)

    async def _form_until(self, end: int) -> None:
        began = perf_counter()
        while (begin := len(self._lines)) < end:
            if perf_counter() - began >= TURN_SECONDS:
                await checkpoint()
                began = perf_counter()
            self._lines += self._form.lines(self.events[begin : min(begin + AT_ONCE, end)])
