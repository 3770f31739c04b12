"""The requests that some events become, one after the other: the next is formed while one is on its way.

Where they are cut depends on the events alone, and on where the first one begins, not on how many are formed.
"""

from collections.abc import Sequence
from typing import NamedTuple

from slurmwatchd.model.records import Event
from slurmwatchd.sinks.forms.form import EventForm, WrittenEvent
from slurmwatchd.sinks.webhook.options import HttpOptions
from slurmwatchd.sinks.webhook.request import Request, pieces, request_of

FORMED_AT_ONCE = 500


class Outgoing(NamedTuple):
    """A request, and the events that it has."""

    written: Sequence[WrittenEvent]
    request: Request


class UpcomingRequests:
    """The events of one write. One thread at a time may ask it; what it has formed once it keeps."""

    def __init__(self, events: Sequence[Event], form: EventForm, options: HttpOptions) -> None:
        """Take events; none is formed yet."""
        self.events = events
        self._form = form
        self._options = options
        self._written: list[WrittenEvent] = []

    def written(self, count: int | None = None) -> Sequence[WrittenEvent]:
        """Return the events as they are written: at least so many from the first, or all.

        Raises:
            SinkError: The key of their pseudonyms cannot be read.
        """
        wanted = len(self.events) if count is None else min(count, len(self.events))
        formed = len(self._written)
        if wanted > formed:
            until = max(wanted, formed + FORMED_AT_ONCE)
            self._written += self._form.written(self.events[formed:until])
        return self._written

    def after(self, safe: int, begun: int = 0) -> Outgoing | None:
        """Return the request behind so many events; None where that are all.

        Args:
            safe: How many events, from the first, need no request any more.
            begun: How many events it has; 0: as many as it may have.

        Raises:
            SinkError: As `written`.
        """
        if safe >= len(self.events):
            return None
        events, size = self._options.max_events, self._options.max_body_bytes
        end = safe + (begun or events)
        some = self.written(end)[safe:end]
        piece = some if begun else next(pieces(some, events=events, size=size))
        return Outgoing(piece, request_of(piece, self._options))
