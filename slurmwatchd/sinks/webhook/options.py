"""The options of a sink of type `http`."""

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from slurmwatchd.config.settings import Duration
from slurmwatchd.sinks.base import BATCH_EVENTS
from slurmwatchd.sinks.credentials import check_key_pair
from slurmwatchd.sinks.extras import require
from slurmwatchd.sinks.forms.options import FormOptions

_WRITE_SECONDS = 240.0
"""A write that took longer would look like a loop that is stuck."""

Chat = Literal["", "slack", "mattermost", "teams"]


class HttpOptions(FormOptions):
    """A URL that events are posted to; needs the extra `http`.

    A request whose answer was lost comes again: at least once. Each event has its `id`, and a request that is
    repeated has the same `Idempotency-Key`.
    """

    type: Literal["http"]
    url: str
    """Where to post: `https://` or `http://`."""
    batch: Literal["ndjson", "array"] = "ndjson"
    """How the events of a request stand: one a line, or as a JSON array; with `format = "cloudevents"` an array is
    a CloudEvents batch."""
    max_events: int = Field(500, ge=1, le=2000)
    """A request has so many events at most."""
    max_body_bytes: int = Field(1_000_000, ge=4096, le=100_000_000)
    """A request is so long at most; a single event is never too long for that, see `max_line_bytes`."""
    timeout: Duration = Field(30.0, ge=0.1, le=120)
    """How long an answer may take."""
    refusals: int = Field(5, ge=1, le=100)
    """An event that is refused so often by itself (400, 413, 422) is set aside, named in the log and counted, and
    the next ones are sent."""
    bearer_token_file: str = ""
    """A file with a token for `Authorization: Bearer`: a path, or a credential of the unit."""
    signing_key_file: str = ""
    """A file with the key, at least 16 bytes, that requests are signed with as Standard Webhooks has it: the
    header `webhook-signature` is an HMAC-SHA256 of `webhook-id`, `webhook-timestamp` and the body."""
    tls_ca_file: str = ""
    """Certificates of the authorities that may have signed the server's, likewise; empty: the system's."""
    tls_certificate_file: str = ""
    """The daemon's own certificate, likewise, for servers that ask for one."""
    tls_key_file: str = ""
    """Its key, likewise."""
    chat: Chat = ""
    """Instead of events, messages for people, for the incoming webhooks of a chat."""
    chat_lines: int = Field(10, ge=1, le=50)
    """A message names at most so many events, and the number of the others."""
    chat_every: Duration = Field(60.0, ge=0, le=120)
    """There is one message in this time at most."""

    @property
    def server(self) -> str:
        """The server's name, and its port where the URL has one; the rest of a URL may be a secret."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    def batch_events(self) -> int:
        """Return as many as there is time for although each request takes as long as it may."""
        return min(BATCH_EVENTS, self.max_events * max(1, int(_WRITE_SECONDS // self.timeout)))

    @field_validator("type")
    @classmethod
    def _library(cls, value: str) -> str:
        require("httpx", "httpx", "http")
        return value

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("write https://HOST/PATH")
        return value

    @model_validator(mode="after")
    def _fits(self) -> "HttpOptions":
        check_key_pair(self)
        if self.max_line_bytes > self.max_body_bytes:
            raise ValueError("max_line_bytes must not be more than max_body_bytes")
        return self
