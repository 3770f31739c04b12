"""A request: some events as one body, what names it, and what proves who sent it."""

import base64
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from slurmwatchd.sinks.webhook.options import HttpOptions

_SECRET_PREFIX = b"whsec_"

Sent = Callable[[], Awaitable[None]]
"""What to do once a request is on its way and only its answer is missing."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is posted.

    Attributes:
        key: The same for the same events: what a receiver may know a repetition by.
        begin: The position of its first event among those of the write.
        count: How many it has.
    """

    key: str
    body: bytes
    headers: Mapping[str, str]
    begin: int
    count: int


def request_of(identities: Sequence[str], lines: Sequence[bytes], options: HttpOptions, begin: int) -> Request:
    """Put events into one body, one a line or as an array.

    Args:
        identities: Their ids.
        lines: They themselves, each with its line end.
        options: How they stand in the body.
        begin: The position of the first.
    """
    if options.batch == "ndjson":
        body, content = b"".join(lines), "application/x-ndjson"
    else:
        body = b"[" + b",".join([line[:-1] for line in lines]) + b"]"
        is_cloud = options.format == "cloudevents"
        content = "application/cloudevents-batch+json" if is_cloud else "application/json"
    return named(identities, body, content, begin)


def named(identities: Sequence[str], body: bytes, content_type: str, begin: int = 0) -> Request:
    """Return a body as a request that goes by the ids of its events."""
    key = identities[0] if len(identities) == 1 else hashlib.sha256("\n".join(identities).encode()).hexdigest()
    headers = {"Content-Type": content_type, "Idempotency-Key": key}
    return Request(key, body, headers, begin, len(identities))


def fitting(lines: Sequence[bytes], size: int) -> int:
    """Return how many of the first events a body of so many bytes may have: one at least."""
    if sum(map(len, lines)) + len(lines) + 2 <= size:
        return len(lines)
    length = 2
    for count, line in enumerate(lines):
        length += len(line) + 1
        if length > size:
            return max(count, 1)
    return len(lines)


def signature(key: bytes, request: Request, timestamp: int) -> dict[str, str]:
    """Return the headers that prove who sent a request, and when, as Standard Webhooks has them.

    Args:
        key: The secret; `whsec_` and base64, or its bytes.
        request: What is signed.
        timestamp: Epoch seconds.
    """
    if key.startswith(_SECRET_PREFIX):
        key = base64.b64decode(key[len(_SECRET_PREFIX) :])
    signed = f"{request.key}.{timestamp}.".encode() + request.body
    digest = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    return {
        "webhook-id": request.key,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{digest}",
    }
